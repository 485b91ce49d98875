"""The closed loop on a real kernel: how long it takes, how many rounds, and the same with audit2allow beside it.

    script/bench loop                      the shipped service and attacks
    script/bench loop SERVING ATTACKS      others
    script/bench loop --quick              without audit2allow's fail-fast loop, which takes a boot for every refusal

Every time is a whole process', from its start to its end. The first loop starts with an empty cache. Where a bar is
missed, the exit code is 1.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
SCENARIOS = REPOSITORY / "fixtures/scenarios"
SERVING, ATTACKS = SCENARIOS / "serving.toml", SCENARIOS / "attacks.toml"
STEPS, BOOTS = 60, 10
REPEATABLE = ("open", "read", "stat", "list", "ioctl", "mmap", "execmem", "listen", "sysv-shm", "exec", "chmod")
"""What a step can do again in the same machine with the same result."""
NAMES = {
    "learn": "learn: policy, boot, steps",
    "generate": "make the module",
    "build": "build the policy with it",
    "serve": "run the service",
    "attack": "attack it",
    "prove": "prove the module",
}
Told = dict[str, Any]


@dataclass(frozen=True)
class Bar:
    """A number that must be at most ``most``."""

    text: str
    found: float
    most: float
    unit: str = ""

    @property
    def passed(self) -> bool:
        """Whether it is."""
        return self.found <= self.most


class Runner:
    """Runs ``polkit rehearse`` as on a user's host, with a cache of this run's own."""

    def __init__(self, scratch: Path, root: str, kernel: str) -> None:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self._environment = {**kept, "XDG_CACHE_HOME": str(scratch / "cache"), "PYTHONPATH": str(REPOSITORY)}
        self._words = ["--policy-root", root, "--kernel", kernel, "--format", "json"]
        (scratch / "cache").mkdir()

    def rehearse(self, scenario: Path, *words: object) -> tuple[float, Told]:
        """Wall time, and the object that it printed."""
        command = [sys.executable, "-m", "polkit", "rehearse", str(scenario), *map(str, words), *self._words]
        began = time.perf_counter()
        done = subprocess.run(command, env=self._environment, stdout=subprocess.PIPE, text=True, check=False)
        taken = time.perf_counter() - began
        if done.returncode not in (0, 1):
            sys.exit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
        told: Told = json.loads(done.stdout)
        if "error" in told:
            sys.exit(f"{' '.join(command)}: {told['error']['message']}\n{told['error']['hint']}")
        return taken, told


def report(label: str, seconds: float, more: str = "") -> None:
    """One line of the table."""
    print(f"{label:<52} {seconds:8.1f} s{'  ' if more else ''}{more}", flush=True)


def measure_loop(runner: Runner, serving: Path, attacks: Path) -> list[Bar]:
    """The whole loop, first with an empty cache."""
    words = ("--loop", "--attacks", attacks, "-n", "measured", "--beside", "none")
    found = [runner.rehearse(serving, *words) for _ in range(2)]
    for (taken, told), when in zip(found, ("an empty cache", "the cache it left")):
        report(f"closed loop, {when}", taken, f"{told['rounds']} round, {told['boots']} boots")
        for phase in told["phases"]:
            report(f"    {NAMES[phase['name']]}", phase["seconds"])
    told = found[-1][1]
    proof, attacked = told["proof"], told["attacks"]
    print(f"proof: {proof}; attacks refused: {attacked['refused']} of {attacked['steps']}")
    return [
        Bar("closed loop, empty cache", found[0][0], 60, "s"),
        Bar("closed loop, its own cache", found[1][0], 60, "s"),
        Bar("loops that failed", sum(not told["ok"] for _, told in found), 0),
        Bar("learning rounds", max(told["rounds"] for _, told in found), 1),
        Bar("over-permission", told["module"]["over_permission"], 0),
        Bar("attacks that were not refused", attacked["steps"] - attacked["refused"], 0),
    ]


def of_sixty_steps(serving: Path, place: Path) -> Path:
    """A scenario of 60 steps: those of the service that can be repeated, each under a name of its own."""
    head, *steps = serving.read_text(encoding="utf-8").split("[[step]]")
    made = set(re.findall(r'^do = "create"\npath = "(.*)"$', "".join(steps), re.MULTILINE))
    again = [
        one
        for one in steps
        if re.search(rf'^do = "({"|".join(REPEATABLE)})"$', one, re.MULTILINE)
        if not any(f'"{path}"' in one for path in made)
    ]
    texts = [again[number % len(again)] for number in range(STEPS)]
    named = [
        re.sub(r'^name = ".*"$', f'name = "step-{number}"', one, flags=re.MULTILINE) for number, one in enumerate(texts)
    ]
    path = place / "sixty.toml"
    path.write_text("[[step]]".join([head, *named]), encoding="utf-8")
    return path


def measure_boots(runner: Runner, scenario: Path, scratch: Path) -> list[Bar]:
    """One scenario of 60 steps, the policy built and remembered; then ten times the same boot."""
    first, _ = runner.rehearse(scenario, "--learn")
    report(f"rehearsal of {STEPS} steps, the policy built", first)
    seen: Counter[tuple[str, ...]] = Counter()
    times: list[float] = []
    machines: list[float] = []
    failed = lost = 0
    for number in range(BOOTS):
        place = scratch / f"boot{number}"
        taken, told = runner.rehearse(scenario, "--learn", "-o", place)
        times.append(taken)
        machines.append(told["boot_seconds"])
        failed += not told["ok"]
        lost += told["lost"]
        seen[denials(place / "audit.log")] += 1
    report(f"the same, the policy remembered, of {BOOTS} the slowest", max(times), f"machine {max(machines):.1f} s")
    print(f"{BOOTS} boots: {len(seen)} set of denials, {len(next(iter(seen)))} in it")
    return [
        Bar(f"one boot with {STEPS} steps, whole command", max(times), 12, "s"),
        Bar(f"different sets of denials in {BOOTS} boots", len(seen), 1),
        Bar("boots that failed", failed, 0),
        Bar("records lost", lost, 0),
    ]


def denials(log: Path) -> tuple[str, ...]:
    """Every denial, but for what a boot decides: time, serial, process, inode."""
    lines = [
        line
        for line in log.read_text(encoding="utf-8").splitlines()
        if line.startswith(("type=AVC", "type=SELINUX_ERR"))
    ]
    return tuple(sorted(re.sub(r"audit\([^)]*\)|\b(?:pid|ino)=\d+|\[\d+\]", "", line) for line in lines))


def measure_peers(runner: Runner, serving: Path, attacks: Path, ways: str) -> list[Bar]:
    """The same loop with audit2allow, in the same run."""
    _, told = runner.rehearse(serving, "--loop", "--attacks", attacks, "-n", "measured", "--beside", ways)
    peers = [peer for peer in told["beside"] if peer["available"]]
    if not peers:
        print(f"audit2allow is not installed: {told['beside'][0]['hint']}")
        return []
    module, total = told["module"], told["attacks"]["steps"]
    rows = [("", "rounds", "until it works", "rules", "accesses", "over", "let through", "for")]
    rows.append(
        (
            "polkit", str(told["rounds"]), f"{told['working_seconds']:.0f} s", str(module["statements"]),
            str(module["accesses"]), str(module["over_permission"]),
            f"{len(told['attacks']['through'])} of {total}", str(module["domain"]),
        )
    )  # fmt: skip
    for peer in peers:
        rows.append(
            (
                f"audit2allow, {peer['way']}", str(peer["rounds"]) + ("" if peer["closed"] else " (stopped)"),
                f"{peer['working_seconds']:.0f} s", str(peer["statements"]), str(peer["accesses"]),
                str(peer["over_permission"]),
                through(peer), " ".join(peer["domains"]),
            )
        )  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    for peer in peers:
        print(f"audit2allow, {peer['way']}, lets through: {through(peer, names=True)}")
        print(f"    {peer['rounds'] / told['rounds']:.0f} times polkit's rounds", end=", ")
        print(f"{peer['working_seconds'] / told['working_seconds']:.1f} times its seconds {peer['stopped']}".rstrip())
    print("dontaudit rules are off for both, which helps audit2allow")
    return [Bar("polkit's rounds / audit2allow's fewest", told["rounds"] / min(peer["rounds"] for peer in peers), 0.5)]


def through(peer: Told, names: bool = False) -> str:
    """How many attacks get through, or which."""
    found = peer["attacks"]
    if found is None:
        return "not known"
    return (", ".join(found["through"]) or "none") if names else f"{len(found['through'])} of {found['steps']}"


def main() -> int:
    """Print the times, then each bar with its number."""
    given = [word for word in sys.argv[1:] if not word.startswith("-")]
    serving, attacks = map(Path, given) if given else (SERVING, ATTACKS)
    ways = "carry-on" if "--quick" in sys.argv else "both"
    root = os.environ.get("POLKIT_POLICY_ROOT", "/")
    kernel = os.environ.get("POLKIT_KERNEL") or _kernel()
    if shutil.which("audit2allow") is None:
        print("without audit2allow: install policycoreutils-python-utils to compare", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        runner = Runner(scratch, root, kernel)
        bars = measure_loop(runner, serving, attacks)
        print()
        bars += measure_boots(runner, of_sixty_steps(serving, scratch), scratch)
        print()
        bars += measure_peers(runner, serving, attacks, ways)
    print()
    for bar in bars:
        print(
            f"{'PASS' if bar.passed else 'FAIL'}  {bar.text:<44} {bar.found:8.1f} {bar.unit:<1}, at most {bar.most:g}"
        )
    return 0 if all(bar.passed for bar in bars) else 1


def _kernel() -> str:
    done = subprocess.run([REPOSITORY / "script/machine"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    return done.stdout.splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main())
