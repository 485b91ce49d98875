"""From denial to remedy: the rungs in their order, and what is decided for one permission.

The first rung that fits decides; every other reason that would refuse the access too stands beside it with its
remedy. A new cause is one file in ``causes/`` and a line here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Optional

from polkit.errors import AccountingError
from polkit.minimize.causes import (
    already_allowed,
    boolean,
    bounds,
    constraint,
    dontaudited,
    mislabeled,
    missing_rule,
    neverallow,
    port_label,
    role,
    unknown,
    wrong_domain,
    xperm,
)
from polkit.minimize.question import Finding, Question
from polkit.model import DOMINATES, EQUAL, LevelRelations
from polkit.policy import assess, risk_named

GRANTING = frozenset({"allow", "boolean"})
"""Remedies by which the very access becomes allowed; others change what it is an access to."""

AFTER = "then "
"""Begins the reason of what would still refuse after the main remedy's relabel."""

Rung = Callable[[Question], Optional[Finding]]

RUNGS: tuple[Rung, ...] = (
    unknown.examine_type,
    unknown.examine_class,
    unknown.examine_permission,
    already_allowed.examine,
    wrong_domain.examine,
    mislabeled.examine,
    constraint.examine,
    bounds.examine,
    role.examine,
    neverallow.examine,
    xperm.examine,
    boolean.examine,
    port_label.examine,
    dontaudited.examine,
    missing_rule.examine,
)


@dataclass(frozen=True)
class Diagnosis:
    """Why one permission was refused: the finding that decides and those that stand beside it."""

    main: Finding
    also: tuple[Finding, ...]


def diagnose(question: Question) -> Diagnosis:
    """Climb the ladder for one permission. The last rung always fits, so there is always a decision."""
    findings = [with_risk(finding, question) for finding in (rung(question) for rung in RUNGS) if finding is not None]
    main = next((finding for finding in findings if finding.decides), None)
    if main is None:
        raise AccountingError(f"no cause for {question.key}", "This is a defect of polkit; please report the record")
    return Diagnosis(main, _beside(main, findings, question))


def with_risk(finding: Finding, question: Question) -> Finding:
    """The finding with what the risk catalogue says, where its remedy grants the very access that was asked."""
    access, failed = question.access, question.key.failure is not None
    if finding.remedy.kind not in (*GRANTING, "port") or not (failed or question.verdict is not None):
        return finding
    tclass, perm = ("process", "transition") if failed else (access.tclass, access.perm)
    risk = assess(access.source.type, access.target.type, tclass, perm, question.policy)
    if finding.remedy.kind == "port" and risk is not None and not risk.refuse:
        return finding  # the port gets another label: a risk of its present one does not stay
    opened = finding.remedy.options[0].grants.refused if finding.remedy.options else ()
    if opened and not (risk is not None and risk.refuse):
        # The boolean opens it besides: a risk to know of, but not what the log asks to be granted.
        risk = replace(risk_named(opened[0]), refuse=False)
    return replace(finding, risk=risk)


def _beside(main: Finding, findings: list[Finding], question: Question) -> tuple[Finding, ...]:
    """The other reasons: one for each thing that blocks, and none that the main remedy does away with."""
    if main.reason == "final":
        return tuple(one for one in findings if one is not main and one.cause.startswith("unknown-"))
    seen = {main.reason, *main.settles}
    beside: list[Finding] = []
    for finding in (*_after_relabel(main, question), *findings):
        if finding is not main and finding.reason not in seen:
            seen.add(finding.reason)
            beside.append(finding)
    return tuple(beside)


def _after_relabel(main: Finding, question: Question) -> tuple[Finding, ...]:
    """What would still refuse once the target has the type that the main remedy gives it."""
    if main.retarget is None:
        return ()
    after = question.at(main.retarget, fresh_label(question.key.levels))
    if after.verdict is None or after.verdict.allowed:
        return ()
    then = diagnose(after)
    if then.main.cause == main.cause:
        return ()
    found = (then.main, *then.also)
    return tuple(replace(one, reason=f"{AFTER}{one.reason}", decides=False) for one in found)


def fresh_label(levels: LevelRelations) -> LevelRelations:
    """How the source's levels stand to a target at the lowest level, which is what file_contexts gives."""
    return LevelRelations(DOMINATES, DOMINATES, DOMINATES, DOMINATES, levels.l1_h1, EQUAL)
