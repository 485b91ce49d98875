"""What a command costs, and what sediff and ``polkit diff`` say of two policies, to be held together."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

from polkit.policy import TargetPolicy

_PAUSE = 0.02
Access = tuple[str, ...]


class Run(NamedTuple):
    """Seconds, peak memory in MiB, and what a command printed."""

    seconds: float
    mebibytes: float
    printed: str


def measured(command: list[str], **environment: str) -> Run:
    """One run of a command. Its memory is that of all its processes together, pages that they share counted once."""
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, env={**os.environ, **environment})
        with _Together(process.pid) as together:
            _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, command
        output.seek(0)
        return Run(seconds, max(usage.ru_maxrss, together.peak) / 1024, output.read().decode())


class _Together:
    """Watches how much memory a process has together with those that it began, while there are any: KiB, at its peak.

    Of a process alone the kernel keeps the peak itself.
    """

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _Together:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_PAUSE):
            family = _family(self._pid)
            if len(family) > 1:
                self.peak = max(self.peak, sum(map(_share, family)))


def _family(pid: int) -> list[int]:
    """A process and all those below it (proc_pid_task(5): children)."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []  # it has ended
    return [pid, *(one for child in children for one in _family(int(child)))]


def _share(pid: int) -> int:
    """The KiB of a process, of pages that several have each one's share (proc_pid_smaps(5): Pss)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def by_sediff(told: str, sign: str) -> set[Access]:
    """What sediff says was added (+) or removed (-), in whole rules and in modified ones; last, "[" for a rule that a
    boolean decides."""
    found: set[Access] = set()
    for line in told.splitlines():
        rule, condition, _ = line.partition("[")
        words = rule.replace("{", " ").replace("}", " ").replace(";", " ").split()
        if len(words) >= 4 and words[1] == "allow" and words[0] in (sign, "*"):
            perms = words[4:] if words[0] == sign else [one[1:] for one in words[4:] if one[0] == sign]
            found.update((words[2], *words[3].split(":"), perm, condition) for perm in perms)
    return found


def by_polkit(rules: list[dict[str, Any]]) -> set[Access]:
    """The same of polkit's JSON."""
    return {
        (one["source"], one["target"], one["class"], perm, "[" if one["condition"] else "")
        for one in rules
        if one["kind"] == "allow"
        for perm in one["perms"]
    }


def unlike(told: Run, found: dict[str, list[dict[str, Any]]], old: TargetPolicy, new: TargetPolicy) -> list[Access]:
    """Accesses that one of the two alone lists, but rules of booleans that come to nothing (sediff lists them)."""
    apart: set[Access] = set()
    for sign, rules, having, other in (("+", found["added"], new, old), ("-", found["removed"], old, new)):
        theirs = by_sediff(told.printed, sign)
        idle = {
            one
            for one in theirs
            if one[4] and any(one[3] in policy.always_allowed(*one[:3]) for policy in (having, other))
        }
        apart |= (theirs - idle) ^ by_polkit(rules)
    return sorted(apart)
