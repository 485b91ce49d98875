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
    turned = {number for number, (old, new) in enumerate(zip(rules.truths, changed.truths)) if old != new}
    given: Masks = {}
    for rule in _conditional_rules(rules):
        if rule.condition in turned and changed.truths[rule.condition] == rule.block:
            _expand(rules, rule, given)
    new = {key: mask & ~rules.allowed(*key) for key, mask in given.items()}
    return {key: mask for key, mask in new.items() if mask}


def structural(rules: Rules, attributes: Iterable[str]) -> Grants:
    """What enabled rules give every domain on a type for its membership in ``attributes``, and nothing else."""
    joined = frozenset(attributes)
    given: Masks = {}
    for tclass, by_source in rules.index.allow.items():
        for source, by_target in by_source.items():
            for attribute in joined.intersection(by_target):
                for domain in _expanded(rules, source):
                    _add(given, (domain, "", tclass), by_target[attribute])
    for rule in _conditional_rules(rules):
        if rule.target in joined and rules.truths[rule.condition] == rule.block:
            for domain in _expanded(rules, rule.source):
                _add(given, (domain, "", rule.tclass), rule.mask)
    found = counted(given, ())
    return Grants(found.accesses, found.domains, found.types)


def _conditional_rules(rules: Rules) -> Iterable[ConditionalRule]:
    for by_source in rules.index.allow_if.values():
        for by_target in by_source.values():
            for found in by_target.values():
                yield from found


def _expand(rules: Rules, rule: ConditionalRule, given: Masks) -> None:
    """Add the rule for every pair of types behind its source and target."""
    targets = _expanded(rules, rule.target)
    for source in _expanded(rules, rule.source):
        for target in targets:
            _add(given, (source, target, rule.tclass), rule.mask)


def _add(given: Masks, key: tuple[str, str, str], mask: int) -> None:
    given[key] = given.get(key, 0) | mask


def _expanded(rules: Rules, name: str) -> frozenset[str]:
    """The types of an attribute; of a type, itself."""
    types = rules.facts.types.get(name)
    return frozenset((name,)) if types is None else types


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
