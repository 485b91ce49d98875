"""Log text as a comment: one line, whatever the text holds.

Policy compilers end a comment at a newline; editors, pagers and terminals also break or reorder lines at other
characters, and the development Makefile of a distribution feeds a ``.te`` to m4. So only printable ASCII passes,
without m4's quotes, without the backslash, and without an opening parenthesis right after a word (a macro call of m4).
"""

from __future__ import annotations

import re

LONGEST = 240
"""Characters of a comment line. checkmodule's scanner dies of a token over 8,191 characters (flex YYLMAX)."""

_UNSAFE = re.compile(r"[^ -~]|[`'\\]|(?<=[A-Za-z0-9_])\(")


def comment(text: str, leader: str) -> str:
    """``text`` as one comment line that starts with ``leader`` (``#`` or ``;``) and a space; no newline at its end.

    Characters that could leave the line or mean something to a tool become ``\\xNN``, ``\\uNNNN`` or ``\\UNNNNNNNN``.
    """
    safe = _UNSAFE.sub(lambda found: _escaped(found[0]), text[:LONGEST])
    if len(text) > LONGEST or len(safe) > LONGEST:
        safe = safe[:LONGEST] + "..."
    return f"{leader} {safe}".rstrip()


def _escaped(character: str) -> str:
    number = ord(character)
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
