"""How fast and in how much memory logs become a ledger, beside grep and audit2allow on the same logs in the same run.

``script/bench ingest [EVENTS]``; 250,000 events of four lines if not said otherwise, written to a scratch directory:
once with few levels, once with an MCS pair of its own for each record, once with a file of its own. Every time is a
whole process', the least of the rounds, which take turns. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from _audit_log import write_log

EVENTS = 250_000
FEW_LINES = 20_000
"""With random levels audit2allow reads so many lines, each a denial: its time grows faster than they do. ``short`` are
these, ``whole`` the same with the three other records of each event."""
ROUNDS = 5
FEW_ROUNDS = 3
MEGABYTE = 1_000_000
POLKIT = str(Path(sys.executable).with_name("polkit"))


@dataclass(frozen=True)
class Run:
    """What a process took: seconds, and the largest resident set of it and of those it started, in bytes."""

    seconds: float
    memory: int


@dataclass(frozen=True)
class Bar:
    """A figure and what it may be."""

    text: str
    figure: float
    least: float
    most: float

    @property
    def passed(self) -> bool:
        """Whether it is within its bounds."""
        return self.least <= self.figure <= self.most


def run(command: list[str], environment: dict[str, str]) -> Run:
    """Run a command, its output into a file: grep stops at the first match where that is /dev/null."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(max(0, output.tell() - 400))
        said = output.read()
    seconds = time.perf_counter() - begun
    if child.returncode not in (0, 1):
        sys.exit(f"{' '.join(command)} ended with {child.returncode}: {said.decode(errors='replace')[-400:]}")
    return Run(seconds, used.ru_maxrss * 1024)


def best(commands: dict[str, list[str]], environment: dict[str, str], rounds: int) -> dict[str, Run]:
    """The quickest run of each command; they take turns."""
    runs = [{name: run(command, environment) for name, command in commands.items()} for _ in range(rounds)]
    return {name: min((one[name] for one in runs), key=lambda found: found.seconds) for name in commands}


def audit2allow(log: Path, policy: Path) -> list[str]:
    """The incumbent on a log, with the same policy."""
    return ["audit2allow", "-p", str(policy), "-i", str(log)]


def main() -> None:
    """Print the times, then the bars."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    root = Path(os.environ["POLKIT_POLICY_ROOT"])
    policy = max(root.glob("etc/selinux/*/policy/policy.*"))
    with tempfile.TemporaryDirectory(prefix="polkit-bench-") as folder:
        bars = list(measure(Path(folder), events, root, policy))
    print()
    for bar in bars:
        wanted = f"at most {bar.most:g}" if bar.least == 0 else f"{bar.least:g} or more"
        wanted = f"{bar.least:g} to {bar.most:g}" if bar.least and bar.most < float("inf") else wanted
        print(f"{'ok    ' if bar.passed else 'MISSED'} {bar.text}: {bar.figure:.2f} ({wanted})")
    sys.exit(not all(bar.passed for bar in bars))


def measure(folder: Path, events: int, root: Path, policy: Path) -> list[Bar]:
    """Write the logs, run everybody, and hold the bars."""
    logs = {name: folder / f"{name}.log" for name in ("few", "random", "files", "half", "short", "whole")}
    write_log(logs["few"], events, "few")
    write_log(logs["random"], events, "random")
    write_log(logs["files"], events, "files")
    write_log(logs["half"], events // 2, "few")
    write_log(logs["short"], min(FEW_LINES, events), "random", denials_alone=True)
    write_log(logs["whole"], min(FEW_LINES, events), "random")
    size = logs["few"].stat().st_size
    print(f"{size / MEGABYTE:,.0f} MB, {4 * events:,} lines, {events:,} AVC records; {os.cpu_count()} processors")
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "POLKIT_CACHE": "off"}
    quick = best(
        {
            "grep -c avc:": ["grep", "-c", "avc:", str(logs["few"])],
            **{
                f"polkit collect, {name}": [
                    POLKIT,
                    "collect",
                    str(logs[name]),
                    "-q",
                    "-o",
                    str(folder / "x"),
                    "--force",
                ]
                for name in ("few", "random", "files", "half")
            },
        },
        environment,
        ROUNDS,
    )
    explain = [POLKIT, "explain", "-q", "--format", "json", "--policy", str(root)]
    few = {
        "polkit explain, few": [*explain, str(logs["few"])],
        "audit2allow, few": audit2allow(logs["few"], policy),
    }
    cold = {f"polkit explain, {name}": [*explain, str(logs[name])] for name in ("short", "whole")}
    slow = {
        **best(few, environment, FEW_ROUNDS),
        **best(cold, environment, FEW_ROUNDS),
        **best({"audit2allow, short": audit2allow(logs["short"], policy)}, environment, 1),
    }
    warm_environment = {**environment, "POLKIT_CACHE": "on"}
    warm = best(
        {f"polkit explain, {name}, warm": [*explain, str(logs[name])] for name in ("short", "whole")},
        warm_environment,
        FEW_ROUNDS,
    )
    found = {**quick, **slow, **warm}
    for name, one in found.items():
        print(f"{name:28} {one.seconds:8.2f} s {one.memory / MEGABYTE:8.0f} MB")
    return _bars(found)


def _bars(found: dict[str, Run]) -> list[Bar]:
    seconds = {name: one.seconds for name, one in found.items()}
    endless = float("inf")
    few, random, files, half = (found[f"polkit collect, {name}"] for name in ("few", "random", "files", "half"))
    short = seconds["audit2allow, short"]
    memory = max(few.memory, random.memory, files.memory)
    return [
        Bar("collect, in times of grep", few.seconds / seconds["grep -c avc:"], 0, 8),
        Bar(
            "memory of collect in MB, the largest of these logs",
            memory / MEGABYTE,
            0,
            150,
        ),
        Bar("random levels, in times of few", random.seconds / few.seconds, 0, 1.5),
        Bar("a file for each record, in times of few", files.seconds / few.seconds, 0, 5),
        Bar("twice the log, in times of half", few.seconds / half.seconds, 0.9, 2.2),
        Bar("twice the log, memory in times of half", few.memory / half.memory, 0, 1.2),
        Bar(
            "explain against audit2allow, few levels",
            seconds["audit2allow, few"] / seconds["polkit explain, few"],
            6,
            endless,
        ),
        Bar("the same, 20,000 records of random levels, cold", short / seconds["polkit explain, short"], 50, endless),
        Bar("the same, warm", short / seconds["polkit explain, short, warm"], 100, endless),
    ]


if __name__ == "__main__":
    main()
