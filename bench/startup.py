"""How long ``polkit --help`` takes against an interpreter that does nothing: the median of 30 starts each."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 30


def median_ms(command: list[str]) -> float:
    """The median wall time of the command in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def main() -> None:
    """Print both and their ratio."""
    python = str(Path(sys.executable).resolve())
    idle = median_ms([python, "-c", "pass"])
    help_ = median_ms([str(Path(sys.executable).with_name("polkit")), "--help"])
    print(f"python3 -c pass  {idle:6.1f} ms")
    print(f"polkit --help    {help_:6.1f} ms  {help_ / idle:.1f} times")


if __name__ == "__main__":
    main()
