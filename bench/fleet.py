"""What collecting on a cluster costs: ``script/bench fleet [NODES [MB]]``, a log of so many MB for each of the nodes.

Measured here, with one worker and with two: bytes a second and worker. And of the ledger: its size for each node, what
merging costs, what the client holds. The table for larger fleets is computed from these, and says so.
"""

from __future__ import annotations

import math
import pickle
import random
import resource
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import distributed

from polkit.audit import Ledger, ReadOptions, ledger_bytes, merge, read_logs
from polkit.fleet import collect_on

NODES, MEGABYTES = 20, 8
TYPES = ("container_t", "container_init_t", "spc_t")
TARGETS = ("container_file_t", "var_lib_t", "default_t", "xserver_misc_device_t", "nfs_t", "user_home_t")
PERMS = ("read", "open", "getattr", "write", "map", "ioctl")
FLEETS = (100, 1_000, 10_000)
WORKERS = (2, 16, 64)
TOGETHER = 16
"""So many ledgers are merged at once (polkit.fleet.cluster)."""


KINDS = 200
"""Denials of a node that differ in more than process, time and levels."""


def write_log(path: Path, node: int, size: int) -> None:
    """A mixed audit.log of a container host: of six events one is a denial, each with a random pair of categories."""
    draw = random.Random(node)
    kinds = [
        (draw.choice(PERMS), f"app{draw.randrange(20)}", n, draw.choice(TYPES), draw.choice(TARGETS))
        for n in range(KINDS)
    ]
    written = 0
    with path.open("w") as log:
        for serial in range(1 << 30):
            stamp = f"audit({1_700_000_000 + serial // 20}.{serial % 1000:03}:{serial})"
            lines = []
            if serial % 6 == 0:
                level = f"s0:c{draw.randrange(512)},c{512 + draw.randrange(512)}"
                perm, comm, number, source, target = draw.choice(kinds)
                lines.append(
                    f"type=AVC msg={stamp}: avc:  denied  {{ {perm} }} for  pid={draw.randrange(9999)} "
                    f'comm="{comm}" name="f{number}" dev="sda1" ino={7000 + number} '
                    f"scontext=system_u:system_r:{source}:{level} "
                    f"tcontext=system_u:object_r:{target}:s0 tclass=file permissive=0\n"
                )
            lines.append(
                f"type=SYSCALL msg={stamp}: arch=c000003e syscall=257 success=no exit=-13 a0=ffffff9c a2=0 a3=0 "
                f'items=1 ppid=1 pid=2 auid=1000 uid=0 comm="app" exe="/usr/bin/app" key=(null)\n'
            )
            lines.append(f'type=CWD msg={stamp}: cwd="/srv"\n')
            log.writelines(lines)
            written += sum(map(len, lines))
            if written >= size:
                return


def timed(workers: int, pattern: str) -> tuple[float, Ledger]:
    """Seconds that a cluster of so many workers takes, once it is up and has worked before."""
    with distributed.LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        first = sorted(Path(pattern).parent.glob(Path(pattern).name))[0]
        collect_on(cluster.scheduler_address, [str(first)], ReadOptions())
        start = time.perf_counter()
        ledger = collect_on(cluster.scheduler_address, [pattern], ReadOptions())
        return time.perf_counter() - start, ledger


def table(megabytes: float, rate: float, plain: float, packed: float, merging: float, held: float) -> None:
    """The extrapolation: everything but the fixed costs grows with the nodes."""
    print("\nextrapolated from the figures above (nothing below was run; network and object store not included)")
    reads = "".join(f"{f'read, {workers} workers':>18}" for workers in WORKERS)
    print(f"{'nodes':>7}{reads}{'ledger':>11}{'as .zst':>11}{'merging':>10}{'client holds':>14}")
    for nodes in FLEETS:
        seconds = "".join(f"{nodes * megabytes / rate / workers:>16,.0f} s" for workers in WORKERS)
        levels = math.ceil(math.log(nodes, TOGETHER))
        sizes = f"{nodes * plain / 1e6:>8,.0f} MB{nodes * packed / 1e6:>8,.1f} MB"
        print(f"{nodes:>7,}{seconds}{sizes}{nodes * merging * levels:>8,.1f} s{nodes * held / 1e6:>11,.0f} MB")


def main() -> None:
    """Generate the logs, measure, and extrapolate."""
    nodes = int(sys.argv[1]) if len(sys.argv) > 1 else NODES
    megabytes = float(sys.argv[2]) if len(sys.argv) > 2 else MEGABYTES
    with tempfile.TemporaryDirectory() as folder:
        for node in range(nodes):
            write_log(Path(folder) / f"node{node:05}.log", node, int(megabytes * 1e6))
        pattern = str(Path(folder) / "node*.log")
        start = time.perf_counter()
        here = read_logs([pattern])
        alone = time.perf_counter() - start
        runs = {workers: timed(workers, pattern) for workers in (1, 2)}
        same = all(b"".join(ledger_bytes(ledger)) == b"".join(ledger_bytes(here)) for _, ledger in runs.values())
    total = nodes * megabytes
    print(f"{nodes} nodes, {megabytes:g} MB each; the ledgers are {'the same' if same else 'NOT THE SAME'}")
    print(f"one process, no cluster   {alone:6.1f} s  {total / alone:7.1f} MB/s")
    for workers, (seconds, _) in runs.items():
        print(
            f"{workers} worker{'s' if workers > 1 else ' '}                 {seconds:6.1f} s  "
            f"{total / seconds / workers:7.1f} MB/s and worker"
        )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    plain, packed = (sum(map(len, ledger_bytes(here, suffix))) / nodes for suffix in ("", ".zst"))
    single = [Ledger({source: partial}) for source, partial in here.partials.items()]
    start = time.perf_counter()
    level = single
    while len(level) > 1:
        level = [merge(*level[at : at + TOGETHER]) for at in range(0, len(level), TOGETHER)]
    merging = (time.perf_counter() - start) / nodes

    start = time.perf_counter()
    moved = len(pickle.loads(pickle.dumps(here)).partials)  # what each level of the tree costs besides
    merging += (time.perf_counter() - start) / moved
    held = _memory_of(here) / nodes
    print(
        f"a node's ledger           {plain / 1e3:6.1f} kB, {packed / 1e3:.1f} kB as .zst, {held / 1e3:.1f} kB in memory"
    )
    print(
        f"merging and moving one    {merging * 1e3:6.2f} ms a level of the tree; this process peaked at "
        f"{before / 1e3:.0f} MB"
    )
    rate = total / runs[2][0] / 2
    table(megabytes, rate, plain, packed, merging, held)


def _memory_of(ledger: Ledger) -> float:
    """Bytes that a ledger holds in memory: what a second one of it takes."""

    data = pickle.dumps(ledger)
    tracemalloc.start()
    copy = pickle.loads(data)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert copy == ledger
    return float(size)


if __name__ == "__main__":
    main()
