"""`polkit diff` of the container host's policy with and without modules/vllm-cuda, against sediff.

The bars: the same added and removed allow rules as sediff, at least ten times faster, with a fifth of its memory.
Both compare two binary policies, each in a process of its own: sediff everything, as polkit does, and allow rules
alone; polkit with nothing cached, and then with its cache.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from polkit.bundle import cil_of
from polkit.module import build_package, fast_place
from polkit.policy import ModuleFile, TargetPolicy, both_built, load_policy, locate

PROJECT = Path(__file__).resolve().parent.parent / "modules/vllm-cuda"
Access = tuple[str, ...]


class Run(NamedTuple):
    """Seconds, peak memory in MiB, and what a command printed."""

    seconds: float
    mebibytes: float
    printed: str


def measured(command: list[str], **environment: str) -> Run:
    """One run of a command."""
    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, env={**os.environ, **environment})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, command
        output.seek(0)
        return Run(seconds, usage.ru_maxrss / 1024, output.read().decode())


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


def main() -> None:
    """Print both times, both peaks, their ratios, and what the two disagree on."""
    root, name = os.environ["POLKIT_POLICY_ROOT"], PROJECT.name
    info = load_policy(root).info
    assert info is not None
    te, fc = ((PROJECT / f"{name}.{suffix}").read_text(encoding="ascii") for suffix in ("te", "fc"))
    package = build_package(name, te, fc, info.mls, None)
    module = ModuleFile(name, ".pp", package, cil_of(package, name))
    with ExitStack() as stack:
        built = stack.enter_context(both_built(locate(root), info, (), (module,)))
        cache = stack.enter_context(tempfile.TemporaryDirectory(dir=fast_place()))
        policies = [str(one.policy) for one in built]
        ours = [sys.executable, "-m", "polkit", "diff", *policies, "--format", "json"]
        cold = measured(ours, POLKIT_CACHE="off")
        measured(ours, XDG_CACHE_HOME=cache)
        warm = measured(ours, XDG_CACHE_HOME=cache)
        theirs, allow = measured(["sediff", *policies]), measured(["sediff", "--allow", *policies])
        apart = unlike(allow, json.loads(cold.printed), *(load_policy(one) for one in policies))
    for words, run in (("sediff", theirs), ("sediff --allow", allow)):
        print(f"{words:<24} {run.seconds:7.2f} s  {run.mebibytes:7.0f} MiB")
    for words, run in (("polkit diff, no cache", cold), ("polkit diff", warm)):
        faster = " and ".join(f"{other.seconds / run.seconds:.1f}" for other in (theirs, allow))
        ratios = f"{faster} times faster, {run.mebibytes / theirs.mebibytes:.2f} of the memory"
        print(f"{words:<24} {run.seconds:7.2f} s  {run.mebibytes:7.0f} MiB  {ratios}")
    print(f"accesses that one of the two alone lists: {len(apart)}")
    for access in apart[:5]:
        print(f"  {' '.join(access)}")


if __name__ == "__main__":
    main()
