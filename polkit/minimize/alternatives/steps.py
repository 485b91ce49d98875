"""The decisions as they are put to a person: what can only be decided together is one step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional, Protocol

from polkit.minimize.alternatives.costs import remedies_of
from polkit.minimize.joining import join_remedies
from polkit.model import RISKS, Alternative, Cost, Decision

_LABELLING = frozenset({"fcontext", "mount", "port"})


@dataclass(frozen=True)
class Step:
    """Decisions that have one answer: one directory has one label, one port one type. Usually it is one decision.

    ``options`` are the alternatives that every one of them has, best first; their costs are those of all together.
    """

    decisions: tuple[Decision, ...]
    options: tuple[Alternative, ...]


@dataclass(frozen=True)
class Offers:
    """What a person is asked, in order. ``policy_sha256`` is None without a policy."""

    policy_sha256: Optional[str]
    steps: tuple[Step, ...]

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """Every decision that is asked about."""
        return tuple(decision for step in self.steps for decision in step.decisions)


class Chooser(Protocol):
    """Whoever chooses: a person at a terminal, or a file of choices made before."""

    def __call__(self, offers: Offers) -> Mapping[str, str]:
        """From keys of decisions to ids of alternatives; decisions that are left out stay the tool's."""


def nobody(offers: Offers) -> Mapping[str, str]:
    """Everything stays the tool's."""
    return {}


def steps_of(decisions: Sequence[Decision]) -> tuple[Step, ...]:
    """Decisions that share a directory's label or a port are one step; each step stands where its first one does."""
    groups: list[tuple[set[object], list[Decision]]] = []
    for decision in decisions:
        places = set(_places(decision))
        touched = [group for group in groups if not places.isdisjoint(group[0])]
        if not touched:
            groups.append((places, [decision]))
            continue
        first, *others = touched
        for other in others:
            first[0].update(other[0])
            first[1].extend(other[1])
            groups.remove(other)
        first[0].update(places)
        first[1].append(decision)
    order = {decision.id: number for number, decision in enumerate(decisions)}
    return tuple(step for _, group in groups for step in _steps(sorted(group, key=lambda one: order[one.id])))


def _places(decision: Decision) -> Iterable[object]:
    """What the decision would label: alternatives differ in the label, so all are looked at."""
    for remedy in remedies_of(decision):
        if remedy.kind == "fcontext":
            yield from (("label", context.pattern, context.kind) for context in remedy.contexts)
        if remedy.kind == "port":
            yield ("port", remedy.protocol, remedy.port)


def _steps(decisions: Sequence[Decision]) -> Iterable[Step]:
    """One step, where the tool does the same about all. Else each is one, and keeps to the tool's labels: two answers
    about one directory must not differ."""
    if len({decision.alternatives[0].id for decision in decisions}) == 1:
        yield _step(decisions)
        return
    for decision in decisions:
        own, *others = decision.alternatives
        yield Step((decision,), (own, *(one for one in others if one.remedy.kind not in _LABELLING)))


def _step(decisions: Sequence[Decision]) -> Step:
    first = decisions[0]
    options = []
    for option in first.alternatives:
        same = [one for decision in decisions for one in decision.alternatives if one.id == option.id]
        if len(same) == len(decisions):
            options.append(_together(same))
    return Step(tuple(decisions), tuple(options))


def _together(same: Sequence[Alternative]) -> Alternative:
    """One alternative of several decisions: the first one's words, the rules and accesses of all."""
    first, worst = same[0], max(same, key=lambda one: RISKS.index(one.risk))
    if len(same) == 1:
        return first
    accesses = sum(one.cost.accesses for one in same)
    return Alternative(
        id=first.id,
        remedy=join_remedies(one.remedy for one in same),
        also_remedies=tuple(dict.fromkeys(remedy for one in same for remedy in one.also_remedies)),
        cost=Cost(accesses, max(one.cost.domains for one in same), first.cost.text),
        risk=worst.risk,
        risk_id=worst.risk_id,
        widens=any(one.widens for one in same),
    )
