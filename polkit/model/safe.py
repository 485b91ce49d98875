"""A stranger's text on its way to a terminal or a report: nothing in it may move the cursor, colour the screen or turn
the line.
"""

from __future__ import annotations

import re

_HARMFUL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffc"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
"""C0 and C1 controls, bidirectional and zero-width characters, line separators, lone surrogates, tags."""


def safe(text: str) -> str:
    """``text`` with every harmful character written as an escape (``\\x1b``, ``\\u202e``)."""
    return _HARMFUL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def safe_lines(text: str) -> str:
    """The same for a text of several lines: line feeds and tabs stay."""
    return re.sub("[^\n\t]+", lambda found: safe(found[0]), text)
