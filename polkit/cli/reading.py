"""From a verb's options to its Request, and a sign of life for what takes over a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, Optional, TypeVar

if TYPE_CHECKING:
    from polkit.minimize import Request

_T = TypeVar("_T")
Job = Callable[[BinaryIO, Optional["StatusLine"]], _T]

_PATIENCE = 1.0
"""Seconds of reading without a sign of life that nobody minds."""
_PAUSE = 0.1


def request_from(asked: dict[str, Any]) -> Request:
    """The Request for what was typed."""
    from polkit.minimize import Request

    return Request(**asked)


class StatusLine:
    """One line on stderr that says what is under way, drawn over itself and wiped at the end."""

    def __init__(self) -> None:
        self._begun: Optional[float] = None
        self._last = 0.0
        self._shown = False

    def phase(self, text: str) -> None:
        """A step that takes about a second begins."""
        self._draw(text)

    def reading(self, read: int) -> None:
        """So many bytes were read so far: shown after a second, at most ten times a second."""
        self._now_and_then(f"reading  {read / 1e6:,.0f} MB")

    def units(self, done: int, number: int, read: int) -> None:
        """So many of a number of units of work are done, which so many bytes were read for: as ``reading``."""
        self._now_and_then(f"{done:,} of {number:,} units, {read / 1e6:,.0f} MB")

    def close(self) -> None:
        """Wipe the line, where one was drawn."""
        if self._shown:
            self._draw("")

    def _now_and_then(self, text: str) -> None:
        now = time.monotonic()
        self._begun = self._begun or now
        if now - self._begun >= _PATIENCE and now - self._last >= _PAUSE:
            self._last = now
            self._draw(text)

    def _draw(self, text: str) -> None:
        self._shown = True
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def read_with_progress(job: Job[_T], quiet: bool) -> _T:
    """Run the job with standard input as bytes, and with a StatusLine where somebody may be watching."""
    if quiet or not sys.stderr.isatty():
        return job(sys.stdin.buffer, None)
    status = StatusLine()
    try:
        return job(sys.stdin.buffer, status)
    finally:
        status.close()


def with_phases(job: Callable[[Callable[[str], None]], _T], quiet: bool) -> _T:
    """Run a job that reads no standard input, and show the phases that it names where somebody may be watching."""
    return read_with_progress(lambda _, status: job(status.phase if status else lambda text: None), quiet)
