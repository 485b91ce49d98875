"""PK024: a new chain of domain transitions ends in a domain that nothing holds."""

from __future__ import annotations

from collections.abc import Iterator

from polkit.policy import DomainPath, DomainStep, new_domain_paths
from polkit.review.case import Case
from polkit.review.findings import Finding, Fix, Place
from polkit.review.grants.stated import join_for, place_or_file, rule_for, transition_for

_SHOWN = 8


def find(case: Case) -> Iterator[Finding]:
    """One finding for each statement that gives the last new step of such chains, with the shortest of them."""
    if case.built is None:
        return
    by_place: dict[Place, list[DomainPath]] = {}
    for path in new_domain_paths(case.built.between):
        by_place.setdefault(_place(case, _last_new(path)), []).append(path)
    for place, paths in by_place.items():
        yield _finding(place, sorted(paths, key=lambda path: (len(path.steps), path.steps)))


def _last_new(path: DomainPath) -> DomainStep:
    return next(step for step in reversed(path.steps) if step.is_new)


def _finding(place: Place, paths: list[DomainPath]) -> Finding:
    shortest = paths[0]
    new = _last_new(shortest)
    start, end = shortest.steps[0].source, shortest.steps[-1].target
    more = [f"also {path.steps[0].source} to {path.steps[-1].target}, in {len(path.steps)} steps" for path in paths[1:]]
    return Finding(
        id="PK024",
        severity="high",
        confidence="high",
        place=place,
        title=f"{start} may come to {end}, which nothing holds, in {_counted(len(shortest.steps))}",
        why=(
            f"In {end} this policy ends: {shortest.because}. Whoever takes over {start} may start each program on the"
            " way himself, so that keeping to the module's rules is enough to get there."
        ),
        fix=Fix(
            f"Take out what lets {new.source} into {new.target}: a domain of the module's own, without a way on, does"
            " for a helper that is to run with more."
        ),
        evidence=(*(step.text for step in shortest.steps), *more[:_SHOWN]),
    )


def _counted(steps: int) -> str:
    return "one step" if steps == 1 else f"{steps} steps"


def _place(case: Case, step: DomainStep) -> Place:
    """Where the module says what makes the step new: the transition first, then what else it needs."""
    return place_or_file(
        case,
        rule_for(case, step.source, step.target, "process", ("transition", "dyntransition")),
        transition_for(case, step.source, step.target),
        rule_for(case, step.source, step.source, "process", ("setexec", "setcurrent")),
        rule_for(case, step.target, step.entry, "file", ("entrypoint",)),
        rule_for(case, step.source, step.entry, "file", ("execute",)),
        join_for(case, step.source),
        join_for(case, step.target),
    )
