"""From denials to a plan: every access of every count is put to the ladder, and the books are checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Optional

from polkit.errors import AccountingError
from polkit.minimize.choosing import choose_booleans
from polkit.minimize.commands import settle_commands
from polkit.minimize.grouping import Decided, Diagnosed, gate, group
from polkit.minimize.ladder import diagnose
from polkit.minimize.own_domain import like, move_to_own_domain, own_domain, recorded_on_base
from polkit.minimize.own_types import own_types
from polkit.minimize.question import OwnTypes, Question, Settings
from polkit.model import SAMPLE, Counted, Decision, Denials, OwnDomain, Party, Plan
from polkit.policy import Access, TargetPolicy

_XPERM_PERMISSIONS = {"ioctl": "ioctl", "nlmsg": "nlmsg"}


def make_plan(denials: Denials, policy: TargetPolicy, settings: Settings) -> Plan:
    """All decisions for one input against one policy.

    Raises AccountingError when an access of the input is in no decision, or in two.
    """
    domain = own_domain(denials.counted, policy, settings)
    decided = decide_all(denials, policy, settings, domain)
    decisions = tuple(one.decision for one in decided)
    domain = domain if domain is not None and _has_rules(decisions, domain.name) else None
    notes = (*_notes(denials, policy), *_domain_notes(decisions, domain, policy))
    return Plan(policy.info, denials.summary, decisions, notes=notes, domain=domain)


def _has_rules(decisions: Iterable[Decision], source: str) -> bool:
    return any(
        getattr(rule, "source", None) == source
        for decision in decisions
        for remedy in (decision.remedy, *decision.also_remedies)
        for rule in remedy.rules
    )


def _domain_notes(decisions: Iterable[Decision], domain: Optional[OwnDomain], policy: TargetPolicy) -> Iterator[str]:
    """What the evidence can't tell a domain that starts from nothing."""
    if domain is None or domain.base is not None:
        return
    had_rules = [source for source in domain.sources if source != domain.name and policy.is_domain(source)]
    if had_rules:
        yield (
            f"{domain.name} starts from nothing, and this log comes from {', '.join(had_rules)}, which had rules: what "
            f"it may do anyway is in no log, and stays refused. Record the workload in an empty permissive domain."
        )


def _notes(denials: Denials, policy: TargetPolicy) -> tuple[str, ...]:
    """What a reader of the plan must know about its evidence, and what the policy could not be asked."""
    notes = []
    cut = sum(len(one.evidence.paths) >= SAMPLE for one in denials.counted)
    if cut:
        notes.append(
            f"{cut} counts have more paths than the {SAMPLE} that are kept of each: directories may be missing"
        )
    if denials.counted and policy.info is not None and not policy.knows_neverallows:
        notes.append("no module store beside the policy: its neverallow rules are not known (--store)")
    return tuple(notes)


def decide_all(
    denials: Denials, policy: TargetPolicy, settings: Settings, domain: Optional[OwnDomain]
) -> tuple[Decided, ...]:
    """The decisions of ``make_plan``, each with the diagnosed permissions behind it. ``domain``: of ``own_domain``."""
    denials = recorded_on_base(denials, domain, policy)
    if domain is not None and domain.base is None and policy.type_name(domain.name) is None:
        policy = policy.with_domain(domain.name, like(domain, policy, settings))
    own = own_types(denials.counted, policy, settings)
    diagnosed = [
        Diagnosed(question, diagnose(question))
        for counted in denials.counted
        for question in _questions(counted, policy, settings, own)
    ]
    placed = move_to_own_domain(choose_booleans(diagnosed), domain, policy, settings)
    drafts = group(settle_commands(placed, domain, policy))
    decided = tuple(Decided(gate(draft, settings.accepted), draft.parts) for draft in drafts)
    spread = sum(one.decision.evidence.accesses for one in decided)
    if spread != denials.summary.accesses:
        raise AccountingError(
            f"{denials.summary.accesses} accesses were read and {spread} decided",
            "This is a defect of polkit; please report it with the log",
        )
    return decided


def _questions(counted: Counted, policy: TargetPolicy, settings: Settings, own: OwnTypes) -> list[Question]:
    """One question a permission of the count; the verdict is left out where the policy lacks a name."""
    key = counted.key
    source, target = _known(key.source, policy), _known(key.target, policy)
    questions = []
    for perm in key.perms:
        xperm = key.xperm if key.xperm is not None and _XPERM_PERMISSIONS.get(perm) == key.xperm.kind else None
        access = Access(source or key.source, target or key.target, key.tclass, perm, key.levels, xperm)
        known = source is not None and target is not None and policy.has_class(key.tclass)
        askable = known and key.failure is None and perm in policy.permissions(key.tclass)
        verdict = policy.decide(access) if askable else None
        questions.append(Question(key, counted.evidence, access, policy, settings, own, verdict))
    return questions


def _known(party: Party, policy: TargetPolicy) -> Optional[Party]:
    """The party with its type's canonical name; None for a type that the policy lacks."""
    name = policy.type_name(party.type)
    return None if name is None else Party(party.user, party.role, name)
