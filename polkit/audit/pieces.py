"""Reading a large log in pieces, each by itself, so that it counts as if it had been read in one go.

A piece begins at a line in which no record before it goes on. What still reaches over its beginning are events, whose
records may stand on both sides. So the lines before a piece are read too, without being counted, until the window of
events is full. A piece is right if the window it began with is the one that the piece before it ended with; where it
is not, the piece is read again from there. Which records are joined with their events follows from the order of the
pieces (tally.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from polkit.audit.blocks import BLOCK, as_utf8, is_plain
from polkit.audit.envelopes import ENTRY, LONGEST_ENTRY
from polkit.audit.events import EVENTS, EventWindow, Held
from polkit.audit.lanes import count
from polkit.audit.ledger import IDENTITY, Ledger
from polkit.audit.ledger_file import is_ledger
from polkit.audit.read import as_ledger, records_in, rest_of_events
from polkit.audit.scan import record_starts, stands_alone
from polkit.audit.sources import Source
from polkit.audit.tally import ReadOptions, Tally

ReadAt = Callable[[int, int], bytes]
"""So many bytes of a log from an offset on; fewer only at its end."""

STEP = 1 << 26
"""Bytes of a piece: some seconds of work."""

_LOOK = 1 << 20
_LONGEST_LINE = 1 << 16
_WARM_UP = 1 << 20
_BACK = 2 * LONGEST_ENTRY


@dataclass(frozen=True)
class Piece:
    """What was counted of a piece. ``began`` stands for the window of events it began with, ``held`` is the one it
    ended with."""

    start: bytes
    size: int
    lines: int
    began: str
    held: Held
    counted: Tally


def can_be_split(read_at: ReadAt) -> bool:
    """Whether a log can be read in pieces: not where it is compressed, in UTF-16, or a ledger."""
    head = read_at(0, BLOCK)
    return is_plain(head) and not is_ledger(b"".join(as_utf8((head,))))


def read_piece(
    read_at: ReadAt,
    size: int,
    border: int,
    step: int,
    options: ReadOptions,
    held: Optional[Held] = None,
    younger: Optional[Source] = None,
) -> Optional[Piece]:
    """The piece of a log of ``size`` bytes that begins at ``border`` or soon after it; borders are ``step`` apart, the
    first is 0. None where no piece begins: then the one before goes on.

    ``held`` is the window of events that the piece before it ended with, where that is known; ``younger`` the next file
    of a rotated set, in which the last events may go on.
    """
    begin = _cut(read_at, size, border, step)
    if begin is None:
        return None
    cuts = (_cut(read_at, size, later, step) for later in range(border + step, size, step))
    end = next((cut for cut in cuts if cut is not None), size)
    if held is None:
        held = () if begin == 0 else _window_before(read_at, size, begin, step, options)
    began = _digest(held)
    counted = Tally("", options)
    window = EventWindow(counted.denial, counted.wants_circumstances, held)
    lines = _Lines(_blocks(read_at, begin, end))
    count(records_in(lines), counted, window)
    if end == size:
        if younger is not None:
            rest_of_events(younger, window)
        window.close()
    return Piece(
        start=read_at(0, min(IDENTITY, size)) if begin == 0 else b"",
        size=end - begin,
        lines=lines.number,
        began=began,
        held=window.held(),
        counted=counted,
    )


def join_pieces(
    name: str, pieces: Sequence[Piece], options: ReadOptions, again: Callable[[int, Held], Piece]
) -> Ledger:
    """The ledger of a log from all its pieces in order, as reading it in one go would give it.

    ``again(n, held)`` reads the nth piece once more, from the window of events that the piece before it ended with.
    """
    tally = Tally(name, options)
    size = lines = 0
    held: Held = ()
    for number, found in enumerate(pieces):
        piece = found if found.began == _digest(held) else again(number, held)
        tally.include(piece.counted, lines)
        size, lines, held = size + piece.size, lines + piece.lines, piece.held
    return as_ledger(pieces[0].start, tally.partial(size, lines, []))


class _Lines:
    """Passes blocks on, and counts the lines that end in them, or at the end of the last one."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = blocks
        self.number = 0

    def __iter__(self) -> Iterator[bytes]:
        last = b"\n"
        for block in self._blocks:
            if block:
                self.number += block.count(b"\n")
                last = block[-1:]
            yield block
        self.number += last != b"\n"


def _digest(held: Held) -> str:
    return hashlib.sha256(repr(held).encode("utf-8", "backslashreplace")).hexdigest()


def _blocks(read_at: ReadAt, begin: int, end: int) -> Iterator[bytes]:
    """Blocks that end where those of the whole log do: how a line is cut that is too long depends on them."""
    blocks = (read_at(at, min(BLOCK - at % BLOCK, end - at)) for at in (begin, *range(_next(begin), end, BLOCK)))
    return as_utf8(blocks) if begin == 0 else blocks


def _next(at: int) -> int:
    return (at // BLOCK + 1) * BLOCK


def _cut(read_at: ReadAt, size: int, border: int, step: int) -> Optional[int]:
    """Where the piece of a border begins; None where no line within reach, or before the next border, will do."""
    return 0 if border == 0 else _place(read_at, size, border, min(border + step, border + _LOOK, size))


def _place(read_at: ReadAt, size: int, low: int, high: int) -> Optional[int]:
    """The first line in [low, high) that no record before it goes on in."""
    base = max(0, low - _BACK)
    data = read_at(base, high + _LONGEST_LINE - base)
    begin = data.find(b"\n", low - base - 1) + 1
    while 0 < begin < high - base:
        end = data.find(b"\n", begin)
        if end < 0 and base + len(data) < size:
            return None
        line = data[begin : end if end >= 0 else len(data)].rstrip(b"\r")
        if stands_alone(line, record_starts(line)) and data.rfind(ENTRY, max(0, begin - _BACK), begin) < 0:
            return base + begin
        begin = end + 1
    return None


def _window_before(read_at: ReadAt, size: int, begin: int, step: int, options: ReadOptions) -> Held:
    """The window of events at ``begin`` as far as it can be told from what stands shortly before."""
    reach = _WARM_UP
    while True:
        first = 0 if reach >= begin else _place(read_at, size, begin - reach, begin)
        held: Held = ()
        if first is not None:
            window = EventWindow(lambda *_: None, lambda _: False)
            count(records_in(_blocks(read_at, first, begin)), Tally("", options), window)
            held = window.held()
        if reach >= begin or len(held) >= EVENTS or reach > step:
            return held
        reach *= 4
