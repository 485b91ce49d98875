"""What a way costs: how many accesses it newly allows, for how many domains, and what else a person should weigh."""

from __future__ import annotations

from collections.abc import Callable

from polkit.minimize.alternatives.ways import Case, counted
from polkit.minimize.grouping import Draft
from polkit.minimize.own_domain import why_shared
from polkit.model import SELF, AvRule, BooleanOption, Cost, Decision, Remedy

Price = Callable[[Draft], Cost]
Vector = tuple[str, str, str, str]
"""(source type, target type, class, permission)."""

_NO_RULE = {
    "level": "It changes no rule: what the two sides run as is to be changed.",
    "domain": "It changes no rule: what runs in the wrong domain is to be mended.",
    "mount": "It changes no rule: how the container is started is to be changed.",
    "relabel": "It changes no rule: puts labels back.",
    "equivalence": "It changes no rule: gives a directory the labels of another.",
    "fcontext": "It changes no rule yet: where the file lies is to be found out first.",
}


def remedies_of(decision: Decision) -> tuple[Remedy, ...]:
    """The remedy and those that stand beside it."""
    return (decision.remedy, *decision.also_remedies)


def rules_cost(case: Case) -> Price:
    """Of exact rules, and of the types that are declared for them."""

    def price(draft: Draft) -> Cost:
        decision = draft.decision
        new = new_accesses(decision, case)
        domains = sorted({vector[0] for vector in new})
        shared = [(one, why_shared(case.policy, case.settings, one)) for one in domains]
        text = " ".join(_shared(one, reason) for one, reason in shared if reason is not None)
        text = text or f"Nobody but {' and '.join(domains)} gets it."
        if not new:
            text = _NO_RULE.get(decision.remedy.kind, "It changes no rule.")
        return Cost(len(new), len(domains), text + _structural(decision, case))

    return price


def shared_cost(case: Case, reason: str) -> Price:
    """Of rules on a shared domain."""

    def price(draft: Draft) -> Cost:
        new = new_accesses(draft.decision, case)
        domains = {vector[0] for vector in new}
        return Cost(len(new), len(domains), _shared(case.first.source, reason))

    return price


def _shared(domain: str, reason: str) -> str:
    return f"Unrelated workloads share {domain}: {reason}."


def new_accesses(decision: Decision, case: Case) -> set[Vector]:
    """What its rules newly allow: neither the policy nor, for a domain of the module's own, its base has it."""
    own = case.domain.name if case.domain is not None else ""
    base = case.domain.base if case.domain is not None else None
    found: set[Vector] = set()
    for rule in (rule for remedy in remedies_of(decision) for rule in remedy.rules):
        if not isinstance(rule, AvRule) or rule.kind != "allow":
            continue
        target = rule.source if rule.target == SELF else rule.target
        source = base if rule.source == own else rule.source
        object_ = source if target == own else target
        given = case.policy.allowed(source, object_ or target, rule.tclass) if source is not None else frozenset()
        found.update((rule.source, target, rule.tclass, perm) for perm in rule.perms if perm not in given)
    return found


def _structural(decision: Decision, case: Case) -> str:
    """What other domains get on the types that it declares."""
    declared = {one.attributes for remedy in remedies_of(decision) for one in remedy.types}
    domains = max((case.reach.structural(case.policy, attributes) for attributes in declared), default=0)
    if not domains:
        return ""
    words = counted(domains, "domain of the policy gets", "domains of the policy get")
    return f" On its new type {words} what they have on every such type."


def boolean_cost(option: BooleanOption) -> Callable[[Draft], Cost]:
    """Of booleans: what they newly allow in the whole policy."""
    grants = option.grants
    text = f"In the whole policy, to {counted(grants.types, 'type')}."
    if grants.refused:
        text += f" Among them what is refused elsewhere: {', '.join(grants.refused[:6])}."
    elif grants.sample:
        text += f" Among them: {', '.join(grants.sample[:4])}."
    return fixed(Cost(grants.accesses, grants.domains, text))


def silent_cost(case: Case) -> Price:
    """Of a dontaudit rule."""
    source = case.domain.name if case.moved and case.domain is not None else case.first.source
    return fixed(Cost(0, 0, f"It hides the refusals of {source} from every log."))


def nothing_cost(text: str = "The workload goes without it.") -> Price:
    """Of leaving it."""
    return fixed(Cost(0, 0, text))


def fixed(cost: Cost) -> Price:
    """A cost that does not depend on the draft."""

    def price(draft: Draft) -> Cost:
        return cost

    return price


def tool_cost(case: Case) -> Price:
    """Of what the tool chose."""
    remedy = case.decision.remedy
    if remedy.kind == "boolean" and remedy.options:
        return boolean_cost(remedy.options[0])
    if remedy.kind in ("none", "refuse"):
        return nothing_cost("Nothing is changed.")
    return rules_cost(case)
