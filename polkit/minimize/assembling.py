"""From a plan to a module: the rules, types and labels of its decisions, each with the evidence that asked for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Optional

from polkit.minimize.device_commands import command_lines
from polkit.minimize.joining import join_rules
from polkit.model import (
    SELF,
    AccessSet,
    AvRule,
    Decision,
    ModuleInfo,
    ModuleSource,
    OwnDomain,
    Plan,
    Remedy,
    RoleAllow,
    RoleTypes,
    Rule,
    TypeBounds,
    XpermRule,
    iso_time,
)
from polkit.policy import OPERATIONS, Inheritance, TargetPolicy

_SHOWN = 4


def assemble(plan: Plan, name: str, version: str, inheritance: Optional[Inheritance] = None) -> Optional[ModuleSource]:
    """The module that the plan's decisions, predicted ones too, ask for; None when no remedy needs a rule or a label.

    ``inheritance``: the plan's own domain on its policy, where it has one.
    """
    decisions = [one for one in (*plan.decisions, *plan.predicted) if one.remedy.kind != "refuse"]
    rules = join_rules(_narrowed(decisions))
    types = sorted({one for decision in decisions for remedy in _remedies(decision) for one in remedy.types})
    if inheritance is not None:
        types.append(inheritance.declaration)
        rules = (*rules, *inheritance.roles, *inheritance.bounds)
    contexts = sorted({one for decision in decisions for remedy in _remedies(decision) for one in remedy.contexts})
    access = AccessSet(
        types=tuple(types),
        rules=tuple(rule for rule in rules if isinstance(rule, AvRule)),
        xperms=tuple(rule for rule in rules if isinstance(rule, XpermRule)),
        role_allows=tuple(rule for rule in rules if isinstance(rule, RoleAllow)),
        role_types=tuple(rule for rule in rules if isinstance(rule, RoleTypes)),
        bounds=tuple(rule for rule in rules if isinstance(rule, TypeBounds)),
        contexts=tuple(contexts),
    )
    if not access:
        return None
    comments = {one: _comments(one, decisions, rules) for one in (*types, *rules, *contexts)}
    mls = plan.policy.mls if plan.policy is not None else True
    inherited = None
    if inheritance is not None and plan.domain is not None:
        comments[inheritance.declaration] = (_about(plan.domain, inheritance),)
        inherited = inheritance.inherited
    return ModuleSource(name, version, access, comments, _summary(plan), mls, inherited)


def _about(domain: OwnDomain, inheritance: Inheritance) -> str:
    instead = " and ".join(source for source in domain.sources if source != domain.name)
    place = f" in place of {instead}" if instead else ""
    if domain.base is None:
        return (
            f"The module's own domain{place}: it starts from nothing, and runs where {inheritance.inherited.base} does."
        )
    return f"Domain of this module{place}: it inherits from {domain.base}."


def describe_module(
    source: ModuleSource, plan: Plan, policy: TargetPolicy, shared: frozenset[str], files: tuple[str, ...]
) -> ModuleInfo:
    """The module's own figures. Accesses are counted as (source, target, class, permission). What was predicted is
    over-permission: no evidence asks for it.

    ``shared``: domains that the configuration calls shared, besides those the policy shows to be.
    """
    access = source.access
    granted = {
        (domain, target, rule.tclass, perm)
        for rule in access.rules
        if rule.kind == "allow"
        for domain in policy.types(rule.source) or {rule.source}
        for target in _targets(rule, domain, policy)
        for perm in rule.perms
    }
    asked = {one for decision in plan.decisions for one in _asked(decision, plan.domain)}
    beyond = granted - asked
    over = beyond.difference(*(_hidden(decision, policy) for decision in plan.decisions))
    predicted = {one for decision in plan.predicted for one in _asked(decision, plan.domain)}
    predicted = predicted.union(*(_hidden(decision, policy) for decision in plan.predicted))
    own = plan.domain if source.inherited is not None else None
    data = [one for one in access.types if own is None or one.name != own.name]
    structural = sum(policy.structural(declared.attributes).accesses for declared in data)
    structural += source.inherited.beyond if source.inherited is not None else 0
    domains = {domain for domain, _, _, _ in granted}
    widened = tuple(sorted(one for one in domains if one in shared or policy.shared_because(one) is not None))
    return ModuleInfo(
        name=source.name,
        version=source.version,
        domain=own.name if own is not None else None,
        base=own.base if own is not None else None,
        rules=len(access.rules)
        + len(access.xperms)
        + len(access.role_allows)
        + len(access.role_types)
        + len(access.bounds),
        over_permission=len(over),
        dontaudited=len(beyond) - len(over),
        inherited=source.inherited.accesses if source.inherited is not None else 0,
        structural=structural,
        blast_radius=len(domains),
        widened=widened,
        files=files,
        predicted=len(over & predicted),
        boolean_grants=boolean_grants(plan.decisions, policy),
    )


def boolean_grants(decisions: Iterable[Decision], policy: TargetPolicy) -> int:
    """What the booleans that decisions ask for newly allow, all together, in the whole policy."""
    settings: dict[str, bool] = {}
    for decision in decisions:
        for remedy in _remedies(decision):
            if remedy.kind == "boolean" and remedy.options:
                settings.update(remedy.options[0].settings)
    return policy.grants_of(tuple(sorted(settings.items()))).accesses if settings else 0


def _asked(decision: Decision, domain: Optional[OwnDomain]) -> Iterable[tuple[str, str, str, str]]:
    """What the evidence of a decision asks for, on the type its remedy gives the target too.

    What a bounding type lacks is asked for it too. A refused transition under no_new_privs (SELINUX_ERR) asks for the
    process2 permission that would have let it pass.
    """
    sources = {decision.source}
    for cause, remedy in zip((decision.cause, *decision.also), _remedies(decision)):
        sources.update(rule.source for rule in remedy.rules if cause == "bounds" and isinstance(rule, AvRule))
    targets = {decision.target, *(one.name for remedy in _remedies(decision) for one in remedy.types)}
    targets.update(remedy.type for remedy in _remedies(decision) if remedy.type is not None)
    if domain is not None and decision.source in domain.sources:
        sources.add(domain.name)
        targets.update([domain.name] if decision.target == decision.source else [])
    for target in targets:
        yield from ((source, target, decision.tclass, perm) for source in sources for perm in decision.perms)
        if decision.cause == "bounds" and decision.tclass == "process":
            yield (decision.source, target, "process2", "nnp_transition")


def _hidden(decision: Decision, policy: TargetPolicy) -> Iterable[tuple[str, str, str, str]]:
    """What a relabel takes along: hidden on the old label by dontaudit rules, or allowed there, so in no log."""
    for cause, remedy in zip((decision.cause, *decision.also), _remedies(decision)):
        for rule in remedy.rules:
            if cause == "mislabeled" and isinstance(rule, AvRule) and rule.kind == "allow":
                old = (decision.source, decision.target, rule.tclass)
                unseen = policy.dontaudited(*old) | policy.allowed(*old)
                yield from ((rule.source, rule.target, rule.tclass, perm) for perm in unseen.intersection(rule.perms))


def _targets(rule: AvRule, domain: str, policy: TargetPolicy) -> Iterable[str]:
    return {domain} if rule.target == SELF else (policy.types(rule.target) or {rule.target})


def _remedies(decision: Decision) -> tuple[Remedy, ...]:
    return (decision.remedy, *decision.also_remedies)


def _narrowed(decisions: Iterable[Decision]) -> Iterable[Rule]:
    """All rules, less the allowxperm rules on a (source, target, class) where some evidence tells no command.

    There the bare ``allow ... ioctl`` is needed whole, and an allowxperm beside it would cut it off.
    """
    remedies = [remedy for decision in decisions for remedy in _remedies(decision)]
    whole = {
        (rule.source, rule.target, rule.tclass)
        for remedy in remedies
        if remedy.any_command
        for rule in remedy.rules
        if isinstance(rule, AvRule)
    }
    for rule in (rule for remedy in remedies for rule in remedy.rules):
        if not isinstance(rule, XpermRule) or (rule.source, rule.target, rule.tclass) not in whole:
            yield rule


def _comments(one: object, decisions: Iterable[Decision], rules: Iterable[Rule]) -> tuple[str, ...]:
    """Which decisions a rule, type or label is for, each with its evidence in one line; and of a rule on ioctl or nlmsg
    what a reader must know of its commands. Where an allowxperm follows its allow rule, that part stands above it."""
    concerned = [decision for decision in decisions if _concerns(one, decision)]
    lines = [_evidence_line(decision) for decision in concerned if not decision.follows]
    if len(lines) > _SHOWN:
        lines = [*lines[:_SHOWN], f"and {len(lines) - _SHOWN} more decisions"]
    if isinstance(one, AvRule):
        lines += [_evidence_line(decision) for decision in concerned if decision.follows]
    beside = [rule for rule in rules if rule != one and _same_place(one, rule)]
    if isinstance(one, XpermRule):
        lines = [] if any(isinstance(rule, AvRule) for rule in beside) else lines
    elif not _on_commands(one) or any(isinstance(rule, XpermRule) for rule in beside):
        return tuple(lines)
    notes = dict.fromkeys(note for decision in concerned for note in _xperm_notes(one, decision))
    commands = dict.fromkeys(command for decision in concerned for command in decision.device_commands)
    return (*lines, *notes, *command_lines(commands))


def _xperm_notes(one: object, decision: Decision) -> Iterable[str]:
    for remedy in _remedies(decision):
        if remedy.xperm_note and any(_same_place(one, rule) for rule in remedy.rules):
            yield remedy.xperm_note


def _on_commands(one: object) -> bool:
    return isinstance(one, AvRule) and not set(OPERATIONS).isdisjoint(one.perms)


def _same_place(one: object, rule: Rule) -> bool:
    if isinstance(one, (AvRule, XpermRule)) and isinstance(rule, (AvRule, XpermRule)):
        return (one.source, one.target, one.tclass) == (rule.source, rule.target, rule.tclass)
    return False


def _concerns(one: object, decision: Decision) -> bool:
    for remedy in _remedies(decision):
        if one in remedy.types or one in remedy.contexts or any(_same_tuple(one, rule) for rule in remedy.rules):
            return True
    return False


def _same_tuple(one: object, rule: Rule) -> bool:
    if isinstance(one, AvRule) and isinstance(rule, AvRule):
        return (one.kind, one.source, one.target, one.tclass) == (rule.kind, rule.source, rule.target, rule.tclass)
    if isinstance(one, XpermRule) and isinstance(rule, XpermRule):
        return (one.source, one.target, one.tclass) == (rule.source, rule.target, rule.tclass)
    return one == rule


def _evidence_line(decision: Decision) -> str:
    evidence = decision.evidence
    parts = [f"{decision.id} {decision.cause}: {evidence.records} {'denial' if evidence.records == 1 else 'denials'}"]
    if decision.follows:
        perms = " ".join(decision.perms)
        parts = [f"{decision.id} {decision.cause}: {perms} predicted from {', '.join(decision.follows)}, not observed"]
    if evidence.first is not None and evidence.last is not None:
        first, last = iso_time(evidence.first), iso_time(evidence.last)
        parts.append(first if first == last else f"{first} to {last}")
    for word, values in (
        ("comm", evidence.comms),
        ("path", evidence.paths or evidence.names),
        ("syscall", _calls(decision)),
        ("port", tuple(str(port) for port in evidence.ports)),
    ):
        if values:
            more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
            parts.append(f"{word} {', '.join(values[:_SHOWN])}{more}")
    if decision.risk_id:
        parts.append(f"risk {decision.risk} ({decision.risk_id})")
    if decision.chosen_by == "person":
        parts.append(f"chosen by a person ({decision.chosen})")
    return "; ".join(parts)


def _calls(decision: Decision) -> tuple[str, ...]:
    """The system calls; of a predicted decision with their flags, which it rests on (``openat O_RDWR|O_CREAT``)."""
    evidence = decision.evidence
    if not decision.follows or not evidence.calls:
        return evidence.syscalls
    return tuple(call.replace("(", " ").rstrip(")") for call in evidence.calls)


def _summary(plan: Plan) -> tuple[str, ...]:
    lines = [f"From {plan.input.denials} denials: {plan.input.distinct} distinct, {len(plan.decisions)} decisions."]
    if plan.predicted:
        lines.append("Not all of it was observed: where a comment says predicted, no record shows it.")
    if plan.policy is not None:
        lines.append(f"For the target policy with SHA-256 {plan.policy.sha256}.")
    else:
        lines.append("Made without a target policy: nothing here was checked against one.")
    return tuple(lines)
