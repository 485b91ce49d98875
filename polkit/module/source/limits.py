"""Limits on the text of a stranger's source, told with file and line before anything else reads it."""

from __future__ import annotations

import re

from polkit.errors import SourceError

LARGEST = 2 << 20
"""Characters of a source. The reference policy's largest, corenetwork.if, is generated and has 1.6 million."""
LONGEST = 8191
"""Characters of a word that checkmodule's scanner takes (flex, YYLMAX)."""

_REACHING_OUT = re.compile(
    r"#[^\n]*|\b(?:(?:e?syscmd|builtin|indir|s?include|undivert|debugfile|mkstemp|maketemp)(?=\()"
    r"|(?:changequote|changecom|changeword|define|undefine|pushdef|popdef|m4wrap|divert)(?=\()"
    r"|(?:decl|gen)_(?:sens|cats|dominance)\w*(?=\())",
    re.ASCII,
)
"""The last are loops of the reference policy's own, as long as their argument says."""
DEEPEST = 50
"""Blocks inside blocks. The reference policy has seven."""
_MARKS = re.compile(r"(?:#|\bdnl\b)[^\n]*|[`'(){}]", re.ASCII)
_QUOTES = "`'"
_CHANGE = {"`": 1, "(": 1, "{": 1, "'": -1, ")": -1, "}": -1}


class ReachesOutError(SourceError):
    """A source that would have m4 run, read, redefine or repeat something."""


def place(text: str, at: int) -> tuple[int, int]:
    """Line and column of a position, from 1."""
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)


def refuse_outsized(text: str, name: str, largest: int = LARGEST) -> None:
    """Raises SourceError for a text or a word in it that no compiler would read."""
    if len(text) > largest:
        raise SourceError(f"{name}:1: no policy source is larger than {largest} characters, and this has {len(text)}")
    longest = max(text.split(), key=len, default="")
    if len(longest) > LONGEST:
        line, _ = place(text, text.index(longest))
        raise SourceError(f"{name}:{line}: a word of {len(longest)} characters; no compiler reads more than {LONGEST}")


def refuse_reaching_out(text: str, name: str) -> None:
    """Raises ReachesOutError where m4 would be told to run, read or redefine something, outside comments."""
    for found in _REACHING_OUT.finditer(text):
        if not found[0].startswith("#"):
            line, _ = place(text, found.start())
            raise ReachesOutError(
                f"{name}:{line}: {found[0]} makes m4 run, read, redefine or repeat something: it is not read",
                hint="a policy module has no use for it; write what it stands for",
            )


def refused(text: str, name: str, error: object) -> SourceError:
    """What to tell of text that a grammar did not take (``error`` is Lark's)."""
    token = getattr(error, "token", None)
    if getattr(token, "type", "") == "$END":
        return SourceError(f"{name}:{text.count(chr(10)) + 1}: the text ends inside a statement or block")
    line, column = int(getattr(error, "line", 1)), int(getattr(error, "column", 1))
    said = str(token if token is not None else getattr(error, "char", ""))
    return SourceError(
        f"{name}:{line}:{column}: no statement goes on with {said[:40]!r} here",
        hint="compare the line with the statements in the documentation of the kernel policy language",
    )


def refuse_misleading(text: str, name: str, brackets: bool = True) -> None:
    """Raises SourceError for blocks nested too deep, and for comments that end an argument: m4 knows no comments inside
    quotes. ``brackets``: parentheses and braces count as nesting too.
    """
    depth = quotes = 0
    for found in _MARKS.finditer(text):
        mark = found[0]
        if len(mark) > 1 or mark == "#":
            if quotes and ("`" in mark or "'" in mark) and not _balanced(mark):
                raise SourceError(
                    f"{name}:{place(text, found.start())[0]}: a quote in this comment ends the macro's argument for m4",
                    hint="remove the quote or apostrophe from the comment",
                )
            continue
        depth += _CHANGE[mark] if brackets or mark in _QUOTES else 0
        quotes += (mark == "`") - (mark == "'")
        if depth > 3 * DEEPEST:
            raise SourceError(f"{name}:{place(text, found.start())[0]}: blocks are nested too deep to be read")


def _balanced(comment: str) -> bool:
    depth = 0
    for character in comment:
        depth += (character == "`") - (character == "'")
        if depth < 0:
            return False
    return depth == 0
