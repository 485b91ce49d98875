"""Names that belong to somebody else: the module's types and its own name must not be the policy's."""

from __future__ import annotations

from polkit.errors import UsageError
from polkit.model import Decision, Plan
from polkit.policy import TargetPolicy

PRIORITY = 200
"""Where modules of third parties go (100 is the distribution's, 400 the administrator's); semodule(8)."""


def check_names(plan: Plan, policy: TargetPolicy, name: str) -> tuple[str, ...]:
    """What to tell about an earlier module of the same name, if anything.

    Raises UsageError where the store has a module of this name that is not ours to replace, or the policy a type that
    the module would call its own.
    """
    priorities = policy.module_priorities(name)
    foreign = [priority for priority in priorities if priority != PRIORITY]
    if foreign:
        raise UsageError(
            f"the module store has a module {name} already, at priority {foreign[0]}; ours would hide it",
            "Choose another name with -n",
        )
    if PRIORITY in priorities:
        return (
            f"The store has a module {name} at priority {PRIORITY}: installing this one will replace it, rules "
            "included. Generate from the logs of both rounds.",
        )
    own = set() if plan.domain is None else {plan.domain.name}
    for declared in sorted(own.union(*(_declared(decision) for decision in (*plan.decisions, *plan.predicted)))):
        if policy.info is not None and policy.type_name(declared) is not None:  # without a policy every name is known
            raise UsageError(f"the policy has a type {declared} already", "Choose another name with -n")
    return ()


def _declared(decision: Decision) -> set[str]:
    return {one.name for remedy in (decision.remedy, *decision.also_remedies) for one in remedy.types}
