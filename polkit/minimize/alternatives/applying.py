"""The decisions as a person chose: what was diagnosed is changed by the way that was picked, and decided anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Optional

from polkit.errors import AccountingError
from polkit.minimize.alternatives.costs import remedies_of
from polkit.minimize.alternatives.offering import accepted_by, case_of, offer, unsettled, ways_of
from polkit.minimize.alternatives.steps import Chooser, Offers, steps_of
from polkit.minimize.alternatives.ways import Case, Reach, Way
from polkit.minimize.commands import settle_commands
from polkit.minimize.grouping import Decided, Diagnosed, draft_of, gate
from polkit.minimize.ladder import Diagnosis
from polkit.minimize.question import Finding, Settings
from polkit.model import SELF, AvRule, Decision, OwnDomain, Rule, XpermRule
from polkit.policy import TargetPolicy


def ask(
    chooser: Chooser,
    decided: Sequence[Decided],
    domain: Optional[OwnDomain],
    policy: TargetPolicy,
    settings: Settings,
) -> tuple[Decided, ...]:
    """The decisions with their alternatives, as the chooser says; nobody is asked where there are none."""
    if not decided:
        return ()
    offered = offer(decided, domain, settings)
    sha256 = policy.info.sha256 if policy.info is not None else None
    offers = Offers(sha256, steps_of([one.decision for one in offered]))
    return choose(offered, chooser(offers), domain, policy, settings)


def choose(
    decided: Sequence[Decided],
    picks: Mapping[str, str],
    domain: Optional[OwnDomain],
    policy: TargetPolicy,
    settings: Settings,
) -> tuple[Decided, ...]:
    """``decided``, as ``offer`` gives them, with the picked alternatives for their remedies.

    ``picks``: from a decision's key to the id of one of its alternatives; decisions without one stay the tool's.
    Raises AccountingError for a pick that was not offered.
    """
    if not picks:
        return tuple(decided)
    reach = Reach()
    cases = [case_of(one, domain, settings, reach) for one in decided]
    ways = [_picked(case, picks.get(case.decision.key)) for case in cases]
    chosen = _decide(cases, ways, domain, policy, shared_too=False)
    if domain is None or not any(way is not None and way.shared for way in ways):
        return chosen
    # What is predicted of an own domain is for it as well.
    in_use = settings.predict or any(_uses(one.decision, domain.name) for one in chosen)
    return _decide(cases, ways, domain, policy, shared_too=True) if in_use else chosen


def _picked(case: Case, pick: Optional[str]) -> Optional[Way]:
    if pick is None:
        return None
    offered = {one.id for one in case.decision.alternatives}
    way = next((way for way in ways_of(case) if way.id == pick and pick in offered), None)
    if way is None:
        raise AccountingError(
            f"{case.decision.id}: {pick} was not offered", "This is a defect of polkit; please report it"
        )
    return way


def _decide(
    cases: Sequence[Case],
    ways: Sequence[Optional[Way]],
    domain: Optional[OwnDomain],
    policy: TargetPolicy,
    shared_too: bool,
) -> tuple[Decided, ...]:
    """``shared_too``: the module's own domain is in use, and inherits nothing that this module gives its base: what a
    person gives the shared domain is given to it as well."""
    changed = [
        [_changed(part, way, domain if shared_too else None) for part in case.parts] for case, way in zip(cases, ways)
    ]
    # All together, since what one decision asks for may keep another from listing commands.
    settled = iter(settle_commands([part for parts in changed for part in parts], domain, policy))
    return tuple(
        _decided(case, way, tuple(next(settled) for _ in parts)) for case, way, parts in zip(cases, ways, changed)
    )


def _changed(part: Diagnosed, way: Optional[Way], domain: Optional[OwnDomain]) -> Diagnosed:
    changed = part if way is None else way.change(part)
    if changed is None:
        raise AccountingError("an alternative was offered that does not work", "This is a defect of polkit")
    changed = unsettled(changed)
    if way is None or not way.shared or domain is None:
        return changed
    main, *also = (_copied(finding, part, domain) for finding in (changed.diagnosis.main, *changed.diagnosis.also))
    return replace(changed, diagnosis=Diagnosis(main, tuple(also)))


def _copied(finding: Finding, part: Diagnosed, domain: OwnDomain) -> Finding:
    rules = (*finding.remedy.rules, *_copies(finding.remedy.rules, part, domain))
    return replace(finding, remedy=replace(finding.remedy, rules=tuple(dict.fromkeys(rules))))


def _copies(rules: tuple[Rule, ...], part: Diagnosed, domain: OwnDomain) -> Iterator[Rule]:
    for rule in rules:
        if isinstance(rule, (AvRule, XpermRule)) and rule.source == part.question.source:
            yield replace(rule, source=domain.name, target=SELF if rule.target == SELF else rule.target)


def _decided(case: Case, way: Optional[Way], parts: tuple[Diagnosed, ...]) -> Decided:
    draft = draft_of(parts)
    tools = case.decision
    draft = replace(draft, decision=replace(draft.decision, id=tools.id))
    if way is None:
        gated = gate(draft, case.settings.accepted)
        return Decided(replace(tools, remedy=gated.remedy, also_remedies=gated.also_remedies), parts)
    gated = gate(draft, accepted_by(case, way))
    decision = replace(
        tools,
        also=gated.also,
        remedy=gated.remedy,
        also_remedies=gated.also_remedies,
        risk=gated.risk,
        risk_id=gated.risk_id,
        why=gated.why,
        chosen=way.id,
        chosen_by="person",
    )
    return Decided(decision, parts)


def _uses(decision: Decision, domain: str) -> bool:
    """A rule of the decision is on the domain."""
    return any(
        isinstance(rule, (AvRule, XpermRule)) and rule.source == domain
        for remedy in remedies_of(decision)
        for rule in remedy.rules
    )
