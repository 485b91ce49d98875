"""What a change gives in the whole policy: turning booleans, or a new type's joining of attributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from polkit.model import Grants
from polkit.policy.index import ConditionalRule
from polkit.policy.rules import Rules

_SAMPLE = 8

Masks = dict[tuple[str, str, str], int]
"""(source, target, class) -> mask of permissions."""


def newly_given(rules: Rules, settings: Mapping[str, bool]) -> Masks:
    """What the TE rules newly allow when ``settings`` are made."""
    changed = rules.with_state(settings)
    given: Masks = {}
    for number, (old, new) in enumerate(zip(rules.truths, changed.truths)):
        if old != new:
            for rule in rules.index.allows_of_condition.get(number, ()):
                if rule.block == new:
                    _expand(rules, rule, given)
    return _without_allowed(rules, given)


def _without_allowed(rules: Rules, given: Masks) -> Masks:
    """What enabled rules don't give yet. What they give a source is gathered once for all of its targets."""
    rows: dict[tuple[str, str], dict[str, int]] = {}
    new: Masks = {}
    for key, mask in given.items():
        source, target, tclass = key
        row = rows.get((source, tclass))
        if row is None:
            row = rows[source, tclass] = rules.given_to(source, tclass)
        have = 0
        for side in rules.facts.sides[target] & row.keys():
            have |= row[side]
        if mask & ~have:
            new[key] = mask & ~have
    return new


def structural(rules: Rules, attributes: Iterable[str]) -> Grants:
    """What enabled rules give every domain on a type for its membership in ``attributes``, and nothing else."""
    joined = frozenset(attributes)
    given: Masks = {}
    for tclass, by_source in rules.index.allow.items():
        for source, by_target in by_source.items():
            for attribute in joined.intersection(by_target):
                for domain in rules.facts.members(source):
                    _add(given, (domain, "", tclass), by_target[attribute])
    for number, holds in enumerate(rules.truths):
        for rule in rules.index.allows_of_condition.get(number, ()):
            if rule.target in joined and rule.block == holds:
                for domain in rules.facts.members(rule.source):
                    _add(given, (domain, "", rule.tclass), rule.mask)
    found = counted(given, ())
    return Grants(found.accesses, found.domains, found.types)


def _expand(rules: Rules, rule: ConditionalRule, given: Masks) -> None:
    """Add the rule for every pair of types behind its source and target."""
    targets = rules.facts.members(rule.target)
    for source in rules.facts.members(rule.source):
        for target in targets:
            _add(given, (source, target, rule.tclass), rule.mask)


def _add(given: Masks, key: tuple[str, str, str], mask: int) -> None:
    given[key] = given.get(key, 0) | mask


def counted(given: Masks, sensitive: Iterable[str]) -> Grants:
    """``given`` in numbers, with a sample of its targets: sensitive ones in their order, then others by name."""
    targets = {target for _, target, _ in given}
    first = [type_ for type_ in sensitive if type_ in targets]
    rest = sorted(targets.difference(first))
    return Grants(
        accesses=sum(bin(mask).count("1") for mask in given.values()),
        domains=len({source for source, _, _ in given}),
        types=len(targets),
        sample=tuple((first + rest)[:_SAMPLE]),
    )
