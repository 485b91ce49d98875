"""How an access that must be denied is tried in the machine: as a step of its own, with what it needs there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Callable, NamedTuple, Optional

from polkit.config import Denied
from polkit.policy import TargetPolicy
from polkit.rehearse.judge import DENIED
from polkit.rehearse.operations import CAPABILITIES
from polkit.rehearse.scenario import BUSYBOX, Argument, Bystander, Scenario, Step, Thing

_MOST = 40
_FOLDER = "/polkit.attempts"
_OPEN_FOLDERS = ("root_t", "tmp_t", "usr_t", "var_t", "etc_t", "bin_t", "container_file_t")
"""Types of directories that most domains may pass through: what is tried stands below one."""
_Deed = tuple[str, Mapping[str, Argument]]
_Stepper = Callable[..., Step]

_ON_FILES: Mapping[tuple[str, str], _Deed] = {
    ("file", "read"): ("read", {}),
    ("file", "open"): ("read", {}),
    ("file", "write"): ("write", {}),
    ("file", "append"): ("write", {"append": True}),
    ("file", "getattr"): ("stat", {}),
    ("file", "setattr"): ("chmod", {"mode": 0o600}),
    ("file", "execute"): ("exec", {"arguments": ("true",)}),
    ("chr_file", "read"): ("read", {}),
    ("chr_file", "open"): ("read", {}),
    ("chr_file", "write"): ("write", {}),
    ("chr_file", "getattr"): ("stat", {}),
    ("dir", "read"): ("list", {}),
    ("dir", "open"): ("list", {}),
    ("dir", "getattr"): ("stat", {}),
}
_ON_PROCESSES: Mapping[str, _Deed] = {
    "ptrace": ("ptrace", {}),
    "signal": ("signal", {"signal": "SIGTERM"}),
    "sigkill": ("signal", {"signal": "SIGKILL"}),
}
_ON_ITSELF: Mapping[tuple[str, str], str] = {
    ("process", "execmem"): "execmem",
    ("process", "execheap"): "execheap",
    ("process", "execstack"): "execstack",
    ("memprotect", "mmap_zero"): "mmap-zero",
    ("bpf", "map_create"): "bpf",
    ("perf_event", "open"): "perf_event",
}
_CAPABILITIES = frozenset(("capability", "capability2"))


class Attempt(NamedTuple):
    """A step that tries ``perm`` of a gate, and what must be there for it."""

    gate: tuple[str, Denied]
    perm: str
    step: Step
    things: tuple[Thing, ...] = ()
    process: Optional[Bystander] = None


def attempts_at(
    gates: Iterable[tuple[str, Denied]], policy: TargetPolicy, known: frozenset[str], scenario: Scenario
) -> tuple[Attempt, ...]:
    """A step for each permission that can be tried, of sources and targets that are types; attributes are asked of the
    policy alone. ``known``: types that modules declare and ``policy`` lacks."""
    found: list[Attempt] = []
    for gate in gates:
        one = gate[1]
        targets = (one.path,) if one.path else one.target
        for source in (name for name in one.source if name not in one.besides):
            for target in targets:
                if _is_type(source, policy, known) and (one.path or _is_type(target, policy, known)):
                    for perm in one.perms:
                        made = _attempt(gate, source, target, perm, len(found) + 1, policy, scenario)
                        if made is not None and len(found) < _MOST:
                            found.append(made)
    return tuple(found)


def with_attempts(scenario: Scenario, attempts: Iterable[Attempt]) -> Scenario:
    """The scenario with what the attempts need; their steps stay apart from its own."""
    things = {thing.path: thing for thing in scenario.things}
    processes = {one.name: one for one in scenario.processes}
    for attempt in attempts:
        for thing in attempt.things:
            things.setdefault(thing.path, thing)
        if attempt.process is not None:
            processes[attempt.process.name] = attempt.process
    return replace(scenario, things=tuple(things.values()), processes=tuple(processes.values()))


def _is_type(name: str, policy: TargetPolicy, known: frozenset[str]) -> bool:
    return name in known or policy.type_name(name) is not None


def _attempt(
    gate: tuple[str, Denied], source: str, target: str, perm: str, number: int, policy: TargetPolicy, scenario: Scenario
) -> Optional[Attempt]:
    one, name = gate[1], f"gate-{number}"

    def step(deed: _Deed, **more: Argument) -> Step:
        return Step(name, deed[0], {**deed[1], **more}, DENIED, f"{gate[0]}: {perm}", domain=source)

    if (one.tclass, perm) in _ON_FILES:
        things = _at_path(one, scenario) if one.path else _of_type(target, one.tclass, number, source, policy)
        if things is None:
            return None
        return Attempt(gate, perm, step(_ON_FILES[one.tclass, perm], path=one.path or things[-1].path), things)
    if one.tclass == "process" and perm in _ON_PROCESSES and policy.role_has_type("system_r", target):
        other = Bystander(f"{name}-other", target)
        return Attempt(gate, perm, step(_ON_PROCESSES[perm], process=other.name), (), other)
    if source == target and (one.tclass, perm) in _ON_ITSELF:
        return Attempt(gate, perm, step((_ON_ITSELF[one.tclass, perm], {})))
    if source == target and one.tclass in _CAPABILITIES and perm in CAPABILITIES:
        return Attempt(gate, perm, step(("capability", {}), capability=perm))
    return _at_port(gate, perm, target, policy, step)


def _at_port(
    gate: tuple[str, Denied], perm: str, target: str, policy: TargetPolicy, step: _Stepper
) -> Optional[Attempt]:
    protocol = {"tcp_socket": "tcp", "udp_socket": "udp"}.get(gate[1].tclass)
    deed = {"name_connect": "connect", "name_bind": "bind"}.get(perm)
    ports = [low for kind, low, high in policy.port_entries(target) if kind == protocol and low == high]
    if protocol is None or deed is None or not ports:
        return None
    return Attempt(gate, perm, step((deed, {}), port=ports[0], protocol=protocol))


def _at_path(one: Denied, scenario: Scenario) -> Optional[tuple[Thing, ...]]:
    """What stands there as file contexts label it; nothing is tried on a thing that the scenario labels otherwise."""
    there = next((thing for thing in scenario.things if thing.path == one.path), None)
    if there is not None:
        return () if there.label is None and there.kind == _kind(one.tclass) else None
    return (_thing(one.path, one.tclass, None),)


def _of_type(target: str, tclass: str, number: int, source: str, policy: TargetPolicy) -> tuple[Thing, ...]:
    known = [one for one in _OPEN_FOLDERS if policy.type_name(one) is not None]
    folder = next((one for one in known if "search" in policy.allowed(source, one, "dir")), known[0] if known else None)
    place = str(PurePosixPath(_FOLDER) / str(number))
    above = tuple(Thing(path, "dir", label=folder) for path in (_FOLDER, place))
    return (*above, _thing(f"{place}/it", tclass, target))


def _thing(path: str, tclass: str, label: Optional[str]) -> Thing:
    if tclass == "chr_file":
        return Thing(path, "node", label=label, mode=0o666, major=1, minor=5, stand_in=True)
    if tclass == "dir":
        return Thing(path, "dir", label=label)
    return Thing(path, "file", label=label, copy=BUSYBOX)


def _kind(tclass: str) -> str:
    return {"chr_file": "node", "dir": "dir"}.get(tclass, "file")
