"""bounds: the type is bounded by another that lacks the permission, so the kernel takes it away (typebounds)."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from polkit.minimize.question import Finding, Question
from polkit.minimize.rules_for import rules_for, tells_no_command
from polkit.model import AvRule, Remedy, Rule, TypeBounds


def examine(question: Question) -> Optional[Finding]:
    """A permission masked by a typebounds statement, or a transition to a type that its old one does not bound."""
    failure = question.key.failure
    if failure is not None:
        return _bounded_transition(question) if failure.operation == "bounded_transition" else None
    if question.verdict is None or question.verdict.bounds is None:
        return None
    parent = question.verdict.bounds
    above = replace(question.access, source=question.access.source._replace(type=parent))
    rules = rules_for(above, question.target)
    text = f"Give the bounding type {parent} the permission too, or take {question.source} out of its bounds."
    why = (
        f"{question.source} has the rule, but it is bounded by {parent}, which lacks it: a bounded type never gets "
        "more than its bounding type (typebounds)."
    )
    asked = (f"typebounds {parent} {question.source}? {parent} lacks {question.access.perm}",)
    remedy = Remedy("allow", text, rules=rules, any_command=tells_no_command(above))
    return Finding("bounds", remedy, why, "bounds", asked=asked)


def _bounded_transition(question: Question) -> Finding:
    """Two ways out: leave to make the transition (kernels since 4.14, class process2), or a typebounds statement.

    Source: the kernel's ``check_nnp_nosuid`` in security/selinux/hooks.c, which asks for process2 first.
    """
    source, target = question.source, question.target
    why = (
        f"{target} is not bounded by {source}, and the transition was asked for under no_new_privs, on a nosuid "
        "mount, or by one thread of several."
    )
    if "nnp_transition" in question.policy.permissions("process2"):
        rule: Rule = AvRule("allow", source, target, "process2", ("nnp_transition",))
        text = (
            "Allow the transition under no_new_privs; if it was one thread of several that changed its own context, "
            f"only bounds help: typebounds {source} {target}."
        )
    else:
        rule = TypeBounds(source, target)
        text = f"Bound the new type by the old one; it then never gets more than {source} has."
    return Finding("bounds", Remedy("allow", text, rules=(rule,)), why, reason="final")
