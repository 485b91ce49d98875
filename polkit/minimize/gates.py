"""The rules a project sets itself in ``polkit.toml`` ``[gates]``, held against a plan and its module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Optional

from polkit.config import Config, Forbid, Gates
from polkit.minimize.forbidden import Forbidden, GateNames, allow_text, gate_name
from polkit.model import RISKS, SELF, AvRule, ModuleSource, Plan
from polkit.policy import TargetPolicy, load_policy


def breaches(
    plan: Plan, source: Optional[ModuleSource], config: Config, policy: Optional[TargetPolicy] = None
) -> tuple[str, ...]:
    """One sentence for every gate that the plan or its module breaks.

    ``policy`` tells which types the names in a gate and in a rule stand for; without one every name is a type.
    """
    gates = config.gates
    own = {} if source is None else {one.name: one.attributes for one in source.access.types}
    names = GateNames(load_policy("none") if policy is None else policy, own)
    rules = () if source is None else tuple(one for one in source.access.rules if one.kind == "allow")
    return (
        *_risk(plan, gates),
        *_over_permission(plan, gates),
        *_forbidden(source, gates),
        *_forbidden_accesses(rules, gates, names),
        *_to_shared(rules, config, names),
    )


def _risk(plan: Plan, gates: Gates) -> tuple[str, ...]:
    if gates.max_risk is None:
        return ()
    allowed = RISKS.index(gates.max_risk)
    return tuple(
        f"{decision.id}: risk {decision.risk} ({decision.risk_id}) is above max_risk = {gates.max_risk}"
        for decision in (*plan.decisions, *plan.predicted)
        if decision.remedy.kind != "refuse" and RISKS.index(decision.risk) > allowed
    )


def _over_permission(plan: Plan, gates: Gates) -> tuple[str, ...]:
    if plan.module is None or gates.max_over_permission is None:
        return ()
    if plan.module.over_permission <= gates.max_over_permission:
        return ()
    return (f"over_permission {plan.module.over_permission} is above {gates.max_over_permission:g}",)


def _forbidden(source: Optional[ModuleSource], gates: Gates) -> tuple[str, ...]:
    if source is None:
        return ()
    targets = {rule.target for rule in source.access.rules} | {rule.target for rule in source.access.xperms}
    forbidden = sorted(targets.intersection(gates.forbid_rules_on))
    return tuple(f"the module has a rule on {type_} (forbid_rules_on)" for type_ in forbidden)


def _forbidden_accesses(rules: tuple[AvRule, ...], gates: Gates, names: GateNames) -> Iterator[str]:
    """What is forbidden, and what must be denied where its target is named. A rule on an attribute is one on each of
    its types; it is told as it is written."""
    for number, gate in enumerate(gates.forbid, 1):
        for text in _broken_by(rules, Forbidden(gate, names), names):
            yield f"{text} is forbidden ({gate_name(gate.title, 'forbid', number)})"
    for number, denied in enumerate(gates.denied, 1):
        if denied.target:
            same = Forbid("", denied.source, denied.target, (denied.tclass,), denied.perms, denied.besides)
            for text in _broken_by(rules, Forbidden(same, names), names):
                yield f"{text} must be denied ({gate_name(denied.title, 'denied', number)})"


def _broken_by(rules: tuple[AvRule, ...], forbidden: Forbidden, names: GateNames) -> Iterator[str]:
    for rule in rules:
        found: set[str] = set()
        for source in names.types((rule.source,)):
            targets = (source,) if rule.target == SELF else names.types((rule.target,))
            for target in targets:
                found.update(forbidden.perms(source, target, rule.tclass, rule.perms))
        if found:
            yield allow_text(rule.source, rule.target, rule.tclass, sorted(found))


def _to_shared(rules: tuple[AvRule, ...], config: Config, names: GateNames) -> Iterator[str]:
    if not config.gates.no_new_grants_to_shared:
        return
    for source in sorted({type_ for rule in rules for type_ in names.types((rule.source,))} - names.own.keys()):
        reason = names.policy.shared_because(source)
        if reason is None and source in config.minimize.shared_domains:
            reason = "polkit.toml says so (shared_domains)"
        if reason is not None:
            yield f"the module has a rule for {source}, a shared domain: {reason} (no_new_grants_to_shared)"
