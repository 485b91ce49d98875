"""Why a policy refuses one access: every reason, not only the first.

Follows kernel ``ss/services.c`` ``context_struct_compute_av``: type enforcement and extended permissions, then
constraints, then the role change of a process transition, then type bounds. The kernel stops a permission at the
first that refuses; here each is asked on its own, since a person has to clear them all.
"""

from __future__ import annotations

from typing import Optional

from polkit.model import Party
from polkit.policy.constraints import Asked, refusals
from polkit.policy.interface import Access, Verdict
from polkit.policy.rules import Rules

_TRANSITIONS = ("transition", "dyntransition")


def decide(rules: Rules, access: Access) -> Verdict:
    """Every blocking reason for an access. A name the policy doesn't know is refused for want of a rule."""
    facts = rules.facts
    source = access.source._replace(type=facts.canonical(access.source.type))
    target = access.target._replace(type=facts.canonical(access.target.type))
    return _decide(rules, access, source, target)


def _decide(rules: Rules, access: Access, source: Party, target: Party) -> Verdict:
    tclass, perm = access.tclass, access.perm
    bit = rules.bit(tclass, perm)
    rule = bool(rules.allowed(source.type, target.type, tclass) & bit)
    booleans = () if rule else rules.booleans_for(source.type, target.type, tclass, bit)
    asked = Asked(source, target, access.levels, rules.facts.dominated)
    constraints = refusals(rules.facts.constraints.get(tclass, ()), perm, asked)
    role = _role_refusal(rules, tclass, perm, source, target)
    xperm = access.xperm if access.xperm is not None and access.xperm.kind == perm else None
    silenced = bool(rules.dontaudited(source.type, target.type, tclass) & bit)
    return Verdict(
        rule=rule,
        booleans=booleans,
        constraints=constraints,
        bounds=_bounds_refusal(rules, access, source, target, bool(constraints or role)) if rule else None,
        role=role,
        xperm_refused=rule and xperm is not None and rules.xperm_refused(source.type, target.type, tclass, xperm),
        dontaudit=silenced or (xperm is not None and rules.xperm_dontaudited(source.type, target.type, tclass, xperm)),
    )


def _role_refusal(rules: Rules, tclass: str, perm: str, source: Party, target: Party) -> Optional[str]:
    """Kernel: a transition that changes the role needs ``allow r1 r2``."""
    if tclass != "process" or perm not in _TRANSITIONS or source.role == target.role:
        return None
    if (source.role, target.role) in rules.facts.role_allows:
        return None
    return f"no rule allows role {source.role} to become {target.role} (allow {source.role} {target.role};)"


def _bounds_refusal(rules: Rules, access: Access, source: Party, target: Party, refused_already: bool) -> Optional[str]:
    """Kernel ``type_attribute_bounds_av``: what the bounding type may not do (on the target's bounding type, where
    that has one), the bounded type may not. A constraint or role that refuses the bounded type itself as well is
    not blamed on the bounds.
    """
    bounds = rules.facts.bounds
    parent = bounds.get(source.type)
    if parent is None:
        return None
    above = target._replace(type=bounds.get(target.type, target.type))
    verdict = _decide(rules, access, source._replace(type=parent), above)
    if not verdict.rule:
        return parent
    if verdict.bounds:
        return verdict.bounds
    refused = verdict.role or any(not failed.unknown for failed in verdict.constraints)
    return parent if refused and not refused_already else None
