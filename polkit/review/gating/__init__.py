"""The gates of a project's polkit.toml, held against a module under review."""
