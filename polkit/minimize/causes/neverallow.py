"""neverallow: the policy forbids that such a rule is ever written."""

from __future__ import annotations

from typing import Optional

from polkit.minimize.question import Finding, Question
from polkit.model import Remedy


def examine(question: Question) -> Optional[Finding]:
    """A rule for this access would break a neverallow statement of the policy's store."""
    if question.verdict is None or question.verdict.rule:
        return None
    access = question.access
    broken = question.policy.neverallowed(question.source, question.target, access.tclass, access.perm)
    if broken is None:
        return None
    text = "No rule is written: the policy's authors forbid it. Change what the workload does, or what it is given."
    why = f"A rule for it would break the policy's own {broken}"
    return Finding("neverallow", Remedy("refuse", text), why, asked=(f"{broken}? would be broken",))
