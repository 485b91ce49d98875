"""From denials to a plan: every access of every count is put to the ladder, and the books are checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Optional

from polkit.errors import AccountingError
from polkit.minimize.alternatives import Chooser, ask
from polkit.minimize.choosing import choose_booleans
from polkit.minimize.commands import settle_commands
from polkit.minimize.device_commands import unmeasured_notes, with_device_commands
from polkit.minimize.grouping import Decided, Diagnosed, Draft, gate, group
from polkit.minimize.ladder import diagnose
from polkit.minimize.own_domain import like, move_to_own_domain, own_domain, recorded_on_base
from polkit.minimize.own_types import own_types
from polkit.minimize.predicting import as_predicted, predicted_questions, tells_calls, with_predicted
from polkit.minimize.question import OwnTypes, Question, Settings
from polkit.model import SAMPLE, Counted, Decision, Denials, OwnDomain, Party, Plan
from polkit.policy import Access, TargetPolicy

_XPERM_PERMISSIONS = {"ioctl": "ioctl", "nlmsg": "nlmsg"}


def make_plan(denials: Denials, policy: TargetPolicy, settings: Settings, chooser: Optional[Chooser] = None) -> Plan:
    """All decisions for one input against one policy; with a chooser each has its alternatives, and one may be taken.

    Raises AccountingError when an access of the input is in no decision, or in two.
    """
    domain = own_domain(denials.counted, policy, settings)
    decided = decide_all(denials, policy, settings, domain, chooser)
    observed = [one for one in decided if not one.decision.follows]
    decisions = with_device_commands(observed, denials.counted, policy)
    predicted = tuple(one.decision for one in decided if one.decision.follows)
    domain = domain if domain is not None and _has_rules((*decisions, *predicted), domain.name) else None
    notes = (
        *_notes(denials, policy),
        *_domain_notes(decisions, domain, policy),
        *_prediction_notes(denials, settings),
        *unmeasured_notes(decisions),
    )
    return Plan(policy.info, denials.summary, decisions, predicted=predicted, notes=notes, domain=domain)


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


def _prediction_notes(denials: Denials, settings: Settings) -> Iterator[str]:
    """Why nothing could be predicted, where nothing could."""
    if settings.predict and denials.counted and not tells_calls(denials.counted):
        yield (
            "no SYSCALL record stands beside any denial, so nothing could be predicted: auditd's rule `-a task,never`, "
            "which many distributions set, keeps them out, as do kernel logs and the journal"
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
    denials: Denials,
    policy: TargetPolicy,
    settings: Settings,
    domain: Optional[OwnDomain],
    chooser: Optional[Chooser] = None,
) -> tuple[Decided, ...]:
    """The decisions of ``make_plan``, each with the diagnosed permissions behind it; predicted ones last, where the
    settings ask for them. ``domain``: of ``own_domain``. Without a chooser no alternatives are looked for."""
    denials = recorded_on_base(denials, domain, policy)
    if domain is not None and domain.base is None:
        policy = policy.with_domain(domain.name, like(domain, policy, settings))
    labelled_for = with_predicted(denials.counted) if settings.predict else denials.counted
    own = own_types(labelled_for, policy, settings)
    questions = [question for counted in denials.counted for question in _questions(counted, policy, settings, own)]
    drafts = _drafts([Diagnosed(question, diagnose(question)) for question in questions], domain, policy, settings)
    decided = tuple(Decided(gate(draft, settings.accepted), draft.parts) for draft in drafts)
    spread = sum(one.decision.evidence.accesses for one in decided)
    if spread != denials.summary.accesses:
        raise AccountingError(
            f"{denials.summary.accesses} accesses were read and {spread} decided",
            "This is a defect of polkit; please report it with the log",
        )
    if chooser is not None:
        decided = ask(chooser, decided, domain, policy, settings)
    return (*decided, *_predicted(decided, own, domain, policy, settings)) if settings.predict else decided


def _drafts(
    diagnosed: Sequence[Diagnosed], domain: Optional[OwnDomain], policy: TargetPolicy, settings: Settings
) -> tuple[Draft, ...]:
    """What was diagnosed as decisions: booleans chosen, rules on the domain they are for, commands settled."""
    placed = move_to_own_domain(choose_booleans(diagnosed), domain, policy, settings)
    return group(settle_commands(placed, domain, policy))


def _predicted(
    decided: tuple[Decided, ...],
    own: OwnTypes,
    domain: Optional[OwnDomain],
    policy: TargetPolicy,
    settings: Settings,
) -> Iterator[Decided]:
    """What follows from the decisions and will still be refused, decided like everything else."""
    questions = predicted_questions(decided, policy, own, domain)
    diagnosed = [Diagnosed(question, diagnose(question)) for question in questions]
    refused = [one for one in diagnosed if one.diagnosis.main.cause != "already-allowed"]
    for number, draft in enumerate(_drafts(refused, domain, policy, settings), 1):
        predicted = as_predicted(draft, number)
        yield Decided(gate(predicted, settings.accepted), predicted.parts)


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
