"""Choices as they are kept in a file (``polkit.choices/1``, docs/schemas/polkit.choices-1.schema.json), so that a walk
can go on later and the same choices can be made again without a person.

A choice is a person's only as long as what the person weighed is still so: the policy, the permissions that are asked
for, and what the alternative costs. Where one of them is another, the choice is stale: it is said, and asked again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from polkit.errors import SourceError, UsageError
from polkit.minimize.alternatives import Offers, Step
from polkit.minimize.choices.walk import Walk, begin
from polkit.minimize.writing import write_atomically
from polkit.model import Alternative, Decision

SCHEMA = "polkit.choices/1"
_LARGEST = 64 << 20


@dataclass(frozen=True)
class Entry:
    """What was chosen for one decision. ``chosen`` is None where the tool's choice was kept by skipping it.

    The fields after it tell a person, and a later run, which decision it was; ``accesses``, ``domains`` and ``risk_id``
    are what the choice cost."""

    key: str
    chosen: Optional[str]
    source: str
    target: str
    tclass: str
    cause: str
    perms: tuple[str, ...]
    accesses: int = 0
    domains: int = 0
    risk_id: str = ""

    @property
    def place(self) -> tuple[str, str, str, str]:
        """What stays the same where other permissions are asked for."""
        return (self.source, self.target, self.tclass, self.cause)

    @property
    def about(self) -> str:
        """The decision in a few words."""
        return f"{self.source} -> {self.target}:{self.tclass} {{ {' '.join(self.perms)} }}"


@dataclass(frozen=True)
class Choices:
    """Everything that was chosen for one policy. ``finished``: the module was made."""

    policy_sha256: Optional[str]
    entries: tuple[Entry, ...] = ()
    finished: bool = False


@dataclass(frozen=True)
class Match:
    """Choices held against what is offered now. ``walk`` goes on with those that fit; ``unused`` are about decisions
    that this evidence does not ask for; ``stale`` says in one sentence each what fits no more."""

    walk: Walk
    unused: tuple[Entry, ...] = ()
    stale: tuple[str, ...] = ()


def picks(walk: Walk, offers: Offers) -> dict[str, str]:
    """What a person chose: from keys of decisions to ids of alternatives."""
    return {
        decision.key: step.options[choice].id
        for step, choice in zip(offers.steps, walk.choices)
        if choice is not None
        for decision in step.decisions
    }


def choices_of(walk: Walk, offers: Offers, unused: tuple[Entry, ...] = (), finished: bool = False) -> Choices:
    """What is to be kept of a walk."""
    found = [
        _entry(decision, step.options[choice] if choice is not None else None)
        for step, choice, seen in zip(offers.steps, walk.choices, walk.seen)
        if seen
        for decision in step.decisions
    ]
    return Choices(offers.policy_sha256, (*found, *unused), finished)


def _entry(decision: Decision, option: Optional[Alternative]) -> Entry:
    about = (decision.source, decision.target, decision.tclass, decision.cause, decision.perms)
    if option is None:
        return Entry(decision.key, None, *about)
    # The decision's own price, not that of all that are decided together.
    own = next(one for one in decision.alternatives if one.id == option.id)
    return Entry(decision.key, option.id, *about, own.cost.accesses, own.cost.domains, own.risk_id)


def match(choices: Choices, offers: Offers) -> Match:
    """Which choices still fit, which are stale, which are about something else."""
    sizes = [len(step.options) for step in offers.steps]
    mine = [entry for entry in choices.entries if entry.chosen is not None]
    if choices.entries and choices.policy_sha256 != offers.policy_sha256:
        text = f"{len(mine)} choices were made on another policy: what they cost may be another" if mine else ""
        return Match(begin(sizes), (), (text,) if text else ())
    entries = {entry.key: entry for entry in choices.entries}
    found: list[Optional[int]] = []
    seen: list[bool] = []
    stale: list[str] = []
    for step in offers.steps:
        answered = [entries.get(decision.key) for decision in step.decisions]
        choice, problem = _choice(step, answered)
        known = all(entry is not None for entry in answered) and not problem
        found.append(choice)
        seen.append(known)
        stale += [problem] if problem else []
    asked = {decision.key: _entry(decision, None) for decision in offers.decisions}
    open_places = {entry.place: entry for key, entry in asked.items() if key not in entries}
    rest = [entry for entry in choices.entries if entry.key not in asked]
    changed = [entry for entry in rest if entry.chosen is not None and entry.place in open_places]
    stale += [
        f"{entry.about}: other permissions are asked for now: {' '.join(open_places[entry.place].perms)}"
        for entry in changed
    ]
    unused = tuple(entry for entry in rest if entry not in changed)
    return Match(begin(sizes, found, seen), unused, tuple(stale))


def _choice(step: Step, answered: list[Optional[Entry]]) -> tuple[Optional[int], str]:
    """The option that was chosen for all decisions of a step, or why what was chosen fits no more."""
    chosen = [entry for entry in answered if entry is not None and entry.chosen is not None]
    if not chosen:
        return None, ""
    first = chosen[0]
    if len(chosen) < len(step.decisions) or len({entry.chosen for entry in chosen}) > 1:
        ids = ", ".join(decision.id for decision in step.decisions)
        return None, f"{first.about}: it is decided together with others now ({ids})"
    for number, option in enumerate(step.options):
        if option.id == first.chosen:
            problem = next((text for text in map(_repriced, step.decisions, chosen) if text), "")
            return (None, problem) if problem else (number, "")
    return None, f"{first.about}: {first.chosen} is not offered any more"


def _repriced(decision: Decision, entry: Entry) -> str:
    """Why the same choice is another one now; empty where it costs what it did."""
    option = next(one for one in decision.alternatives if one.id == entry.chosen)
    now = (option.cost.accesses, option.cost.domains, option.risk_id)
    if now == (entry.accesses, entry.domains, entry.risk_id):
        return ""
    return (
        f"{entry.about}: {entry.chosen} costs {_price(*now)} now; when it was chosen, "
        f"{_price(entry.accesses, entry.domains, entry.risk_id)}"
    )


def _price(accesses: int, domains: int, risk_id: str) -> str:
    return f"{accesses} accesses for {domains} domains" + (f" (risk {risk_id})" if risk_id else "")


def save_choices(path: Path, choices: Choices) -> None:
    """Write the file anew, whole or not at all. Raises SourceError where that fails."""
    write_atomically(path, json.dumps(choices_object(choices), indent=2) + "\n")


def choices_object(choices: Choices) -> dict[str, Any]:
    """As plain dictionaries and lists."""
    return {
        "schema": SCHEMA,
        "policy_sha256": choices.policy_sha256,
        "finished": choices.finished,
        "choices": [_object(entry) for entry in choices.entries],
    }


def _object(entry: Entry) -> dict[str, Any]:
    price = {"accesses": entry.accesses, "domains": entry.domains, "risk_id": entry.risk_id or None}
    return {
        "key": entry.key,
        "source": entry.source,
        "target": entry.target,
        "class": entry.tclass,
        "cause": entry.cause,
        "perms": list(entry.perms),
        "chosen": entry.chosen,
        "chosen_by": "tool" if entry.chosen is None else "person",
        "cost": None if entry.chosen is None else price,
    }


def read_choices(path: Path) -> Choices:
    """The choices in a file. Raises SourceError for one that can't be read, UsageError for what is none."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error
    try:
        if len(content) > _LARGEST:
            raise ValueError("too large")
        return _choices(json.loads(content))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UsageError(
            f"{path} is no file of choices ({SCHEMA})",
            "Name another with --choices FILE, or begin anew: --interactive --restart",
        ) from error


def _choices(found: Mapping[str, Any]) -> Choices:
    if found["schema"] != SCHEMA:
        raise ValueError(found["schema"])
    sha256 = found["policy_sha256"]
    entries = tuple(map(_read_entry, _typed(found["choices"], list)))
    return Choices(None if sha256 is None else _typed(sha256, str), entries, found.get("finished") is True)


def _read_entry(item: Mapping[str, Any]) -> Entry:
    chosen, cost = item["chosen"], item["cost"]
    key, source, target, tclass, cause = (
        _typed(item[name], str) for name in ("key", "source", "target", "class", "cause")
    )
    perms = tuple(_typed(perm, str) for perm in _typed(item["perms"], list))
    if chosen is None:
        return Entry(key, None, source, target, tclass, cause, perms)
    price = (_typed(cost["accesses"], int), _typed(cost["domains"], int))
    risk_id = "" if cost["risk_id"] is None else _typed(cost["risk_id"], str)
    return Entry(key, _typed(chosen, str), source, target, tclass, cause, perms, *price, risk_id)


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
