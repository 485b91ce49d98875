"""Text from a log on its way to a terminal: nothing in it may move the cursor, colour the screen or turn the line."""

from __future__ import annotations

from polkit.model.safe import safe

__all__ = ["safe"]
