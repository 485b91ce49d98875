"""The quick way through a plain audit.log: the kernel's AVC records are counted by what their bytes have in common.

A record of a shape that has not been seen goes the slow way, through ``scan`` and the grammar. What differs between it
and others of its shape are the process id, the time, the serial and the two levels, nothing else; so those are counted
without being read. A line that isn't of the one form known here goes the slow way too. Both ways count alike: which
one a record takes is a matter of time only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Optional

from polkit.audit import heads
from polkit.audit.denial import Denial, time_of
from polkit.audit.events import EventWindow
from polkit.audit.reading import Unreadable
from polkit.audit.rejoin import denial_in
from polkit.audit.scan import Found, scan
from polkit.audit.tally import EACH, ReadOptions, Tally
from polkit.model import EQUAL_LEVELS, SAMPLE, LevelRelations, relate

Pair = tuple[bytes, bytes]
Judge = Callable[[Iterable[Found]], None]

_RECORD = re.compile(
    rb"\n((?:node=[^\s=]{1,255} )?)type=AVC msg=audit\((\d{10}\.\d{3}:\d+)\): avc:  denied  "
    rb"(\{[^{}\"\n]*\} for  pid=)(\d+)( [^\n]*?scontext=[^ \n:]+:[^ \n:]+:[^ \n:]+:)(s\d[^ \n]*)"
    rb"( tcontext=[^ \n:]+:[^ \n:]+:[^ \n:]+:)(s\d[^ \n]*)( tclass=[^\n]*)"
)
_ODD = re.compile(rb"avc:|\n(?:node=[^\s=]{1,255} )?type=(?:AVC|USER_AVC|SELINUX_ERR|1[0-9]{3}) |SELINUX_ERR")
_STAMP = re.compile(rb" msg=audit\(([^()\n]*)\)")
_TWO_CATEGORIES = re.compile(rb"s0:c(0|[1-9]\d{0,3}),c(0|[1-9]\d{0,3})\Z")
_NO_CATEGORIES = b"s0"
_HIGHEST = (b"\xff", b"\xff")
_MOST_PAIRS = 1 << 13
_MOST_BUCKETS = 1 << 14
_BACK, _AHEAD = 1 << 14, 1 << 17
_EPOCH_DIGITS = 10
_OFTEN = 0xFF
"""A bucket forgets each time it has counted so many more records."""


class _Bucket:
    """Denials whose bytes differ in nothing but process, time and levels, and whose levels compare alike."""

    __slots__ = ("denial", "exemplars", "first", "last", "levels", "limit", "records")

    def __init__(self, denial: Denial) -> None:
        self.denial = denial
        self.records = 0
        self.first = b"\xff"
        self.last = b""
        self.exemplars = 1
        self.levels: set[Pair] = set()
        self.limit = _HIGHEST
        """A pair that isn't below it is none of the smallest."""

    def forget(self) -> None:
        """Keep the smallest pairs of levels."""
        if len(self.levels) > SAMPLE:
            kept = sorted(self.levels)[:SAMPLE]
            self.levels, self.limit = set(kept), kept[-1]


class PlainLines:
    """Counts blocks of an audit.log. ``judge`` is the slow way, to the same tally and window."""

    def __init__(self, tally: Tally, window: EventWindow, options: ReadOptions, judge: Judge) -> None:
        self._tally = tally
        self._window = window
        self._judge = judge
        self._buckets: dict[tuple[bytes, bytes, bytes, bytes, bytes, int], _Bucket] = {}
        self._pairs: dict[Pair, int] = {}
        self._numbers: dict[LevelRelations, int] = {}
        self._relations: list[LevelRelations] = []
        self._low = _stamp(options.since) if options.since is not None else b""
        self._high = _stamp(options.until) if options.until is not None else b"\xff"
        self._loads = {f"node={host} ".encode() if host else b"": _stamp(time) for host, time in options.loads.items()}
        self._open: dict[bytes, None] = {}
        self._looked: set[bytes] = set()
        self._block = b""
        self._at = 0

    def take(self, block: bytes, line: int) -> bool:
        """Count a block of whole lines, each with a line end before it; the first has the number ``line``.

        False, and nothing done, for a block that isn't plain.
        """
        lines = block.count(b"\n")
        if block.count(b" msg=audit(") != lines or not block.startswith((b"\ntype=", b"\nnode=")):
            return False
        records = _RECORD.findall(block)
        odd = self._odd_lines(block, len(records))
        if odd is None:
            return False
        self._begin(block)
        self._count(records, line)
        self._tally.other(lines - len(records) - len(odd))
        for at in odd:
            self._judge_odd(at, line)
        if len(self._buckets) > _MOST_BUCKETS:
            self.flush()
        return True

    def flush(self) -> None:
        """Hand everything on to the tally."""
        for bucket in self._buckets.values():
            if bucket.records:
                levels = (f"{own.decode()} -> {other.decode()}" for own, other in bucket.levels)
                first, last = _milliseconds(bucket.first), _milliseconds(bucket.last)
                self._tally.repeated(bucket.denial, bucket.records, first, last, levels)
        self._buckets.clear()

    # ---- what is odd ----

    def _odd_lines(self, block: bytes, records: int) -> Optional[list[int]]:
        """Where lines begin that may be denials of another form; None where there are many."""
        if (
            block.count(b"avc:") == records == block.count(b"type=AVC ")
            and b"SELINUX_ERR" not in block
            and b"type=1" not in block
        ):
            return []
        starts: dict[int, None] = {}
        for found in _ODD.finditer(block):
            start = found.start() if found[0][:1] == b"\n" else block.rfind(b"\n", 0, found.start())
            if start not in starts and not _RECORD.match(block, start):
                starts[start] = None
                if len(starts) > 64 + records:
                    return None
        return sorted(starts)

    def _judge_odd(self, at: int, line: int) -> None:
        end = self._block.find(b"\n", at + 1)
        text = _line(self._block[at + 1 : end if end >= 0 else len(self._block)])
        self._judge(scan([(line + self._block.count(b"\n", 0, at), text)]))
        stamp = _STAMP.search(text)
        if stamp:
            self._event(stamp[1], at)

    # ---- the records ----

    def _count(self, records: list[tuple[bytes, ...]], line: int) -> None:
        buckets, pairs = self._buckets, self._pairs
        low, high, loads = self._low, self._high, self._loads
        limited = bool(low or loads or high != b"\xff")
        for node, stamp, ask, pid, mid, own, to, other, end in records:
            pair = (own, other)
            relation = pairs.get(pair)
            if relation is None:
                relation = self._relate(pair)
            bucket = buckets.get((node, ask, mid, to, end, relation))
            if bucket is None or bucket.exemplars < EACH:
                self._slowly((node, ask, mid, to, end, relation), bucket, (stamp, pid, own, other), line)
                continue
            if limited and not (low <= stamp < high and loads.get(node, b"") <= stamp):
                self._tally.filtered(1)
                continue
            bucket.records += 1
            if stamp > bucket.last:  # noqa: PLR1730  (max and min take half as long again as all of this loop)
                bucket.last = stamp
            if stamp < bucket.first:  # noqa: PLR1730
                bucket.first = stamp
            if pair < bucket.limit:
                bucket.levels.add(pair)
                if not bucket.records & _OFTEN:
                    bucket.forget()

    def _slowly(
        self,
        shape: tuple[bytes, bytes, bytes, bytes, bytes, int],
        bucket: Optional[_Bucket],
        varying: tuple[bytes, bytes, bytes, bytes],
        line: int,
    ) -> None:
        """One record with what else its block tells of its event."""
        node, ask, mid, to, end, relation = shape
        stamp, pid, own, other = varying
        text = b"".join((node, b"type=AVC msg=audit(", stamp, b"): avc:  denied  ", ask, pid, mid, own, to, other, end))
        levels = f"{own.decode('latin-1')} -> {other.decode('latin-1')}"
        self._at = at = self._block.find(b"\n" + text, self._at)
        if bucket is not None:
            bucket.exemplars += 1
            event = f"{bucket.denial.event.partition(' ')[0]} {stamp.decode()}"
            denial = replace(bucket.denial, time=_milliseconds(stamp), levels=levels, event=event)
        else:
            found = list(scan([(0, _line(text))]))
            read = _denial(found)
            if read is None:
                number = line + self._block.count(b"\n", 0, at)
                self._judge(one._replace(line=number) for one in found)
                return
            denial = read
            if self._is_regular(denial, text, found[0], relation, levels):
                self._buckets[shape] = _Bucket(denial)
        self._window.denial(denial)
        self._event(stamp, at)

    def _is_regular(self, denial: Denial, text: bytes, found: Found, relation: int, levels: str) -> bool:
        """Whether others of its shape differ from a record in nothing else: its fields are where they were taken for,
        once each."""
        return (
            text.count(b"scontext=") == text.count(b"tcontext=") == text.count(b"avc:") == 1
            and denial.levels == levels
            and denial.key.levels == self._relations[relation]
            and denial.time is not None
            and denial.time == time_of(found.prefix, found.claim)
            and not found.prefix
        )

    # ---- the other records of their events ----

    def _event(self, stamp: bytes, at: int) -> None:
        """Find the companions of a denial that stands at ``at``."""
        self._companions(stamp, max(0, at - _BACK), at + _AHEAD)
        if at + _AHEAD > len(self._block):
            self._open[stamp] = None

    def _companions(self, stamp: bytes, begin: int, end: int) -> None:
        if stamp in self._looked:
            return
        self._looked.add(stamp)
        block, needle = self._block, b" msg=audit(%s)" % stamp
        at = block.find(needle, begin, end)
        while at >= 0:
            start = block.rfind(b"\n", 0, at) + 1
            if not block.startswith(b"type=AVC ", start):
                stop = block.find(b"\n", at)
                self._companion(_line(block[start : stop if stop >= 0 else len(block)]).decode("latin-1"))
            at = block.find(needle, at + 1, end)

    def _companion(self, text: str) -> None:
        claim = heads.claim(text)
        if claim.type in heads.COMPANIONS:
            self._window.late_companion(claim, text)

    def _begin(self, block: bytes) -> None:
        """Go on to a block, and to what it tells of events that began near the end of the one before it."""
        self._block, self._at = block, 0
        self._looked.clear()
        for stamp in self._open:
            self._companions(stamp, 0, _AHEAD)
        self._looked.clear()
        self._open.clear()

    # ---- levels ----

    def _relate(self, pair: Pair) -> int:
        """A number for how two levels compare."""
        if len(self._pairs) > _MOST_PAIRS:
            self._pairs.clear()
        found = _relations(*pair)
        number = self._numbers.get(found)
        if number is None:
            number = self._numbers[found] = len(self._relations)
            self._relations.append(found)
        self._pairs[pair] = number
        return number


_DOMINATES = relate("s0:c1", "s0")
_INCOMPARABLE = relate("s0:c1", "s0:c2")


def _relations(own: bytes, other: bytes) -> LevelRelations:
    """What ``relate`` says, said at once for what most processes in containers have: two categories."""
    mine = _TWO_CATEGORIES.match(own)
    if mine:
        if other == _NO_CATEGORIES:
            return _DOMINATES
        theirs = _TWO_CATEGORIES.match(other)
        if theirs:
            (one, two), (third, fourth) = mine.groups(), theirs.groups()
            if own == other:
                return EQUAL_LEVELS
            if one != two and third != fourth and (one, two) != (fourth, third):
                return _INCOMPARABLE
    return relate(own.decode("latin-1"), other.decode("latin-1"))


# ---- bytes ----


def _denial(found: list[Found]) -> Optional[Denial]:
    """The denial of a line that holds one record and nothing else."""
    if len(found) != 1 or found[0].claim.verdict != heads.DENIED:
        return None
    try:
        return denial_in(found[0])[0]
    except Unreadable:
        return None


def _line(line: bytes) -> bytes:
    return line[:-1] if line.endswith(b"\r") else line


def _stamp(milliseconds: int) -> bytes:
    """A time as a stamp has it, to be compared with stamps of ten digits before the point."""
    if milliseconds >= 10 ** (_EPOCH_DIGITS + 3):
        return b"\xff"
    return b"%010d.%03d" % divmod(max(milliseconds, 0), 1000)


def _milliseconds(stamp: bytes) -> int:
    return int(stamp[:_EPOCH_DIGITS] + stamp[_EPOCH_DIGITS + 1 : _EPOCH_DIGITS + 4])
