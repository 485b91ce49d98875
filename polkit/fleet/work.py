"""What workers do: read a log or a piece of one, join the pieces of a log, merge ledgers.

Nothing here imports Dask. A log that can't be read is a result like any other, so that the others count.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Optional, Union, cast

from polkit import __version__
from polkit.audit import (
    Held,
    Ledger,
    Piece,
    ReadAt,
    ReadOptions,
    Source,
    can_be_split,
    join_pieces,
    merge,
    opened,
    read_piece,
    read_stream,
    unread,
)
from polkit.errors import MissingDependency, SourceError
from polkit.fleet.logs import Log, file_system, is_local, said


@dataclass(frozen=True)
class Job:
    """What every unit of work is told: what to count, how large a piece is, and whose version asks."""

    options: ReadOptions
    step: int
    version: str


@dataclass(frozen=True)
class Refusal:
    """A log that can't be read: the smallest ``number`` is the one to name."""

    number: int
    message: str
    hint: str

    def error(self) -> SourceError:
        """The error as it would have been raised."""
        return SourceError(self.message, self.hint)


@dataclass(frozen=True)
class Result:
    """A ledger, how many logs of it could be read, and the first of those that couldn't: named, and found by a glob."""

    ledger: Ledger
    read: int = 0
    named: Optional[Refusal] = None
    listed: Optional[Refusal] = None


Part = Union[Piece, Result, None]
"""Of a border where no piece begins None; a Result stands for the whole log."""


def read_whole(log: Log, job: Job) -> Result:
    """A log in one go. Raises MissingDependency where this worker has another version than was asked for."""
    _check_version(job)
    try:
        with _stream(log) as stream:
            return Result(read_stream(log.name, stream, job.options), read=1)
    except SourceError as problem:
        return _refused(log, problem)


def read_part(log: Log, border: int, job: Job, held: Optional[Held] = None) -> Part:
    """The piece that begins at a border; the whole log at the first one, where it can't be split."""
    _check_version(job)
    assert log.size is not None
    try:
        with _stream(log) as stream:
            read_at = _reader(log, stream)
            if can_be_split(read_at):
                return read_piece(read_at, log.size, border, job.step, job.options, held)
    except SourceError as problem:
        return _refused(log, problem)
    return read_whole(log, job) if border == 0 else None


def join(log: Log, job: Job, *parts: Part) -> Result:
    """The parts of a log, in the order of their borders, as one."""
    whole = next((part for part in parts if isinstance(part, Result)), None)
    if whole is not None:
        return whole
    borders = [number * job.step for number, part in enumerate(parts) if part is not None]
    pieces = [part for part in parts if isinstance(part, Piece)]

    def again(number: int, held: Held) -> Piece:
        piece = read_part(log, borders[number], job, held)
        if isinstance(piece, Piece):
            return piece
        raise SourceError(f"{log.name}: changed while it was read")

    try:
        return Result(join_pieces(log.name, pieces, job.options, again), read=1)
    except SourceError as problem:
        return _refused(log, problem)


def merged(*results: Result) -> Result:
    """Results as one."""
    return Result(
        merge(*(result.ledger for result in results)),
        sum(result.read for result in results),
        _first([result.named for result in results]),
        _first([result.listed for result in results]),
    )


def _first(refusals: Sequence[Optional[Refusal]]) -> Optional[Refusal]:
    return min((one for one in refusals if one is not None), key=lambda one: one.number, default=None)


def _refused(log: Log, problem: SourceError) -> Result:
    refusal = Refusal(log.number, str(problem), problem.hint)
    if log.listed:
        return Result(unread(log.name, problem), listed=refusal)
    return Result(Ledger(), named=refusal)


def _check_version(job: Job) -> None:
    if job.version != __version__:
        raise MissingDependency(
            f"a worker has polkit {__version__}, this is {job.version}", "install the same version on every worker"
        )


# ---- reading ---------------------------------------------------------------------------------------------------------


@contextmanager
def _stream(log: Log) -> Iterator[BinaryIO]:
    """The raw bytes of a log. Raises SourceError where it can't be opened or read."""
    with opened(Source(log.name, is_local(log)), None if log.url is None else cast(BinaryIO, _Remote(log))) as stream:
        try:
            yield stream
        finally:
            stream.close()


class _Remote:
    """A remote file that is opened when it is first read, and whose errors are OSErrors."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._file: Any = None

    def read(self, size: int = -1) -> bytes:
        """So many bytes; fewer at the end."""
        return bytes(self._guarded("read", size))

    def seek(self, offset: int) -> int:
        """Go to an offset."""
        return int(self._guarded("seek", offset))

    def close(self) -> None:
        """Close the file, where it was opened."""
        if self._file is not None:
            self._guarded("close")

    def _guarded(self, method: str, *arguments: int) -> Any:
        try:
            if self._file is None:
                self._file = file_system(self._log.url or "")[0].open(self._log.where, "rb")
            return getattr(self._file, method)(*arguments)
        except Exception as problem:  # noqa: BLE001  (each file system raises what its own library raises)
            number = problem.errno if isinstance(problem, OSError) and problem.errno else errno.EIO
            raise OSError(number, said(problem)) from None


def _reader(log: Log, stream: BinaryIO) -> ReadAt:
    whole = log.size or 0

    def read_at(offset: int, size: int) -> bytes:
        stream.seek(offset)
        content = stream.read(size)
        if len(content) < min(size, whole - offset):
            raise SourceError(f"{log.name}: became shorter while it was read")
        return content[: whole - offset]

    return read_at
