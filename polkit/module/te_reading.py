"""Reads type enforcement text (``grammar/te.lark``): what it allows, what it requires, and what else it says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Union

from polkit.errors import CompileError
from polkit.grammars import grammar_text

if TYPE_CHECKING:
    from lark import Lark, Token, Tree


@dataclass(frozen=True)
class NameSet:
    """A set of types, classes or permissions as written: ``{ names -without }``, or all others (``~``; ``*`` is all
    but none).
    """

    names: tuple[str, ...]
    without: tuple[str, ...] = ()
    others: bool = False


@dataclass(frozen=True)
class WrittenRule:
    """``KIND sources targets:classes perms;`` as written."""

    kind: str
    sources: NameSet
    targets: NameSet
    classes: NameSet
    perms: NameSet


@dataclass(frozen=True)
class Required:
    """A line of a ``require`` block: names of one kind (``type``, ``attribute``, ``role``, ...), or a class and its
    permissions.
    """

    kind: str
    names: tuple[str, ...]
    perms: tuple[str, ...] = ()


@dataclass(frozen=True)
class OtherStatement:
    """A statement that is no access vector rule and no requirement; ``kind`` is what the grammar calls it."""

    kind: str


_PARAMETER = re.compile(r"\$[0-9*@]")
_COMMENT = re.compile(r"#[^\n]*")

Statement = Union[WrittenRule, Required, OtherStatement]


def read_body(text: str) -> tuple[Statement, ...]:
    """The statements of a module's body (what follows its head), in their order.

    What stands in a block (``if``, ``optional``) is not unconditional, so the block is one OtherStatement.
    Raises CompileError for text that checkmodule would not take either.
    """
    from lark.exceptions import UnexpectedInput

    parameter = _PARAMETER.search(_COMMENT.sub(lambda found: " " * len(found[0]), text))
    if parameter is not None:
        line = text.count("\n", 0, parameter.start()) + 1
        raise CompileError(
            f"the policy text can't be read at line {line}: {parameter[0]} stands in it", output=text[:2000]
        )
    try:
        tree = _parser().parse(text, start="body")
    except UnexpectedInput as error:
        ended = getattr(getattr(error, "token", None), "type", "") == "$END"
        place = "its end" if ended else f"line {error.line}, column {error.column}"
        raise CompileError(f"the policy text can't be read at {place}", output=text[:2000]) from error
    return tuple(one for item in _trees(tree) for one in _statements(item))


@lru_cache(maxsize=1)
def _parser() -> Lark:
    from lark import Lark

    starts = ["module", "body"]
    return Lark(grammar_text("te"), parser="lalr", lexer="basic", start=starts, g_regex_flags=re.ASCII)


def _statements(tree: Tree[Token]) -> Iterator[Statement]:
    inner = _trees(tree)[0] if tree.data == "rule" else tree
    if inner.data == "access":
        yield WrittenRule(_words(inner)[0], *map(name_set, _trees(inner)))
    elif inner.data == "requirement":
        yield from map(_required, _trees(inner))
    else:
        yield OtherStatement(str(inner.data))


def _required(tree: Tree[Token]) -> Required:
    words = _words(tree)
    if tree.data == "require_class":
        return Required("class", words, name_set(_trees(tree)[0]).names)
    return Required(words[0], words[1:])


def _trees(tree: Tree[Token]) -> tuple[Tree[Token], ...]:
    return tuple(child for child in tree.children if not isinstance(child, str))


def _words(tree: Tree[Token]) -> tuple[str, ...]:
    return tuple(str(child) for child in tree.children if isinstance(child, str))


def name_set(tree: Tree[Token]) -> NameSet:
    """The set that a tree of the grammar's ``names`` stands for."""
    names, without = list(_words(tree)), list[str]()
    others = False
    for child in _trees(tree):
        words = _words(child)
        if child.data == "without":
            without += words
        elif child.data == "difference":
            names.append(words[0])
            without.append(words[1])
        else:  # everything, complement
            others = True
            names += words
            without += [word for inner in _trees(child) for word in _words(inner)]
    return NameSet(tuple(names), tuple(without), others)
