"""What the evidence needs: for each access, what the rules of its remedy must give."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from polkit.minimize.grouping import Decided, Diagnosed
from polkit.minimize.ladder import fresh_label
from polkit.minimize.question import Finding
from polkit.model import EQUAL_LEVELS, SELF, UNKNOWN_LEVELS, AvRule, Party, Remedy, Rule, XpermRule
from polkit.policy import Access

_OBJECT = Party("system_u", "object_r", "")


@dataclass(frozen=True)
class Need:
    """One access that must be allowed, on the types that the remedies give. ``levels`` are texts, source and target.

    ``any_command``: all ioctl or nlmsg commands are needed: the record doesn't tell which it was, or to list it would
    take others away.
    """

    access: Access
    levels: tuple[str, str]
    any_command: bool = False

    @property
    def vector(self) -> tuple[str, str, str, str]:
        """(source type, target type, class, permission)."""
        return (self.access.source.type, self.access.target.type, self.access.tclass, self.access.perm)


@dataclass(frozen=True)
class EvidenceAccess:
    """One permission of the evidence, asked for ``records`` times, with what its remedies' rules must give.

    ``elsewhere`` is the kind of its remedy where no rule is part of it, or none is enough without another user or
    role; else empty. ``hidden`` are permissions that the old label kept out of the log, and that come along with a
    relabel; ``statements`` rules on roles and bounds;
    ``silenced`` is what a dontaudit rule of the remedy hides, where a person chose so.
    """

    decision: str
    question: Access
    records: int
    needs: tuple[Need, ...]
    hidden: frozenset[tuple[str, str, str, str]]
    statements: tuple[Rule, ...]
    elsewhere: str
    silenced: frozenset[tuple[str, str, str, str]] = frozenset()

    @property
    def holds_rule(self) -> bool:
        """Its remedy is, or carries, a rule."""
        return not self.elsewhere


def evidence_accesses(decided: Iterable[Decided]) -> Iterator[EvidenceAccess]:
    """Every permission of every denial, in the order of the decisions."""
    for one in decided:
        remedies = (one.decision.remedy, *one.decision.also_remedies)
        for part in one.parts:
            yield _evidence_access(one.decision.id, part, remedies)


def _evidence_access(decision: str, part: Diagnosed, remedies: tuple[Remedy, ...]) -> EvidenceAccess:
    findings = (part.diagnosis.main, *part.diagnosis.also)
    refused = remedies[0].kind == "refuse"
    granted = [one for one, remedy in zip(findings, remedies) if not refused and remedy.kind != "refuse"]
    equal = any(one.remedy.kind == "level" for one in granted)
    needs: list[Need] = []
    hidden: set[tuple[str, str, str, str]] = set()
    silenced: set[tuple[str, str, str, str]] = set()
    statements: list[Rule] = []
    for finding in granted:
        for rule in finding.remedy.rules:
            if isinstance(rule, AvRule) and rule.kind == "dontaudit":
                target = rule.source if rule.target == SELF else rule.target
                silenced.update((rule.source, target, rule.tclass, perm) for perm in rule.perms)
            elif isinstance(rule, (AvRule, XpermRule)):
                _add_rule(rule, part, finding, equal, needs, hidden)
            else:
                statements.append(rule)
    elsewhere = "" if needs or statements else remedies[0].kind
    if any(one.cause == "constraint" and one.remedy.kind == "domain" for one in granted):
        elsewhere = "domain"  # no module changes the user or role that a constraint refuses
    return EvidenceAccess(
        decision=decision,
        question=part.question.access,
        records=part.question.evidence.records,
        needs=tuple(dict.fromkeys(needs)),
        hidden=frozenset(hidden),
        statements=tuple(statements),
        elsewhere=elsewhere,
        silenced=frozenset(silenced),
    )


def _add_rule(
    rule: AvRule | XpermRule,
    part: Diagnosed,
    finding: Finding,
    equal: bool,
    needs: list[Need],
    hidden: set[tuple[str, str, str, str]],
) -> None:
    """The accesses of a remedy's rule: what was asked for, and (of a relabel) what is taken along from the old label.

    A rule on commands stands for the access with the command that was refused, as does the rule it narrows.
    """
    asked = part.question.access
    source = asked.source._replace(type=rule.source)
    target = source if rule.target == SELF else _target(asked, rule.target)
    moved = rule.target not in (SELF, asked.target.type)
    for perm in rule.perms if isinstance(rule, AvRule) else (rule.operation,):
        if finding.cause == "mislabeled" and (perm, rule.tclass) != (asked.perm, asked.tclass):
            hidden.add((rule.source, target.type, rule.tclass, perm))
            continue
        access = replace(asked, source=source, target=target, tclass=rule.tclass, perm=perm)
        told = perm == asked.perm and not finding.remedy.any_command
        access = replace(access, xperm=asked.xperm if told else None)
        needs.append(_need(access, part, equal, moved))


def _target(asked: Access, type_: str) -> Party:
    return asked.target if type_ == asked.target.type else _OBJECT._replace(type=type_)


def _need(access: Access, part: Diagnosed, equal: bool, moved: bool) -> Need:
    """With the levels of the evidence; equal ones where a level remedy makes them so, or where none are known; and
    those of a fresh label where the target gets a new type."""
    source, target = _sample_levels(part)
    relations = access.levels
    if moved:
        relations, target = fresh_label(relations), "s0"
    elif equal or relations == UNKNOWN_LEVELS:
        relations, target = EQUAL_LEVELS, source
    any_command = access.perm in ("ioctl", "nlmsg") and access.xperm is None
    return Need(replace(access, levels=relations), (source, target), any_command)


def _sample_levels(part: Diagnosed) -> tuple[str, str]:
    """The levels of one record of the evidence; all of its records compare alike."""
    for text in part.question.evidence.levels:
        source, arrow, target = text.partition(" -> ")
        if arrow and source and target:
            return source, target
    return "s0", "s0"
