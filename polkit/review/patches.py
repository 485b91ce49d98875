"""Changes of a source as unified diffs: a statement taken out, or written otherwise, and nothing else changed."""

from __future__ import annotations

import difflib
import posixpath
import re
from collections.abc import Iterable
from typing import Optional

from polkit.module.source import Located
from polkit.review.materials.reading import SourceText

_PIECE = re.compile(r"#[^\n]*|;|[^#;]+")
_LONGEST = 16384
"""Characters of a statement; a longer one is left to its author."""


def without(sources: Iterable[SourceText], one: Located) -> str:
    """The diff that takes a statement out of its source, with the lines that held nothing else; empty where it is not
    written out there (it comes from a macro, or from a compiled module)."""
    return rewritten(sources, one, "")


def rewritten(sources: Iterable[SourceText], one: Located, statement: str) -> str:
    """The diff that puts another statement in the place of one; empty as of ``without``."""
    source = next((text for text in sources if text.name == one.file and text.kind == "te"), None)
    span = None if source is None or one.via else _span(source.text, one.line, one.column)
    if source is None or span is None:
        return ""
    start, end = span
    if not statement:
        start, end = _whole_lines(source.text, start, end)
    return unified(source, source.text[:start] + statement + source.text[end:])


def unified(source: SourceText, new: str) -> str:
    """From a source to its new text, for ``patch -p1`` or ``git apply``."""
    name = posixpath.basename(source.name) if source.name.startswith("/") else source.name
    lines = difflib.unified_diff(_lines(source.text), _lines(new), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    """Lines as patch(1) counts them: other characters that end a line elsewhere stand in comments."""
    lines = text.split("\n")
    return [f"{line}\n" for line in lines[:-1]] + lines[-1:] * bool(lines[-1])


def _span(text: str, line: int, column: int) -> Optional[tuple[int, int]]:
    """From the first letter of a statement to behind its semicolon; None for one that does not end."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
        if start == 0:
            return None
    start += column - 1
    for piece in _PIECE.finditer(text, start, start + _LONGEST):
        if piece[0] == ";":
            return start, piece.end()
    return None


def _whole_lines(text: str, start: int, end: int) -> tuple[int, int]:
    """The lines of a statement where it stands alone there, but for a comment behind it."""
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    last = len(text) if last < 0 else last + 1
    behind = text[end:last].strip()
    if text[first:start].strip() or (behind and not behind.startswith("#")):
        return start, end
    return first, last
