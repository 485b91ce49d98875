"""From diagnosed permissions to decisions: what has one cause and one remedy is one decision with all its evidence."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from polkit.minimize.joining import join_evidence, join_remedies
from polkit.minimize.ladder import Diagnosis
from polkit.minimize.question import Finding, Question
from polkit.model import REMEDIES, RISKS, Decision, Evidence, Remedy
from polkit.policy import Risk


@dataclass(frozen=True)
class Diagnosed:
    """One permission of one count with its diagnosis."""

    question: Question
    diagnosis: Diagnosis
    unsettled: Optional[Diagnosis] = None
    """The diagnosis before it was settled which commands its rules list; None where nothing was."""


@dataclass(frozen=True)
class Draft:
    """A decision before the gate: every remedy as it would be if all risks were accepted, and those risks."""

    decision: Decision
    risk: Optional[Risk]
    also_risks: tuple[Optional[Risk], ...]
    parts: tuple[Diagnosed, ...]


@dataclass(frozen=True)
class Decided:
    """A decision with the diagnosed permissions that it speaks of."""

    decision: Decision
    parts: tuple[Diagnosed, ...]


def group(diagnosed: Iterable[Diagnosed]) -> tuple[Draft, ...]:
    """Decisions in reading order (rules last), with ids D1, D2, ...; every access is in exactly one of them.

    The order, and so the ids, depends on the denials and the policy alone, never on what is accepted.
    """
    groups: dict[tuple[object, ...], list[Diagnosed]] = {}
    for one in diagnosed:
        groups.setdefault(_identity(one), []).append(one)
    drafts = sorted((draft_of(parts) for parts in groups.values()), key=lambda draft: _order(draft.decision))
    return tuple(
        replace(draft, decision=replace(draft.decision, id=f"D{number}")) for number, draft in enumerate(drafts, 1)
    )


def _identity(one: Diagnosed) -> tuple[object, ...]:
    """What two permissions must share to be one decision."""
    question, diagnosis = one.question, one.diagnosis
    findings = (diagnosis.main, *diagnosis.also)
    return (question.source, question.target, question.key.tclass, *(_same(finding) for finding in findings))


def _same(finding: Finding) -> tuple[object, ...]:
    remedy = finding.remedy
    options = remedy.options[0].settings if remedy.options else ()
    refused = finding.risk.id if finding.risk is not None and finding.risk.refuse else ""
    place = (remedy.path, remedy.pattern, remedy.type, remedy.protocol, remedy.port)
    return (finding.cause, remedy.kind, place, options, refused)


def _order(decision: Decision) -> tuple[object, ...]:
    return (
        REMEDIES.index(decision.remedy.kind),
        decision.source,
        decision.target,
        decision.tclass,
        decision.cause,
        decision.perms,
        decision.xperms,
        decision.also,
        decision.risk_id,
        decision.remedy.path or "",
        decision.remedy.type or "",
        str(decision.remedy.port),
        repr(decision),
    )


def key_of(parts: Sequence[Diagnosed]) -> str:
    """A name for a decision that is the same for the same question put again: what makes its permissions one decision,
    and which they are. Whether its rules are for an own domain or the one in the log makes no difference."""
    first = parts[0]
    findings = (first.diagnosis.main, *first.diagnosis.also)
    by_rule = ("missing-rule", "boolean", "xperm")
    kinds = [(cause, "" if cause in by_rule else kind, *rest) for cause, kind, *rest in map(_same, findings)]
    perms = sorted({part.question.access.perm for part in parts})
    xperms = sorted({str(part.question.access.xperm) for part in parts if part.question.access.xperm})
    sides = (first.question.source, first.question.target, first.question.key.tclass)
    return hashlib.sha256(json.dumps((sides, kinds, perms, xperms)).encode()).hexdigest()[:16]


def draft_of(parts: Sequence[Diagnosed]) -> Draft:
    """The decision that permissions of one identity make, without an id."""
    first = parts[0]
    question, main, beside = first.question, first.diagnosis.main, first.diagnosis.also
    also_risks = tuple(_worst(part.diagnosis.also[index].risk for part in parts) for index in range(len(beside)))
    risk = _worst(part.diagnosis.main.risk for part in parts)
    overall = _worst((risk, *also_risks))
    decision = Decision(
        id="",
        source=question.source,
        target=question.target,
        tclass=question.key.tclass,
        perms=tuple(sorted({part.question.access.perm for part in parts})),
        xperms=tuple(sorted({str(part.question.access.xperm) for part in parts if part.question.access.xperm})),
        cause=main.cause,
        also=tuple(finding.cause for finding in beside),
        remedy=join_remedies(part.diagnosis.main.remedy for part in parts),
        also_remedies=tuple(
            join_remedies(part.diagnosis.also[index].remedy for part in parts) for index in range(len(beside))
        ),
        risk=overall.severity if overall is not None else "none",
        risk_id=overall.id if overall is not None else "",
        why=main.why,
        evidence=_evidence(parts),
        asked=tuple(dict.fromkeys(line for part in parts for line in part.diagnosis.main.asked))[:16],
    )
    return Draft(decision, risk, also_risks, tuple(parts))


def _worst(risks: Iterable[Optional[Risk]]) -> Optional[Risk]:
    known = [risk for risk in risks if risk is not None]
    return max(known, key=lambda risk: (risk.refuse, RISKS.index(risk.severity), risk.id), default=None)


def _evidence(parts: Sequence[Diagnosed]) -> Evidence:
    """Each denial counted once, each of its permissions that belongs here as one access."""
    accesses = sum(part.question.evidence.records for part in parts)
    counts = {part.question.key: part.question.evidence for part in parts}
    return replace(join_evidence(counts.values()), accesses=accesses)


def gate(draft: Draft, accepted: frozenset[str]) -> Decision:
    """The decision with each remedy refused whose risk says so, unless its id, its risk or ``all`` is accepted."""
    decision = draft.decision
    remedy = _gated(decision.remedy, draft.risk, decision.id, accepted)
    also = tuple(
        _gated(one, risk, decision.id, accepted) for one, risk in zip(decision.also_remedies, draft.also_risks)
    )
    refused = draft.risk is not None and remedy is not decision.remedy
    why = f"{decision.why} {draft.risk.why}" if refused and draft.risk is not None else decision.why
    return replace(decision, remedy=remedy, also_remedies=also, why=why)


def _gated(remedy: Remedy, risk: Optional[Risk], id_: str, accepted: frozenset[str]) -> Remedy:
    if risk is None or not risk.refuse or not accepted.isdisjoint({id_, risk.id, "all"}):
        return remedy
    text = (
        f"Not granted: {risk.what}. If the workload must have it, say so: --accept {risk.id}, or {id_} for this alone."
    )
    return Remedy("refuse", text)
