"""A domain of the module's own in place of a shared one: a rule on ``container_t`` gives it to every container.

Which sources it stands in for is settled before anything is diagnosed. What is diagnosed is still the shared domain's
lack; afterwards every rule that would go onto it goes to the own domain, and what can't have one gets no rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Optional

from polkit.errors import UsageError
from polkit.minimize.causes.boolean import describe
from polkit.minimize.grouping import Diagnosed
from polkit.minimize.joining import join_evidence
from polkit.minimize.ladder import AFTER, Diagnosis, fresh_label
from polkit.minimize.question import NOTHING, Finding, Question, Settings, domain_name
from polkit.minimize.rules_for import rules_for, tells_no_command
from polkit.model import (
    EQUAL,
    SELF,
    UNKNOWN,
    AccessKey,
    AvRule,
    Counted,
    Denials,
    Evidence,
    OwnDomain,
    Remedy,
    Rule,
    XpermRule,
)
from polkit.policy import TargetPolicy, assess

_ON_ANOTHER = frozenset({"bounds", "role"})
"""Causes whose rules are about a bounding type or a role: another domain changes nothing about them."""


def why_shared(policy: TargetPolicy, settings: Settings, source: str) -> Optional[str]:
    """Why unrelated workloads run in a domain, by the policy or by the configuration; None where they don't."""
    if source == domain_name(settings):
        return None
    reason = policy.shared_because(source)
    return "polkit.toml says so (shared_domains)" if reason is None and source in settings.shared else reason


def own_domain(counted: Iterable[Counted], policy: TargetPolicy, settings: Settings) -> Optional[OwnDomain]:
    """The domain that stands in for the shared domains of an input; None where rules go onto the domains in the log.

    Raises UsageError for a base that may not be inherited.
    """
    if settings.extend and settings.base is not None:
        raise UsageError("--extend and --base exclude each other", "Rules go onto the log's domains, or to an own one")
    if policy.info is not None and settings.base not in (None, NOTHING):
        check_base(str(settings.base), policy, settings)
    domain = chosen_domain(counted, policy, settings)
    if domain is not None and domain.base is not None:
        check_base(domain.base, policy, settings)
    return domain


def chosen_domain(counted: Iterable[Counted], policy: TargetPolicy, settings: Settings) -> Optional[OwnDomain]:
    """The same, whether or not its base may be inherited."""
    if settings.extend or policy.info is None:
        return None
    name = domain_name(settings)
    sources = sorted({policy.type_name(one.key.source.type) or one.key.source.type for one in counted})
    shared = [source for source in sources if why_shared(policy, settings, source) is not None]
    if settings.base == NOTHING:
        own = [source for source in sources if source in shared or source == name]
        return OwnDomain(name, None, tuple(own)) if own else None
    if settings.base is not None:
        base = policy.type_name(settings.base) or settings.base
        # A log without the base is meant all the same: of another container domain that the base is to stand in for.
        others = [one for one in shared if policy.is_container_domain(one)] if base not in sources else []
        own = [one for one in sources if one in (base, name, *others)]
        return OwnDomain(name, base, tuple(own)) if own else None
    bases = [policy.type_name(base) for base in settings.bases]
    base_of_log = next((base for base in bases if base is not None and base in shared), None)
    if base_of_log is None and name in sources:  # recorded in the own domain already
        base_of_log = next((base for base in bases if base is not None), None)
    if base_of_log is None:
        return None
    return OwnDomain(name, base_of_log, tuple(one for one in sources if one in (base_of_log, name)))


def check_base(base: str, policy: TargetPolicy, settings: Settings) -> None:
    """Raise UsageError for a base that is not in ``[minimize] bases``, or never may be."""
    refused = why_no_base(base, policy, settings)
    if refused is not None:
        raise UsageError(
            refused,
            "Name one of [minimize] bases (add it in polkit.toml if you mean it), or start from nothing: --base none",
        )


def why_no_base(base: str, policy: TargetPolicy, settings: Settings) -> Optional[str]:
    """Why a domain may not inherit from a base, in a sentence; None where it may."""
    refused = policy.refused_as_base(base)
    if refused is not None:
        return f"no domain may inherit from {base}: {refused}"
    if (policy.type_name(base) or base) not in {policy.type_name(one) or one for one in settings.bases}:
        return f"{base} is not among the bases that may be inherited: {', '.join(settings.bases) or 'none'}"
    return None


def like(domain: OwnDomain, policy: TargetPolicy, settings: Settings) -> Optional[str]:
    """The domain that an own one without a base may be started, signalled and labelled for as; None where the policy
    has none that it could be."""
    for source in (*domain.sources, *settings.bases):
        if source != domain.name and policy.refused_as_base(source) is None:
            return policy.type_name(source)
    return None


def move_to_own_domain(
    diagnosed: Iterable[Diagnosed], domain: Optional[OwnDomain], policy: TargetPolicy, settings: Settings
) -> tuple[Diagnosed, ...]:
    """Every finding with its rules on the own domain where its source is one that it stands in for.

    A rule onto a shared domain that has no stand-in is not written, unless the settings say to extend.
    """
    if settings.extend or policy.info is None:
        return tuple(diagnosed)
    return tuple(_moved(one, domain, settings) for one in diagnosed)


def _moved(one: Diagnosed, domain: Optional[OwnDomain], settings: Settings) -> Diagnosed:
    question, findings = one.question, (one.diagnosis.main, *one.diagnosis.also)
    if domain is not None and question.source in domain.sources:
        main, *also = (_to_domain(each, _question_of(each, findings[0], question), domain) for each in findings)
    else:
        reason = why_shared(question.policy, settings, question.source)
        if reason is None:
            return one
        main, *also = (_without_rule(each, question, reason, question.source in settings.bases) for each in findings)
    return replace(one, diagnosis=Diagnosis(main, tuple(also)))


def _question_of(finding: Finding, main: Finding, question: Question) -> Question:
    """What a finding answers: what would still refuse after a relabel is asked on the type that the relabel gives."""
    if finding is main or main.retarget is None or not finding.reason.startswith(AFTER):
        return question
    return question.at(main.retarget, fresh_label(question.key.levels))


def _to_domain(finding: Finding, question: Question, domain: OwnDomain) -> Finding:
    if finding.cause in _ON_ANOTHER:
        return finding
    if finding.cause == "boolean":
        return _beside_boolean(finding, question, domain)
    rules = tuple(on_own_domain(rule, question, domain) for rule in finding.remedy.rules)
    return replace(finding, remedy=replace(finding.remedy, rules=rules))


def _beside_boolean(finding: Finding, question: Question, domain: OwnDomain) -> Finding:
    """The exact rule for the own domain; the boolean stays as an option, with its price."""
    option = finding.remedy.options[0]
    grants = option.grants
    text = (
        f"Allow exactly what was {question.known_as}, to {domain.name} alone. {describe(option)} would give it too and "
        f"newly allow {grants.accesses} {'access' if grants.accesses == 1 else 'accesses'} of {grants.domains} "
        f"{'domain' if grants.domains == 1 else 'domains'} to {grants.types} {'type' if grants.types == 1 else 'types'}"
        " in the whole policy."
    )
    if grants.refused:
        text += f" Among them what is refused elsewhere: {', '.join(grants.refused[:6])}."
    rules = tuple(on_own_domain(rule, question, domain) for rule in rules_for(question.access))
    remedy = Remedy(
        "allow", text, options=finding.remedy.options, rules=rules, any_command=tells_no_command(question.access)
    )
    access = question.access
    risk = assess(access.source.type, access.target.type, access.tclass, access.perm, question.policy)
    return replace(finding, remedy=remedy, risk=risk)


def on_own_domain(rule: Rule, question: Question, domain: OwnDomain) -> Rule:
    """The rule with the own domain as its source. What the shared domain asked of itself is asked of the own domain
    only where both sides had the same level: at another level it was another container."""
    if not isinstance(rule, (AvRule, XpermRule)) or rule.source != question.source:
        return rule
    other = question.source if rule.target == SELF else rule.target
    to_itself = other in (question.source, domain.name)
    if to_itself and question.key.levels.l1_l2 in (EQUAL, UNKNOWN):
        return replace(rule, source=domain.name, target=SELF)
    return replace(rule, source=domain.name, target=other)


def _without_rule(finding: Finding, question: Question, reason: str, is_base: bool) -> Finding:
    """A shared domain that no own one stands in for gets no rule."""
    if finding.remedy.kind != "allow" or finding.cause in _ON_ANOTHER:
        return finding
    way = (
        f"Make a module of its own for it (--source {question.source})"
        if is_base
        else "Run this workload in a domain of its own (--base none, from a log recorded in an empty permissive domain)"
    )
    text = (
        f"No rule is written onto {question.source}: {reason}, and all of them would get it. {way}, or widen the "
        "shared one with --extend."
    )
    return replace(finding, remedy=Remedy("domain", text, hint=text))


def recorded_on_base(denials: Denials, domain: Optional[OwnDomain], policy: TargetPolicy) -> Denials:
    """The input with the own domain called by its base's name, where it inherits and the policy has no such type: a
    log of the module at work, held against a policy without it."""
    if domain is None or domain.base is None or policy.type_name(domain.name) is not None:
        return denials
    old, new = domain.name, domain.base
    keys: dict[AccessKey, list[Evidence]] = {}
    for one in denials.counted:
        source, target = one.key.source, one.key.target
        key = one.key._replace(
            source=source._replace(type=new) if source.type == old else source,
            target=target._replace(type=new) if target.type == old else target,
        )
        keys.setdefault(key, []).append(one.evidence)
    counted = tuple(Counted(key, join_evidence(found)) for key, found in keys.items())
    return replace(denials, counted=counted)
