"""missing-rule: nothing else explains it, so exactly the observed permission is allowed."""

from __future__ import annotations

from typing import Optional

from polkit.minimize.causes.port_label import why_label_stays
from polkit.minimize.question import Finding, Question
from polkit.minimize.rules_for import rules_for, tells_no_command
from polkit.model import Remedy


def examine(question: Question) -> Optional[Finding]:
    """The last rung. SELINUX_ERR records and unknown names never come this far."""
    if question.verdict is not None and question.verdict.rule:
        return None
    source, target, tclass = question.source, question.target, question.key.tclass
    rules = rules_for(question.access)
    if question.policy.info is None:
        why = "No target policy was given, so nothing could be asked: this is what the log alone says."
        asked: tuple[str, ...] = ()
    else:
        why = f"No rule of the target policy gives {source} {question.access.perm} on {target}:{tclass}."
        why += why_label_stays(question)
        asked = (f"allow {source} {target}:{tclass} {question.access.perm}? no",)
    any_command = tells_no_command(question.access)
    remedy = Remedy("allow", f"Allow exactly what was {question.known_as}.", rules=rules, any_command=any_command)
    return Finding("missing-rule", remedy, why, asked=asked)
