"""``[[gates.denied]]``: whether a policy still refuses what it must."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from polkit.config import Denied, Forbid
from polkit.minimize import Forbidden, GateNames, still_allowed
from polkit.model import FileContext
from polkit.policy import TargetPolicy
from polkit.review.case import Labelled
from polkit.review.findings import Place
from polkit.review.grants.newly import Grant

_MOST_BROKEN = 200


class Asked(NamedTuple):
    """What is asked: the policy without the module and with it (the same where it was not built), what names stand for,
    what the module newly allows. ``known``: there is a policy at all."""

    old: TargetPolicy
    new: TargetPolicy
    names: GateNames
    gained: tuple[Grant, ...]
    known: bool


class Answer(NamedTuple):
    """``ok`` is None where it can't be told. ``place``: the entry of file contexts that makes the path what it is."""

    ok: Optional[bool]
    why: str
    broken: tuple[Grant, ...] = ()
    place: Optional[Place] = None


def still_denied(gate: Denied, asked: Asked, labels: Iterable[Labelled]) -> Answer:
    """Whether every access of the gate is refused: by the policy with the module, and in every state of the booleans
    what the module adds."""
    targets, place = gate.target, None
    if gate.path:
        label = _label(gate, asked, tuple(labels))
        if label is None:
            return Answer(None, f"No file contexts say what {gate.path} is.")
        type_, place = label
        targets = (type_,)
    broken = tuple(_broken(gate, targets, asked))
    about = f"{gate.path} is {targets[0]}: " if gate.path else ""
    if not broken:
        if not asked.known:
            return Answer(
                None, "No policy was named: the module allows none of it, what the policy allows is not known."
            )
        return Answer(True, f"{about}all of it is refused.")
    before = all(set(one.perms) <= asked.old.allowed(*one[:3]) for one in broken)
    who = "the policy allows it without the module, too" if before and asked.known else "it is no longer refused"
    return Answer(False, f"{about}{who}.", broken, place)


def _broken(gate: Denied, targets: tuple[str, ...], asked: Asked) -> Iterator[Grant]:
    """What the module adds first: it has a place."""
    found: set[tuple[str, str]] = set()
    forbidden = Forbidden(Forbid("", gate.source, targets, (gate.tclass,), gate.perms, gate.besides), asked.names)
    for one in asked.gained:
        perms = forbidden.perms(one.source, one.target, one.tclass, one.perms)
        if perms and len(found) < _MOST_BROKEN:
            found.add(one[:2])
            yield one._replace(perms=perms)
    allowed = still_allowed(gate, targets, asked.names) if asked.known else ()
    for source, target, perms in allowed:
        if (source, target) not in found and len(found) < _MOST_BROKEN:
            found.add((source, target))
            yield Grant(source, target, gate.tclass, perms, "", source, target)


def _label(gate: Denied, asked: Asked, labels: tuple[Labelled, ...]) -> Optional[tuple[str, Optional[Place]]]:
    """The type of the gate's path once the module's own file contexts are in, and the module's entry that gives it."""
    entries = tuple(
        FileContext(one.entry.pattern, one.entry.kind, one.entry.context[2])
        for one in labels
        if one.entry.context is not None
    )
    changed = asked.old.with_contexts(entries)
    found = changed.file_label(gate.path, gate.tclass)
    if found is None:
        return None
    entry = changed.file_entry(gate.path, gate.tclass)
    place = next((one.place for one in labels if entry is not None and one.entry.pattern == entry.pattern), None)
    return found.type, place
