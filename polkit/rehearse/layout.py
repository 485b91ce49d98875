"""From a scenario and a policy to what the guest is told: every path with its label, every step with its context."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Optional

from polkit.errors import SourceError, UsageError
from polkit.model import Context
from polkit.rehearse.elf import with_libraries
from polkit.rehearse.log_forms import RAW
from polkit.rehearse.operations import OPERATIONS
from polkit.rehearse.parts import find_busybox
from polkit.rehearse.scenario import BUSYBOX, Scenario, Step, Thing

HARNESS = "polkit_harness_t"
"""The domain of what runs the steps: permissive, and without a record in the log."""
STEP_SECONDS = 20
_LARGEST_COPY = 256 << 20
_FOLDERS = (
    "/dev", "/dev/shm", "/etc", "/home", "/lib64", "/opt", "/proc", "/root", "/run", "/srv", "/sys", "/tmp", "/usr",
    "/usr/bin", "/usr/lib", "/var", "/var/lib", "/var/log", "/var/tmp",
)  # fmt: skip
_NODES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))
_SHARED_WITH_A_ROOT = ("proc", "sys", "dev")
_CLASSES = {"dir": "dir", "link": "lnk_file", "socket": "sock_file", "file": "file"}
Label = Callable[[str, str], Optional[Context]]


@dataclass(frozen=True)
class GuestPlan:
    """What the guest reads as JSON, and the files that it copies from, by name."""

    told: Mapping[str, Any]
    files: Mapping[str, Path] = field(default_factory=dict)


def guest_plan(
    scenario: Scenario,
    steps: tuple[Step, ...],
    label: Label,
    mls: bool,
    enforcing: bool,
    filesystem: Optional[str],
    booleans: Iterable[tuple[str, bool]] = (),
    log: str = RAW,
) -> GuestPlan:
    """Everything the guest needs to know. ``filesystem``: the type of file systems that hold labels (``fs_t``);
    ``booleans``: those to set before anything else is done; ``log``: the form of the log.

    Raises SourceError for a file to copy that can't be read, MissingDependency without a busybox that is asked for.
    """
    contexts = _Contexts(scenario, mls)
    files: dict[str, Path] = {}
    things = [_told_thing(thing, contexts, label, files) for thing in _all_things(scenario)]
    told = {
        "harness": contexts.process(HARNESS, "s0-s0:c0.c1023", role="system_r", user="system_u"),
        "enforcing": enforcing,
        "booleans": {name: int(value) for name, value in booleans},
        "log": log,
        "fail_fast": scenario.fail_fast,
        "filesystem": filesystem and contexts.file(filesystem, None),
        "things": things,
        "listeners": [
            {"port": one.port, "protocol": one.protocol, "context": contexts.server(one.domain)}
            for one in scenario.listeners
        ],
        "processes": [
            {"name": one.name, "context": contexts.process(one.domain, one.level, "system_r", "system_u")}
            for one in scenario.processes
        ],
        "root": _told_root(scenario),
        "steps": [_told_step(step, scenario, contexts) for step in steps],
        "step_seconds": STEP_SECONDS,
        # Not SELinux's to refuse: https://docs.kernel.org/admin-guide/LSM/Yama.html, sysctl/kernel.rst.
        "sysctl": {
            "kernel/yama/ptrace_scope": "0",
            "kernel/unprivileged_bpf_disabled": "0",
            "vm/unprivileged_userfaultfd": "1",
            "kernel/perf_event_paranoid": "-1",
            "kernel/printk_ratelimit": "0",
        },
    }
    return GuestPlan(told, files)


class _Contexts:
    """Whole contexts from what a scenario says of them."""

    def __init__(self, scenario: Scenario, mls: bool) -> None:
        self._workload = scenario.workload
        self._mls = mls

    def process(self, domain: str, level: Optional[str], role: str = "", user: str = "") -> str:
        words = [user or self._workload.user, role or self._workload.role, domain]
        return ":".join([*words, level or "s0"] if self._mls else words)

    def server(self, domain: str) -> str:
        return self.process(domain, None, "system_r", "system_u")

    def file(self, label: str, level: Optional[str]) -> str:
        if ":" in label:
            return label
        return ":".join(("system_u", "object_r", label, *([level or "s0"] if self._mls else [])))

    def said(self, found: Optional[Context], level: Optional[str]) -> Optional[str]:
        """What file_contexts says, at another level where the scenario names one."""
        if found is None:
            return None
        words = (found.party.user, found.party.role, found.party.type)
        return ":".join((*words, *([level or found.level or "s0"] if self._mls else [])))


def _all_things(scenario: Scenario) -> list[Thing]:
    """The scenario's things, what every host has, the libraries of copied programs, and every directory above them;
    each after the directory it lies in."""
    things = {thing.path: thing for thing in scenario.things}
    for thing in scenario.things:
        for library in _libraries(thing, scenario):
            things.setdefault(library.path, library)
    for name, major, minor in _NODES:
        things.setdefault(f"/dev/{name}", Thing(f"/dev/{name}", "node", mode=0o666, major=major, minor=minor))
    root = scenario.workload.root
    folders = [*_FOLDERS, *([f"{root}/{part}" for part in _SHARED_WITH_A_ROOT] if root else [])]
    folders += [host for host, _, _ in scenario.workload.binds]
    for path in folders:
        things.setdefault(path, Thing(path, "dir"))
    for _, inside, _ in scenario.workload.binds:
        _mount_point(things, f"{root}{inside}", scenario)
    for path in list(things):
        for parent in PurePosixPath(path).parents:
            things.setdefault(str(parent), Thing(str(parent), "dir"))
    return [
        things[path] for path in sorted(things, key=lambda path: (path.count("/"), path) if path != "/" else (0, ""))
    ]


def _mount_point(things: dict[str, Thing], path: str, scenario: Scenario) -> None:
    """Something to mount on: of the kind of what gets mounted there."""
    hosts = {f"{scenario.workload.root}{inside}": host for host, inside, _ in scenario.workload.binds}
    mounted = things.get(hosts[path])
    kind = "dir" if mounted is None or mounted.kind == "dir" else "file"
    things.setdefault(path, Thing(path, kind))


def _libraries(thing: Thing, scenario: Scenario) -> Iterable[Thing]:
    if thing.copy is None or thing.copy == BUSYBOX:
        return
    root = scenario.workload.root
    inside = root is not None and thing.path.startswith(f"{root}/")
    for path, file in with_libraries(_source(thing)).items():
        place = f"{root}{path}" if inside else path
        yield Thing(place, "file", label=thing.label if inside else None, mode=0o755, copy=str(file.resolve()))


def _source(thing: Thing) -> Path:
    assert thing.copy is not None
    return find_busybox() if thing.copy == BUSYBOX else Path(thing.copy)


def check_sources(scenario: Scenario) -> None:
    """Every file that is to be copied is there, before anything is built for it. Raises SourceError,
    MissingDependency."""
    files: dict[str, Path] = {}
    for thing in scenario.things:
        if thing.copy is not None:
            _kept(_source(thing), files)


def _told_thing(thing: Thing, contexts: _Contexts, label: Label, files: dict[str, Path]) -> dict[str, Any]:
    tclass = ("blk_file" if thing.block else "chr_file") if thing.kind == "node" else _CLASSES[thing.kind]
    if thing.label is not None:
        context: Optional[str] = contexts.file(thing.label, thing.level)
    else:
        context = contexts.said(label(thing.path, tclass), thing.level)
    told: dict[str, Any] = {"path": thing.path, "kind": thing.kind, "context": context, "mode": _mode(thing)}
    if thing.kind == "node":
        kind = stat.S_IFBLK if thing.block else stat.S_IFCHR
        told.update(type=kind, major=thing.major, minor=thing.minor)
    elif thing.kind == "link":
        told["target"] = thing.target
    elif thing.kind == "socket":
        assert thing.server is not None
        told["server"] = contexts.server(thing.server)
    elif thing.copy is not None:
        told["file"] = _kept(_source(thing), files)
    elif thing.size is not None:
        told["size"] = thing.size
    elif thing.content is not None:
        told["content"] = thing.content
    return told


def _mode(thing: Thing) -> int:
    if thing.mode is not None:
        return thing.mode
    return 0o755 if thing.kind == "dir" or thing.copy is not None else 0o644


def _kept(source: Path, files: dict[str, Path]) -> str:
    for name, path in files.items():
        if path == source:
            return name
    try:
        size = source.stat().st_size
    except OSError as error:
        raise SourceError(f"{source} can't be read: {error.strerror}") from error
    if size > _LARGEST_COPY or not source.is_file():
        raise SourceError(f"{source} is no file of at most {_LARGEST_COPY >> 20} MiB")
    files[str(len(files))] = source
    return str(len(files) - 1)


def _told_root(scenario: Scenario) -> Optional[dict[str, Any]]:
    root = scenario.workload.root
    if root is None:
        return None
    binds = [[host, inside, read_only] for host, inside, read_only in scenario.workload.binds]
    return {"path": root, "binds": binds, "host": list(_SHARED_WITH_A_ROOT)}


def _told_step(step: Step, scenario: Scenario, contexts: _Contexts) -> dict[str, Any]:
    workload = scenario.workload
    arguments = dict(step.arguments)
    label = arguments.get("label")
    if isinstance(label, str):
        arguments["context"] = contexts.file(label, step.level if step.level else None)
    into = arguments.get("into")
    if isinstance(into, str):
        arguments["context"] = contexts.process(into, step.level or workload.level)
    own = step.domain is None
    return {
        "name": step.name,
        "operation": step.operation,
        "arguments": arguments,
        "passed": list(OPERATIONS[step.operation].passed),
        "context": contexts.process(step.domain or workload.domain, step.level or workload.level),
        "inside": own and workload.root is not None,
    }


def with_domain(scenario: Scenario, domain: str) -> Scenario:
    """The same scenario with its workload in another domain."""
    return replace(scenario, workload=replace(scenario.workload, domain=domain))


def check_binds(scenario: Scenario) -> None:
    """UsageError where binds have no root to be made in."""
    if scenario.workload.binds and scenario.workload.root is None:
        raise UsageError(f"{scenario.file}: [workload]: binds without root", "a root is what they are mounted in")
