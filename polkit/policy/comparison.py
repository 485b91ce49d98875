"""A policy with a module against the same without it: what the module changes, by its own rules and otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from polkit.policy.declared import Declared, read_declared
from polkit.policy.difference import AccessChange, RuleDifference, XpermChange, compare_rules
from polkit.policy.index import gather, gather_lists
from polkit.policy.interface import TargetPolicy
from polkit.policy.neverallow import TypeSets, read_classperms
from polkit.policy.rules import Rules
from polkit.policy.statements import read_statements
from polkit.policy.store import parse_at, read_modules
from polkit.policy.target import load
from polkit.policy.violations import (
    Violation,
    bounds_violations,
    exempting_attributes,
    exemptions,
    neverallow_violations,
)
from polkit.policy.whatif import Breach, WhatIf

_SELF_RULE = re.compile(rb"\(\s*allow\s+[^\s()]+\s+self\s")
_KIND_OF_PROCESS = "domain"
"""Rules that tell processes from everything else leave it out as well; joining it is no way around them."""


@dataclass(frozen=True)
class Comparison:
    """What a module changes. ``own`` are the accesses gained by rules of the module, ``structural`` those that a new
    type gets from rules of the policy on the attributes it joined.

    ``added`` and ``removed`` are statements that are no access vector rules; ``statements`` all of the new policy's.
    ``violations`` is None where they can't be known (a binary build).
    """

    baseline: TargetPolicy
    changed: TargetPolicy
    rules: RuleDifference
    own: tuple[AccessChange, ...]
    structural: tuple[AccessChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    statements: frozenset[str]
    declared: Declared
    violations: tuple[Violation, ...] | None


def compare_with_module(built: WhatIf, module_cil: str) -> Comparison:
    """Compare the two policies of a build; seconds for a distribution's.

    Raises PolkitError where they differ in too much to be listed, CompileError for a module whose CIL is not read,
    SourceError.
    """
    baseline, changed = load(built.baseline), load(built.changed, to_cache=False)
    old, new = baseline.rules, changed.rules
    difference = compare_rules(old, new)
    modules = [] if built.changed.store is None else list(read_modules(built.changed.store))
    declared = read_declared(module_cil, new, modules)
    own, structural = _split(difference.gained, old, new, _SelfRules(built.baseline.store, modules, new))
    before, after = read_statements(built.baseline.policy), read_statements(built.changed.policy)
    violations = None
    if built.breaches is not None and baseline.neverallows is not None and changed.neverallows is not None:
        found = {
            *neverallow_violations(baseline.neverallows, changed.neverallows, new, difference.gained),
            *bounds_violations(new, difference.gained),
            *exemptions(baseline.neverallows, changed.neverallows, frozenset(old.facts.attributes)),
            *_joined_exemptions(declared, exempting_attributes(changed.neverallows)),
        }
        violations = (*sorted(found), *_unlisted(built.breaches, found))
    return Comparison(
        baseline=baseline,
        changed=changed,
        rules=difference,
        own=own,
        structural=structural,
        added=tuple(sorted(after - before)),
        removed=tuple(sorted(before - after)),
        statements=after,
        declared=declared,
        violations=violations,
    )


def ruled_by_command(change: AccessChange, xperms: Iterable[XpermChange], operation: str) -> XpermChange | None:
    """The commands that were gained together with a permission; None where no rule narrows them."""
    key = (change.source, change.target, change.tclass, operation)
    return next((one for one in xperms if one[:4] == key), None)


class _SelfRules:
    """The ``(allow ATTRIBUTE self ...)`` rules of a store: a binary policy holds them as one rule a type, so that of a
    new type only the store can tell that they gave it what it may do to itself."""

    def __init__(self, store: Path | None, modules: list[bytes], new: Rules) -> None:
        self._store = store
        self._sets = TypeSets(modules, new.facts)
        self._facts = new.facts
        self._rules: list[tuple[str, str, frozenset[str]]] | None = None

    def given(self, type_: str, tclass: str) -> frozenset[str]:
        """What the rules give a type of the policy with the module."""
        if self._rules is None:
            self._rules = [] if self._store is None else list(self._read(self._store))
        found = (perms for name, tclass_, perms in self._rules if tclass_ == tclass and type_ in self._sets.of(name))
        return frozenset[str]().union(*found)

    def _read(self, store: Path) -> Iterator[tuple[str, str, frozenset[str]]]:
        for data in read_modules(store):
            for found in _SELF_RULE.finditer(data):
                statement = parse_at(data, found.start())
                if len(statement) == 4:
                    for tclass, perms in read_classperms(statement[3], self._facts):
                        yield str(statement[1]), tclass, perms


def _split(
    gained: Iterable[AccessChange], old: Rules, new: Rules, self_rules: _SelfRules
) -> tuple[tuple[AccessChange, ...], tuple[AccessChange, ...]]:
    own: list[AccessChange] = []
    structural: list[AccessChange] = []
    for change in gained:
        given = _by_membership(change, old, new)
        if change.source == change.target and change.source not in old.facts.attributes:
            given |= self_rules.given(change.source, change.tclass)
        for perms, found in (
            (set(change.perms) - given, own),
            (set(change.perms) & given, structural),
        ):
            if perms:
                found.append(change._replace(perms=tuple(sorted(perms))))
    return tuple(own), tuple(structural)


def _by_membership(change: AccessChange, old: Rules, new: Rules) -> frozenset[str]:
    """What rules of the old policy give a new type for the attributes it has in the new one."""
    known = old.facts.attributes
    if change.source in known and change.target in known:
        return frozenset()
    sources, targets = new.facts.sides[change.source], new.facts.sides[change.target]
    mask = gather(old.index.allow, change.tclass, sources, targets)
    for rule in gather_lists(old.index.allow_if, change.tclass, sources, targets):
        mask |= rule.mask
    return old.index.perms(change.tclass, mask)


def _joined_exemptions(declared: Declared, exempting: dict[str, str]) -> list[Violation]:
    """Types that the module puts into an attribute which a neverallow rule leaves out."""
    return [
        Violation("exemption", exempting[attribute], attribute, type_, "", "", ())
        for attribute, type_ in declared.joins
        if attribute in exempting and attribute != _KIND_OF_PROCESS
    ]


def _unlisted(breaches: Iterable[Breach], found: Iterable[Violation]) -> list[Violation]:
    """What the compiler complained of and we didn't find: of neverallow rules on ioctl commands, for one."""
    listed = {one.statement for one in found}
    bounded = any(one.kind == "bounds" for one in found)
    return [
        Violation(_kind(breach), f"{breach.statement} {breach.rule}".strip(), breach.statement, "", "", "", ())
        for breach in sorted(breaches)
        if breach.statement not in listed and not (bounded and _kind(breach) == "bounds")
    ]


def _kind(breach: Breach) -> str:
    return "neverallow" if breach.statement.startswith("(neverallow") else "bounds"
