"""A policy with a module against the same without it: what the module changes, by its own rules and otherwise."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from polkit.policy.commands import ranges
from polkit.policy.declared import Declared, read_declared
from polkit.policy.difference import AccessChange, RuleDifference, XpermChange, compare_rules
from polkit.policy.heir import Heir, Heirlooms, lacking, when_allowed
from polkit.policy.index import gather, gather_lists
from polkit.policy.inheritance import count_accesses
from polkit.policy.interface import TargetPolicy
from polkit.policy.neverallow import TypeSets, read_classperms
from polkit.policy.parity import weaker
from polkit.policy.rules import Rules
from polkit.policy.statements import kept_statements, read_statements
from polkit.policy.store import parse_at, read_modules
from polkit.policy.target import load
from polkit.policy.terms import implies, term_of
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
    """What a module changes. ``own`` are the accesses gained by rules of the module, ``inherited`` those that its own
    domain has in place of its base, ``structural`` those that a new type gets from rules of the policy on the
    attributes it joined.

    ``heirlooms`` answers for the own domain, where there is one: of the ``to_inherit`` accesses of its base it lacks
    ``not_inherited``; ``taken`` are commands that its base has and a rule of the module takes from it, ``weaker`` the
    constraints that refuse its base and not it. ``added`` and ``removed`` are statements that are no access vector
    rules; ``statements`` all of the new policy's. ``violations`` is None where they can't be known (a binary build).
    """

    baseline: TargetPolicy
    changed: TargetPolicy
    rules: RuleDifference
    own: tuple[AccessChange, ...]
    inherited: tuple[AccessChange, ...]
    structural: tuple[AccessChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    statements: frozenset[str]
    declared: Declared
    violations: tuple[Violation, ...] | None
    heirlooms: Heirlooms | None = None
    to_inherit: int = 0
    not_inherited: int = 0
    taken: tuple[XpermChange, ...] = ()
    weaker: tuple[Violation, ...] = ()


def compare_with_module(built: WhatIf, module_cil: str, heir: Heir | None = None) -> Comparison:
    """Compare the two policies of a build; seconds for a distribution's. ``heir``: the module's own domain.

    Raises PolkitError where they differ in too much to be listed, CompileError for a module whose CIL is not read,
    SourceError.
    """
    baseline, changed = load(built.baseline), load(built.changed, to_cache=False)
    old, new = baseline.rules, changed.rules
    difference = compare_rules(old, new)
    modules = [] if built.changed.store is None else list(read_modules(built.changed.store))
    declared = read_declared(module_cil, new, modules)
    before, after = _known_statements(built, baseline), read_statements(built.changed.policy)
    heir = heir if heir is not None and heir.own in new.facts.attributes and heir.base in old.facts.attributes else None
    heirlooms = None if heir is None else Heirlooms(heir, old, new, before)
    self_rules = _SelfRules(built.baseline.store, modules, new)
    inherited, own, structural = _split(difference.gained, old, new, self_rules, heirlooms)
    violations = None
    if built.breaches is not None and baseline.neverallows is not None and changed.neverallows is not None:
        found = {
            *neverallow_violations(baseline.neverallows, changed.neverallows, new, difference.gained),
            *bounds_violations(new, difference.gained),
            *exemptions(baseline.neverallows, changed.neverallows, frozenset(old.facts.attributes)),
            *_joined_exemptions(
                declared, exempting_attributes(changed.neverallows), heir, TypeSets(modules, new.facts)
            ),
        }
        if heirlooms is not None:
            found = {one for one in found if not heirlooms.broken_by_base(one, baseline.neverallows)}
        violations = (*sorted(found), *_unlisted(built.breaches, found))
    return Comparison(
        baseline=baseline,
        changed=changed,
        rules=difference,
        own=own,
        inherited=inherited,
        structural=structural,
        added=tuple(sorted(after - before)),
        removed=tuple(sorted(before - after)),
        statements=after,
        declared=declared,
        violations=violations,
        heirlooms=heirlooms,
        to_inherit=0 if heir is None else count_accesses(old, heir.base, heir.own, heir.inherits),
        not_inherited=0 if heir is None else lacking(old, heir.base, new, heir.own, heir.inherits),
        taken=() if heirlooms is None else tuple(_taken(declared, heirlooms)),
        weaker=() if heir is None else _weaker(heir, new),
    )


def _known_statements(built: WhatIf, baseline: TargetPolicy) -> frozenset[str]:
    """The statements of the policy without the module: a store builds the same one each time."""
    if built.kind != "store" or baseline.info is None:
        return read_statements(built.baseline.policy)
    return kept_statements(built.baseline.policy, baseline.info.sha256)


def _taken(declared: Declared, heirlooms: Heirlooms) -> Iterator[XpermChange]:
    """Commands that rules of the module on extended permissions keep from its own domain."""
    places = {
        (*pair, rule.tclass, rule.operation) for rule in declared.rules if rule.operation for pair in rule.pairs()
    }
    for place in sorted(places):
        lost = heirlooms.taken(*place)
        if lost:
            yield XpermChange(*place, ranges(lost))


def _weaker(heir: Heir, new: Rules) -> tuple[Violation, ...]:
    found = weaker(new, heir.base, new.facts.sides[heir.own])
    return tuple(Violation("parity", one.text, "", heir.own, "", one.tclass, ()) for one in found)


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
    gained: Iterable[AccessChange],
    old: Rules,
    new: Rules,
    self_rules: _SelfRules,
    heirlooms: Heirlooms | None,
) -> tuple[tuple[AccessChange, ...], tuple[AccessChange, ...], tuple[AccessChange, ...]]:
    """What was inherited, what rules of the module give, what the policy's rules give a new type."""
    inherited: list[AccessChange] = []
    own: list[AccessChange] = []
    structural: list[AccessChange] = []
    for change in gained:
        given = _by_membership(change, old, new)
        if change.source == change.target and change.source not in old.facts.attributes:
            given |= self_rules.given(change.source, change.tclass)
        from_base = frozenset[str]() if heirlooms is None else heirlooms.inherited(change, given)
        for perms, found in (
            (from_base, inherited),
            (set(change.perms) - given - from_base, own),
            ((set(change.perms) & given) - from_base, structural),
        ):
            if perms:
                found.append(change._replace(perms=tuple(sorted(perms))))
    return tuple(inherited), tuple(own), tuple(structural)


def _by_membership(change: AccessChange, old: Rules, new: Rules) -> frozenset[str]:
    """What rules of the old policy give a new type for the attributes it has in the new one, whenever it has it."""
    known = old.facts.attributes
    if change.source in known and change.target in known:
        return frozenset()
    sources, targets = new.facts.sides[change.source], new.facts.sides[change.target]
    always = gather(old.index.allow, change.tclass, sources, targets)
    given = old.index.perms(change.tclass, always)
    rules = list(gather_lists(old.index.allow_if, change.tclass, sources, targets))
    in_new = when_allowed(new, change[:3])
    for perm in set(change.perms) - given:
        bit = old.bit(change.tclass, perm)
        terms = frozenset(term_of(old, rule.condition, rule.block) for rule in rules if rule.mask & bit)
        mine = in_new(perm)
        if terms and mine is not None and implies(mine, terms):
            given |= {perm}
    return given


def _joined_exemptions(
    declared: Declared, exempting: dict[str, str], heir: Heir | None, sets: TypeSets
) -> list[Violation]:
    """Types that the module puts into an attribute which a neverallow rule leaves out; not an own domain whose base is
    in it."""
    return [
        Violation("exemption", exempting[attribute], attribute, type_, "", "", ())
        for attribute, type_ in declared.joins
        if attribute in exempting
        and attribute != _KIND_OF_PROCESS
        and not (heir is not None and type_ == heir.own and _is_of_base(attribute, heir, declared, sets))
    ]


def _is_of_base(attribute: str, heir: Heir, declared: Declared, sets: TypeSets) -> bool:
    """The base is in the attribute, and not by the module's doing."""
    return heir.base in sets.of(attribute) and (attribute, heir.base) not in declared.joins


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
