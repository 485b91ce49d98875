"""How much of what a module allows its evidence asks for: by the plan or the proof that lies with it.

Both are the module's own word. They are read as such, within limits, and what they say is held against what the module
really does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Optional

from polkit.bundle import read_released
from polkit.errors import PolkitError
from polkit.model import SELF
from polkit.review.grants.newly import Grant, Newly

_PLAN, _PROOF = "plan.json", "proof.json"
_LARGEST = 16 << 20
_Vector = tuple[str, str, str, str]


class Unasked(NamedTuple):
    """Accesses that no evidence asks for; ``number`` is None where nothing tells. ``why`` says what it rests on."""

    number: Optional[int]
    why: str
    accesses: tuple[Grant, ...] = ()


def unasked(granted: Newly) -> Unasked:
    """What the module newly allows by rules of its own, and its plan has no rule for; where there is no plan, what goes
    beyond the number that its proof found evidence for."""
    found = dict(_papers(granted))
    plan = None if _PLAN not in found else _asked_for(found[_PLAN])
    if plan is not None:
        beyond = tuple(_beyond(granted, plan))
        return Unasked(sum(len(one.perms) for one in beyond), f"by its {_PLAN}.", beyond)
    numbers = None if _PROOF not in found else _numbers(found[_PROOF])
    if numbers is None:
        return Unasked(
            None, f"No {_PLAN} and no {_PROOF} lies with the module: what its evidence asks for is not known."
        )
    over, proven = numbers
    now = sum(len(one.perms) for one in granted.by_own_rules)
    return Unasked(max(over, now - proven), f"by its {_PROOF}, which found evidence for {proven}; it has {now} here.")


def _papers(granted: Newly) -> Iterator[tuple[str, Any]]:
    """The plan and the proof that lie with the module, read."""
    materials = granted.case.materials
    if materials.kind == "git":
        return
    if materials.kind == "bundle":
        yield from _of_bundle(granted)
        return
    place = Path(materials.shown)
    folder = place if place.is_dir() else place.parent
    for name in (_PLAN, _PROOF):
        path = folder / name
        try:
            data = path.read_bytes() if path.is_file() and path.stat().st_size <= _LARGEST else b""
        except OSError:
            continue  # what can't be read is not there: the gate then says that nothing tells
        found = _read(data)
        if _is_of(found, granted.case.name):
            yield name, found


def _of_bundle(granted: Newly) -> Iterator[tuple[str, Any]]:
    """Of the bundle's target under review: its sources lie in the same directory."""
    try:
        files = read_released(Path(granted.case.materials.shown)).files
    except PolkitError:
        return  # it was read before: somebody took it away since
    folders = {one.name.rpartition("/")[0] for one in granted.case.sources}
    for folder in sorted(folders):
        for name in (_PLAN, _PROOF):
            found = _read(files.get(f"{folder}/{name}", b""))
            if found is not None:
                yield name, found


def _read(data: bytes) -> Optional[Mapping[str, Any]]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _is_of(found: Optional[Mapping[str, Any]], name: str) -> bool:
    """A paper beside a file may be another module's."""
    module = None if found is None else found.get("module")
    return isinstance(module, dict) and module.get("name") == name


def _asked_for(plan: Mapping[str, Any]) -> Optional[frozenset[_Vector]]:
    """The accesses of the rules in a plan's remedies; None for what is no plan."""
    vectors: set[_Vector] = set()
    try:
        for decision in (*plan["decisions"], *plan.get("predicted", ())):
            for remedy in (decision["remedy"], *decision.get("also_remedies", ())):
                for rule in remedy.get("rules", ()):
                    if rule["kind"] == "allow":
                        target = rule["source"] if rule["target"] == SELF else rule["target"]
                        vectors.update((rule["source"], target, rule["class"], perm) for perm in rule["perms"])
        return frozenset(vectors)
    except (KeyError, TypeError, AttributeError):
        return None


def _numbers(proof: Mapping[str, Any]) -> Optional[tuple[int, int]]:
    """The accesses that a proof found no evidence for, and those that it found evidence for."""
    over, all_ = proof.get("over_permission"), proof.get("granted")
    if type(over) is not int or type(all_) is not int or not 0 <= over <= all_:
        return None
    return over, all_ - over


def _beyond(granted: Newly, asked: frozenset[_Vector]) -> Iterator[Grant]:
    for one in granted.by_own_rules:
        perms = tuple(perm for perm in one.perms if (*one[:3], perm) not in asked)
        if perms:
            yield one._replace(perms=perms)
