"""dontaudited: a dontaudit rule silences it, so the policy's authors held the refusal harmless."""

from __future__ import annotations

from typing import Optional

from polkit.minimize.question import Finding, Question
from polkit.model import Remedy


def examine(question: Question) -> Optional[Finding]:
    """Decides where nothing about labels, levels or booleans fits; a flag otherwise, or when asked to be included."""
    if question.verdict is None or not question.verdict.dontaudit:
        return None
    remedy = Remedy(
        "none", "Leave it refused, unless the workload fails by it: --include-dontaudited writes the rule then."
    )
    why = (
        f"A dontaudit rule covers it: the policy's authors held that {question.source} works without it. It was "
        "logged because dontaudit rules were switched off (semodule -DB)."
    )
    asked = (f"dontaudit {question.source} {question.target}:{question.key.tclass} {question.access.perm}? yes",)
    decides = not (question.settings.include_dontaudited or question.verdict.rule)
    return Finding("dontaudited", remedy, why, "dontaudit", decides, asked, settles=("rule",))
