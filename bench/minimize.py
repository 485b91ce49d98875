"""How fast refused accesses are diagnosed, side by side on the real policy: polkit, libsepol's audit2why, sesearch.

Every time is a whole process', from its start to its end: interpreter, imports and loading the policy count for each
alike, and none but those called warm has a cache. All take turns; a ratio is the median of the rounds'. Where a bar is
missed, the exit code is 1.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))  # the sampler is the tests'

from polkit.policy import load_policy  # noqa: E402
from tests.policy.sampling import Asked, Sampler, predicted  # noqa: E402

ACCESSES = 1000
SEARCHES = 20
ROUNDS = 3
SEED = 1000
LOG = REPOSITORY / "fixtures/avc/kernel/vllm-serving.audit.log"
WORKER = REPOSITORY / "bench/_diagnose.py"
Times = dict[str, list[float]]
KINDS = {0: "ALLOW", 1: "DONTAUDIT", 2: "TERULE", 3: "BOOLEAN", 4: "CONSTRAINT", 5: "RBAC", 6: "BOUNDS"}
"""libselinux' ``audit2why.c``."""


@dataclass(frozen=True)
class Bar:
    """A ratio that must be at least ``least``."""

    text: str
    ratio: float
    least: float

    @property
    def passed(self) -> bool:
        """Whether it is."""
        return self.ratio >= self.least


class Runner:
    """Runs commands as on a user's host: with compiled bytecode, and a cache only where one is given."""

    def __init__(self, scratch: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._environment = {**kept, "PYTHONPYCACHEPREFIX": str(scratch / "bytecode")}

    def seconds(self, command: list[str], cache: Path | None = None) -> tuple[float, str]:
        """The command's wall time and what it printed."""
        told = {"POLKIT_CACHE": "off"} if cache is None else {"POLKIT_CACHE": "on", "XDG_CACHE_HOME": str(cache)}
        start = time.perf_counter()
        done = subprocess.run(command, env={**self._environment, **told}, capture_output=True, text=True, check=False)
        taken = time.perf_counter() - start
        if done.returncode not in (0, 1):
            sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
        return taken, done.stdout


def refused(policy_file: Path, root: str, count: int) -> list[Asked]:
    """Distinct accesses that the policy refuses, the same ones at every run: of each of libsepol's verdicts 20, as far
    as there are, the rest as drawn.
    """
    policy = load_policy(root)
    drawn = [one for one in Sampler(policy_file, SEED).mixed(8 * count) if not policy.decide(one.access).allowed]
    kinds: dict[str, list[Asked]] = {}
    for one in drawn:
        kinds.setdefault(predicted(policy, one.access).kind, []).append(one)
    chosen = dict.fromkeys(one for found in kinds.values() for one in found[:20])
    chosen.update(dict.fromkeys(drawn))
    return list(chosen)[:count]


def question(one: Asked) -> list[str]:
    """The access as both are asked it."""
    return [str(one.source), str(one.target), one.access.tclass, one.access.perm]


def search(policy_file: Path, one: Asked) -> list[str]:
    """The ``sesearch`` that looks for its allow rule."""
    access = one.access
    return [
        *("sesearch", "-A", "-s", access.source.type, "-t", access.target.type),
        *("-c", access.tclass, "-p", access.perm, str(policy_file)),
    ]


def explain(log: Path, root: str) -> list[str]:
    """The command that diagnoses a log."""
    return [str(Path(sys.executable).with_name("polkit")), "explain", str(log), "--policy", root]


def as_log(sample: list[Asked]) -> str:
    """The accesses as the denials of an audit log."""
    return "".join(
        f"type=AVC msg=audit(1700000000.000:{number}): avc:  denied  {{ {one.access.perm} }} for  pid=1 "
        f'comm="x" scontext={one.source} tcontext={one.target} tclass={one.access.tclass} permissive=0\n'
        for number, one in enumerate(sample, 1)
    )


def ratio(one: list[float], two: list[float]) -> float:
    """The median of the rounds' ratios: what else the host does slows both sides of one alike."""
    return statistics.median(first / second for first, second in zip(one, two))


def report(label: str, seconds: float, more: str = "") -> None:
    """One line of the table."""
    print(f"{label:<48} {seconds:9.2f} s{'  ' if more else ''}{more}", flush=True)


def check_answers(sample: list[Asked], root: str, theirs: list[int]) -> None:
    """Ends where libsepol says otherwise: a wrong diagnosis may take any time."""
    policy = load_policy(root)
    wrong = [one for one, code in zip(sample, theirs) if predicted(policy, one.access).kind != KINDS.get(code)]
    if wrong:
        sys.exit(f"{len(wrong)} of {len(sample)} verdicts are not libsepol's, the first on {wrong[0]}")


def take_turns(runner: Runner, jobs: dict[str, tuple[list[str], Path | None]]) -> tuple[Times, dict[str, str]]:
    """The times of each job in every round, after one that fills its cache and compiles bytecode; what each printed."""
    times: Times = {name: [] for name in jobs}
    printed = {name: runner.seconds(command, cache)[1] for name, (command, cache) in jobs.items()}
    for _ in range(ROUNDS):
        for name, (command, cache) in jobs.items():
            taken, printed[name] = runner.seconds(command, cache)
            times[name].append(taken)
    return times, printed


def measure_diagnosing(runner: Runner, root: str, policy_file: Path, scratch: Path) -> list[Bar]:
    """1,000 accesses, against audit2why and sesearch."""
    sample = refused(policy_file, root, ACCESSES)
    questions, log, cache = scratch / "questions", scratch / "log", scratch / "cache"
    questions.write_text("".join(json.dumps(question(one)) + "\n" for one in sample))
    log.write_text(as_log(sample))
    ours = [sys.executable, str(WORKER), "polkit", root, str(questions)]
    theirs = [sys.executable, str(WORKER), "audit2why", str(policy_file), str(questions)]
    jobs = {
        "polkit, no cache": (ours, None),
        "polkit, warm cache": (ours, cache),
        "audit2why": (theirs, None),
        "polkit explain of them as a log, warm cache": (explain(log, root), cache),
    }
    times, printed = take_turns(runner, jobs)
    cold, warm, libsepol, whole = times.values()
    said = {name: json.loads(text) for name, text in list(printed.items())[:3]}
    check_answers(sample, root, said["audit2why"]["answers"])
    describe_sample(said["audit2why"]["answers"], said["polkit, no cache"]["answers"])
    for name, taken in times.items():
        inside = "of which loading {load:.2f}, questions {ask:.2f}".format(**said[name]) if name in said else ""
        report(name, statistics.median(taken), inside)
    searches = [runner.seconds(search(policy_file, one))[0] for one in sample[:: ACCESSES // SEARCHES]]
    scaled = sum(searches) * ACCESSES / len(searches)
    report(f"sesearch, {len(searches)} runs", sum(searches), f"scaled to {ACCESSES}: {scaled:.0f} s")
    return [
        Bar("audit2why / polkit without a cache", ratio(libsepol, cold), 1),
        Bar("sesearch / polkit without a cache", scaled / statistics.median(cold), 100),
        Bar("audit2why / polkit explain of a log, warm", ratio(libsepol, whole), 1),
        Bar("polkit without / with a warm cache", ratio(cold, warm), 3),
    ]


def describe_sample(theirs: list[int], ours: list[list[str]]) -> None:
    """What the accesses are refused for."""
    kinds = ", ".join(f"{KINDS[code]} {number}" for code, number in Counter(theirs).most_common())
    several = sum(len(set(found) - {"boolean", "dontaudit"}) > 1 for found in ours)
    print(f"{len(ours)} refused accesses: {kinds} (libsepol, and polkit)")
    print(f"{several} of them are refused for several reasons (polkit)")


def measure_explain(runner: Runner, root: str, scratch: Path) -> list[Bar]:
    """``polkit explain`` on a recorded log, the cache cold and warm."""
    command = explain(LOG, root)
    cold, warm = [], []
    for number in range(ROUNDS + 1):
        cache = scratch / f"cache{number}"
        cache.mkdir()
        pair = runner.seconds(command, cache)[0], runner.seconds(command, cache)[0]
        if number:  # the first compiles bytecode
            cold.append(pair[0])
            warm.append(pair[1])
    report(f"polkit explain {LOG.name}, cold cache", statistics.median(cold))
    report("the same, warm", statistics.median(warm))
    return [Bar("explain with a cold / warm cache", ratio(cold, warm), 3)]


def main() -> int:
    """Print the times, then each bar with its ratio."""
    root = os.environ.get("POLKIT_POLICY_ROOT", "/")
    policy_file = sorted(Path(root).glob("etc/selinux/*/policy/policy.*"))[-1]
    if shutil.which("sesearch") is None:
        print("sesearch is missing: install setools (Debian), setools-console (Fedora)", file=sys.stderr)
        return 4
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "cache").mkdir()
        runner = Runner(scratch)
        bars = measure_diagnosing(runner, root, policy_file, scratch) + measure_explain(runner, root, scratch)
    print()
    for bar in bars:
        print(f"{'PASS' if bar.passed else 'FAIL'}  {bar.text:<42} {bar.ratio:8.1f} times, at least {bar.least:g}")
    return 0 if all(bar.passed for bar in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
