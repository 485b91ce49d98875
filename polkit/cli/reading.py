"""From a verb's options to its Request, and a progress bar for readings that take over a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, BinaryIO, Optional

from polkit.minimize import Outcome, Request

Job = Callable[[Optional[BinaryIO], Optional[Callable[[int], None]]], Outcome]

_PATIENCE = 1.0
"""Seconds without a sign of life that nobody minds."""
_PAUSE = 0.1


def request_from(asked: dict[str, Any]) -> Request:
    """The Request for what was typed."""
    return Request(**asked)


class Progress:
    """A line on stderr with what was read so far: only on a terminal, only after a second, wiped at the end."""

    def __init__(self) -> None:
        self._start = self._last = time.monotonic()
        self._shown = False

    def __call__(self, read: int) -> None:
        """Told how many bytes were read so far; draws at most ten times a second."""
        now = time.monotonic()
        if now - self._start < _PATIENCE or now - self._last < _PAUSE:
            return
        self._last, self._shown = now, True
        print(f"\rreading  {read / 1e6:,.0f} MB", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Wipe the line, where one was shown."""
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def read_with_progress(job: Job, quiet: bool) -> Outcome:
    """Run the job with standard input as bytes, and with a Progress where somebody may be watching."""
    if quiet or not sys.stderr.isatty():
        return job(sys.stdin.buffer, None)
    progress = Progress()
    try:
        return job(sys.stdin.buffer, progress)
    finally:
        progress.close()
