"""How long loading the target policy takes without the cache, when it is filled and from it: the median of several
processes each, the import of ``polkit.policy`` not counted.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROUNDS = 9
LOAD = """
import sys, time
from polkit.policy import load_policy
start = time.perf_counter()
load_policy(sys.argv[1])
print((time.perf_counter() - start) * 1000)
"""


def load_ms(root: str, **environment: str) -> float:
    """The time one process takes to load the policy, in milliseconds."""
    command = [sys.executable, "-c", LOAD, root]
    done = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def cold_and_warm_ms(root: str) -> tuple[float, float, int]:
    """The first and the second load with a cache of their own, and the bytes it then holds."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"XDG_CACHE_HOME": folder, "POLKIT_CACHE": "on"}
        cold, warm = load_ms(root, **environment), load_ms(root, **environment)
        return cold, warm, sum(path.stat().st_size for path in Path(folder).glob("polkit/*"))


def main() -> None:
    """Print the three medians, what the cache holds, and how many times faster the second load is."""
    root = os.environ.get("POLKIT_POLICY_ROOT", "auto")
    rounds = [cold_and_warm_ms(root) for _ in range(ROUNDS)]
    off = statistics.median(load_ms(root, POLKIT_CACHE="off") for _ in range(ROUNDS))
    cold, warm = (statistics.median(one[n] for one in rounds) for n in (0, 1))
    print(f"no cache      {off:7.1f} ms")
    print(f"cold, filling {cold:7.1f} ms  {rounds[-1][2]:,} bytes kept")
    print(f"warm          {warm:7.1f} ms  {cold / warm:.1f} times faster than cold")


if __name__ == "__main__":
    main()
