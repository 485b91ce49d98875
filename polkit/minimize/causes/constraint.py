"""constraint: a constrain or mlsconstrain statement refuses. No allow rule can help, so none is written for it."""

from __future__ import annotations

from typing import Optional

from polkit.minimize.question import WRITING, Finding, Question
from polkit.model import Remedy
from polkit.policy import FailedConstraint

_SAME_LEVEL = "podman --security-opt label=level:s0:cX,cY; Kubernetes seLinuxOptions.level"


def examine(question: Question) -> Optional[Finding]:
    """Decides where the rule exists; stands beside a missing rule otherwise."""
    failure = question.key.failure
    if failure is not None:
        return _validate_transition(question) if failure.operation == "validate_transition" else None
    if question.verdict is None or not question.verdict.constraints:
        return None
    failed = question.verdict.constraints
    about = frozenset(part for one in failed for part in one.about)
    levels = ", ".join(question.evidence.levels[:3]) or "not recorded"
    if "level" in about:
        remedy = _level_remedy(question)
        why = (
            f"The levels of the two sides do not fit ({levels}): a container may only touch what carries its own "
            "categories, or none. An allow rule changes nothing here."
        )
    else:
        remedy = _identity_remedy(about, failed)
        why = (
            f"A constraint on the {' and '.join(sorted(about)) or 'contexts'} of the two sides refuses it; "
            "an allow rule changes nothing here."
        )
    if any(one.unknown for one in failed):
        why += " The record's levels can't be read, so this is what would refuse if they do not fit."
    asked = tuple(f"{one.kind} {one.text}? refuses" for one in failed)
    return Finding("constraint", remedy, why, "constraint", question.verdict.rule, asked)


def _level_remedy(question: Question) -> Remedy:
    target = question.target
    if target == question.policy.container_file_type() and question.access.perm in WRITING:
        hint = (
            f"Run both containers with the same level ({_SAME_LEVEL}), or share the volume on purpose with :z, after "
            "which every container may write it."
        )
    elif target == question.policy.container_file_type():
        hint = (
            f"Run both containers with the same level ({_SAME_LEVEL}), or label what is only read without categories "
            "and with a read-only type; :z would let every container write it."
        )
    elif question.policy.is_domain(target):
        hint = (
            "The other side is a process at another level: run both containers in one pod or with the same level "
            f"({_SAME_LEVEL})."
        )
    else:
        hint = (
            f"Give both sides the same level ({_SAME_LEVEL}), or put the object back at its own level with "
            "restorecon -F."
        )
    return Remedy("level", hint, hint=hint)


def _identity_remedy(about: frozenset[str], failed: tuple[FailedConstraint, ...]) -> Remedy:
    parts = " and ".join(sorted(about)) or "contexts"
    text = (
        f"Change the {parts} of one side (a login or a service in another SELinux user or role); the constraint is: "
        f"{failed[0].text}"
    )
    return Remedy("domain", text, hint=text)


def _validate_transition(question: Question) -> Finding:
    failure = question.key.failure
    old = failure.context.type if failure is not None and failure.context is not None else "its old type"
    text = (
        "Relabel from a domain that the policy exempts (restorecon as the administrator); a module can't change a "
        "validatetrans statement."
    )
    why = (
        f"A validatetrans constraint does not let {question.source} change an object from {old} to "
        f"{question.target}: no allow rule can help."
    )
    return Finding("constraint", Remedy("domain", text, hint=text), why, reason="final")
