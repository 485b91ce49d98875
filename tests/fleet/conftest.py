"""A real cluster: scheduler and workers are processes, started as `dask scheduler` and `dask worker` start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import pytest

from polkit.audit import Ledger, dump
from tests.audit.reading import avc

pytest.importorskip("distributed", reason="Dask is not installed: was the package index reachable to script/bootstrap?")

PATIENCE = 60.0


@dataclass
class Cluster:
    """``workers`` by their addresses, in the order they were started."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Of the scheduler."""
        address: str = json.loads((self.folder / "scheduler.json").read_text())["address"]
        return address

    def start(self, workers: int) -> None:
        """A scheduler and its workers, ready to work."""
        self._run("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        wait_for((self.folder / "scheduler.json").exists)
        for _ in range(workers):
            self.add_worker()

    def add_worker(self, environment: Optional[Mapping[str, str]] = None) -> None:
        """One more worker process."""
        before = set(self.known())
        process = self._run("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", environment=environment)
        wait_for(lambda: set(self.known()) - before)
        (address,) = set(self.known()) - before
        self.workers[address] = process

    def known(self) -> list[str]:
        """The workers that the scheduler knows."""
        with self.client() as client:
            return list(client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.workers)))

    def client(self) -> Any:
        """A client to look at the cluster with."""
        import distributed

        return distributed.Client(self.address, set_as_default=False)

    def stop(self) -> None:
        """End what was started."""
        for process in reversed(self.processes):
            process.kill()
            process.wait()

    def _run(self, *arguments: str, environment: Optional[Mapping[str, str]] = None) -> subprocess.Popen[bytes]:
        file = str(self.folder / "scheduler.json")
        with (self.folder / f"{arguments[0]}{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments, "--scheduler-file", file],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **(environment or {})},
            )
        self.processes.append(process)
        return process


def wait_for(condition: Any) -> None:
    """Until a condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers for everybody: leave them as they are."""
    yield from _cluster(tmp_path_factory.mktemp("cluster"), 2)


@pytest.fixture
def own_cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler alone, to do with as a test likes."""
    yield from _cluster(tmp_path / "own", 0)


def _cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    folder.mkdir(exist_ok=True)
    cluster = Cluster(folder)
    try:
        cluster.start(workers)
        yield cluster
    finally:
        cluster.stop()


def text(ledger: Ledger) -> list[str]:
    """A ledger as its file has it."""
    return list(dump(ledger))


def node_log(node: int, events: int) -> str:
    """The log of a node: denials, each with the other records of its event."""
    lines = []
    for n in range(events):
        head = f"node=n{node} type={{}} msg=audit(17000{node:05}.{n % 1000:03}:{n}): "
        record = avc(f'comm="app{n % 9}" name="f{n}"', ("read", "open", "write")[n % 3])
        lines += [
            head.format("AVC") + record.partition("): ")[2],
            head.format("SYSCALL") + 'arch=c000003e syscall=257 success=no exit=-13 a2=0 exe="/app"',
            head.format("CWD") + f'cwd="/srv/{n % 5}"',
            head.format("PATH") + f'item=0 name="f{n}" nametype=NORMAL',
        ]
    return "\n".join(lines) + "\n"
