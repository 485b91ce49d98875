"""Reads a ``.te`` or ``.if`` before m4: what it says and where. Nothing of it is run."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Optional

from polkit.errors import SourceError
from polkit.grammars import grammar_text
from polkit.module.source.from_tree import Builder
from polkit.module.source.limits import (
    LARGEST,
    place,
    refuse_misleading,
    refuse_outsized,
    refuse_reaching_out,
    refused,
)
from polkit.module.source.quick import NotPlainError, QuickReader
from polkit.module.source.statements import Remark, Source, Statement
from polkit.module.source.words import in_small_letters

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

_MOST_MISTAKES = 8
_LINE_END = "\r\n"
_MISPLACED = re.compile(r":(\d+):(\d+): no statement goes on")
_REMARK = re.compile(r"#[ \t]*polkit:[ \t]*([^\n]*)")


def read_te(text: str, name: str, largest: int = LARGEST) -> Source:
    """The statements of ``text`` in their order, each with line and column, and the remarks meant for us.

    ``name`` is what messages call the source. Raises SourceError (``NAME:LINE: ...``) for text that is no policy
    source, that m4 would not read as it looks, that has m4 run or read something, that is nested too deep
    or larger than ``largest``.
    """
    refuse_outsized(text, name, largest)
    refuse_reaching_out(text, name)
    remarks = tuple(Remark(found[1].strip(), *place(text, found.start())) for found in _REMARK.finditer(text))
    refuse_misleading(text, name)
    text = in_small_letters(text)
    try:
        statements = QuickReader(text, _one_statement).read()
    except NotPlainError:
        statements = read_by_grammar(text, name)
    return Source(name, statements, remarks)


def read_around(text: str, name: str, largest: int = LARGEST) -> tuple[Source, tuple[SourceError, ...]]:
    """What can be read of a text with mistakes, and the mistakes, at most a handful.

    Where a semicolon makes it go on, one is put there; else the statement is passed over. Every place stays. Raises
    SourceError for what is refused for another reason, or has more mistakes.
    """
    errors: list[SourceError] = []
    while True:
        try:
            return read_te(text, name, largest), tuple(errors)
        except SourceError as error:
            at = _position(text, error)
            if at is None or len(errors) == _MOST_MISTAKES:
                raise
            errors.append(error)
            text = _mended(text, at, name, largest)


def _position(text: str, error: SourceError) -> Optional[int]:
    """Where a grammar had no place for a word; the end of the text where it ended too soon."""
    found = _MISPLACED.search(str(error))
    if found is None:
        return len(text) if "the text ends inside" in str(error) else None
    lines = text.split("\n")[: int(found[1]) - 1]
    return sum(map(len, lines)) + len(lines) + int(found[2]) - 1


def _mended(text: str, at: int, name: str, largest: int) -> str:
    """With a semicolon before the place, if the next mistake is further on then; else without the statement there."""
    before = text[:at].rstrip()
    if len(before) < at < len(text):
        rest = text[len(before) :]
        ended = f"{before};{rest if rest[0] in _LINE_END else rest[1:]}"
        try:
            read_te(ended, name, largest)
            return ended
        except SourceError as error:
            next_ = _position(ended, error)
            if next_ is not None and next_ > at:
                return ended
    start = max(text.rfind(mark, 0, at) for mark in ";{}`'") + 1
    end = text.find(";", at) + 1 or len(text)
    return text[:start] + re.sub(r"[^\n]", " ", text[start:end]) + text[end:]


def read_by_grammar(text: str, name: str) -> tuple[Statement, ...]:
    """What the grammar makes of the whole text: the authority. Raises SourceError with the place."""
    from lark.exceptions import UnexpectedInput

    try:
        return Builder(text).statements(_parse(text))
    except UnexpectedInput as error:
        raise refused(text, name, error) from None


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
