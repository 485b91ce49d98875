"""A second process for a part of the work, ended with what it was begun for."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, Callable, Optional

from polkit.errors import PolkitError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Send = Callable[[object], None]


@contextmanager
def other_process(work: Callable[[Send], object]) -> Iterator[Connection]:
    """Run ``work`` in a process of its own: what it sends, what it returns and a PolkitError or OSError that it raises
    are to be received here, in this order. At the end of the block it ends, whatever it is doing.

    At a terminal Ctrl-C goes to all processes of a command. This one is interrupted, and then ends the other.
    """
    import multiprocessing

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=_run, args=(work, theirs))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        child.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        child.terminate()
        child.join()


def received(answers: Connection) -> Any:
    """The next of what the other process sent. Raises what it raised, and EOFError where it ended without a word."""
    answer = answers.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _run(work: Callable[[Send], object], answers: Connection) -> None:
    signal.signal(signal.SIGTERM, _end)
    with suppress(BrokenPipeError):
        try:
            answers.send(work(answers.send))
        except (PolkitError, OSError) as problem:
            answers.send(problem)


def _end(number: int, frame: Optional[FrameType]) -> None:
    """An end by which a process that this one has begun ends too."""
    raise SystemExit(1)
