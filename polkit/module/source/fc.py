"""Reads an ``.fc``: which paths get which context, and where it says so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Optional, Union

from polkit.grammars import grammar_text
from polkit.module.source.limits import LARGEST, refuse_misleading, refuse_outsized, refused

if TYPE_CHECKING:
    from lark import Lark, Token, Tree


@dataclass(frozen=True)
class FileLabel:
    """``pattern kind context``. ``kind`` is empty for any, else ``--``, ``-d``, ... ``context`` is None for
    ``<<none>>``, else user, role and type; ``levels`` as written: that of a plain context, or what gen_context is given
    for MLS and, after it, for MCS.
    """

    pattern: str
    kind: str
    context: Optional[tuple[str, str, str]]
    levels: tuple[str, ...] = ()
    macro: bool = True
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class FileBlock:
    """``ifdef`` or ``ifndef``: what holds where ``symbol`` is defined, or not, and what holds otherwise."""

    kind: str
    symbol: str
    branches: tuple[tuple[FileEntry, ...], ...]
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


FileEntry = Union[FileLabel, FileBlock]


def read_fc(text: str, name: str, largest: int = LARGEST) -> tuple[FileEntry, ...]:
    """The entries of ``text`` in their order, each with line and column; ``name`` is what messages call it.

    Nothing is asked of m4: ``include(/.*)?`` in a pattern, which also stands in a host's file_contexts, is a path here.
    Raises SourceError (``NAME:LINE: ...``) for what is no ``.fc``, is nested too deep or is too large.
    """
    from lark.exceptions import UnexpectedInput

    refuse_outsized(text, name, largest)
    refuse_misleading(text, name, brackets=False)
    try:
        return tuple(_entries(_parser().parse(text)))
    except UnexpectedInput as error:
        raise refused(text, name, error) from None


def render_fc_entries(entries: Iterable[FileEntry]) -> str:
    """The entries as text that reads back the same."""
    return "".join(f"{line}\n" for one in entries for line in _lines(one))


@lru_cache(maxsize=1)
def _parser() -> Lark:
    from lark import Lark

    grammar = grammar_text("fc")
    return Lark(grammar, parser="lalr", lexer="contextual", g_regex_flags=re.ASCII, propagate_positions=True)


def _entries(tree: Tree[Token]) -> Iterator[FileEntry]:
    for child in tree.children:
        assert not isinstance(child, str)
        yield _block(child) if child.data == "ifdef" else _label(child)


def _block(tree: Tree[Token]) -> FileBlock:
    kind, symbol, *branches = (one for one in tree.children if one is not None)
    inner = tuple(tuple(_entries(one)) for one in branches if not isinstance(one, str))
    return FileBlock(str(kind)[:-1], str(symbol), inner, tree.meta.line, tree.meta.column)


def _label(tree: Tree[Token]) -> FileLabel:
    pattern, kind, context = tree.children
    at = (tree.meta.line, tree.meta.column)
    said = str(pattern).replace("`", "").replace("'", "")
    if isinstance(context, str):
        return FileLabel(said, str(kind or ""), None, (), False, *at)
    macro = context.data == "by_macro"
    label = next(one for one in context.children if isinstance(one, str) and one.type == "LABEL")
    user, role, kept, *level = label.split(":", 3)
    levels = _levels(context) if macro else tuple(level)
    return FileLabel(said, str(kind or ""), (user, role, kept), levels, macro, *at)


def _levels(tree: Tree[Token]) -> tuple[str, ...]:
    """What gen_context is given after the label; a range is put together again."""
    found: list[str] = []
    for child in tree.children:
        if child is not None and not isinstance(child, str):
            found.append(" - ".join(str(word) for word in child.children if word is not None))
    return tuple(found)


def _lines(one: FileEntry) -> Iterator[str]:
    if isinstance(one, FileLabel):
        yield "\t".join(word for word in (one.pattern, one.kind, _context(one)) if word)
        return
    yield f"{one.kind}(`{one.symbol}',`"
    for place, branch in enumerate(one.branches):
        yield from ("',`",) if place else ()
        yield from (line for inner in branch for line in _lines(inner))
    yield "')"


def _context(one: FileLabel) -> str:
    if one.context is None:
        return "<<none>>"
    label = ":".join(one.context)
    return f"gen_context({','.join((label, *one.levels))})" if one.macro else ":".join((label, *one.levels))
