"""What one policy breaks that another didn't: neverallow rules, type bounds, and the ways around a neverallow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple

from polkit.policy.difference import AccessChange
from polkit.policy.index import gather, gather_lists
from polkit.policy.neverallow import Neverallow
from polkit.policy.rules import Rules
from polkit.policy.store_neverallows import Neverallows

_MOST_LISTED = 256


class Violation(NamedTuple):
    """``kind`` is neverallow, bounds or exemption; ``text`` says which statement is broken.

    ``exemption``: the types ``source`` or ``target`` were under the neverallow rule in the old policy and are not any
    more, so that whatever it forbids could be allowed without a compiler's complaint.
    """

    kind: str
    text: str
    statement: str
    """A neverallow rule as it stands in the store; empty for bounds."""
    source: str
    target: str
    tclass: str
    perms: tuple[str, ...]


def neverallow_violations(
    old: Neverallows, new: Neverallows, rules: Rules, gained: Iterable[AccessChange]
) -> tuple[Violation, ...]:
    """Accesses that the new policy (``rules``) allows and a neverallow of it forbids, where the old policy didn't
    allow the access, or didn't forbid it. The states of the booleans don't matter, as to the compilers. At most
    256 are listed."""
    by_class: dict[str, list[AccessChange]] = {}
    for change in gained:
        by_class.setdefault(change.tclass, []).append(change)
    known = {(tclass, rule.statement): rule for tclass, found in old.rules().items() for rule in found}
    broken: set[Violation] = set()
    for tclass, found in new.rules().items():
        for rule in found:
            broken.update(_by_gained(rule, by_class.get(tclass, ())))
            before = known.get((tclass, rule.statement))
            for source, target, perms in _newly_forbidden(rule, before, tclass, rules):
                broken.add(Violation("neverallow", rule.text, rule.statement, source, target, tclass, perms))
            if len(broken) > _MOST_LISTED:
                return tuple(sorted(broken)[:_MOST_LISTED])
    return tuple(sorted(broken))


def exemptions(old: Neverallows, new: Neverallows, types: frozenset[str]) -> tuple[Violation, ...]:
    """Which of ``types`` (those of both policies) a neverallow rule covered before and doesn't any more."""
    after = {(tclass, rule.statement): rule for tclass, found in new.rules().items() for rule in found}
    found: set[Violation] = set()
    for tclass, rules in old.rules().items():
        for rule in rules:
            now = after.get((tclass, rule.statement))
            if now is None:
                continue
            perms = tuple(sorted(rule.perms))
            for type_ in (rule.sources - now.sources) & types:
                found.add(Violation("exemption", rule.text, rule.statement, type_, "", tclass, perms))
            for type_ in (rule.targets - now.targets) & types:
                found.add(Violation("exemption", rule.text, rule.statement, "", type_, tclass, perms))
    return tuple(sorted(found))


def exempting_attributes(neverallows: Neverallows) -> dict[str, str]:
    """From each name that the source of a neverallow rule leaves out to the text of such a rule."""
    return {name: rule.text for found in neverallows.rules().values() for rule in found for name in rule.exempting}


def bounds_violations(rules: Rules, gained: Iterable[AccessChange]) -> tuple[Violation, ...]:
    """Gained accesses of a bounded type that its bounding type doesn't have (libsepol ``bounds_check_type``)."""
    bounds = rules.facts.bounds
    found = []
    for change in gained:
        parent = bounds.get(change.source)
        if parent is None:
            continue
        above = bounds.get(change.target, change.target)
        have = rules.index.perms(change.tclass, _any_state(rules, parent, above, change.tclass))
        lacking = tuple(sorted(set(change.perms) - have))
        if lacking:
            text = f"typebounds {parent} {change.source};"
            found.append(Violation("bounds", text, "", change.source, change.target, change.tclass, lacking))
    return tuple(sorted(found))


def _by_gained(rule: Neverallow, gained: Iterable[AccessChange]) -> Iterator[Violation]:
    for change in gained:
        perms = tuple(perm for perm in change.perms if rule.forbids(change.source, change.target, perm))
        if perms:
            yield Violation("neverallow", rule.text, rule.statement, change.source, change.target, change.tclass, perms)


def _newly_forbidden(
    rule: Neverallow, before: Neverallow | None, tclass: str, rules: Rules
) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Allowed accesses between types that the rule covers now and didn't before; whole, where it is a new rule."""
    fresh_sources = rule.sources - (before.sources if before is not None else frozenset())
    fresh_targets = rule.targets - (before.targets if before is not None else frozenset())
    if not fresh_sources and not fresh_targets:
        return
    wanted = rules.index.mask(tclass, rule.perms)
    for source, target, mask in _allow_rules(rules, tclass):
        if not mask & wanted:
            continue
        sources = rules.facts.members(source) & rule.sources
        targets = rules.facts.members(target) if rule.special else rules.facts.members(target) & rule.targets
        if not sources or not targets or (sources.isdisjoint(fresh_sources) and targets.isdisjoint(fresh_targets)):
            continue
        perms = tuple(sorted(rules.index.perms(tclass, mask & wanted)))
        for one, other in _fresh_pairs(rule, sources, targets, fresh_sources, fresh_targets):
            if rule.forbids(one, other, perms[0]):
                yield one, other, perms


def _fresh_pairs(
    rule: Neverallow,
    sources: frozenset[str],
    targets: frozenset[str],
    fresh_sources: frozenset[str],
    fresh_targets: frozenset[str],
) -> Iterator[tuple[str, str]]:
    if rule.special == "self":
        yield from ((type_, type_) for type_ in sorted(sources & targets & fresh_sources))
        return
    yield from product(sorted(sources & fresh_sources), sorted(targets))
    yield from product(sorted(sources - fresh_sources), sorted(targets & fresh_targets))


def _allow_rules(rules: Rules, tclass: str) -> Iterator[tuple[str, str, int]]:
    for source, by_target in rules.index.allow.get(tclass, {}).items():
        for target, mask in by_target.items():
            yield source, target, mask
    for by_target_if in rules.index.allow_if.get(tclass, {}).values():
        for found in by_target_if.values():
            for rule in found:
                yield rule.source, rule.target, rule.mask


def _any_state(rules: Rules, source: str, target: str, tclass: str) -> int:
    """The mask of what rules give in any state of the booleans."""
    sides = rules.facts.sides
    sources, targets = sides.get(source, frozenset((source,))), sides.get(target, frozenset((target,)))
    mask = gather(rules.index.allow, tclass, sources, targets)
    for rule in gather_lists(rules.index.allow_if, tclass, sources, targets):
        mask |= rule.mask
    return mask
