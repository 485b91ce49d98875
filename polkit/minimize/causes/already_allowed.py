"""already-allowed: the target policy gives the access today, the log is older, or from elsewhere."""

from __future__ import annotations

from typing import Optional

from polkit.minimize.question import Finding, Question
from polkit.model import Remedy


def examine(question: Question) -> Optional[Finding]:
    """The policy allows it now, constraints and extended permissions included."""
    if question.verdict is None or not question.verdict.allowed:
        return None
    remedy = Remedy(
        "none",
        "No rule is needed: update the policy of the host where the log is from, or compare its booleans "
        "(getsebool -a, given with --booleans).",
    )
    why = (
        f"The target policy already allows {question.source} {question.access.perm} on {question.target}:"
        f"{question.key.tclass}; the log is older than this policy, from a host with another one, or from a host "
        "with other booleans."
    )
    asked = (f"allow {question.source} {question.target}:{question.key.tclass} {question.access.perm}? yes",)
    return Finding("already-allowed", remedy, why, reason="final", asked=asked)
