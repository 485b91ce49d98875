"""Reads CIL: a module's statements with their places. What names mean across blocks is left to secilc."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Union

from polkit.errors import SourceError
from polkit.grammars import grammar_text
from polkit.module.source.limits import place, refused

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

LARGEST_CIL = 16 << 20
"""Characters. hll/pp makes at most 1 MB of a module of Debian's; a whole policy is read in its binary form."""
DEEPEST_CIL = 200
"""Lists inside lists: hll/pp opens an optional for each that stands before, one in the other."""

CilItem = Union[str, tuple["CilItem", ...]]


@dataclass(frozen=True)
class CilStatement:
    """``(word items...)``; a string keeps its quotation marks."""

    word: str
    items: tuple[CilItem, ...]
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class CilBlock:
    """What holds statements: ``block``, ``optional``, ``in``, ``macro``, and the ``true`` and ``false`` branches of
    ``booleanif`` and ``tunableif``, which are blocks themselves. ``items`` stand before the statements.
    """

    word: str
    items: tuple[CilItem, ...]
    statements: tuple[CilEntry, ...]
    line: int = field(default=0, compare=False)
    column: int = field(default=0, compare=False)


CilEntry = Union[CilStatement, CilBlock]

_MARKS = re.compile(r';[^\n]*|"[^"\n]*"|[()]')


def read_cil(text: str, name: str, largest: int = LARGEST_CIL) -> tuple[CilEntry, ...]:
    """The statements of ``text`` in their order, each with line and column; ``name`` is what messages call it.

    Raises SourceError (``NAME:LINE: ...``) for what is no CIL, is nested too deep or is too large.
    """
    from lark.exceptions import UnexpectedInput

    if len(text) > largest:
        raise SourceError(f"{name}:1: no module is larger than {largest} characters, and this has {len(text)}")
    _refuse_deep(text, name)
    try:
        return tuple(map(_entry, _trees(_parser().parse(text))))
    except UnexpectedInput as error:
        raise refused(text, name, error) from None


def render_cil_entries(entries: Iterable[CilEntry]) -> str:
    """The statements as text that reads back the same."""
    return "".join(f"{line}\n" for one in entries for line in _lines(one))


@lru_cache(maxsize=1)
def _parser() -> Lark:
    from lark import Lark

    grammar = grammar_text("cil")
    return Lark(grammar, parser="lalr", lexer="contextual", g_regex_flags=re.ASCII, propagate_positions=True)


def _refuse_deep(text: str, name: str) -> None:
    depth = 0
    for found in _MARKS.finditer(text):
        depth += (found[0] == "(") - (found[0] == ")")
        if depth > DEEPEST_CIL:
            raise SourceError(f"{name}:{place(text, found.start())[0]}: lists are nested too deep to be read")


def _entry(tree: Tree[Token]) -> CilEntry:
    at = (tree.meta.line, tree.meta.column)
    if tree.data == "statement":
        word, *items = tree.children
        return CilStatement(str(word), tuple(map(_item, items)), *at)
    inner = _trees(tree)
    statements = tuple(_entry(one) for one in inner if one.data != "list")
    head = [_item(one) for one in tree.children if one is not None and _is_head(one)]
    if tree.data in ("condition", "branch"):
        return CilBlock(str(head[0]), tuple(head[1:]), statements, *at)
    return CilBlock(str(tree.data), tuple(head), statements, *at)


def _is_head(one: Union[Token, Tree[Token]]) -> bool:
    return isinstance(one, str) or one.data == "list"


def _item(one: Union[Token, Tree[Token]]) -> CilItem:
    return str(one) if isinstance(one, str) else tuple(_item(inner) for inner in one.children)


def _trees(tree: Tree[Token]) -> list[Tree[Token]]:
    return [child for child in tree.children if child is not None and not isinstance(child, str)]


def _lines(one: CilEntry) -> Iterator[str]:
    words = " ".join((one.word, *map(_written, one.items)))
    if isinstance(one, CilStatement):
        yield f"({words})"
        return
    yield f"({words}"
    yield from (f"  {line}" for inner in one.statements for line in _lines(inner))
    yield ")"


def _written(item: CilItem) -> str:
    return item if isinstance(item, str) else "(" + " ".join(map(_written, item)) + ")"
