"""What the checks of a review get to see: the sources with their statements and places, the target policy without the
module, and the policy that it would have with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Callable, NamedTuple, Optional, Union

from polkit.bundle import as_file_contexts, read_claims
from polkit.config import Config
from polkit.errors import CompileError, MissingDependency, PolkitError, SourceError
from polkit.module import Definition, Headers, definitions, find_headers
from polkit.module.source import (
    Call,
    CilBlock,
    CilEntry,
    CilStatement,
    Declaration,
    FileBlock,
    FileEntry,
    FileLabel,
    Head,
    Located,
    Misread,
    Source,
    asks_m4,
    locate_cil,
    read_around,
    read_cil,
    read_fc,
    read_te,
    reading_te,
    render_cil_entries,
    unresolved_cil,
)
from polkit.policy import Beside, DoesNotLink, Incomparable, ModuleFile, TargetPolicy
from polkit.review.findings import Place
from polkit.review.grants.on_policy import Names, PolicyRule, names_of, rules_of
from polkit.review.materials.compiling import headers_of
from polkit.review.materials.reading import Materials, SourceText

_HOST = Path("/")


class Labelled(NamedTuple):
    """An entry of file contexts and the file it stands in. ``symbols``: those of ifdef it depends on, ``!x`` for x not
    being defined."""

    file: str
    entry: FileLabel
    symbols: tuple[str, ...] = ()

    @property
    def place(self) -> Place:
        """Where it stands."""
        return Place(self.file, self.entry.line, self.entry.column)


@dataclass(frozen=True)
class Case:
    """One module, or what lies together, under review. A check asks it, and says nothing where it has no answer.

    ``target`` gives the policy without the module, None where there is none; ``build`` waits for the build of the
    policy with it: None where nothing is built, DoesNotLink where the policy does not take it.
    """

    materials: Materials
    config: Config
    find_headers: Callable[[], Optional[Headers]]
    target: Callable[[], Optional[TargetPolicy]]
    build: Callable[[], Optional[Beside]]

    @property
    def sources(self) -> tuple[SourceText, ...]:
        """The source texts, where there are any: of kind te, fc, if and cil."""
        return self.materials.sources

    @property
    def modules(self) -> tuple[ModuleFile, ...]:
        """The modules as they would be installed; empty for a source that does not compile."""
        return self.materials.modules

    @property
    def problem(self) -> Optional[PolkitError]:
        """Why there is no module: what the compiler, or our reader before it, said."""
        return self.materials.problem

    @cached_property
    def policy(self) -> Optional[TargetPolicy]:
        """The target policy without the module."""
        return self.target()

    @cached_property
    def _attempt(self) -> tuple[Optional[Beside], Union[DoesNotLink, Incomparable, None]]:
        try:
            return self.build(), None
        except Incomparable as error:
            return None, error
        except DoesNotLink as error:
            if error.older:
                raise
            return None, error

    @property
    def built(self) -> Optional[Beside]:
        """The policy without and with the module; None where it was not built, does not take it, or differs in more
        than can be compared. Waits."""
        return self._attempt[0]

    @property
    def does_not_link(self) -> Optional[DoesNotLink]:
        """Why the policy does not take the module. Waits for the build."""
        error = self._attempt[1]
        return error if isinstance(error, DoesNotLink) else None

    @property
    def incomparable(self) -> Optional[Incomparable]:
        """Why nothing can be said of the policy that was built with the module: it differs in too much. Waits."""
        error = self._attempt[1]
        return error if isinstance(error, Incomparable) else None

    @cached_property
    def interfaces(self) -> Optional[Headers]:
        """The interfaces that the sources may call: the policy's and those of the module's own ``.if``."""
        headers = self.find_headers()
        return None if headers is None else _with_own(headers, self.sources)

    @cached_property
    def read(self) -> Readings:
        """What was understood of the sources, else of the modules."""
        return _read(self)

    @property
    def statements(self) -> tuple[Located, ...]:
        """Every statement after macros, with the place where its author says it; of a module without source those of
        its CIL."""
        return self.read.statements

    @property
    def labels(self) -> tuple[Labelled, ...]:
        """Every entry of file contexts, in the order of the sources; of a module without source those of its CIL."""
        return self.read.labels

    @cached_property
    def own(self) -> frozenset[str]:
        """The types, attributes and roles that the module declares."""
        kinds = ("type", "attribute", "attribute_role", "role", "typealias")
        declared = (one.statement for one in self.statements)
        return frozenset(
            name
            for one in declared
            if isinstance(one, Declaration) and one.kind in kinds
            for name in (*(one.names.names if one.kind != "typealias" else ()), *one.aliases.names)
        )

    @cached_property
    def names(self) -> Optional[Names]:
        """What the module's names mean on the policy; None without one."""
        policy = self.policy
        return (
            None
            if policy is None or policy.info is None
            else names_of(self.statements, policy, self.config.minimize.bases)
        )

    @cached_property
    def rules(self) -> tuple[PolicyRule, ...]:
        """Every allow rule as it is on the policy, a class at a time; empty without one."""
        return () if self.names is None else tuple(rules_of(self.statements, self.names))

    @property
    def name(self) -> str:
        """The module's name; empty where nothing tells it."""
        if self.modules:
            return self.modules[0].name
        return next((one.statement.name for one in self.statements if isinstance(one.statement, Head)), "")

    @property
    def file(self) -> str:
        """What a finding names that is about the whole: the first source, else what the user named."""
        return self.sources[0].name if self.sources else self.materials.shown


@dataclass(frozen=True)
class Readings:
    """What was understood of the sources. ``refused``: sources that can't be read, with the error; ``misread``: places
    that are no statement after m4; ``calls``: those that nothing defines; ``unresolved``: calls and inherited blocks of
    CIL that the text does not define; all with the file's name."""

    statements: tuple[Located, ...] = ()
    labels: tuple[Labelled, ...] = ()
    refused: tuple[tuple[str, SourceError], ...] = ()
    misread: tuple[tuple[str, Misread], ...] = ()
    calls: tuple[tuple[str, Call], ...] = ()
    unresolved: tuple[Place, ...] = ()


def place_of(one: Located) -> Place:
    """Where a statement stands."""
    return Place(one.file, one.line, one.column)


def known_headers(named: Optional[Path] = None, roots: Iterable[Path] = ()) -> Optional[Headers]:
    """The policy's interfaces: those that were named, else of the roots or this host; None where there are none."""
    try:
        return headers_of(find_headers(named, (*roots, _HOST)))
    except MissingDependency:
        return None


def _with_own(headers: Headers, sources: Iterable[SourceText]) -> Headers:
    """A definition never takes the place of one of the policy's; an ``.if`` that m4 would not read as it looks is left
    out."""
    names = {one.name for one in headers.definitions}
    more: list[Definition] = []
    for text in sources:
        if text.kind == "if":
            try:
                read_te(text.text, text.name)
            except SourceError:
                continue
            more += (one for one in definitions(text.text, text.name) if one.name not in names)
    return replace(headers, definitions=(*headers.definitions, *more)) if more else headers


def _read(case: Case) -> Readings:
    statements: list[Located] = []
    labels: list[Labelled] = []
    refused: list[tuple[str, SourceError]] = []
    misread: list[tuple[str, Misread]] = []
    calls: list[tuple[str, Call]] = []
    unresolved: list[Place] = []
    for text in case.sources:
        try:
            if text.kind == "te":
                source, mistakes = _read_te(text, bool(case.modules))
                refused += ((text.name, error) for error in mistakes)
                found = reading_te(source, case.interfaces if asks_m4(source) else None)
                statements += found.statements
                misread += ((text.name, one) for one in found.misread)
                calls += ((text.name, one) for one in found.unknown)
            elif text.kind == "cil":
                statements += locate_cil(text.text, text.name)
                unresolved += (Place(text.name, one.line, one.column) for one in unresolved_cil(text.text, text.name))
                labels += _labels_of_cil(text.text, text.name)
            elif text.kind == "fc":
                labels += _flat(read_fc(text.text, text.name), text.name)
            else:
                read_te(text.text, text.name)
        except SourceError as error:
            refused.append((text.name, error))
    unread = {name for name, _ in refused}
    if not any(text.kind in ("te", "cil") and text.name not in unread for text in case.sources):
        for module in case.modules:
            statements += locate_cil(module.cil, case.materials.shown)
            labels += _labels_of_cil(module.cil, case.materials.shown)
    return Readings(tuple(statements), tuple(labels), tuple(refused), tuple(misread), tuple(calls), tuple(unresolved))


def _read_te(text: SourceText, is_compiled: bool) -> tuple[Source, tuple[SourceError, ...]]:
    """What stands in a source; of one that does not compile, also around its mistakes."""
    if is_compiled:
        return read_te(text.text, text.name), ()
    return read_around(text.text, text.name)


def _flat(entries: Iterable[FileEntry], file: str, symbols: tuple[str, ...] = ()) -> Iterator[Labelled]:
    for one in entries:
        if isinstance(one, FileBlock):
            for place, branch in enumerate(one.branches):
                holds = (one.kind == "ifdef") == (place == 0)
                yield from _flat(branch, file, (*symbols, one.symbol if holds else f"!{one.symbol}"))
        else:
            yield Labelled(file, one, symbols)


def _contexts_of_cil(cil: str, file: str) -> Iterable[str]:
    """The file contexts as CIL, also of a module with sets that a bundle may not have."""
    try:
        return read_claims(cil).contexts
    except CompileError:
        return read_claims(render_cil_entries(_file_contexts(read_cil(cil, file)))).contexts


def _file_contexts(entries: Iterable[CilEntry]) -> Iterator[CilStatement]:
    for one in entries:
        if isinstance(one, CilBlock):
            yield from _file_contexts(one.statements)
        elif one.word == "filecon":
            yield one


def _labels_of_cil(cil: str, file: str) -> Iterator[Labelled]:
    """The file contexts of a compiled module: they have no lines of their own."""
    try:
        contexts = as_file_contexts(_contexts_of_cil(cil, file))
    except CompileError as error:
        raise SourceError(f"{file}: {error}") from error
    for one in read_fc(contexts, file):
        if isinstance(one, FileLabel):
            yield Labelled(file, FileLabel(one.pattern, one.kind, one.context, one.levels, one.macro))
