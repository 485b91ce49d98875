"""What workers do: read a log or a piece of one, join the pieces of a log, merge ledgers.

Nothing here imports Dask. A log that can't be read is a result like any other, so that the others count.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any, BinaryIO, Optional, Union

from polkit import __version__
from polkit.audit import (
    Ledger,
    Piece,
    ReadAt,
    ReadOptions,
    Source,
    can_be_split,
    check_regular,
    join_pieces,
    latest_loads,
    loads_in,
    merge,
    opened,
    read_piece,
    read_source,
    unread,
)
from polkit.errors import MissingDependency, SourceError
from polkit.fleet.logs import Log, file_system, over_http, said

_BUFFER = 1 << 18


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
        return Result(read_source(_source(log), job.options, _younger(log)), read=1)
    except SourceError as problem:
        return _refused(log, problem)


def read_part(log: Log, border: int, job: Job) -> Part:
    """The piece that begins at a border; the whole log at the first one, where it can't be split."""
    _check_version(job)
    assert log.size is not None
    try:
        with opened(_source(log)) as stream:
            read_at = _reader(log, stream)
            if can_be_split(read_at):
                return read_piece(read_at, log.size, border, job.step, job.options, _younger(log))
    except SourceError as problem:
        return _refused(log, problem)
    return read_whole(log, job) if border == 0 else None


def policy_loads(log: Log, job: Job) -> dict[str, int]:
    """The last loads of a policy that a log tells of; none for a log that can't be read, which is said later."""
    _check_version(job)
    try:
        return loads_in(_source(log))
    except SourceError:
        return {}


def latest(*found: Mapping[str, int]) -> dict[str, int]:
    """The last loads of all."""
    return reduce(latest_loads, found, {})


def join(log: Log, job: Job, *parts: Part) -> Result:
    """The parts of a log, in the order of their borders, as one."""
    whole = next((part for part in parts if isinstance(part, Result)), None)
    if whole is not None:
        return whole
    pieces = [part for part in parts if isinstance(part, Piece)]
    return Result(join_pieces(log.name, pieces, job.options), read=1)


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


def _source(log: Log) -> Source:
    """A log to be read in this process alone: a worker's processors are shared out already."""
    opener = partial(_opened_here, log) if log.url is None else partial(_opened_there, log)
    return Source(log.name, None, log.listed, opener)


def _younger(log: Log) -> Optional[Source]:
    return _source(log.younger) if log.younger is not None else None


def _opened_here(log: Log) -> BinaryIO:
    path = Path(log.where)
    if log.listed:
        check_regular(log.name, path)
    return path.open("rb")


def _opened_there(log: Log) -> BinaryIO:
    return io.BufferedReader(_Remote(log), _BUFFER)


class _Remote(io.RawIOBase):
    """A remote file that is opened when it is first read, and whose errors are OSErrors."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log
        self._file: Any = None

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """Whether it can be read from any offset on."""
        return self._log.size is not None

    def readinto(self, buffer: Any) -> int:
        """Read at most as many bytes as the buffer holds; 0 at the end."""
        content = self._guarded("read", len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to an offset."""
        return int(self._guarded("seek", offset, whence))

    def tell(self) -> int:
        """Where it is."""
        return 0 if self._file is None else int(self._guarded("tell"))

    def close(self) -> None:
        """Close the file, where it was opened."""
        if self._file is not None and not self.closed:
            self._guarded("close")
        super().close()

    def _guarded(self, method: str, *arguments: int) -> Any:
        try:
            if self._file is None:
                self._file = self._opened()
            return getattr(self._file, method)(*arguments)
        except Exception as problem:  # noqa: BLE001  (each file system raises what its own library raises)
            number = problem.errno if isinstance(problem, OSError) and problem.errno else errno.EIO
            raise OSError(number, said(problem)) from None

    def _opened(self) -> Any:
        system, _ = file_system(self._log.url or "")
        if self._log.size is None and over_http(system):
            return system.open(self._log.where, "rb", block_size=0)  # as it comes, in one go
        return system.open(self._log.where, "rb")


def _reader(log: Log, stream: BinaryIO) -> ReadAt:
    whole = log.size or 0

    def read_at(offset: int, size: int) -> bytes:
        stream.seek(offset)
        content = stream.read(size)
        if len(content) < min(size, whole - offset):
            raise SourceError(f"{log.name}: became shorter while it was read")
        return content[: whole - offset]

    return read_at
