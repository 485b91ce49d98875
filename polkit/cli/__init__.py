"""The command line: one thin file a verb; no logic."""

from __future__ import annotations


def main() -> None:
    """The ``polkit`` command."""
    from polkit.cli.app import run

    run()
