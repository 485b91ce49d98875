"""Reads a ``.te`` or ``.if`` before m4: what it says and where. Nothing of it is run."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, NoReturn

from polkit.errors import SourceError
from polkit.grammars import grammar_text
from polkit.module.source.from_tree import Builder
from polkit.module.source.quick import DEEPEST, NotPlainError, QuickReader
from polkit.module.source.statements import Remark, Source, Statement

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

LARGEST = 2 << 20
"""Characters of a source. The reference policy's largest, corenetwork.if, is generated and has 1.6 million."""

LONGEST = 8191
"""Characters of a word that checkmodule's scanner takes (flex, YYLMAX)."""

_REMARK = re.compile(r"#[ \t]*polkit:[ \t]*([^\n]*)")
_REACHING_OUT = re.compile(
    r"\b(?:(?:e?syscmd|builtin|indir|s?include|undivert|debugfile|mkstemp|maketemp)(?=\()"
    r"|(?:changequote|changecom|changeword|define|undefine|pushdef|popdef|m4wrap|divert)(?=\())",
    re.ASCII,
)
_MARKS = re.compile(r"(?:#|\bdnl\b)[^\n]*|[`'(){}]", re.ASCII)
_CHANGE = {"`": 1, "(": 1, "{": 1, "'": -1, ")": -1, "}": -1}


def read_te(text: str, name: str, largest: int = LARGEST) -> Source:
    """The statements of ``text`` in their order, each with line and column, and the remarks meant for us.

    ``name`` is what messages call the source. Raises SourceError (``NAME:LINE: ...``) for text that is no policy
    source, that m4 would not read as it looks, that has m4 run or read something, that is nested too deep
    or larger than ``largest``.
    """
    if len(text) > largest:
        raise SourceError(f"{name}:1: no policy source is larger than {largest} characters, and this has {len(text)}")
    longest = max(text.split(), key=len, default="")
    if len(longest) > LONGEST:
        line = text.count("\n", 0, text.index(longest)) + 1
        raise SourceError(f"{name}:{line}: a word of {len(longest)} characters; no compiler reads more than {LONGEST}")
    _refuse_reaching_out(text, name)
    remarks = tuple(Remark(found[1].strip(), *_place(text, found.start())) for found in _REMARK.finditer(text))
    _refuse_misleading(text, name)
    try:
        statements = QuickReader(text, _one_statement).read()
    except NotPlainError:
        statements = read_by_grammar(text, name)
    return Source(name, statements, remarks)


def read_by_grammar(text: str, name: str) -> tuple[Statement, ...]:
    """What the grammar makes of the whole text: the authority. Raises SourceError with the place."""
    from lark.exceptions import UnexpectedInput

    try:
        return Builder(text).statements(_parse(text))
    except UnexpectedInput as error:
        _refused(text, name, error)


def _refused(text: str, name: str, error: object) -> NoReturn:
    token = getattr(error, "token", None)
    if getattr(token, "type", "") == "$END":
        raise SourceError(f"{name}:{text.count(chr(10)) + 1}: the text ends inside a statement or block") from None
    line, column = int(getattr(error, "line", 1)), int(getattr(error, "column", 1))
    said = str(token if token is not None else getattr(error, "char", ""))
    raise SourceError(
        f"{name}:{line}:{column}: no statement goes on with {said[:40]!r} here",
        hint="compare the line with the statements in the documentation of the kernel policy language",
    ) from None


def _one_statement(text: str, line: int, column: int) -> tuple[Statement, ...]:
    from lark.exceptions import UnexpectedInput

    try:
        return Builder(text, line, column).statements(_parse(text))
    except UnexpectedInput:
        raise NotPlainError from None


def _parse(text: str) -> Tree[Token]:
    return _parser().parse(text, start="source")


@lru_cache(maxsize=1)
def _parser() -> Lark:
    from lark import Lark

    return Lark(
        grammar_text("te"),
        parser="lalr",
        lexer="basic",
        start=["source"],
        g_regex_flags=re.ASCII,
        propagate_positions=True,
    )


def _refuse_reaching_out(text: str, name: str) -> None:
    for found in _REACHING_OUT.finditer(text):
        begun = text.rfind("\n", 0, found.start()) + 1
        if "#" not in text[begun : found.start()]:
            raise SourceError(
                f"{_at(text, name, found)}: {found[0]} makes m4 run, read or redefine something: it is not read",
                hint="a policy module has no use for it; write what it stands for",
            )


def _refuse_misleading(text: str, name: str) -> None:
    """Blocks nested too deep, and comments that end an argument: m4 knows no comments inside quotes."""
    depth = quotes = 0
    for found in _MARKS.finditer(text):
        mark = found[0]
        if len(mark) > 1 or mark == "#":
            if quotes and ("`" in mark or "'" in mark) and not _balanced(mark):
                raise SourceError(
                    f"{_at(text, name, found)}: a quote in this comment ends the macro's argument for m4",
                    hint="remove the quote or apostrophe from the comment",
                )
            continue
        depth += _CHANGE[mark]
        quotes += (mark == "`") - (mark == "'")
        if depth > 3 * DEEPEST:
            raise SourceError(f"{_at(text, name, found)}: blocks are nested too deep to be read")


def _balanced(comment: str) -> bool:
    depth = 0
    for character in comment:
        depth += (character == "`") - (character == "'")
        if depth < 0:
            return False
    return depth == 0


def _at(text: str, name: str, found: re.Match[str]) -> str:
    return f"{name}:{_place(text, found.start())[0]}"


def _place(text: str, at: int) -> tuple[int, int]:
    return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
