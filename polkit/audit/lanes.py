"""The content of a source on its two ways: blocks of plain audit.log lines quickly, all others line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from polkit.audit import heads
from polkit.audit.envelopes import without_export
from polkit.audit.events import EventWindow
from polkit.audit.lines import numbered_lines
from polkit.audit.plain import PlainLines
from polkit.audit.reading import Unreadable
from polkit.audit.rejoin import denial_in, verdict_of
from polkit.audit.scan import Found, scan
from polkit.audit.tally import ReadOptions, Tally

REACH = 1 << 16
"""So many bytes behind a part of a log are searched for the rest of the events at its end."""

_SIZE = 1 << 18
_LONGEST = 1 << 21
HEADS = (b"\ntype=", b"\nnode=")
"""How the lines of an audit.log begin, each with the line end before it."""


class _Lines(NamedTuple):
    """Whole lines, each with a line end before it; or a part of a line that is too long to be held.

    ``stands_alone``: no record in it goes on behind it.
    """

    data: bytes
    whole: bool
    stands_alone: bool


def count_content(blocks: Iterable[bytes], tally: Tally, window: EventWindow, options: ReadOptions) -> int:
    """Count all records in the content of a source; the number of its lines. The window stays open."""
    quick = PlainLines(tally, window, options, lambda records: count(records, tally, window))
    parts = _whole_lines(blocks)
    number = 1
    for part in parts:
        if not _quickly(quick, part, number):
            number = _slowly(part, parts, number, quick, tally, window)
        else:
            number += part.data.count(b"\n")
    quick.flush()
    return number - 1


def _quickly(quick: PlainLines, part: _Lines, number: int) -> bool:
    return part.whole and part.stands_alone and quick.take(part.data, number)


def _slowly(
    first: _Lines, parts: Iterator[_Lines], number: int, quick: PlainLines, tally: Tally, window: EventWindow
) -> int:
    """Count a part line by line, and those after it up to one that can be counted quickly; the number of the line
    behind them all."""
    here, behind = number, 0

    def run() -> Iterator[bytes]:
        nonlocal here, behind
        part: Optional[_Lines] = first
        while part is not None:
            data = part.data[1:] + b"\n" if part.whole else part.data
            here += data.count(b"\n")
            yield data
            unended = not data.endswith(b"\n")
            part = next(parts, None)
            here += part is None and unended
            if part is not None and _quickly(quick, part, here):
                behind = part.data.count(b"\n")
                return

    count(scan(without_export(numbered_lines(run(), first=number))), tally, window)
    return here + behind


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[_Lines]:
    held, size = [b"\n"], 1
    overlong = False
    for block in blocks:
        data = block
        if overlong:
            end = data.find(b"\n") + 1
            yield _Lines(data[:end] if end else data, whole=False, stands_alone=False)
            if not end:
                continue
            data, overlong = data[end:], False
        if size + len(data) < _SIZE:
            held.append(data)
            size += len(data)
            continue
        cut = data.rfind(b"\n", 0, max(data.rfind(b"\n"), 0))
        if cut < 0:  # less than a line: where it began has to be searched
            data = b"".join((*held, data))
            cut = data.rfind(b"\n", 0, data.rfind(b"\n"))
            held = []
        if cut > 0 or (cut == 0 and held):
            yield _Lines(b"".join((*held, data[:cut])), whole=True, stands_alone=data.startswith(HEADS, cut))
            data = data[cut:]
        elif len(data) > _LONGEST:
            yield _Lines(data[1:], whole=False, stands_alone=False)
            overlong = not data.endswith(b"\n")
            data = b"\n"
        held, size = [data], len(data)
    last = b"".join(held)
    if last.endswith(b"\n"):
        last = last[:-1]
    if last:
        yield _Lines(last, whole=True, stands_alone=True)


def tell_rest(text: bytes, window: EventWindow) -> None:
    """Tell a window what a text says of the events that wait in it, and count nothing."""
    for found in scan(without_export(numbered_lines((text,)))):
        if found.claim.type in heads.COMPANIONS:
            window.late_companion(found.claim, found.text)


def count(records: Iterable[Found], tally: Tally, window: EventWindow) -> None:
    """Judge each record: denials and their companions go to ``window``, which stays open, all else to ``tally``."""
    for found in records:
        said = verdict_of(found)
        if said == heads.NEITHER:
            tally.other()
            if found.claim.type in heads.COMPANIONS:
                window.companion(found.claim, " ".join((found.text, *found.continuation)))
        elif said == heads.GRANTED:
            tally.granted()
        else:
            try:
                window.denial(denial_in(found)[0])
            except Unreadable as problem:
                tally.unparsed(found.line, found.claim.kind, str(problem), found.text)
