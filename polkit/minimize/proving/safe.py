"""Safe: the module breaks no rule of the policy that wasn't broken before, and none of the project's own."""

from __future__ import annotations

from polkit.config import Config
from polkit.minimize.gates import breaches
from polkit.model import AccessSet, AvRule, ModuleInfo, ModuleSource, Plan, TypeDeclaration
from polkit.policy import Comparison


def broken_gates(
    plan: Plan, name: str, over_permission: int, comparison: Comparison, config: Config
) -> tuple[str, ...]:
    """One sentence for every ``[gates]`` rule of polkit.toml that the module breaks.

    Judged by what the module does on this policy: a rule on an attribute is a rule on each of its types.
    """
    rules = tuple(AvRule("allow", one.source, one.target, one.tclass, one.perms) for one in comparison.own)
    own = sorted(comparison.changed.type_name(one) or one for one in comparison.declared.types)
    types = tuple(TypeDeclaration(one, tuple(sorted(comparison.changed.attributes(one)))) for one in own)
    source = ModuleSource(name, "0", AccessSet(types=types, rules=rules))
    info = ModuleInfo(
        name=name,
        version="",
        domain=None,
        base=None,
        rules=len(comparison.declared.rules),
        over_permission=over_permission,
        dontaudited=0,
        inherited=0,
        structural=sum(len(one.perms) for one in comparison.structural),
        blast_radius=len({one.source for one in comparison.own}),
        widened=(),
        files=(),
    )
    held = Plan(plan.policy, plan.input, plan.decisions, info, plan.predicted, plan.notes)
    return breaches(held, source, config, comparison.changed)
