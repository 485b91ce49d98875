"""The rules a project sets itself in ``polkit.toml`` ``[gates]``, held against a plan and its module."""

from __future__ import annotations

from typing import Optional

from polkit.config import Gates
from polkit.model import RISKS, ModuleSource, Plan


def breaches(plan: Plan, source: Optional[ModuleSource], gates: Gates) -> tuple[str, ...]:
    """One sentence for every gate that the plan or its module breaks."""
    return (*_risk(plan, gates), *_over_permission(plan, gates), *_forbidden(source, gates))


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
