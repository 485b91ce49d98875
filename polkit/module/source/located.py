"""What a policy source says statement by statement, after its macros, each with the place where its author says it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import NamedTuple, Optional

from polkit.errors import SourceError
from polkit.module.headers import Headers
from polkit.module.source.conditions import both, negated
from polkit.module.source.expanding import LARGEST_EXPANDED, expand_marked, new_mark
from polkit.module.source.render import block_frame, render_source
from polkit.module.source.statements import NOTHING, Block, Call, Label, Requirement, Rule, Source, Statement
from polkit.module.source.te import read_te
from polkit.module.te_reading import NameSet

MOST_WRITTEN = 200
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_DECIDED = ("ifdef", "ifndef", "ifelse")
_DEFINED = ("interface", "template")
_REQUIRES = ("require", "gen_require")
_BOOLEANS = ("if", "tunable_policy")
_PLAIN = ("require", "optional", "if")
_LIKE_SETS = re.compile(r"\w+_(?:perms|class_set)\Z", re.ASCII)


@dataclass(frozen=True)
class Located:
    """A statement and where its author says it.

    ``statement`` is a leaf of a source (never Call or Block), its sets as they are after macros. ``line`` and
    ``column`` are those of what the author wrote: the statement, or the call whose expansion holds it; ``written`` is
    that on one line. ``via``: the interface or macro that is called there, empty where the statement is written out.
    ``condition``: the booleans it stands under, ``a && !b``, empty for always. ``optional``: inside an optional block.
    """

    statement: Statement
    file: str
    line: int
    column: int
    written: str
    via: str = ""
    condition: str = ""
    optional: bool = False


class Misread(NamedTuple):
    """What stands at a place and is no statement after m4 (``text`` says what is wrong with it)."""

    line: int
    column: int
    text: str


@dataclass(frozen=True)
class Reading:
    """What was understood of a source, and where it could not be. ``unknown``: calls that nothing defines."""

    statements: tuple[Located, ...]
    misread: tuple[Misread, ...] = ()
    unknown: tuple[Call, ...] = ()


def locate_te(source: Source, headers: Optional[Headers]) -> tuple[Located, ...]:
    """The statements of ``source`` in their order, interfaces and macros expanded by m4 under our own prelude.

    Left out is what nothing defines, what is no statement after m4 (``reading_te`` gives both), and what an ``.if``
    only defines. Without headers no call is expanded and no symbol is defined. Raises SourceError where m4 can't come
    to an end with it, MissingDependency without m4 where one is needed.
    """
    return reading_te(source, headers).statements


def reading_te(source: Source, headers: Optional[Headers]) -> Reading:
    """The same as ``locate_te``, with what was left out."""
    if headers is None or not needs_m4(source, headers):
        symbols = frozenset[str]() if headers is None else _symbols(headers)
        return _direct(source, symbols)
    walk = _Walk(new_mark())
    text = "".join(walk.marked(source.statements, _Context()))
    return _expanded(source.name, walk, text, headers)


class _Context(NamedTuple):
    condition: str = ""
    optional: bool = False
    required: bool = False


class _Leaf(NamedTuple):
    statement: Statement
    context: _Context
    via: str = ""


@dataclass
class _Walk:
    """Writes a source's leaves for m4, each after a mark with its number; only m4's own branches stay around them."""

    mark: str
    leaves: list[_Leaf] = field(default_factory=list)

    def marked(self, statements: Iterable[Statement], context: _Context) -> Iterator[str]:
        for one in statements:
            if not isinstance(one, Block):
                yield self._leaf(one, context)
            elif one.kind in _DECIDED:
                yield from self._branches(one, context)
            elif one.kind not in _DEFINED:
                for leaf in _booleans(one, context):
                    yield self._leaf(leaf.statement, leaf.context, leaf.via)
                for branch, inner in zip(one.branches, _inner(one, context)):
                    yield from self.marked(branch, inner)

    def _leaf(self, one: Statement, context: _Context, via: str = "") -> str:
        self.leaves.append(_Leaf(one, context, via))
        text = "" if isinstance(one, Label) else render_source((one,))  # what m4 makes of a label is no source
        said = f"require {{\n{text}\n}}" if context.required else text
        return f"{self.mark}{len(self.leaves) - 1}@\n{said}\n\n"

    def _branches(self, one: Block, context: _Context) -> Iterator[str]:
        """``ifdef`` and its like, for m4 to choose."""
        begin, *others = block_frame(one)
        yield begin
        for branch, after in zip(one.branches, others):
            yield from self.marked(branch, context)
            yield f"{after}\n"


def _booleans(one: Block, context: _Context) -> Iterator[_Leaf]:
    """``tunable_policy`` requires the booleans of its condition by itself."""
    names = dict.fromkeys(_WORD.findall(one.arguments[0])) if one.kind == "tunable_policy" else ()
    for name in names:
        needed = Requirement("bool", NameSet((name,)), NOTHING, one.line, one.column)
        yield _Leaf(needed, context._replace(required=True), one.kind)


def _inner(one: Block, context: _Context) -> Iterator[_Context]:
    """The contexts of a block's branches."""
    if one.kind in _REQUIRES:
        yield context._replace(required=True)
    elif one.kind in _BOOLEANS:
        said = " ".join(one.arguments[0].split())
        yield context._replace(condition=both(context.condition, said))
        yield context._replace(condition=both(context.condition, negated(said)))
    else:
        for _ in one.branches:
            yield context._replace(optional=True)


# -- without m4 -------------------------------------------------------------------------------------------------------


def _symbols(headers: Headers) -> frozenset[str]:
    """The words that mean something to m4 with these headers."""
    return frozenset((*(word for word, _ in headers.options), *re.findall(r"define\(\s*`(\w+)'", headers.support)))


def asks_m4(source: Source) -> bool:
    """Whether a source may need m4, told without headers: by calls, by blocks that are macros, and by what the
    reference policy calls its sets of classes and permissions (obj_perm_sets.spt)."""
    for one in everything(source):
        if isinstance(one, Call) or (isinstance(one, Block) and one.kind not in _PLAIN):
            return True
        if isinstance(one, Rule) and any(map(_LIKE_SETS.match, (*one.classes.names, *one.perms.names))):
            return True
    return False


def needs_m4(source: Source, headers: Headers) -> bool:
    """Whether a call, or a word that is a macro of the headers, stands in a source."""
    return any(
        isinstance(one, Call) or (isinstance(one, Block) and one.kind == "ifelse") for one in everything(source)
    ) or bool(macro_words(source, headers))


def macro_words(source: Source, headers: Headers) -> dict[str, Statement]:
    """The words that are macros of the headers in the statements written out, each with the first that has it."""
    symbols = _symbols(headers)
    found: dict[str, Statement] = {}
    for one in everything(source):
        if not isinstance(one, (Block, Call)):
            for word in symbols.intersection(_WORD.findall(render_source((one,)))):
                found.setdefault(word, one)
    return found


def everything(source: Source) -> Iterator[Statement]:
    """Every statement of a source, blocks and what stands in them."""
    pending = list(reversed(source.statements))
    while pending:
        one = pending.pop()
        yield one
        if isinstance(one, Block):
            pending.extend(inner for branch in reversed(one.branches) for inner in reversed(branch))


def _direct(source: Source, symbols: frozenset[str]) -> Reading:
    unknown: list[Call] = []
    found: list[Located] = []
    for leaf in _chosen(source.statements, symbols, _Context()):
        if isinstance(leaf.statement, Call):
            unknown.append(leaf.statement)
        else:
            found.append(_located(source.name, leaf, leaf.statement, leaf.context))
    return Reading(tuple(found), (), tuple(unknown))


def _chosen(statements: Iterable[Statement], symbols: frozenset[str], context: _Context) -> Iterator[_Leaf]:
    """The leaves of the branches that hold where ``symbols`` are defined."""
    for one in statements:
        if not isinstance(one, Block):
            yield _Leaf(one, context)
        elif one.kind in _DECIDED:
            place = _branch(one, symbols)
            yield from _chosen(one.branches[place] if place < len(one.branches) else (), symbols, context)
        elif one.kind not in _DEFINED:
            yield from _booleans(one, context)
            for branch, inner in zip(one.branches, _inner(one, context)):
                yield from _chosen(branch, symbols, inner)


def _branch(one: Block, symbols: frozenset[str]) -> int:
    if one.kind == "ifelse":
        pairs = list(zip(one.arguments[::2], one.arguments[1::2]))
        return next((place for place, (first, second) in enumerate(pairs) if first == second), len(pairs))
    return int((one.arguments[0] in symbols) != (one.kind == "ifdef"))


# -- with m4 ----------------------------------------------------------------------------------------------------------


def _expanded(name: str, walk: _Walk, text: str, headers: Headers) -> Reading:
    leaves = walk.leaves
    pieces = expand_marked(text, walk.mark, [leaf.statement.line for leaf in leaves], name, headers)
    try:
        read = _read_together(pieces, name)
        misread: tuple[Misread, ...] = ()
    except SourceError:
        read, misread = _read_apart(pieces, name, leaves)
    unknown: list[Call] = []
    found: list[Located] = []
    labels = [(number, leaves[number].statement) for number, _ in pieces if isinstance(leaves[number].statement, Label)]
    for number, one in sorted([*read, *labels], key=itemgetter(0)):
        for inner in _chosen((one,), frozenset(), leaves[number].context):
            if isinstance(inner.statement, Call):
                unknown.append(replace(inner.statement, line=leaves[number].statement.line))
            else:
                found.append(_located(name, leaves[number], inner.statement, inner.context))
    return Reading(tuple(found), misread, tuple(unknown))


def _read_together(pieces: list[tuple[int, str]], name: str) -> list[tuple[int, Statement]]:
    """The statements of all pieces in one reading, each with the number of its piece."""
    starts, line = [], 1
    for _, text in pieces:
        starts.append(line)
        line += text.count("\n") + 1
    whole = "\n".join(text for _, text in pieces)
    read = read_te(whole, name, largest=LARGEST_EXPANDED).statements
    return [(pieces[bisect_right(starts, one.line) - 1][0], one) for one in read]


def _read_apart(
    pieces: list[tuple[int, str]], name: str, leaves: list[_Leaf]
) -> tuple[list[tuple[int, Statement]], tuple[Misread, ...]]:
    found: list[tuple[int, Statement]] = []
    misread: list[Misread] = []
    for number, text in pieces:
        try:
            found += [(number, one) for one in read_te(text, name, largest=LARGEST_EXPANDED).statements]
        except SourceError as error:
            at = leaves[number].statement
            misread.append(Misread(at.line, at.column, re.sub(r"^.*?:\d+(?::\d+)?: ", "", str(error))))
    return found, tuple(misread)


def _located(name: str, leaf: _Leaf, statement: Statement, context: _Context) -> Located:
    at = leaf.statement
    via = at.name if isinstance(at, Call) else leaf.via
    if statement is not at:
        statement = replace(statement, line=at.line, column=at.column)
    written = " ".join(render_source((at,)).split())
    if len(written) > MOST_WRITTEN:
        written = written[: MOST_WRITTEN - 3] + "..."
    return Located(statement, name, at.line, at.column, written, via, context.condition, context.optional)
