"""Logs read in a process of their own while this one does something else, such as loading a policy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Callable, Optional

from polkit.audit.host import collect
from polkit.audit.ledger import Ledger
from polkit.audit.read import read_logs
from polkit.audit.sources import find_sources
from polkit.audit.tally import ReadOptions
from polkit.errors import PolkitError, SourceError
from polkit.other_process import Send, other_process, received

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

SMALLEST = 1 << 20
"""Bytes. Less isn't worth a process."""

Collected = Callable[[], Ledger]
Progress = Callable[[int], None]


@contextmanager
def collect_ahead(
    logs: Sequence[str],
    options: ReadOptions,
    stdin: Optional[BinaryIO] = None,
    progress: Optional[Progress] = None,
) -> Iterator[Collected]:
    """What ``collect`` gives, from the function that this gives: files of some size are read from now on.

    The function raises what ``collect`` raises, and tells ``progress``, while it is waited for.
    """
    if not _is_worth_it(logs):
        yield lambda: collect(logs, options, stdin, progress)
        return

    def read(send: Send) -> Ledger:
        return read_logs(logs, options, progress=send if progress is not None else None)

    with other_process(read) as answers:
        yield lambda: _received(answers, progress)


def _is_worth_it(logs: Sequence[str]) -> bool:
    """Whether these are files, large enough, and there is a second processor to read them."""
    if not logs or "-" in logs or len(os.sched_getaffinity(0)) == 1:
        return False
    try:
        paths = [source.path for source in find_sources(logs)]
        sizes = [path.stat().st_size if path is not None and path.is_file() else 0 for path in paths]
    except (PolkitError, OSError):
        return False  # said where they are read
    return sum(sizes) >= SMALLEST


def _received(answers: Connection, progress: Optional[Progress]) -> Ledger:
    while True:
        try:
            answer = received(answers)
        except EOFError:
            raise SourceError("the process that read the logs ended early", "try again") from None
        if isinstance(answer, Ledger):
            return answer
        if progress is not None:
            progress(answer)
