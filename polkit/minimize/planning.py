"""From denials to a plan: every access of every count is put to the ladder, and the books are checked."""

from __future__ import annotations

from polkit.errors import AccountingError
from polkit.minimize.choosing import choose_booleans
from polkit.minimize.grouping import Diagnosed, gate, group
from polkit.minimize.ladder import diagnose
from polkit.minimize.own_labels import own_labels
from polkit.minimize.question import LabelTree, Question, Settings
from polkit.model import Counted, Denials, Party, Plan
from polkit.policy import Access, TargetPolicy

_XPERM_PERMISSIONS = {"ioctl": "ioctl", "nlmsg": "nlmsg"}


def make_plan(denials: Denials, policy: TargetPolicy, settings: Settings) -> Plan:
    """All decisions for one input against one policy.

    Raises AccountingError when an access of the input is in no decision, or in two.
    """
    trees = own_labels(denials.counted, policy, settings)
    diagnosed = [
        Diagnosed(question, diagnose(question))
        for counted in denials.counted
        for question in _questions(counted, policy, settings, trees)
    ]
    decisions = tuple(gate(draft, settings.accepted) for draft in group(choose_booleans(diagnosed)))
    spread = sum(decision.evidence.accesses for decision in decisions)
    if spread != denials.summary.accesses:
        raise AccountingError(
            f"{denials.summary.accesses} accesses were read and {spread} decided",
            "This is a defect of polkit; please report it with the log",
        )
    return Plan(policy.info, denials.summary, decisions)


def _questions(
    counted: Counted, policy: TargetPolicy, settings: Settings, trees: dict[str, LabelTree]
) -> list[Question]:
    """One question a permission of the count; the verdict is left out where the policy lacks a name."""
    key = counted.key
    source, target = _known(key.source, policy), _known(key.target, policy)
    questions = []
    for perm in key.perms:
        xperm = key.xperm if key.xperm is not None and _XPERM_PERMISSIONS.get(perm) == key.xperm.kind else None
        access = Access(source or key.source, target or key.target, key.tclass, perm, key.levels, xperm)
        known = source is not None and target is not None and policy.has_class(key.tclass)
        askable = known and key.failure is None and (policy.info is None or perm in policy.permissions(key.tclass))
        verdict = policy.decide(access) if askable else None
        questions.append(Question(key, counted.evidence, access, policy, settings, trees, verdict))
    return questions


def _known(party: Party, policy: TargetPolicy) -> Party | None:
    """The party with its type's canonical name; None for a type that the policy lacks."""
    name = policy.type_name(party.type)
    return None if name is None else Party(party.user, party.role, name)
