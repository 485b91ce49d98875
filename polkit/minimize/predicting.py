"""Prediction: what an enforced program would be refused next, from the system calls that were refused.

An enforcing kernel shows one refusal at a time; the call that met it, with its flags, tells more. What follows from
each decision is asked of the policy as the plan's labels, levels and booleans will leave it, on the same ladder: what
will be allowed is no prediction. Nothing follows from what stays refused, or from a label that has yet to be found out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Optional

from polkit.minimize.grouping import Decided, Diagnosed, Draft
from polkit.minimize.joining import join_evidence
from polkit.minimize.ladder import fresh_label
from polkit.minimize.prediction_table import ENTRY, ROWS, SAME, SELF
from polkit.minimize.question import Foreseen, OwnTypes, Question
from polkit.model import (
    DOMINATED,
    DOMINATES,
    EQUAL,
    EQUAL_LEVELS,
    UNKNOWN_LEVELS,
    AccessKey,
    Counted,
    Decision,
    Evidence,
    LevelRelations,
    OwnDomain,
    Party,
)
from polkit.policy import Access, TargetPolicy

_CALL = re.compile(r"([a-z_0-9]{1,64})(?:\(([A-Za-z_0-9|]{1,512})\))?\Z", re.ASCII)
_CARRIED_OUT = frozenset({"allow", "boolean", "level", "port"})
"""Remedies after which the access is allowed, on the target it was asked of."""
_REVERSED = {DOMINATES: DOMINATED, DOMINATED: DOMINATES}


@dataclass
class _Next:
    """One permission that comes next: on which object, after which refused permissions of which calls."""

    of: str
    tclass: str
    perm: str
    without_transition: bool
    refused: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    certain: bool = False


def with_predicted(counted: Iterable[Counted]) -> tuple[Counted, ...]:
    """The counts, each with the permissions on its own object that are predicted: what a label must be fit for."""
    found = []
    for one in counted:
        more = {step.perm for step in _next_steps(one.key, one.evidence) if step.of == SAME}
        found.append(Counted(one.key._replace(perms=tuple(sorted(more.union(one.key.perms)))), one.evidence))
    return tuple(found)


def tells_calls(counted: Iterable[Counted]) -> bool:
    """Whether any evidence names a system call: without, nothing can be predicted."""
    return any(one.evidence.syscalls or one.evidence.calls for one in counted)


def _next_steps(key: AccessKey, evidence: Evidence) -> tuple[_Next, ...]:
    """What the calls of one count ask for next, as far as it was not refused along with it; in a fixed order."""
    found: dict[tuple[str, str, str, bool], _Next] = {}
    if key.failure is not None or key.origin != "kernel":
        return ()
    for text, name, words in _calls(evidence):
        for row in ROWS:
            refused = row.perms.intersection(key.perms)
            if not refused or not row.fits(name, words, key.tclass):
                continue
            for ask in row.asks:
                for perm in ask.perms:
                    place = (ask.of, ask.tclass or key.tclass, perm, ask.without_transition)
                    step = found.setdefault(place, _Next(*place))
                    step.refused |= refused
                    step.calls.add(text)
                    step.certain |= row.certain
    return tuple(step for _, step in sorted(found.items()) if step.of != SAME or step.perm not in key.perms)


def _calls(evidence: Evidence) -> Iterator[tuple[str, str, frozenset[str]]]:
    """Every call of the evidence as (text, name, flags); of one whose flags are known, not the bare name too."""
    parsed = [(text, _CALL.match(text)) for text in evidence.calls]
    known = [(text, match[1], frozenset((match[2] or "").split("|"))) for text, match in parsed if match is not None]
    yield from known
    with_flags = {name for _, name, _ in known}
    yield from ((name, name, frozenset()) for name in evidence.syscalls if name not in with_flags)


class _Origin(NamedTuple):
    """A decision and one diagnosed permission of it that was refused and will not be any more."""

    decision: Decision
    part: Diagnosed


def predicted_questions(
    decided: Iterable[Decided], policy: TargetPolicy, own: OwnTypes, domain: Optional[OwnDomain]
) -> list[Question]:
    """What follows from the decisions on what was observed: one question a permission, each with what it rests on.

    ``own`` and ``domain`` are those that the decisions were made with.
    """
    listed = tuple(decided)
    asker = _Asker(policy.with_booleans(_booleans(listed)), own, domain)
    observed = {asker.vector(part.question.access) for one in listed for part in one.parts}
    by_key: dict[AccessKey, dict[str, _Origin]] = {}
    for one in listed:
        for part in one.parts:
            if _is_solved(one.decision, part):
                by_key.setdefault(part.question.key, {})[part.question.access.perm] = _Origin(one.decision, part)
    found: dict[AccessKey, Question] = {}
    for key, origins in by_key.items():
        evidence = next(iter(origins.values())).part.question.evidence
        for step in _next_steps(key, evidence):
            rest_on = [origins[perm] for perm in key.perms if perm in origins and perm in step.refused]
            question = asker.question(step, rest_on) if rest_on else None
            if question is not None and observed.isdisjoint(asker.vectors(question, step, rest_on[0])):
                earlier = found.get(question.key)
                found[question.key] = question if earlier is None else _joined(earlier, question)
    return list(found.values())


def _joined(one: Question, other: Question) -> Question:
    """One access that follows from two counts."""
    assert one.foreseen is not None
    assert other.foreseen is not None
    foreseen = Foreseen(
        follows=tuple(dict.fromkeys((*one.foreseen.follows, *other.foreseen.follows))),
        calls=tuple(sorted({*one.foreseen.calls, *other.foreseen.calls})),
        certain=one.foreseen.certain or other.foreseen.certain,
    )
    return replace(one, evidence=join_evidence((one.evidence, other.evidence)), foreseen=foreseen)


def _booleans(decided: Iterable[Decided]) -> dict[str, bool]:
    """The booleans that the decisions turn."""
    remedies = [one.decision.remedy for one in decided]
    return {
        name: value
        for remedy in remedies
        if remedy.kind == "boolean" and remedy.options
        for name, value in remedy.options[0].settings
    }


def _is_solved(decision: Decision, part: Diagnosed) -> bool:
    """The access will be allowed, and of what will then be known."""
    kind = decision.remedy.kind
    if decision.cause == "already-allowed" or kind in _CARRIED_OUT:
        return True
    return bool(kind == "relabel" and part.diagnosis.main.retarget) or bool(
        kind == "fcontext" and decision.remedy.rules
    )


@dataclass(frozen=True)
class _Asker:
    """Asks the policy, as the plan will leave it, for what comes next."""

    policy: TargetPolicy
    own: OwnTypes
    domain: Optional[OwnDomain]

    def vector(self, access: Access) -> tuple[str, str, str, str]:
        """What a rule would say, on the domain that gets it."""
        source, target = self._placed(access.source.type), self._placed(access.target.type)
        return (source, target, access.tclass, access.perm)

    def vectors(self, question: Question, step: _Next, origin: _Origin) -> tuple[tuple[str, str, str, str], ...]:
        """What a rule for it would say, now and on the label that the object had when it was refused."""
        vector = self.vector(question.access)
        if step.of == SELF:
            return (vector,)
        seen = origin.part.question.access
        label = seen.target.type
        if step.of == ENTRY:
            label = self.policy.transition(seen.source.type, label, step.tclass) or label
        return (vector, (vector[0], self._placed(label), step.tclass, step.perm))

    def _placed(self, type_: str) -> str:
        """The domain of the module's own for one that it stands in for and has no rules of."""
        alone = self.domain is not None and self.domain.base is None and type_ in self.domain.sources
        return self.domain.name if alone and self.domain is not None else type_

    def question(self, step: _Next, origins: list[_Origin]) -> Optional[Question]:
        """The question for one step; None where the policy has no such permission, or the step isn't taken."""
        origin = origins[0]
        if step.without_transition and self._changes_domain(origin):
            return None
        access = self._access(step, origin)
        known = self.policy.type_name(access.target.type) is not None and self.policy.has_class(access.tclass)
        if not known or access.perm not in self.policy.permissions(access.tclass):
            return None
        seen, labelled = origin.part.question, origin.decision.remedy.kind == "fcontext"
        same = step.of == SAME
        key = AccessKey(
            source=access.source,
            target=access.target,
            tclass=step.tclass,
            perms=(step.perm,),
            xperm=None,
            port=None,
            levels=access.levels,
            failure=None,
            origin=seen.key.origin,
        )
        return replace(
            seen,
            key=key,
            evidence=_expected(seen.evidence, step, keep_paths=same or (labelled and step.of == ENTRY)),
            access=access,
            policy=self.policy,
            own=self.own if same or labelled else OwnTypes(),
            verdict=self.policy.decide(access),
            foreseen=Foreseen(
                follows=tuple(dict.fromkeys(one.decision.id for one in origins)),
                calls=tuple(sorted(step.calls)),
                certain=step.certain,
            ),
        )

    def _changes_domain(self, origin: _Origin) -> bool:
        access = origin.part.question.access
        return self.policy.transition(access.source.type, self._label(origin), "process") is not None

    def _label(self, origin: _Origin) -> str:
        """The type that the refused object will have."""
        return origin.part.diagnosis.main.retarget or origin.part.question.access.target.type

    def _access(self, step: _Next, origin: _Origin) -> Access:
        seen, remedy = origin.part.question.access, origin.decision.remedy.kind
        source = seen.source._replace(type=self._placed(seen.source.type))
        levels = EQUAL_LEVELS if remedy == "level" else seen.levels
        if step.of == SELF:
            return Access(source, source, step.tclass, step.perm, _own_levels(seen.levels))
        label = self._label(origin)
        if step.of == SAME:
            levels = fresh_label(levels) if remedy == "relabel" else levels
            target = seen.target._replace(type=self._placed(label) if label == seen.source.type else label)
            return Access(source, target, step.tclass, step.perm, levels)
        if remedy != "fcontext":  # a type of the module's own has no transitions
            label = self.policy.transition(seen.source.type, label, step.tclass) or label
        target = Party(source.user, "object_r", label)
        return Access(source, target, step.tclass, step.perm, _new_object_levels(seen.levels))


def _expected(seen: Evidence, step: _Next, keep_paths: bool) -> Evidence:
    """Evidence without a record: who would ask, on what, by which calls."""
    return Evidence(
        comms=seen.comms,
        paths=seen.paths if keep_paths else (),
        names=seen.names if keep_paths else (),
        devices=seen.devices,
        exes=seen.exes,
        syscalls=tuple(sorted({call.partition("(")[0] for call in step.calls})),
        calls=tuple(sorted(call for call in step.calls if "(" in call)),
    )


def _new_object_levels(levels: LevelRelations) -> LevelRelations:
    """How a process' levels stand to an object it makes, which gets its low one (kernel ``mls_compute_sid``)."""
    if levels == UNKNOWN_LEVELS:
        return levels
    high = _REVERSED.get(levels.l1_h1, levels.l1_h1)
    return LevelRelations(EQUAL, EQUAL, high, high, levels.l1_h1, EQUAL)


def _own_levels(levels: LevelRelations) -> LevelRelations:
    """How a process' levels stand to itself and to its sockets."""
    if levels == UNKNOWN_LEVELS:
        return levels
    high = _REVERSED.get(levels.l1_h1, levels.l1_h1)
    return LevelRelations(EQUAL, levels.l1_h1, high, EQUAL, levels.l1_h1, levels.l1_h1)


def as_predicted(draft: Draft, number: int) -> Draft:
    """A draft of predicted permissions with its own id, the decisions it follows from, and why it was predicted."""
    resting = [part.question.foreseen for part in draft.parts if part.question.foreseen is not None]
    follows = sorted({id_ for one in resting for id_ in one.follows}, key=lambda id_: int(id_[1:]))
    why = f"Predicted from {', '.join(follows)}, not observed: {_because(draft.parts)}. {draft.decision.why}"
    return replace(draft, decision=replace(draft.decision, id=f"P{number}", follows=tuple(follows), why=why))


def _because(parts: Iterable[Diagnosed]) -> str:
    """``openat(O_RDONLY) itself asks for open, and a program that calls it for getattr next``."""
    found: Mapping[bool, set[str]] = {True: set(), False: set()}
    calls: set[str] = set()
    for part in parts:
        if part.question.foreseen is not None:
            found[part.question.foreseen.certain].add(part.question.access.perm)
            calls.update(part.question.foreseen.calls)
    shown = ", ".join(sorted(calls)[:3])
    said = []
    if found[True]:
        said.append(f"{shown} asks for {' '.join(sorted(found[True]))} within the same call")
    if found[False]:
        said.append(f"a program that calls {shown} asks for {' '.join(sorted(found[False] - found[True]))} next")
    return ", and ".join(said)
