"""What a bundle grants and needs, target by target, and all targets side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Optional, Union

from polkit.bundle.claims import Grant
from polkit.bundle.optional_modules import OptionalModule
from polkit.bundle.paths import entries
from polkit.bundle.targets import TargetBuild
from polkit.bundle.words import joined
from polkit.model import SELF, AvRule, Decision, Remedy, XpermRule

EVIDENCE, INHERITED, BY_HAND = "evidence", "inherited", "by-hand"
"""Where a rule comes from."""
_IN_MODULE = ("allow", "none", "refuse", "fcontext", "boolean", "port", "domain")
"""Kinds of remedies that need nobody to do anything on the host besides installing."""


class Rule(NamedTuple):
    """A rule of a module as its CIL has it, permissions joined."""

    kind: str
    source: str
    target: str
    tclass: str
    perms: tuple[str, ...]
    origin: str
    condition: str
    optional: bool


class Port(NamedTuple):
    """A port that gets a type of the module's own, or another that the plan names."""

    protocol: str
    number: int
    type: str


@dataclass(frozen=True)
class HostStep:
    """What a person has to do on a host, that no module does."""

    kind: str
    text: str
    commands: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One thing and what each target needs of it. ``what`` is rule, label, port or boolean; ``cells`` hold, by target,
    what is needed there, or why nothing is."""

    what: str
    text: str
    cells: Mapping[str, str]


def rules_of(build: TargetBuild) -> tuple[Rule, ...]:
    """Every rule of a target's module with where it comes from, sorted."""
    asked, inherited = set[tuple[str, ...]](), set[tuple[str, ...]]()
    if build.source is not None:
        access = build.source.access
        asked = _all_vectors((*access.rules, *access.xperms))
        inherited = set() if build.source.inherited is None else _all_vectors(build.source.inherited.every_rule())
    joined: dict[tuple[str, ...], set[str]] = {}
    flags: dict[tuple[str, ...], tuple[str, bool]] = {}
    for grant in build.claims.grants:
        vector = _vector(grant)
        unconditional = not grant.condition
        origin = EVIDENCE if vector in asked and unconditional else INHERITED if vector in inherited else BY_HAND
        key = (grant.kind, grant.source, grant.target, grant.tclass, origin, grant.condition, str(grant.optional))
        joined.setdefault(key, set()).add(grant.perm)
        flags[key] = (origin, grant.optional)
    return tuple(
        sorted(
            Rule(key[0], key[1], key[2], key[3], tuple(sorted(perms)), flags[key][0], key[5], flags[key][1])
            for key, perms in joined.items()
        )
    )


def ports_of(build: TargetBuild) -> tuple[Port, ...]:
    """The ports that the target's plan labels."""
    found = {
        Port(remedy.protocol, remedy.port, remedy.type)
        for _, remedy in _remedies(build)
        if remedy.kind == "port" and remedy.protocol and remedy.port is not None and remedy.type
    }
    return tuple(sorted(found))


def booleans_of(build: TargetBuild) -> tuple[tuple[str, bool], ...]:
    """The booleans that the target's plan sets."""
    found: dict[str, bool] = {}
    for _, remedy in _remedies(build):
        if remedy.kind == "boolean" and remedy.options:
            found.update(remedy.options[0].settings)
    return tuple(sorted(found.items()))


def host_steps(build: TargetBuild) -> tuple[HostStep, ...]:
    """What the target's plan leaves to a person: levels, mounts, host paths to relabel, unknown names."""
    found = {}
    for _, remedy in _remedies(build):
        if remedy.kind not in _IN_MODULE and (remedy.kind, remedy.text) not in found:
            found[remedy.kind, remedy.text] = HostStep(remedy.kind, remedy.text, remedy.commands)
    return tuple(found[key] for key in sorted(found))


def left_out(build: TargetBuild) -> tuple[str, ...]:
    """What evidence asks for that no rule of this target gives: names its policy lacks, and what is refused."""
    decisions = () if build.plan is None else build.plan.decisions
    return tuple(
        f"{one.source} {one.target}:{one.tclass} {{ {' '.join(one.perms)} }}: {one.cause}"
        for one in decisions
        if one.cause.startswith("unknown-") or one.remedy.kind == "refuse"
    )


def lacking_of(module: OptionalModule, builds: Iterable[TargetBuild]) -> dict[str, tuple[str, ...]]:
    """What the targets that have a module lack for an optional one, by target."""
    return {build.name: build.lacking[module.name] for build in builds if module.name in build.lacking}


def side_by_side(builds: Iterable[TargetBuild]) -> tuple[Row, ...]:
    """Rules of the module's own, labels, ports and booleans: needed on which target. What is inherited is no part of
    it: it differs wherever the policies do."""
    builds = tuple(builds)
    cells: dict[tuple[str, str], dict[str, str]] = {}
    places: dict[tuple[str, str], tuple[str, str]] = {}
    for build in builds:
        for what, text, cell, place in _needs(build):
            cells.setdefault((what, text), {})[build.name] = cell
            places[what, text] = place
    rows = []
    for what, text in sorted(cells, key=lambda key: (_ORDER.index(key[0]), key[1])):
        found = cells[what, text]
        whole = {one.name: found.get(one.name) or _why_not(one, places[what, text]) for one in builds}
        rows.append(Row(what, text, whole))
    return tuple(rows)


_ORDER = ("rule", "label", "port", "boolean")


def _needs(build: TargetBuild) -> Iterator[tuple[str, str, str, tuple[str, str]]]:
    """What a target needs: kind, name, what of it, and the target type and class that its plan would speak of."""
    needed: dict[str, set[str]] = {}
    places: dict[str, tuple[str, str]] = {}
    for rule in rules_of(build):
        if rule.origin != INHERITED and rule.kind in ("allow", "allowx"):
            condition = f" if {rule.condition}" if rule.condition else ""
            text = f"{rule.kind} {rule.source} {rule.target}:{rule.tclass}{condition}"
            needed.setdefault(text, set()).update(rule.perms)
            places[text] = (rule.target, rule.tclass)
    for text, perms in needed.items():
        yield "rule", text, joined(sorted(perms)), places[text]
    for entry in entries(build.fc) if build.package is not None else ():
        yield "label", f"{entry.pattern} {entry.kind}".strip(), entry.context, ("", "")
    for port in ports_of(build):
        yield "port", f"{port.protocol} {port.number}", port.type, ("", "")
    for name, value in booleans_of(build):
        yield "boolean", name, "on" if value else "off", ("", "")


def _why_not(build: TargetBuild, place: tuple[str, str]) -> str:
    """Why a target does not get what another does."""
    if build.info is None:
        return "no policy given"
    decisions = () if build.plan is None else build.plan.decisions
    target, tclass = place
    to_self = target == SELF
    causes = {
        one.cause
        for one in decisions
        if one.tclass == tclass and (one.source == one.target if to_self else one.target == target)
    }
    for cause in sorted(causes):
        if cause == "already-allowed" or cause.startswith("unknown-"):
            return cause
    return "not needed"


def _remedies(build: TargetBuild) -> Iterator[tuple[Decision, Remedy]]:
    for decision in () if build.plan is None else build.plan.decisions:
        yield from ((decision, remedy) for remedy in (decision.remedy, *decision.also_remedies))


def _all_vectors(rules: Iterable[object]) -> set[tuple[str, ...]]:
    return {one for rule in rules if isinstance(rule, (AvRule, XpermRule)) for one in _vectors(rule)}


def _vectors(rule: Union[AvRule, XpermRule]) -> Iterator[tuple[str, ...]]:
    """The permissions of a rule one by one; a rule on extended permissions by its place alone."""
    if isinstance(rule, XpermRule):
        yield (_CIL_KINDS[rule.kind], rule.source, rule.target, rule.tclass, rule.operation)
    else:
        yield from ((rule.kind, rule.source, rule.target, rule.tclass, perm) for perm in rule.perms)


_CIL_KINDS = {"allowxperm": "allowx", "auditallowxperm": "auditallowx", "dontauditxperm": "dontauditx"}


def _vector(grant: Grant) -> tuple[str, ...]:
    perm = grant.perm.split(" ", 1)[0] if grant.kind in _CIL_KINDS.values() else grant.perm
    return (grant.kind, grant.source, grant.target, grant.tclass, perm)


def own_types(build: TargetBuild) -> tuple[str, ...]:
    """The types that a target's module declares, sorted."""
    return tuple(sorted(build.claims.types))


def domain_of(build: TargetBuild) -> Optional[tuple[str, Optional[str]]]:
    """The module's own domain on a target and what it inherits from."""
    module = None if build.plan is None else build.plan.module
    return None if module is None or module.domain is None else (module.domain, module.base)


def needed_types(build: TargetBuild) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Foreign types and attributes that must be there at installation (also those of the evidence's rules, which later
    may fall away), and those that only inherited rules name."""
    claims = build.claims
    of_evidence = {
        name for rule in rules_of(build) if rule.origin != INHERITED for name in (rule.source, rule.target)
    } - {SELF, *claims.types}
    needed = claims.required | (of_evidence & claims.optional)
    types, attributes = needed - build.attributes, needed & build.attributes
    return tuple(sorted(types)), tuple(sorted(attributes)), tuple(sorted(claims.optional - needed))
