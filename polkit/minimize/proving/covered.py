"""Covered: what the evidence needs is allowed, on libsepol's word and on that of our own evaluator.

libsepol knows no extended permissions, so they are our evaluator's alone. libsepol has the booleans as the policy
sets them, our evaluator as ``--booleans`` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from polkit.minimize.proving.needs import EvidenceAccess, Need
from polkit.minimize.proving.proof import Extra, Uncovered
from polkit.model import RoleAllow, RoleTypes, Rule, TypeBounds
from polkit.policy import Oracle, TargetPolicy, Verdict

_INVALID = ("BADSCON", "BADTCON", "BADCOMPUTE")


def uncovered(
    evidence: Iterable[EvidenceAccess], policy: TargetPolicy, statements: frozenset[str], oracle: Oracle
) -> list[tuple[EvidenceAccess, tuple[Uncovered, ...]]]:
    """For each access of the evidence whose remedy holds a rule, what of it ``policy`` refuses; nothing where it is
    covered. ``oracle`` holds the same policy, ``statements`` its statements on roles and bounds as text."""
    asked: dict[Need, str] = {}
    found: list[tuple[EvidenceAccess, tuple[Uncovered, ...]]] = []
    for one in evidence:
        if not one.holds_rule:
            continue
        refused = []
        for need in one.needs:
            if need not in asked:
                asked[need] = refusal(need, policy, oracle)
            if asked[need]:
                access = need.access
                xperm = str(access.xperm) if access.xperm is not None else ""
                refused.append(Uncovered(one.decision, *need.vector[:3], access.perm, xperm, asked[need]))
        for rule in one.statements:
            text = statement_text(rule)
            if text not in statements:
                refused.append(Uncovered(one.decision, "", "", "", "", "", "the statement is missing", text))
        found.append((one, tuple(refused)))
    return found


def allowed_already(evidence: Iterable[EvidenceAccess], baseline: TargetPolicy, oracle: Oracle) -> tuple[Extra, ...]:
    """What the evidence needs and the policy without the module allows, on libsepol's word: no rule is needed for it.

    An access on a type that the baseline lacks can't be allowed there.
    """
    needs = dict.fromkeys(need for one in evidence if one.holds_rule for need in one.needs)
    return tuple(
        Extra("base", *need.vector[:3], perms=(need.access.perm,), text="libsepol allows it without the module")
        for need in needs
        if not refusal(need, baseline, oracle)
    )


def refusal(need: Need, policy: TargetPolicy, oracle: Oracle) -> str:
    """Why an access is refused, in a few words; empty when it is allowed."""
    access = need.access
    if policy.type_name(access.source.type) is None or policy.type_name(access.target.type) is None:
        return "the policy with the module has no such type"
    verdict = policy.decide(access)
    if not verdict.allowed:
        return _reason(verdict)
    if need.any_command and policy.has_xperm_rule(*need.vector[:3]):
        return "an allowxperm rule leaves commands out, and the evidence does not tell which it needs"
    answer = oracle.ask(*_contexts(need, policy), access.tclass, (access.perm,))
    if answer.kind in _INVALID:  # a user or role of another host: the rest can be asked all the same
        answer = oracle.ask(*_contexts(need, policy, plain=True), access.tclass, (access.perm,))
    if answer.kind == "ALLOW" or _as_given(answer.booleans, policy.booleans):
        return ""
    return f"libsepol refuses it ({answer.kind})" + (f": {answer.constraint.strip()}" if answer.constraint else "")


def _as_given(needed: Iterable[tuple[str, bool]], state: Mapping[str, bool]) -> bool:
    """One of the booleans that libsepol wants turned is turned on the host the log is from."""
    return any(state.get(name) == value for name, value in needed)


def _reason(verdict: Verdict) -> str:
    if not verdict.rule:
        return "no rule allows it"
    if verdict.xperm_refused:
        return "an allowxperm rule leaves this command out"
    if verdict.constraints:
        return f"a constraint refuses it: {verdict.constraints[0].text}"
    if verdict.bounds:
        return f"its bounding type {verdict.bounds} may not do it"
    return verdict.role or "it is refused"


def _contexts(need: Need, policy: TargetPolicy, plain: bool = False) -> tuple[str, str]:
    """Both contexts as texts; ``plain``: with users and roles that every policy has."""
    mls = policy.info is not None and policy.info.mls
    texts = []
    for party, level in zip((need.access.source, need.access.target), need.levels):
        user, role = party.user, party.role
        if plain:
            user, role = "system_u", "object_r" if role == "object_r" else "system_r"
        texts.append(f"{user}:{role}:{party.type}" + (f":{level}" if mls else ""))
    return texts[0], texts[1]


def statement_text(rule: Rule) -> str:
    """A rule on roles or bounds as the policy's statements have it."""
    if isinstance(rule, RoleAllow):
        return f"allow {rule.source} {rule.target};"
    if isinstance(rule, RoleTypes):
        return f"role {rule.role} types {rule.type};"
    if isinstance(rule, TypeBounds):
        return f"typebounds {rule.parent} {rule.child};"
    raise TypeError(f"{type(rule).__name__} is no statement on roles or bounds")
