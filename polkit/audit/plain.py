"""The quick way through a plain audit.log: the kernel's AVC records are counted by what their bytes have in common.

A record of a shape that has not been seen goes the slow way, through ``scan`` and the grammar. What differs between it
and others of its shape are the process id, the time, the serial and the two levels, nothing else (once enough examples
are kept of an access, the file too); so those are counted without being read. A line that isn't of the one form known
here goes the slow way too. Both ways count alike: which one a record takes is a matter of time only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Optional

from polkit.audit import heads
from polkit.audit.buckets import Bucket, FileBuckets, Pair, Shape, milliseconds, stamp_of
from polkit.audit.denial import Denial, time_of
from polkit.audit.events import EventWindow
from polkit.audit.reading import Unreadable
from polkit.audit.rejoin import denial_in
from polkit.audit.scan import Found, scan
from polkit.audit.tally import EACH, ReadOptions, Tally
from polkit.model import EQUAL_LEVELS, relate

Judge = Callable[[Iterable[Found]], None]

_RECORD = re.compile(
    rb"\n((?:node=[^\s=]{1,255} )?)type=AVC msg=audit\((\d{10}\.\d{3}:\d+)\): avc:  denied  "
    rb"(\{[^{}\"\n]*\} for  pid=)(\d+)( .*)"
)
_ODD = re.compile(
    rb"\n(?!(?:node=[^\s=]{1,255} )?type=(?:AVC msg=audit\(\d{10}\.\d{3}:\d+\): avc:  denied  \{"
    rb"|(?!AVC |USER_AVC |SELINUX_ERR |1)[\w\[\]]+ msg=audit\())"
)
"""A line that is neither a denial like these nor a record that is no denial. With exactly one ``audit(`` in each line
no other record stands in the middle of one, but for a denial without a head of its own, which says ``avc:``."""
_RECORD_HEAD = re.compile(rb"\n(?:node=[^\s=]{1,255} )?type=[\w\[\]]+ msg=audit\(")
_STAMP = re.compile(rb" msg=audit\(([^()\n]*)\)")
_LEVEL = re.compile(rb"s\d\S*\Z")
_NO_LEVELS = -1
_TWO_CATEGORIES = re.compile(rb"s0:c(0|[1-9]\d{0,3}),c(0|[1-9]\d{0,3})\Z")
_NO_CATEGORIES = b"s0"
_MOST_PAIRS = 1 << 13
_MOST_BUCKETS = 1 << 14
_MANY_EVENTS = 8
_MANY_ODD = 64
_BACK, _AHEAD = 1 << 14, 1 << 17
_MOST_KNOWN = 1 << 14


class PlainLines:
    """Counts blocks of an audit.log. ``judge`` is the slow way, to the same tally and window."""

    def __init__(self, tally: Tally, window: EventWindow, options: ReadOptions, judge: Judge) -> None:
        self._tally = tally
        self._window = window
        self._judge = judge
        self._buckets: dict[Shape, Bucket] = {}
        self._by_file = FileBuckets(tally)
        self._known: dict[tuple[bytes, bytes, bytes], Bucket] = {}
        self._pairs: dict[Pair, int] = {}
        self._relations = list(_USUAL)
        self._low = stamp_of(options.since) if options.since is not None else b""
        self._high = stamp_of(options.until) if options.until is not None else b"\xff"
        self._loads = {
            f"node={host} ".encode() if host else b"": stamp_of(time) for host, time in options.loads.items()
        }
        self._limited = bool(self._low or self._loads or self._high != b"\xff")
        self._open: dict[bytes, None] = {}
        self._looked: set[bytes] = set()
        self._places: dict[bytes, list[int]] = {}
        self._block = b""
        self._at = 0

    def take(self, block: bytes, line: int) -> bool:
        """Count a block of whole lines, each with a line end before it; the first has the number ``line``.

        False, and nothing done, for a block that isn't plain.
        """
        # Two bytes are counted in half the time that one takes; a line of another beginning is seen below.
        lines, begun = block.count(b"\nt"), block.count(b"audit(")
        if lines != begun:
            lines += block.count(b"\nn")
        if lines != begun:
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
            bucket.hand_on(self._tally)
        self._buckets.clear()
        self._by_file.flush()
        self._known.clear()

    # ---- what is odd ----

    def _odd_lines(self, block: bytes, records: int) -> Optional[list[int]]:
        """Where lines begin that may be denials of another form; None where there are many, and where a line begins no
        record."""
        starts: dict[int, None] = {}
        for found in _ODD.finditer(block):
            starts[found.start()] = None
            if len(starts) > _MANY_ODD + records or not _RECORD_HEAD.match(block, found.start()):
                return None
        if block.count(b"avc:") != records:
            at = block.find(b"avc:")
            while at >= 0:
                start = block.rfind(b"\n", 0, at)
                if not _RECORD.match(block, start):
                    starts[start] = None
                    if len(starts) > _MANY_ODD + records:
                        return None
                at = block.find(b"avc:", at + 1)
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
        """Count each record in the bucket of its shape. Of most logs nearly every record has come before but for its
        process and time: then what its text says need not be worked out again."""
        known = self._known
        for node, stamp, ask, pid, rest in records:
            bucket = known.get((node, ask, rest))
            if bucket is None:
                pair, shape = self._shape(node, ask, rest)
                bucket, file = self._buckets.get(shape), b""
                if bucket is None:
                    bucket, file = self._by_file.find(shape)
                if bucket is None or bucket.exemplars < EACH:
                    text = b"".join((node, b"type=AVC msg=audit(", stamp, b"): avc:  denied  ", ask, pid, rest))
                    self._slowly(text, shape, bucket, (stamp, *pair), line)
                    continue
                if self._limited and self._is_left_out(node, stamp):
                    continue
                bucket.take(pair, file)
                if bucket.room:
                    bucket.room -= 1
                    known[node, ask, rest] = bucket
            elif self._limited and self._is_left_out(node, stamp):
                continue
            bucket.records += 1
            if stamp > bucket.last:  # noqa: PLR1730  (max and min take half as long again as all of this loop)
                bucket.last = stamp
            if stamp < bucket.first:  # noqa: PLR1730
                bucket.first = stamp
        if len(known) > _MOST_KNOWN:
            known.clear()

    def _shape(self, node: bytes, ask: bytes, rest: bytes) -> tuple[Pair, Shape]:
        """A record taken apart: its levels, and everything else."""
        mid, _, behind = rest.partition(b" scontext=")
        own, _, behind = behind.partition(b" tcontext=")
        other, _, end = behind.partition(b" tclass=")
        pair = level, of_other = own.split(b":", 3)[-1], other.split(b":", 3)[-1]
        relation = _usual(level, of_other)
        if relation is None:
            relation = self._relate(pair)
        return pair, Shape(node, ask, mid, own[: -len(level)], other[: -len(of_other)], end, relation)

    def _is_left_out(self, node: bytes, stamp: bytes) -> bool:
        """Whether the options leave a record out, which is counted."""
        if self._low <= stamp < self._high and self._loads.get(node, b"") <= stamp:
            return False
        self._tally.filtered(1)
        return True

    def _slowly(
        self, text: bytes, shape: Shape, bucket: Optional[Bucket], varying: tuple[bytes, bytes, bytes], line: int
    ) -> None:
        """One record with what else its block tells of its event. ``varying``: its stamp and levels."""
        stamp, own, other = varying
        levels = f"{own.decode('latin-1')} -> {other.decode('latin-1')}"
        self._at = at = self._block.find(b"\n" + text, self._at)
        alike = bucket.denial if bucket is not None else self._by_file.denial_of(shape)
        if alike is not None:
            if self._limited and self._is_left_out(shape.node, stamp):
                return
            event = f"{alike.event.partition(' ')[0]} {stamp.decode()}"
            denial = replace(alike, time=milliseconds(stamp), levels=levels, event=event)
            if bucket is None:
                self._buckets[shape] = Bucket(denial)
            else:
                bucket.exemplars += 1
        else:
            found = list(scan([(0, _line(text))]))
            read = _denial(found)
            if read is None:
                number = line + self._block.count(b"\n", 0, at)
                self._judge(one._replace(line=number) for one in found)
                return
            denial = read
            left_out = self._limited and self._is_left_out(shape.node, stamp)
            if self._is_regular(denial, text, found[0], shape.relation, levels):
                self._buckets[shape] = Bucket(denial)
                self._buckets[shape].exemplars = 0 if left_out else 1
                self._by_file.begin(shape, denial)
            if left_out:
                return
        self._window.denial(denial)
        self._event(stamp, at)

    def _is_regular(self, denial: Denial, text: bytes, found: Found, relation: int, levels: str) -> bool:
        """Whether others of its shape differ from a record in nothing else: its fields are where they were taken for,
        once each."""
        return (
            relation != _NO_LEVELS
            and text.count(b"scontext=") == text.count(b"tcontext=") == text.count(b"avc:") == 1
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
        block = self._block
        for at in self._places_of(stamp, begin, end):
            start = block.rfind(b"\n", 0, at) + 1
            if not block.startswith(b"type=AVC ", start):
                stop = block.find(b"\n", at)
                self._companion(_line(block[start : stop if stop >= 0 else len(block)]).decode("latin-1"))

    def _places_of(self, stamp: bytes, begin: int, end: int) -> list[int]:
        """Where records of an event have their stamps. For many events of a block those of all are found at once."""
        if len(self._looked) > _MANY_EVENTS and not self._places:
            for found in _STAMP.finditer(self._block):
                self._places.setdefault(found[1], []).append(found.start())
        if self._places:
            return [at for at in self._places.get(stamp, ()) if begin <= at < end]
        needle, places = b" msg=audit(%s)" % stamp, []
        at = self._block.find(needle, begin, end)
        while at >= 0:
            places.append(at)
            at = self._block.find(needle, at + 1, end)
        return places

    def _companion(self, text: str) -> None:
        claim = heads.claim(text)
        if claim.type in heads.COMPANIONS:
            self._window.late_companion(claim, text)

    def _begin(self, block: bytes) -> None:
        """Go on to a block, and to what it tells of events that began near the end of the one before it."""
        self._block, self._at = block, 0
        self._places.clear()
        self._looked.clear()
        for stamp in self._open:
            self._companions(stamp, 0, _AHEAD)
        self._looked.clear()
        self._open.clear()

    # ---- levels ----

    def _relate(self, pair: Pair) -> int:
        """A number for how two levels compare; _NO_LEVELS where they are none."""
        if pair in self._pairs:
            return self._pairs[pair]
        if not (_LEVEL.match(pair[0]) and _LEVEL.match(pair[1])):
            return _NO_LEVELS
        if len(self._pairs) > _MOST_PAIRS:
            self._pairs.clear()
        found = relate(pair[0].decode("latin-1"), pair[1].decode("latin-1"))
        if found not in self._relations:
            self._relations.append(found)
        number = self._pairs[pair] = self._relations.index(found)
        return number


_USUAL = (EQUAL_LEVELS, relate("s0:c1", "s0"), relate("s0:c1", "s0:c2"))
_EQUAL, _DOMINATES, _INCOMPARABLE = range(3)


def _usual(own: bytes, other: bytes) -> Optional[int]:
    """What ``relate`` says, as its place in _USUAL, said at once for what most processes in containers have: two
    categories. None for others."""
    mine = _TWO_CATEGORIES.match(own)
    if mine is None:
        return None
    if other == _NO_CATEGORIES:
        return _DOMINATES
    theirs = _TWO_CATEGORIES.match(other)
    if theirs is None:
        return None
    if own == other:
        return _EQUAL
    (one, two), (third, fourth) = mine.groups(), theirs.groups()
    return _INCOMPARABLE if one != two and third != fourth and (one, two) != (fourth, third) else None


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
