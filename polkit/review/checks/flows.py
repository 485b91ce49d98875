"""PK025: information can newly flow from a zone of polkit.toml to one of less confidentiality."""

from __future__ import annotations

from collections.abc import Iterator

from polkit.policy import Flow, FlowStep, new_flows
from polkit.review.case import Case
from polkit.review.findings import Finding, Fix, Place
from polkit.review.grants.stated import join_for, place_or_file, rule_for


def find(case: Case) -> Iterator[Finding]:
    """One finding for each two zones, with a shortest path."""
    if case.built is None or not case.config.zones:
        return
    review = case.config.review
    for flow in new_flows(case.built.between, case.config.zones, review.flow_weight, review.flow_exclude):
        yield _finding(case, flow)


def _finding(case: Case, flow: Flow) -> Finding:
    new = [step for step in flow.steps if step.is_new] or list(flow.steps)
    first, last = flow.path[0], flow.path[-1]
    pairs = f"{flow.pairs} pairs of types" if flow.pairs > 1 else "one pair of types"
    return Finding(
        id="PK025",
        severity="high",
        confidence="high" if len(flow.steps) <= 2 else "medium",
        place=_place(case, new),
        title=f"Information may flow from {flow.from_zone} to {flow.to_zone}: {first} to {last}",
        why=(
            f"polkit.toml has {flow.from_zone} as more confidential than {flow.to_zone}, and without the module nothing"
            f" comes from {first} to {last}. With it, every step of the way below is allowed."
        ),
        fix=Fix(
            f"Take out one step: keep what reads {flow.from_zone} and what writes {flow.to_zone} in two domains, or put"
            " the domain that is trusted to pass on only what it should under [review] flow_exclude."
        ),
        evidence=(*(step.text for step in flow.steps), f"newly connected: {pairs}"),
    )


def _place(case: Case, steps: list[FlowStep]) -> Place:
    """Where the module says the first of the new steps that it says itself."""
    for step in steps:
        for source, target in ((step.source, step.target), (step.target, step.source)):
            found = rule_for(case, source, target, step.tclass, step.perms)
            if found is not None:
                return place_or_file(case, found)
    return place_or_file(case, *(join_for(case, end) for step in steps for end in (step.source, step.target)))
