"""``polkit review --host``: what each local module of a store still does, and what could be removed.

Years of ``audit2allow -M mypol`` leave modules whose rules the distribution's policy has had for long, whose booleans
are on, which repeat each other or are hidden by another one. Each is held against the policy that the store builds
without any of them; what could go is then taken out of a copy, and the two policies are compared. Nothing is changed.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from polkit.config import Config
from polkit.errors import CompileError, MissingDependency, SourceError, UsageError
from polkit.model import PolicyInfo
from polkit.module.source import Head, Located, Requirement, Rule, render_source
from polkit.policy import (
    AccessChange,
    Chosen,
    LocalModule,
    ModuleFile,
    PolicyFiles,
    TargetPolicy,
    load_policy,
    local_modules,
    locate,
    lost_without,
    store_without,
)
from polkit.review.case import Case, place_of
from polkit.review.checks import every_finding
from polkit.review.findings import SEVERITIES, Finding, gravest_first
from polkit.review.grants.on_policy import PolicyRule, by_statement, counted
from polkit.review.materials.reading import Materials

UNNEEDED, EMPTY, DISABLED, HIDDEN, REPEATED = "unneeded", "empty", "disabled", "hidden", "repeated"
BOOLEAN, PARTLY, NEEDED, UNREADABLE = "boolean", "partly", "needed", "unreadable"
VERDICTS = (UNNEEDED, EMPTY, DISABLED, HIDDEN, REPEATED, BOOLEAN, PARTLY, NEEDED, UNREADABLE)
"""What becomes of a module, what is easiest to remove first."""
REMOVABLE = frozenset((UNNEEDED, EMPTY, DISABLED, HIDDEN, REPEATED))
_OF_SOURCES = frozenset(("PK001", "PK002", "PK003", "PK004", "PK005", "PK006", "PK007", "PK008", "PK042", "PK043"))
"""Findings about how a source is written: what is installed was compiled and linked."""
_ALLOWED_ALREADY, _SHARED, _BY_BOOLEAN = "PK010", "PK011", "PK012"
_SETTING = re.compile(r"([\w.-]+)=(on|off)\b")
"""In a ``setsebool -P`` of ours."""
_MOST_DOMAINS, _MOST_TYPES = 16, 8
"""Of what a boolean may open for a module to be removed in its favour: the container domains, one kind of thing."""
_MOST_LISTED = 200
_FOR_ROOT = "a host's policy and module store are usually readable by root only: run as root"
_HOW_TO_NAME_ONE = (
    "--store names the directory that holds active/modules, --policy a root with etc/selinux and var/lib/selinux"
)
_Vector = tuple[str, str, str, str]


class RuleVerdict(NamedTuple):
    """A rule of a module. ``kind``: unneeded (the policy allows it without local modules), repeated (``by`` names the
    local module that gives it, too), boolean (``by`` says which would) or needed. ``also``: further local modules that
    give all of it."""

    text: str
    line: int
    kind: str
    by: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostModule:
    """One local module with its verdict. ``other`` are its statements that are no allow rules, and keep it from being
    unneeded; ``findings`` those of the usual review. ``commands`` are what an administrator would run."""

    module: LocalModule
    verdict: str
    why: str
    rules: tuple[RuleVerdict, ...] = ()
    other: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As semodule calls it."""
        return self.module.name

    @property
    def dangerous(self) -> tuple[Finding, ...]:
        """The gravest findings; that a rule is for a shared domain is told of nearly every old module, and is none."""
        return tuple(one for one in self.findings if one.severity == SEVERITIES[-1] and one.id != _SHARED)


@dataclass(frozen=True)
class HostReview:
    """``policy`` is that of the store without its local modules. ``lost``: what the policy would no longer allow
    without all that is called removable, which is nothing unless a verdict is wrong; None where that was not tried,
    for the reason in ``notes``."""

    store: str
    policy: Optional[PolicyInfo]
    modules: tuple[HostModule, ...]
    lost: Optional[tuple[AccessChange, ...]]
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """1 where something could be removed or is dangerous, else 0."""
        return int(any(one.verdict not in (NEEDED, UNREADABLE) or one.dangerous for one in self.modules))


class _Stated(NamedTuple):
    """A module, what its rules come to, and the names of those that are not known without other local modules."""

    module: LocalModule
    case: Case
    statements: tuple[tuple[Located, tuple[PolicyRule, ...]], ...]
    foreign: tuple[Located, ...]
    other: tuple[str, ...]


def review_host(
    policy: str = "auto", store: Optional[str] = None, phase: Optional[Callable[[str], None]] = None
) -> HostReview:
    """Review every module of a store above the distribution's priority. ``policy`` and ``store`` as everywhere: this
    host's, or those of a root.

    Raises UsageError for ``none``, MissingDependency where there is no policy or no module store, SourceError for a
    store that can't be read, CompileError where it does not build without its local modules.
    """
    say = phase or (lambda text: None)
    files = _located(policy, store)
    place = _store_of(files)
    say("listing the modules")
    found = local_modules(place)
    if not found:
        return HostReview(str(place), load_policy(policy, store).info, (), ())
    say("building the policy without local modules")
    with store_without(files, place, (Chosen(one.priority, one.name) for one in found)) as bare:
        reviewed = _reviewed(found, bare, say)
        info = bare.info
    going = [Chosen(one.module.priority, one.name) for one in reviewed if one.verdict in REMOVABLE]
    lost, notes = _tried(files, place, going, say)
    unread = (one for one in reviewed if one.verdict == UNREADABLE)
    named = (f"{one.name} at priority {one.module.priority} can't be read: {one.why}" for one in unread)
    return HostReview(str(place), info, reviewed, lost, (*notes, *named))


def _located(policy: str, store: Optional[str]) -> PolicyFiles:
    """Where the policy lies; whoever may not look into its directories is told so, and not to get a policy."""
    if policy == "none":
        raise UsageError("--host reviews a host's module store, which has a policy", _HOW_TO_NAME_ONE)
    try:
        return locate(policy, store)
    except (SourceError, MissingDependency) as error:
        if os.geteuid() == 0:
            raise
        hint = f"{_FOR_ROOT}, or name another host's with --policy"
        raise type(error)(str(error), hint=hint) from error


def _store_of(files: PolicyFiles) -> Path:
    if files.store is not None:
        return files.store
    if files.root is not None and files.name is not None:
        place = files.root / "var/lib/selinux" / files.name
        try:
            next(iter((place / "active/modules").iterdir()), None)
            return place
        except PermissionError:
            return place  # listing it tells who may
        except OSError as error:
            raise MissingDependency(
                f"there is no module store at {place}: {error.strerror}",
                _HOW_TO_NAME_ONE,
            ) from error
    raise MissingDependency(
        f"{files.policy}: no module store belongs to it",
        _HOW_TO_NAME_ONE,
    )


def _tried(
    files: PolicyFiles, store: Path, going: list[Chosen], say: Callable[[str], None]
) -> tuple[Optional[tuple[AccessChange, ...]], tuple[str, ...]]:
    """What would be lost without all of these at once."""
    if not going:
        return (), ()
    say("building the policy without what could go")
    try:
        return lost_without(files, store, going), ()
    except CompileError as error:
        return None, (f"What could go can't all go: {error}",)


def _reviewed(found: tuple[LocalModule, ...], bare: TargetPolicy, say: Callable[[str], None]) -> tuple[HostModule, ...]:
    stated: list[_Stated] = []
    verdicts: list[HostModule] = []
    for one in found:
        try:
            if one.cil is None:
                raise SourceError(one.problem)
            stated.append(_stated(one, bare))
        except SourceError as error:
            verdicts.append(HostModule(one, UNREADABLE, str(error)))
    given = {one.module: _vectors(one) for one in stated if one.module.active}
    gone: set[LocalModule] = set()
    for each in _least_first(stated):
        say(f"reviewing {each.module.name}")
        others = {other: vectors for other, vectors in given.items() if other is not each.module and other not in gone}
        verdict = _verdict(each, others)
        if verdict.verdict in REMOVABLE:
            gone.add(each.module)
        verdicts.append(verdict)
    return tuple(sorted(verdicts, key=lambda one: (VERDICTS.index(one.verdict), one.name, -one.module.priority)))


def _least_first(stated: list[_Stated]) -> list[_Stated]:
    """Of two modules that repeat each other the smaller one goes; of equals the one further down the alphabet."""
    return sorted(sorted(stated, key=lambda one: one.module.name, reverse=True), key=lambda one: len(one.statements))


def _stated(module: LocalModule, bare: TargetPolicy) -> _Stated:
    cil = module.cil or ""
    shown = f"{module.name} ({module.priority})"
    file = ModuleFile(module.name, ".cil", cil.encode("utf-8", "surrogateescape"), cil)
    case = Case(Materials(shown, "cil", (), (file,)), Config(), lambda: None, lambda: bare, lambda: None)
    statements = tuple(by_statement(case.rules))
    known = {id(where) for where, _ in statements}
    rules = [one for one in case.statements if isinstance(one.statement, Rule) and one.statement.kind == "allow"]
    foreign = tuple(one for one in rules if id(one) not in known)
    return _Stated(module, case, statements, foreign, tuple(_other(case)))


def _other(case: Case) -> Iterator[str]:
    """What a module does besides allowing: each of it is a reason to keep it."""
    for one in case.statements:
        statement = one.statement
        is_allow = isinstance(statement, Rule) and statement.kind == "allow"
        if not is_allow and not isinstance(statement, (Requirement, Head)):
            yield " ".join(render_source((statement,)).split())
    for label in case.labels:
        yield f"file contexts: {label.entry.pattern}"


def _vectors(stated: _Stated) -> frozenset[_Vector]:
    """Every access that a module's rules give, as far as they are few enough to be listed."""
    return frozenset(
        (source, target, rule.access.tclass, perm)
        for where, parts in stated.statements
        if not where.condition
        for rule in parts
        if rule.is_whole
        for source, target in rule.each()
        for perm in rule.access.perms
    )


def _verdict(stated: _Stated, others: Mapping[LocalModule, frozenset[_Vector]]) -> HostModule:
    module = stated.module
    findings = tuple(
        sorted((one for one in every_finding(stated.case) if one.id not in _OF_SOURCES), key=gravest_first)
    )
    booleans = {one.place: one for one in findings if one.id == _BY_BOOLEAN and _is_as_good(one, stated.case.policy)}
    rules = tuple(_rule(where, parts, others, booleans.get(place_of(where))) for where, parts in stated.statements)
    rules += tuple(RuleVerdict(_text(one), one.line, NEEDED) for one in stated.foreign)
    verdict, why = _concluded(stated, rules)
    switched = [
        command
        for where, _ in stated.statements
        if verdict == BOOLEAN and (found := booleans.get(place_of(where))) is not None
        for command in found.fix.commands[:1]
    ]
    return HostModule(
        module=module,
        verdict=verdict,
        why=why,
        rules=rules,
        other=stated.other[:_MOST_LISTED],
        findings=tuple(replace(one, fix=one.fix._replace(patch="")) for one in findings if one.id != _ALLOWED_ALREADY),
        commands=tuple(dict.fromkeys((*switched, *_removal(module, verdict)))),
    )


def _is_as_good(one: Finding, policy: Optional[TargetPolicy]) -> bool:
    """The boolean gives all of it, opens nothing that the risk catalogue refuses, and is no gift to half of the host:
    whoever removes a module wants no more to be allowed afterwards."""
    if policy is None or one.confidence != "high" or SEVERITIES.index(one.severity) < SEVERITIES.index("medium"):
        return False
    settings = tuple((name, value == "on") for name, value in _SETTING.findall("".join(one.fix.commands[:1])))
    grants = policy.grants_of(settings)
    return bool(settings) and grants.domains <= _MOST_DOMAINS and grants.types <= _MOST_TYPES


def _removal(module: LocalModule, verdict: str) -> tuple[str, ...]:
    """The command that takes a module out, at its priority: without it semodule(8) takes the highest one."""
    if verdict not in REMOVABLE | {BOOLEAN}:
        return ()
    return (f"semodule -X {module.priority} -r {shlex.quote(module.name)}",)


def _rule(
    where: Located,
    parts: tuple[PolicyRule, ...],
    others: Mapping[LocalModule, frozenset[_Vector]],
    by_boolean: Optional[Finding],
) -> RuleVerdict:
    text, line = _text(where), where.line
    if not all(one.is_whole for one in parts):
        return RuleVerdict(text, line, NEEDED)
    if all(one.access.perms == one.given and not one.names.has_own(one.access) for one in parts):
        return RuleVerdict(text, line, UNNEEDED)
    new = {(one.source, one.target, one.tclass, perm) for part in parts for one in part.new for perm in one.perms}
    giving = tuple(sorted(f"{one.name} ({one.priority})" for one, vectors in others.items() if new and new <= vectors))
    if giving:
        return RuleVerdict(text, line, REPEATED, giving[0], giving[1:])
    if by_boolean is not None:
        return RuleVerdict(text, line, BOOLEAN, by_boolean.title.partition(": ")[2])
    return RuleVerdict(text, line, NEEDED)


def _concluded(stated: _Stated, rules: tuple[RuleVerdict, ...]) -> tuple[str, str]:
    """The verdict on a module, and why."""
    module = stated.module
    if not module.active:
        return _asleep(module)
    kinds = {one.kind for one in rules}
    if stated.other or module.hides_distribution or NEEDED in kinds:
        return _kept(stated, rules)
    if not rules:
        return EMPTY, "It says nothing."
    if kinds == {UNNEEDED}:
        return UNNEEDED, f"All of its rules ({len(rules)}) are allowed without it."
    if BOOLEAN not in kinds:
        return REPEATED, f"Its rules are allowed without it, or given by {_givers(rules)}, too."
    return BOOLEAN, "What it gives is had with booleans of the policy."


def _asleep(module: LocalModule) -> tuple[str, str]:
    if module.disabled:
        return DISABLED, "It is switched off (semodule -d): the policy is built without it."
    return HIDDEN, f"The module of this name at priority {module.hidden_by} hides it."


def _kept(stated: _Stated, rules: tuple[RuleVerdict, ...]) -> tuple[str, str]:
    spare = sum(one.kind != NEEDED for one in rules)
    more = f", and it says {counted(len(stated.other), 'other thing')}" if stated.other else ""
    more += ", and it hides the distribution's module of this name" if stated.module.hides_distribution else ""
    if spare:
        return PARTLY, f"{spare} of its {counted(len(rules), 'rule')} could go{more}."
    return (
        NEEDED,
        f"Nothing else gives its {counted(len(rules), 'rule')}{more}." if rules else f"It allows nothing{more}.",
    )


def _givers(rules: Iterable[RuleVerdict]) -> str:
    return ", ".join(dict.fromkeys(one.by for one in rules if one.by))


def _text(one: Located) -> str:
    under = f" (while {one.condition})" if one.condition else ""
    return " ".join(render_source((one.statement,)).split()).replace(" : ", ":") + under
