"""role: a process would change to a role it may not have, or to a type its role may not have."""

from __future__ import annotations

from typing import Optional

from polkit.minimize.question import Finding, Question
from polkit.model import Remedy, RoleAllow, RoleTypes


def examine(question: Question) -> Optional[Finding]:
    """A role change without ``allow r1 r2``, or a computed context (SELINUX_ERR) whose role lacks the type."""
    if question.key.failure is not None:
        return _invalid_context(question) if question.key.failure.operation == "compute_sid" else None
    if question.verdict is None or question.verdict.role is None:
        return None
    old, new = question.access.source.role, question.access.target.role
    unknown = _unknown_role(question, old, new)
    if unknown is not None:
        return unknown
    text = f"Let the role change: allow {old} {new};"
    remedy = Remedy("allow", text, rules=(RoleAllow(old, new),))
    why = f"The process would change its role from {old} to {new}, and the policy has no role rule for that."
    return Finding("role", remedy, why, "role", asked=(f"role allow {old} {new}? no",))


def _invalid_context(question: Question) -> Finding:
    """What was to be made (a process, a file) would have had a context that the policy does not accept."""
    context, policy = question.access.target, question.policy
    unknown = _unknown_role(question, context.role)
    if unknown is not None:
        return unknown
    asked = (f"role {context.role} types {context.type}?",)
    if policy.role_has_type(context.role, context.type):
        text = (
            f"The policy accepts role {context.role} with type {context.type} now; the SELinux user {context.user} "
            f"may lack the role: semanage user -l shows its roles."
        )
        why = "The kernel computed a context that its policy called invalid; the target policy knows role and type."
        return Finding("role", Remedy("none", text), why, reason="final", asked=(asked[0] + " yes",))
    asked = (asked[0] + " no",)
    why = (
        f"By a type transition {question.source} would have made something in the context {context.user}:"
        f"{context.role}:{context.type}, but the role {context.role} may not have the type {context.type}."
    )
    if question.key.tclass == "process" and not policy.is_domain(context.type):
        text = f"{context.type} is no domain: find the transition or setexec that asks for it and correct that."
        return Finding("role", Remedy("refuse", text), why, reason="final", asked=asked)
    text = f"Let the role have the type: role {context.role} types {context.type};"
    rule = RoleTypes(context.role, context.type)
    return Finding("role", Remedy("allow", text, rules=(rule,)), why, reason="final", asked=asked)


def _unknown_role(question: Question, *roles: str) -> Optional[Finding]:
    """A role that the policy lacks can be in no rule: the module would not link."""
    lacking = [role for role in roles if not question.policy.has_role(role)]
    if not lacking:
        return None
    text = f"No rule can name the role {lacking[0]}: the target policy does not have it."
    why = f"The record names the role {lacking[0]}, so it comes from a host with another policy."
    asked = (f"is {lacking[0]} a role? no",)
    return Finding("role", Remedy("refuse", text), why, "role", asked=asked)
