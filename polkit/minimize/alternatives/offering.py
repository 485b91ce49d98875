"""The alternatives of a decision: the tool's own first, then every other way that works on the policy, ranked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Optional

from polkit.minimize.alternatives.costs import nothing_cost, tool_cost
from polkit.minimize.alternatives.labels import labels
from polkit.minimize.alternatives.ports import ports
from polkit.minimize.alternatives.rules import accepting, boolean_id, booleans, exact_rule, shared_rule, silencing
from polkit.minimize.alternatives.ways import LAST, LEAVE, TOOL, Case, Reach, Way, left
from polkit.minimize.commands import settle_commands
from polkit.minimize.grouping import Decided, Diagnosed, Draft, draft_of, gate, key_of
from polkit.minimize.question import Settings
from polkit.model import Alternative, AvRule, Cost, Decision, OwnDomain, Remedy, XpermRule

_WAYS = (accepting, exact_rule, labels, ports, booleans, shared_rule, silencing)
_MOST = 9
"""As many as there are keys to choose with."""


def offer(
    decided: Sequence[Decided], domain: Optional[OwnDomain], settings: Settings, only: Optional[frozenset[str]] = None
) -> tuple[Decided, ...]:
    """The decisions, each with its alternatives. ``domain``: of the module's own, as the decisions were made with.
    ``only``: keys of the decisions to do it for; None for all."""
    reach = Reach()
    keyed = _keyed(decided)
    return tuple(
        _offered(case_of(one, domain, settings, reach)) if only is None or one.decision.key in only else one
        for one in keyed
    )


def _keyed(decided: Sequence[Decided]) -> list[Decided]:
    """With a key for each; a number tells apart those that nothing else does."""
    found = []
    seen: Counter[str] = Counter()
    for one in decided:
        key = key_of(one.parts)
        seen[key] += 1
        key = key if seen[key] == 1 else f"{key}-{seen[key]}"
        found.append(replace(one, decision=replace(one.decision, key=key)))
    return found


def case_of(decided: Decided, domain: Optional[OwnDomain], settings: Settings, reach: Reach) -> Case:
    """A decision with all that its ways may ask."""
    parts = tuple(unsettled(part) for part in decided.parts)
    return Case(decided, draft_of(decided.parts), parts, domain, settings, reach)


def unsettled(part: Diagnosed) -> Diagnosed:
    """As it was before its commands were settled."""
    return part if part.unsettled is None else replace(part, diagnosis=part.unsettled, unsettled=None)


def ways_of(case: Case) -> tuple[Way, ...]:
    """Everything that could be done about a decision, the tool's own way first, to leave it last."""
    own = Way(tool_id(case.decision), TOOL, _as_it_is, tool_cost(case))
    found = [own, *(way for ways in _WAYS for way in ways(case)), *_leaving(case)]
    unique: dict[str, Way] = {}
    for way in found:
        unique.setdefault(way.id, way)
    return tuple(unique.values())


def _as_it_is(part: Diagnosed) -> Diagnosed:
    return part


def _leaving(case: Case) -> Iterator[Way]:
    """Nothing is done: where there is anything to do."""
    if case.decision.remedy.kind not in ("none", "refuse"):
        text = "Leave it refused, unless the workload fails by it."
        yield Way(LEAVE, LAST, lambda part: left(part, Remedy("none", text)), nothing_cost())


def drafted(case: Case, way: Way) -> Optional[Draft]:
    """The decision as it would be; None where the way doesn't work for each of its permissions."""
    if way.tier == TOOL:
        return case.draft
    changed = [way.change(part) for part in case.parts]
    parts = [part for part in changed if part is not None]
    if len(parts) != len(changed):
        return None
    return draft_of(settle_commands(parts, case.domain, case.policy))


def accepted_by(case: Case, way: Way) -> frozenset[str]:
    """The risks that are taken, by id."""
    return case.settings.accepted | ({case.decision.id} if way.accepts else frozenset())


def _offered(case: Case) -> Decided:
    found: list[tuple[tuple[object, ...], Alternative]] = []
    for way in ways_of(case):
        draft = drafted(case, way)
        if draft is None:
            continue
        decision = case.decision
        if way.tier != TOOL:
            decision = gate(replace(draft, decision=replace(draft.decision, id=decision.id)), accepted_by(case, way))
            if decision.remedy.kind == "refuse":
                continue  # a risk that nobody accepted, or commands that can't be listed
        cost = way.price(draft)
        found.append(((way.tier, cost.accesses, cost.domains, way.id), _alternative(way, decision, cost)))
    ranked = tuple(one for _, one in sorted(found, key=lambda pair: pair[0]))
    kept = ranked if len(ranked) <= _MOST else (*ranked[: _MOST - 1], ranked[-1])
    decision = replace(case.decision, alternatives=kept, chosen=kept[0].id)
    return replace(case.decided, decision=decision)


def _alternative(way: Way, decision: Decision, cost: Cost) -> Alternative:
    refused = decision.remedy.kind in ("refuse", "none")
    return Alternative(
        id=way.id,
        remedy=decision.remedy,
        also_remedies=decision.also_remedies,
        cost=cost,
        risk="none" if refused else decision.risk,
        risk_id="" if refused else decision.risk_id,
        widens=way.widens,
    )


def tool_id(decision: Decision) -> str:
    """What the tool chose, in the words that the same thing has where it is an alternative."""
    remedy = decision.remedy
    if remedy.kind == "allow":
        sources = [rule.source for rule in remedy.rules if isinstance(rule, (AvRule, XpermRule))]
        return f"rule:{sources[0]}" if sources else "rule"
    if remedy.kind == "boolean" and remedy.options:
        return boolean_id(remedy.options[0])
    if remedy.kind in ("fcontext", "port"):
        existing = f"{remedy.kind}:{remedy.type}" if remedy.type is not None else remedy.kind
        return f"{remedy.kind}:own" if remedy.types else existing
    if remedy.kind == "none" and decision.cause == "dontaudited":
        return LEAVE
    return remedy.kind
