"""xperm: the permission is allowed, but the list of its commands is closed and leaves out this very one."""

from __future__ import annotations

from typing import Optional

from polkit.minimize.question import Finding, Question
from polkit.model import Remedy, XpermRule


def examine(question: Question) -> Optional[Finding]:
    """The command is added to the list. A dontauditxperm or auditallowxperm rule closes it as an allowxperm does."""
    xperm = question.access.xperm
    if question.verdict is None or not question.verdict.xperm_refused or xperm is None:
        return None
    rule = XpermRule("allowxperm", question.source, question.target, question.key.tclass, xperm.kind, (xperm.number,))
    text = f"Add the {xperm.kind} command {xperm} to the commands that {question.source} may use there."
    why = (
        f"{question.source} may {xperm.kind} on {question.target}:{question.key.tclass}, but rules on extended "
        f"permissions close the list of commands there, and no allowxperm among them lists {xperm}."
    )
    asked = (f"allowxperm {question.source} {question.target}:{question.key.tclass} {xperm}? no",)
    return Finding("xperm", Remedy("allow", text, rules=(rule,)), why, "xperm", asked=asked)
