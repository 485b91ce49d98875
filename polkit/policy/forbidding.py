"""What neverallow rules say of rules and memberships that a module would add.

A module may bring types of its own; of those it is told which attributes they join.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Optional

from polkit.policy.interface import Forbidden, Rectangle
from polkit.policy.neverallow import Neverallow
from polkit.policy.rules import Rules
from polkit.policy.store_neverallows import Neverallows

_PROCESSES = "domain"
_SOURCE = re.compile(r"neverallow (?P<others>~?)(?P<names>\{[^}]*\}|\S+) ")
NewTypes = Mapping[str, tuple[str, ...]]


def forbidden(neverallows: Neverallows, rules: Rules, asked: Rectangle, new: NewTypes) -> tuple[Forbidden, ...]:
    """The neverallow rules that an allow rule would break, each with the first access by name that the policy does not
    allow already."""
    found = []
    for rule in neverallows.rules().get(asked.tclass, ()):
        perms = asked.perms & rule.perms
        sources = frozenset(one for one in asked.sources if _covers(rule, one, new)) if perms else frozenset()
        first = _first(rule, sources, asked, perms, rules) if sources else None
        if first is not None:
            found.append(first)
    return tuple(found)


def exempted(
    neverallows: Neverallows, rules: Rules, type_: str, attribute: str, joined: frozenset[str]
) -> tuple[str, ...]:
    """The neverallow rules that cover a type and would not if it joined an attribute. ``joined``: those that a type
    which the policy lacks joins anyway.

    A rule that covers no domain tells processes from everything else: to become a domain is no way around it.
    """
    processes = rules.facts.types.get(_PROCESSES) or frozenset(rules.facts.attributes)
    new = {} if type_ in rules.facts.attributes else {type_: tuple(joined - {attribute})}
    return tuple(
        dict.fromkeys(
            rule.text
            for found in neverallows.rules().values()
            for rule in found
            if attribute in rule.exempting
            and attribute != _PROCESSES
            and not rule.sources.isdisjoint(processes)
            and _covers(rule, type_, new)
        )
    )


def _covers(rule: Neverallow, type_: str, new: NewTypes) -> bool:
    """The sources of a rule hold a type. Of a type that the policy lacks, its attributes and the rule as it is written
    tell: ``~{ a }`` and ``*`` hold every type, ``{ domain -a }`` those of the attribute, but who joins ``a``."""
    if type_ not in new:
        return type_ in rule.sources
    if not rule.exempting.isdisjoint(new[type_]):
        return False
    written = _SOURCE.match(rule.text)
    if written is None:
        return False
    named = {word for word in written["names"].strip("{}").split() if not word.startswith("-")}
    return bool(written["others"]) or "*" in named or not named.isdisjoint((type_, *new[type_]))


def _first(
    rule: Neverallow, sources: frozenset[str], asked: Rectangle, perms: frozenset[str], rules: Rules
) -> Optional[Forbidden]:
    for source, target in _pairs(rule, sources, asked):
        more = perms - rules.index.perms(asked.tclass, rules.always_allowed(source, target, asked.tclass))
        if more:
            return Forbidden(rule.text, source, target, tuple(sorted(more)))
    return None


def _pairs(rule: Neverallow, sources: frozenset[str], asked: Rectangle) -> Iterator[tuple[str, str]]:
    """The pairs of source and target that the rule forbids something, in their order."""
    for source in sorted(sources):
        targets: Iterable[str] = asked.targets | {source} if asked.to_self else asked.targets
        if rule.special == "self":
            targets = {source}.intersection(targets)
        elif rule.special:
            targets = {one for one in targets if one != source and (rule.special == "notself" or one in rule.sources)}
        else:
            targets = rule.targets.intersection(targets)
        yield from ((source, target) for target in sorted(targets))
