"""Jobs side by side, each in a process of its own: libsepol holds one policy a process, and Python uses one core.

They are forked, so that a job may be any function, and send back what they return. None outlives the one that started
them: interrupted, it interrupts them and waits until they have cleaned up; killed, the kernel kills them.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from polkit.errors import PolkitError

Say = Callable[[str], None]
Job = Callable[[Say], Any]
_PDEATHSIG = 1
_PATIENCE = 30.0
"""Seconds for a job that was interrupted to take down its machine and its files."""


@dataclass(frozen=True)
class Done:
    """What a job returned, and the seconds it took."""

    value: Any
    seconds: float


def side_by_side(jobs: Mapping[str, Job], say: Say) -> dict[str, Done]:
    """Run the jobs at the same time; ``say`` is told what each is doing. Raises the first error of any of them."""
    running: dict[Connection, tuple[str, BaseProcess, float]] = {}
    doing: dict[str, str] = {}
    done: dict[str, Done] = {}
    try:
        for name, job in jobs.items():
            connection, process = _start(job)
            running[connection] = (name, process, time.monotonic())
        while running:
            for ready in wait(list(running)):
                assert isinstance(ready, Connection)
                name, process, began = running[ready]
                word, value = _received(ready, name)
                if word == "doing":
                    doing[name] = value
                    say("; ".join(doing.values()))
                    continue
                del running[ready]
                process.join()
                doing.pop(name, None)
                if word == "raised":
                    raise value
                done[name] = Done(value, time.monotonic() - began)
    finally:
        _end([process for _, process, _ in running.values()])
    return {name: done[name] for name in jobs}


def _start(job: Job) -> tuple[Connection, BaseProcess]:
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe(duplex=False)
    process = fork.Process(target=_run, args=(job, theirs, os.getpid()))
    process.start()
    theirs.close()
    return ours, process


def _run(job: Job, connection: Connection, parent: int) -> None:
    """In the new process: ends with what the job returned or raised on its way."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)

    def say(text: str) -> None:
        connection.send(("doing", text))

    told: tuple[str, Any]
    try:
        told = ("returned", job(say))
    except KeyboardInterrupt:
        os._exit(130)  # whoever interrupted us knows
    except PolkitError as error:
        told = ("raised", error)
    with suppress(BrokenPipeError):
        connection.send(told)


def _received(connection: Connection, name: str) -> tuple[str, Any]:
    try:
        word, value = connection.recv()
    except EOFError:
        return "raised", PolkitError(f"{name} ended without a result", "it was killed, or ran out of memory")
    return str(word), value


def _end(processes: list[BaseProcess]) -> None:
    """Interrupt what still runs, and wait until it is gone."""
    for process in processes:
        _interrupt(process)
    deadline = time.monotonic() + _PATIENCE
    for process in processes:
        process.join(max(deadline - time.monotonic(), 0.1))
        if process.is_alive():
            process.kill()
            process.join()


def _interrupt(process: BaseProcess) -> None:
    if process.is_alive() and process.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGINT)
