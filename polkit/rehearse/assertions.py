"""What a module's project says must still be denied (``[[gates.denied]]`` of its polkit.toml), asked of the policy that
the machine boots, and tried in the machine where it can be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from polkit.config import DEFAULT_FILE, Denied, load_config
from polkit.minimize import GateNames, allow_text, gate_name, still_allowed
from polkit.policy import TargetPolicy
from polkit.rehearse.attempts import Attempt
from polkit.rehearse.judge import ALLOWED, DENIED, Judged

_MOST = 20


@dataclass(frozen=True)
class Tried:
    """One access that the machine was asked for. ``got``: allowed, denied, or untried where the attempt came to an end
    before that; ``why`` says how."""

    step: str
    operation: str
    object: str
    domain: str
    perm: str
    got: str
    why: str
    avc: tuple[str, ...]


@dataclass(frozen=True)
class Assertion:
    """One gate of the kind denied. ``ok`` is None where it can't be told: no name in it is known, or no file contexts
    say what the path is. ``accesses``: what the policy allows of it."""

    name: str
    gate: Denied
    target: tuple[str, ...]
    ok: Optional[bool]
    why: str
    accesses: tuple[str, ...] = ()
    tried: tuple[Tried, ...] = ()


def gates_of(modules: Iterable[Path]) -> tuple[tuple[str, Denied], ...]:
    """The gates of the projects that modules lie in, each with its name: of a directory with a polkit.toml, or of a
    file beside one that names its module. Raises UsageError, SourceError for a polkit.toml."""
    found: dict[tuple[str, Denied], None] = {}
    for module in modules:
        folder = module if module.is_dir() else module.parent
        if not (folder / DEFAULT_FILE).is_file():
            continue
        config = load_config(folder / DEFAULT_FILE)
        if module.is_dir() or config.module.name == module.stem:
            for number, gate in enumerate(config.gates.denied, 1):
                found[gate_name(gate.title, "denied", number), gate] = None
    return tuple(found)


def asserted(
    gates: Iterable[tuple[str, Denied]], policy: TargetPolicy, attempts: Iterable[Attempt], judged: Iterable[Judged]
) -> tuple[Assertion, ...]:
    """Each gate, held against the policy that the machine booted and against what its attempts got there."""
    pairs = list(zip(attempts, judged))
    names = GateNames(policy)
    return tuple(
        _with_tries(_asked(name, gate, names), tuple(_tried(*pair) for pair in pairs if pair[0].gate == (name, gate)))
        for name, gate in gates
    )


def _asked(name: str, gate: Denied, names: GateNames) -> Assertion:
    targets = gate.target
    if gate.path:
        label = names.policy.file_label(gate.path, gate.tclass)
        if label is None:
            return Assertion(name, gate, (), None, f"No file contexts say what {gate.path} is.")
        targets = (label.type,)
    for listed in (gate.source, targets):
        if not names.types(listed):
            return Assertion(name, gate, targets, None, f"No type of the policy is {', '.join(listed)}.")
    found = [
        allow_text(source, target, gate.tclass, perms) for source, target, perms in still_allowed(gate, targets, names)
    ]
    about = f"{gate.path} is {targets[0]}: " if gate.path else ""
    if not found:
        return Assertion(name, gate, targets, True, f"{about}The policy refuses all of it.")
    more = (f"and {len(found) - _MOST} more",) if len(found) > _MOST else ()
    return Assertion(name, gate, targets, False, f"{about}The policy allows {found[0]}.", (*found[:_MOST], *more))


def _with_tries(one: Assertion, tried: tuple[Tried, ...]) -> Assertion:
    through = [attempt for attempt in tried if attempt.got == ALLOWED]
    if not through or one.ok is False:
        return replace(one, tried=tried)
    first = through[0]
    return replace(one, ok=False, why=f"The kernel let {first.domain} {first.operation} {first.object}.", tried=tried)


def _tried(attempt: Attempt, judged: Judged) -> Tried:
    step = judged.step
    got, why = judged.got, judged.detail
    if got == DENIED and not any(_is_about(line, attempt) for line in judged.avc):
        got, why = "untried", "it was refused before it came to that"
    elif got not in (ALLOWED, DENIED):
        got = "untried"
    return Tried(step.name, step.operation, step.object, judged.domain, attempt.perm, got, why, judged.avc)


def _is_about(line: str, attempt: Attempt) -> bool:
    """A record that refuses the very permission."""
    found = re.search(r"denied\s+\{ ([^}]*) \}.*\btclass=(\w+)", line)
    return found is not None and attempt.perm in found[1].split() and found[2] == attempt.gate[1].tclass
