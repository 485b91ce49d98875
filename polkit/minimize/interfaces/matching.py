"""Which calls of interfaces would give whole rules of a module, and what each would grant besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from polkit.minimize.interfaces.meaning import Accesses, World, accesses_of, accesses_of_call
from polkit.model import SELF, AvRule
from polkit.module import ARGUMENTS, Expansion

Access = tuple[str, str, str, str]
"""Source type, target type, class, permission."""


@dataclass(frozen=True)
class Candidate:
    """A call that gives at least one rule of the module whole. ``size`` counts the accesses it grants, ``given`` those
    of them that its domains have anyway; ``extra`` is what it newly grants and no rule gives.
    """

    expansion: Expansion
    arguments: tuple[str, ...]
    rules: frozenset[AvRule]
    size: int
    given: int
    extra: Accesses

    @property
    def extra_count(self) -> int:
        """How many accesses ``extra`` holds."""
        return sum(map(len, self.extra.values()))

    @property
    def order(self) -> tuple[object, ...]:
        """A fixed order among calls: what says less comes first."""
        return (self.size, self.expansion.name, self.arguments)

    def extra_accesses(self) -> frozenset[Access]:
        """``extra``, one access each."""
        return frozenset((*pair, perm) for pair, perms in self.extra.items() for perm in perms)


def candidates(expansions: Iterable[Expansion], rules: tuple[AvRule, ...], world: World) -> list[Candidate]:
    """Every call of an interface that gives one of the allow rules whole, in a fixed order.

    A call's first argument is the source of a rule, its second the target of a rule of the same source.
    """
    allow = tuple(rule for rule in rules if rule.kind == "allow")
    whole = accesses_of(allow, world)
    wanted = {rule: accesses_of((rule,), world) for rule in allow}
    found = []
    for expansion in expansions:
        for arguments in _calls(expansion, allow, world):
            granted = accesses_of_call(expansion, arguments, world)
            if granted is None:
                continue
            covered = frozenset(rule for rule, accesses in wanted.items() if _holds(granted, accesses))
            if covered:
                found.append(_candidate(expansion, arguments, covered, granted, whole, world))
    return sorted(found, key=lambda one: one.order)


def exact_cover(found: Iterable[Candidate]) -> list[Candidate]:
    """Of the calls that grant no more than the rules, greedily those that give most; none that others make needless."""
    exact = [one for one in found if not one.extra]
    chosen: list[Candidate] = []
    covered: set[AvRule] = set()
    while exact:
        best = min(exact, key=lambda one: (-len(one.rules - covered), one.order))
        if best.rules <= covered:
            break
        chosen.append(best)
        covered.update(best.rules)
    for one in tuple(chosen):
        others = [other for other in chosen if other is not one]
        if one.rules <= frozenset().union(*(other.rules for other in others)):
            chosen = others
    return chosen


def _calls(expansion: Expansion, rules: tuple[AvRule, ...], world: World) -> Iterator[tuple[str, ...]]:
    """The arguments with which a call may give one of the rules, by its words alone: asking takes a thousand times
    longer.
    """
    calls: set[tuple[str, ...]] = set()
    for rule in rules:
        if rule.tclass not in expansion.text or not all(perm in expansion.text for perm in rule.perms):
            continue
        if expansion.parameters == 1 and _mentions(expansion.text, rule, world):
            calls.add((rule.source,))
        if expansion.parameters == 2:
            calls.update((rule.source, other.target) for other in rules if _may_follow(rule, other))
    yield from sorted(calls)


def _may_follow(rule: AvRule, other: AvRule) -> bool:
    return other.source == rule.source and other.target not in (SELF, rule.source)


def _mentions(text: str, rule: AvRule, world: World) -> bool:
    """The text names the target, or an attribute of it."""
    if rule.target in (SELF, rule.source):
        return SELF in text or text.count(ARGUMENTS[0]) > 1
    if rule.target in text:
        return True
    attributes = world.own.get(rule.target) or world.policy.attributes(rule.target)
    return any(attribute in text for attribute in attributes)


def _holds(granted: Accesses, accesses: Accesses) -> bool:
    return all(perms <= granted.get(pair, frozenset()) for pair, perms in accesses.items())


def _candidate(
    expansion: Expansion,
    arguments: tuple[str, ...],
    covered: frozenset[AvRule],
    granted: Accesses,
    whole: Accesses,
    world: World,
) -> Candidate:
    extra: Accesses = {}
    given = 0
    for pair, perms in granted.items():
        anyway = world.given(*pair) & perms
        given += len(anyway)
        more = perms - whole.get(pair, frozenset()) - anyway
        if more:
            extra[pair] = more
    size = sum(map(len, granted.values()))
    return Candidate(expansion, arguments, covered, size, given, extra)
