"""PK027: a type joins an attribute whose rules bring great power, on this policy."""

from __future__ import annotations

from collections.abc import Iterator

from polkit.policy import OVER_THE_KERNEL, UNCONFINED, Powers, risk_named
from polkit.review.case import Case, place_of
from polkit.review.findings import Finding, Fix
from polkit.review.grants.on_policy import Join, Names

_SHOWN = 8


def find(case: Case) -> Iterator[Finding]:
    """Each membership that brings what the type, or the domain it stands in for, does not have."""
    names = case.names
    if names is None:
        return
    powers = Powers(names.policy)
    for join in names.joins:
        base = names.bases.get(join.type, join.type)
        if join.attribute in names.policy.attributes(base):
            continue
        had = powers.of(base) if names.knows(base) else ()
        brought = tuple(one for one in powers.brought_by(join.attribute) if one not in had)
        if brought:
            yield _finding(case, names, join, brought)


def _finding(case: Case, names: Names, join: Join, brought: tuple[str, ...]) -> Finding:
    words = ["everything" if one == UNCONFINED else risk_named(one).what for one in brought]
    grave = brought[0] == UNCONFINED or any(one in OVER_THE_KERNEL for one in brought)
    members = len(names.policy.types(join.attribute))
    return Finding(
        id="PK027",
        severity="high" if grave else "medium",
        confidence="high",
        place=place_of(join.where),
        title=f"{join.type} joins {join.attribute}, which brings {words[0]}",
        why=(
            f"Every rule of the policy on {join.attribute}, today's and tomorrow's, is for {join.type} from then on."
            f" It brings {', '.join(words[:4])}{' and more' if len(words) > 4 else ''}, and no rule of it says so."
        ),
        fix=Fix(
            f"Take {join.type} out of {join.attribute} and write the few rules that it really needs.",
        ),
        evidence=(
            f"{join.attribute} has {members} types on this policy",
            *(f"brings {risk_named(one).what}: {risk_named(one).why}" for one in brought if one != UNCONFINED),
        )[:_SHOWN],
    )
