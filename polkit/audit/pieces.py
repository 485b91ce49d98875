"""Reading a large audit.log in pieces, each by itself, so that it counts as if it had been read in one go.

A piece begins at a line in which no record before it goes on, and between two events: no event whose records stand near
that line has some on both sides. What is kept of a log is what is kept of its pieces, put together in their order
(``Tally.include``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from polkit.audit.blocks import BLOCK, as_utf8, is_plain
from polkit.audit.envelopes import ENTRY, LONGEST_ENTRY
from polkit.audit.events import EventWindow
from polkit.audit.halves import is_audit_log
from polkit.audit.lanes import count_content
from polkit.audit.ledger import IDENTITY, Ledger
from polkit.audit.ledger_file import is_ledger
from polkit.audit.read import as_ledger, rest_of_events
from polkit.audit.scan import record_starts, stands_alone
from polkit.audit.sources import Source
from polkit.audit.tally import ReadOptions, Tally

ReadAt = Callable[[int, int], bytes]
"""So many bytes of a log from an offset on; fewer only at its end."""

STEP = 1 << 28
"""Bytes of a piece: some seconds of work."""

_LOOK = 1 << 20
_NEAR = 1 << 17
"""So far from a place the other records of its events are looked for."""
_BACK = max(_NEAR, 2 * LONGEST_ENTRY)
_EVENT = re.compile(rb"^(node=\S+ )?type=\w+ msg=audit\(([^)\n]*)\)", re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    """What was counted of a piece; ``start`` are the first IDENTITY bytes of the log, for its first piece."""

    start: bytes
    size: int
    lines: int
    counted: Tally


def can_be_split(read_at: ReadAt) -> bool:
    """Whether a log can be read in pieces: an audit.log as auditd writes it, not compressed, no ledger."""
    head = read_at(0, BLOCK)
    return is_plain(head) and not is_ledger(head) and is_audit_log(head)


def read_piece(
    read_at: ReadAt, size: int, border: int, step: int, options: ReadOptions, younger: Optional[Source] = None
) -> Optional[Piece]:
    """The piece of a log of ``size`` bytes that begins at ``border`` or soon after it; borders are ``step`` apart, the
    first is 0. None where no piece begins: then the one before goes on.

    ``younger`` is the next file of a rotated set, in which the last events may go on.
    """
    begin = _cut(read_at, size, border, step)
    if begin is None:
        return None
    cuts = (_cut(read_at, size, later, step) for later in range(border + step, size, step))
    end = next((cut for cut in cuts if cut is not None), size)
    counted = Tally("", options)
    window = EventWindow(counted.denial, counted.wants_circumstances)
    lines = count_content(_blocks(read_at, begin, end), counted, window, options)
    if end == size and younger is not None:
        rest_of_events(younger, window)
    window.close()
    return Piece(read_at(0, min(IDENTITY, size)) if begin == 0 else b"", end - begin, lines, counted)


def join_pieces(name: str, pieces: Sequence[Piece], options: ReadOptions) -> Ledger:
    """The ledger of a log from all its pieces in order, as reading it in one go would give it."""
    tally = Tally(name, options)
    size = lines = 0
    for piece in pieces:
        tally.include(piece.counted, lines)
        size, lines = size + piece.size, lines + piece.lines
    return as_ledger(pieces[0].start, tally.partial(size, lines, []))


def _blocks(read_at: ReadAt, begin: int, end: int) -> Iterator[bytes]:
    blocks = (read_at(at, min(BLOCK, end - at)) for at in range(begin, end, BLOCK))
    return as_utf8(blocks) if begin == 0 else blocks


def _cut(read_at: ReadAt, size: int, border: int, step: int) -> Optional[int]:
    """Where the piece of a border begins; None where no line within reach, or before the next border, will do."""
    if border == 0:
        return 0
    base = max(0, border - _BACK)
    high = min(border + step, border + _LOOK, size)
    data = read_at(base, high + _NEAR - base)
    if base > 0:
        base, data = _from_a_line(base, data)
    for at in _between_events(data):
        if base + at >= high:
            return None
        if base + at >= border and _begins_a_piece(data, at):
            return base + at
    return None


def _from_a_line(base: int, data: bytes) -> tuple[int, bytes]:
    first = data.find(b"\n") + 1
    return base + first, data[first:]


def _between_events(data: bytes) -> Iterator[int]:
    """Where lines begin that part all events into those before and those behind."""
    records = [(found.start(), found.groups()) for found in _EVENT.finditer(data)]
    last = {event: at for at, event in records}
    open_until = -1
    for at, event in records:
        if at > open_until:
            yield at
        open_until = max(open_until, last[event])


def _begins_a_piece(data: bytes, at: int) -> bool:
    end = data.find(b"\n", at)
    line = data[at : end if end >= 0 else len(data)].rstrip(b"\r")
    return stands_alone(line, record_starts(line)) and data.rfind(ENTRY, max(0, at - 2 * LONGEST_ENTRY), at) < 0
