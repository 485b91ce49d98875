"""Log text as a comment: one line, whatever the text holds.

Policy compilers end a comment at a newline; editors, pagers and terminals also break or reorder lines at other
characters, and the development Makefile of a distribution feeds a ``.te`` to m4. So only printable ASCII passes,
without m4's quotes, without the backslash, and without an opening parenthesis right after a word (a macro call of m4).
"""

from __future__ import annotations

import re

from polkit.errors import CompileError

LONGEST = 240
"""Characters of a comment line. checkmodule's scanner dies of a token over 8,191 characters (flex YYLMAX)."""

_CALL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\([A-Za-z0-9_.-]+(?:, [A-Za-z0-9_.-]+)*\)\Z")
_UNSAFE = re.compile(r"[^ -~]|[`'\\]|(?<=[A-Za-z0-9_])\(")


def comment(text: str, leader: str) -> str:
    """``text`` as one comment line that starts with ``leader`` (``#`` or ``;``) and a space; no newline at its end.

    Characters that could leave the line or mean something to a tool become ``\\xNN``, ``\\uNNNN`` or ``\\UNNNNNNNN``.
    """
    safe = _UNSAFE.sub(lambda found: _escaped(found[0]), text[:LONGEST])
    if len(text) > LONGEST or len(safe) > LONGEST:
        safe = safe[:LONGEST] + "..."
    return f"{leader} {safe}".rstrip()


def call_comment(call: str, note: str, leader: str) -> str:
    """A comment that says which call of an interface gives the same: ``call`` stands in it as it is to be copied.

    Raises CompileError for what is no call on plain names. m4 leaves comments alone; were it told not to, the call
    would give what the rule below gives.
    """
    if not _CALL.match(call):
        raise CompileError(f"{call[:80]!r} is no call of an interface")
    return f"{leader} same as: {call}" + (f"; {comment(note, '').strip()}" if note else "")


def _escaped(character: str) -> str:
    number = ord(character)
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
