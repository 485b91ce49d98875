"""Proposes calls of installed interfaces for the rules of a module, and writes them beside the rules.

A module stays plain policy text, which compiles without the headers: a call is a comment above the rules it stands
for, and what a call grants beyond them is written out, as rules of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Optional

from polkit.minimize.interfaces.matching import Access, Candidate, candidates, exact_cover
from polkit.minimize.interfaces.meaning import Accesses, World, world_of
from polkit.minimize.joining import join_rules
from polkit.model import SELF, AvRule, InterfaceCall, ModuleSource, OwnDomain
from polkit.module import Expansion
from polkit.policy import TargetPolicy, assess

_LISTED = 3
"""For each rule that no call gives exactly, so many of the calls that grant more are listed, the closest first."""
_MOST_EXTRA = 100
"""A call that grants more accesses than this besides, and than was allowed, is not listed."""
_SHOWN = 8
"""Rules of what a call grants more, where it isn't used."""
NEVERALLOW = "neverallow"


@dataclass(frozen=True)
class Allowance:
    """How much more than the rules all calls together may grant, and which risks were accepted."""

    accesses: int = 0
    accepted: frozenset[str] = frozenset()


def propose_calls(
    source: ModuleSource,
    domain: Optional[OwnDomain],
    policy: TargetPolicy,
    expansions: Iterable[Expansion],
    allowance: Allowance,
) -> tuple[tuple[InterfaceCall, ...], ModuleSource]:
    """The calls for a module's allow rules, those to be used first; and the module with these in its comments and
    with the rules that they grant more. ``domain``: the own domain of the plan.
    """
    world = world_of(source, domain, policy)
    rules = source.access.rules
    found = candidates(expansions, rules, world)
    exact = exact_cover(found)
    covered = {rule for one in exact for rule in one.rules}
    dear = [one for one in found if one.extra and not one.rules <= covered]
    bought = _buy(dear, covered, world, allowance)
    covered.update(rule for one in bought for rule in one.rules)
    near = max(_MOST_EXTRA, allowance.accesses)
    listed = _closest([one for one in dear if one not in bought and one.extra_count <= near], covered)
    calls = (
        *(_call(one, world, allowance, used=True) for one in exact),
        *(_call(one, world, allowance, used=True) for one in bought),
        *(_call(one, world, allowance, used=False) for one in listed),
    )
    return calls, _with_calls(source, calls)


def _buy(dear: list[Candidate], covered: set[AvRule], world: World, allowance: Allowance) -> list[Candidate]:
    """The cheapest calls, one after the other, until what all of them grant more would exceed the allowance."""
    affordable = [
        one
        for one in dear
        if one.extra_count <= allowance.accesses and not _refused(one.extra, world, allowance.accepted)
    ]
    bought: list[Candidate] = []
    given = set(covered)
    granted: set[Access] = set()
    while True:
        useful = [one for one in affordable if not one.rules <= given]
        best = min(useful, key=lambda one: (len(one.extra_accesses() - granted), one.order), default=None)
        if best is None or len(best.extra_accesses() | granted) > allowance.accesses:
            return bought
        bought.append(best)
        given.update(best.rules)
        granted.update(best.extra_accesses())


def _closest(dear: list[Candidate], covered: set[AvRule]) -> list[Candidate]:
    """The calls that grant least more, some for each rule that none is used for."""
    chosen: list[Candidate] = []
    ordered = sorted(dear, key=lambda one: (one.extra_count, one.order))
    for rule in sorted({rule for one in dear for rule in one.rules} - covered):
        chosen += [one for one in ordered if rule in one.rules][:_LISTED]
    return [one for one in ordered if one in chosen]


def _call(one: Candidate, world: World, allowance: Allowance, used: bool) -> InterfaceCall:
    extra = _as_rules(one.extra)
    return InterfaceCall(
        name=one.expansion.name,
        arguments=one.arguments,
        header=one.expansion.header,
        rules=tuple(sorted(one.rules)),
        given=one.given,
        extra=one.extra_count,
        extra_rules=extra if used else extra[:_SHOWN],
        refused=() if one.extra_count > allowance.accesses else _refused(one.extra, world, allowance.accepted),
        used=used,
    )


def _as_rules(accesses: Accesses) -> tuple[AvRule, ...]:
    return tuple(
        sorted(
            AvRule("allow", source, SELF if source == target else target, tclass, tuple(sorted(perms)))
            for (source, target, tclass), perms in accesses.items()
        )
    )


def _refused(extra: Accesses, world: World, accepted: frozenset[str]) -> tuple[str, ...]:
    """Why accesses that nobody asked for may not be granted: refused risks that nobody accepted, neverallow rules."""
    found = set()
    for (source, target, tclass), perms in extra.items():
        known = (world.bases.get(source, source), world.bases.get(target, target), tclass)
        for perm in perms:
            risk = assess(*known, perm, world.policy)
            if risk is not None and risk.refuse and accepted.isdisjoint((risk.id, "all")):
                found.add(risk.id)
            if world.policy.neverallowed(*known, perm) is not None:
                found.add(NEVERALLOW)
    return tuple(sorted(found))


def _with_calls(source: ModuleSource, calls: tuple[InterfaceCall, ...]) -> ModuleSource:
    """The module with the used calls in the comments of their rules, and what they grant more as further rules."""
    used = [call for call in calls if call.used]
    same_as: dict[AvRule, tuple[tuple[str, str], ...]] = {}
    for call in used:
        for number, rule in enumerate(call.rules, 1):
            same_as[rule] = (*same_as.get(rule, ()), (call.text, _note(call, number)))
    comments = dict(source.comments)
    joined = join_rules(rule for call in used for rule in call.extra_rules)
    extra = [rule for rule in joined if isinstance(rule, AvRule)]
    for rule in extra:
        callers = [call.name for call in used if any(_same_object(rule, one) for one in call.extra_rules)]
        comments[rule] = (f"No evidence asks for this: it comes with {', '.join(callers)} (--allow-extra).",)
    access = replace(source.access, rules=tuple(sorted({*source.access.rules, *extra})))
    return replace(source, access=access, comments=comments, same_as=same_as)


def _same_object(rule: AvRule, other: AvRule) -> bool:
    return (rule.source, rule.target, rule.tclass) == (other.source, other.target, other.tclass)


def _note(call: InterfaceCall, number: int) -> str:
    parts = [f"rule {number} of {len(call.rules)}"] if len(call.rules) > 1 else []
    parts += [f"with {_count(call.extra)} more"] if call.extra else []
    parts += [f"{_count(call.given)} of it given anyway"] if call.given else []
    return "; ".join(parts)


def _count(number: int) -> str:
    return f"{number} {'access' if number == 1 else 'accesses'}"
