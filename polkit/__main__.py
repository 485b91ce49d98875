"""``python -m polkit``."""

from __future__ import annotations

from polkit.cli import main

main()
