"""What each step got, told from its result and from the records that are its own; and whether that was expected.

A step is *denied* when it failed with EACCES or EPERM (a program: with any status but 0) and the log holds a denial of
its own, AVC or SELINUX_ERR, that was enforced. A failure without one is SELinux's doing no more than a missing file
is: an *error* of the scenario. What got past SELinux and then failed in a driver that isn't there is *allowed*.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from polkit.rehearse.operations import OPERATIONS
from polkit.rehearse.scenario import Step

ALLOWED, DENIED, ERROR = "allowed", "denied", "error"
_REFUSALS = ("EACCES", "EPERM")
_RECORD = re.compile(r"type=(?P<type>\S+) msg=audit\((?P<time>\d+\.\d+):(?P<serial>\d+)\): ?(?P<rest>.*)")
_USER = re.compile(r"\bauid=(\d+)")
_PID = re.compile(r"\bpid=(\d+)")
_DENIAL_TYPES = ("AVC", "SELINUX_ERR")
_GRANTED = re.compile(r"avc:\s+granted")
_PERMISSIVE = re.compile(r" permissive=1\b")
_SETUP, _BEGUN, _DONE, _FAILED, _EXECUTING = range(5)
"""As ``guest/steps.py`` has them."""
_KILLED, _NO_MEMORY_MAP = -9, 127


@dataclass(frozen=True)
class StepCause:
    """Why the policy refuses some accesses of a step; the words are those of a plan's decision."""

    cause: str
    also: tuple[str, ...]
    source: str
    target: str
    tclass: str
    perms: tuple[str, ...]
    xperms: tuple[str, ...]
    remedy: str
    why: str

    @property
    def access(self) -> str:
        """The refused accesses in a few words."""
        commands = f" {' '.join(self.xperms)}" if self.xperms else ""
        return f"{self.source} {' '.join(self.perms)}{commands} on {self.target}:{self.tclass}"


@dataclass(frozen=True)
class Judged:
    """One step with what it got. ``avc``: its own denials as the log has them. ``detail``: why it is an error.
    ``causes``: what ``explain`` says of its denials, where it was asked; ``disagreement``: where the kernel has refused
    what ``explain`` holds for allowed."""

    step: Step
    domain: str
    expect: str
    got: str
    errno: Optional[str]
    avc: tuple[str, ...]
    detail: str = ""
    seconds: float = 0.0
    causes: tuple[StepCause, ...] = ()
    disagreement: str = ""

    @property
    def ok(self) -> bool:
        """It got what was expected."""
        return self.got == self.expect


@dataclass(frozen=True)
class Log:
    """The audit log by event: which denials each step has, and how many events never arrived."""

    denials: Mapping[int, tuple[str, ...]]
    """By login id: a step's records, its children's too."""
    by_pid: Mapping[int, tuple[str, ...]]
    """Those that stand beside no system call, by process."""
    gaps: int

    def elsewhere(self, users: set[int], pids: set[int]) -> int:
        """How many denials belong to none of these."""
        by_user = sum(len(lines) for user, lines in self.denials.items() if user not in users)
        return by_user + sum(len(lines) for pid, lines in self.by_pid.items() if pid not in pids)


def read_log(text: str) -> Log:
    """Sort the records of an audit log by the step they belong to."""
    events: dict[int, list[str]] = defaultdict(list)
    users: dict[int, int] = {}
    for line in text.split("\n"):  # an ENRICHED record holds a separator that splitlines() takes for an end
        found = _RECORD.match(line)
        if found is None:
            continue
        serial = int(found["serial"])
        if found["type"] in _DENIAL_TYPES:
            if not _GRANTED.search(found["rest"]):
                events[serial].append(line)
        else:
            events.setdefault(serial, [])
            user = _USER.search(found["rest"]) if found["type"] == "SYSCALL" else None
            if user is not None:
                users[serial] = int(user[1])
    mine: dict[int, list[str]] = defaultdict(list)
    by_pid: dict[int, list[str]] = defaultdict(list)
    for serial in sorted(events):
        for line in events[serial]:
            pid = _PID.search(line)
            if serial in users:
                mine[users[serial]].append(line)
            elif pid is not None:
                by_pid[int(pid[1])].append(line)
    gaps = max(events) - min(events) + 1 - len(events) if events else 0
    return Log(_frozen(mine), _frozen(by_pid), gaps)


def _frozen(lines: Mapping[int, list[str]]) -> dict[int, tuple[str, ...]]:
    return {key: tuple(found) for key, found in lines.items()}


def judge(
    steps: Iterable[tuple[Step, str]], results: list[Mapping[str, Any]], log: Log, expect_all: Optional[str] = None
) -> tuple[Judged, ...]:
    """Every step with its domain, held against its result; those without one were never reached.

    ``expect_all`` stands in for what the steps expect (permissive: everything is allowed).
    """
    judged: list[Judged] = []
    stopped = ""
    for number, (step, domain) in enumerate(steps):
        expect = expect_all or step.expect
        if number >= len(results):
            judged.append(Judged(step, domain, expect, ERROR, None, (), f"not reached: it stopped at {stopped}"))
            continue
        stopped = step.name
        judged.append(_judged(step, domain, expect, results[number], log))
    return tuple(judged)


def _judged(step: Step, domain: str, expect: str, result: Mapping[str, Any], log: Log) -> Judged:
    own = log.denials.get(result["user"], ()) + log.by_pid.get(result["pid"], ())
    errno = result["errno"] or None
    got, detail = _verdict(step, result, any(not _PERMISSIVE.search(line) for line in own))
    return Judged(step, domain, expect, got, errno, own, detail, result["seconds"])


def _verdict(step: Step, result: Mapping[str, Any], refused: bool) -> tuple[str, str]:
    """What it got, and a word on it. ``refused``: it has an enforced denial of its own."""
    state, detail = result["state"], result["detail"]
    if state == _SETUP:
        return ERROR, f"it never became its domain: {detail or 'it ended'}"
    if state == _EXECUTING:
        return _executed(step, result, refused)
    if state == _DONE:
        return ALLOWED, ""
    if state == _FAILED:
        return _failed(step, result["errno"], detail, refused)
    how = "did not end in time" if result["late"] else f"ended with status {result['status']}"
    ended = f"it {how} while it did this"
    return (DENIED if refused and result["status"] != 0 else ERROR), ended


def _failed(step: Step, errno: str, detail: str, refused: bool) -> tuple[str, str]:
    if errno in _REFUSALS and refused:
        return DENIED, ""
    if errno in OPERATIONS[step.operation].passed:
        return ALLOWED, ""
    return ERROR, f"{detail} (SELinux logged no denial: not its refusal)" if errno in _REFUSALS else detail


def _executed(step: Step, result: Mapping[str, Any], refused: bool) -> tuple[str, str]:
    """The new program took over; whether it could start shows in how it ended."""
    status, output, late = result["status"], str(result["output"]).strip()[-200:], result["late"]
    if step.operation in ("exec", "transition") and (late or status not in (_KILLED, _NO_MEMORY_MAP)):
        return ALLOWED, ""
    if status == 0:
        return ALLOWED, ""
    if refused:
        return DENIED, output
    return ERROR, f"{'it did not end in time' if late else f'it ended with status {status}'}: {output}"
