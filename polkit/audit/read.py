"""The way through the room: sources, their blocks, lines, records and denials, to a ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain, islice
from typing import BinaryIO, Callable, Optional

from polkit.audit.blocks import as_utf8, decompressed
from polkit.audit.events import EventWindow
from polkit.audit.halves import count_halves, middle
from polkit.audit.lanes import REACH, count_content, tell_rest
from polkit.audit.ledger import IDENTITY, MARK, MOST_MARKS, Ledger, Partial, merge, with_filter
from polkit.audit.ledger_file import is_ledger, load
from polkit.audit.lines import numbered_lines
from polkit.audit.policy_loads import spooled, with_loads
from polkit.audit.sources import Source, find_sources, opened
from polkit.audit.tally import ReadOptions, Tally
from polkit.errors import SourceError

LONGEST_LEDGER_LINE = 1 << 24
"""Bytes. Twelve samples of 64 values of 4,096 characters."""

Progress = Callable[[int], None]


def read_logs(
    arguments: Sequence[str],
    options: ReadOptions = ReadOptions(),  # noqa: B008  (frozen)
    stdin: Optional[BinaryIO] = None,
    progress: Optional[Progress] = None,
) -> Ledger:
    """Read logs and ledgers: files, directories, globs, ``-``.

    ``stdin`` stands in for standard input. ``progress`` is called with the decompressed bytes read so far.
    Raises SourceError for a named source that can't be read at all or a damaged ledger; UsageError for no arguments.
    A file that a directory or a glob led to and that can't be opened becomes a note, unless it is the only one.
    """
    sources = find_sources(arguments)
    if options.since_policy_load:
        with spooled(sources, stdin) as stdin_again:
            return read_logs(arguments, with_loads(sources, options, stdin_again), stdin_again, progress)
    meter = _Meter(progress)
    ledgers: list[Ledger] = []
    refused: list[tuple[Source, SourceError]] = []
    for source, after in zip(sources, (*sources[1:], None)):
        younger = after if after is not None and source.goes_on_in(after) else None
        try:
            ledgers.append(_read_source(source, options, stdin, meter, younger))
        except SourceError as problem:
            if not source.listed:
                raise
            refused.append((source, problem))
    if refused and not ledgers:
        raise refused[0][1]
    return merge(*ledgers, *(unread(source.name, problem) for source, problem in refused))


def read_stream(name: str, stream: BinaryIO, options: ReadOptions, progress: Optional[Progress] = None) -> Ledger:
    """Read what is open already, under a name for the books: another command's output, say."""
    source = Source(name, None)
    if options.since_policy_load:
        with spooled((source,), stream) as again:
            return _read_source(source, with_loads((source,), options, again), again, _Meter(progress))
    return _read_source(source, options, stream, _Meter(progress))


def read_source(source: Source, options: ReadOptions, younger: Optional[Source] = None) -> Ledger:
    """Read one of several sources; ``younger`` is the next file of its rotated set. Raises SourceError where it can't
    be read."""
    return _read_source(source, options, None, _Meter(None), younger)


class _Meter:
    def __init__(self, progress: Optional[Progress]) -> None:
        self._progress = progress
        self._bytes = 0

    def add(self, size: int) -> None:
        self._bytes += size
        if self._progress:
            self._progress(self._bytes)


class _Content:
    """The decompressed content of a source: passes its blocks on, and learns its identity and size on the way."""

    def __init__(self, blocks: Iterable[bytes], meter: _Meter) -> None:
        self._blocks = blocks
        self._meter = meter
        self._start = bytearray()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for block in self._blocks:
            if len(self._start) < IDENTITY:
                self._start += block[: IDENTITY - len(self._start)]
            self.size += len(block)
            self._meter.add(len(block))
            yield block

    @property
    def start(self) -> bytes:
        """The first IDENTITY bytes."""
        return bytes(self._start)


def as_ledger(start: bytes, partial: Partial) -> Ledger:
    """The ledger of one source: what was counted of it, under the identity that its first IDENTITY bytes give it."""
    return Ledger({hashlib.sha256(start).hexdigest(): replace(partial, marks=_marks(start, partial.bytes))})


def _marks(start: bytes, size: int) -> str:
    """See Partial."""
    running, marks = hashlib.sha256(), []
    *lines, rest = start.split(b"\n")
    if not rest and size == len(start):
        del lines[-1:]  # the whole is no beginning of itself
    for line in lines[:MOST_MARKS]:
        running.update(line + b"\n")
        marks.append(running.hexdigest()[:MARK])
    return "".join(marks)


def _read_source(
    source: Source, options: ReadOptions, stdin: Optional[BinaryIO], meter: _Meter, younger: Optional[Source] = None
) -> Ledger:
    notes: list[str] = []

    def behind(window: EventWindow) -> None:
        if younger is not None:
            rest_of_events(younger, window)

    with opened(source, stdin) as stream:
        place = middle(source.path) if source.path is not None and source.opener is None else None
        if source.path is not None and place is not None:
            start = stream.read(IDENTITY)
            tally = Tally(source.name, options)
            size, lines = count_halves(source.path, place, tally, options, meter.add, behind)
            return as_ledger(start, tally.partial(size, lines, notes))
        content = _Content(decompressed(stream, notes.append), meter)
        with closing(as_utf8(content)) as blocks:
            first = next(blocks, b"")
            if is_ledger(first):
                return _read_ledger(source, chain((first,), blocks), options)
            tally = Tally(source.name, options)
            window = EventWindow(tally.denial, tally.wants_circumstances)
            lines = count_content(chain((first,), blocks), tally, window, options)
            behind(window)
            window.close()
            return as_ledger(content.start, tally.partial(content.size, lines, notes))


def rest_of_events(source: Source, window: EventWindow) -> None:
    """Records of the events in the window that stand at the beginning of the next file of a rotated set."""
    try:
        with opened(source) as stream:
            head = b"".join(islice(decompressed(stream, lambda note: None), 1))
    except SourceError:
        return  # said when its own turn comes
    tell_rest(b"".join(as_utf8((head,)))[:REACH], window)


def _read_ledger(source: Source, blocks: Iterable[bytes], options: ReadOptions) -> Ledger:
    lines = (line.decode("utf-8", "replace") for _, line in numbered_lines(blocks, LONGEST_LEDGER_LINE))
    ledger = load(lines, source.name)
    if options.since is not None or options.until is not None or options.loads:
        raise SourceError(
            f"{source.name}: a ledger holds counts, not single times", "give --since and --until to polkit collect"
        )
    if not options.source_types:
        return ledger
    return Ledger({name: with_filter(partial, options.source_types) for name, partial in ledger.partials.items()})


def unread(name: str, problem: SourceError) -> Ledger:
    """A source of which nothing could be read, so that the books show it."""
    identity = hashlib.sha256(b"unread " + name.encode("utf-8", "surrogateescape")).hexdigest()
    return Ledger({identity: Partial(name, notes=(f"not read: {problem}",))})
