"""Finds the records in a stream of lines: one pass, several records on a line, and the lines a record may go on in.

Nothing here decides whether a record is whole. A record that isn't surely complete at the end of its line takes the
lines after it along as candidates for ``rejoin``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Optional

from polkit.audit import heads
from polkit.audit.envelopes import may_be_entry, texts_in
from polkit.audit.heads import START, Claim, claim, is_strong

MOST_LINES = 24
"""A record wrapped at 40 columns has a dozen lines."""

_LONGEST_CONTINUATION = 4096
_LONGEST_PREFIX = 512
_AFTER_QUOTE = frozenset(b" \t'\x1d,)];")
# A line that can't be the rest of a record: separators of ausearch, the date and host of a syslog or kernel line.
_NO_CONTINUATION = re.compile(
    rb"\s*(?:-{4,}\s*$|time->|<\d+>|\[\s*\d+\.\d+\]|[A-Z][a-z]{2}\s+\d{1,2}\s\d\d:\d\d:\d\d\s|\d{4}-\d\d-\d\d[T ]\d\d:)"
)
_AT_ONCE = re.compile(rb"(?:node=\S{1,255}\s+)?type=[\w\[\]]+\s+(?:msg=)?audit\(")
_INDENT = re.compile(rb"[\s>]+")


class Found(NamedTuple):
    """A record as it stands in its line, and the lines after it that may belong to it. Text is bytes as Latin-1."""

    line: int
    prefix: str
    text: str
    claim: Claim
    continuation: tuple[str, ...] = ()


def scan(lines: Iterable[tuple[int, bytes]]) -> Iterator[Found]:
    """The records in numbered lines, in order."""
    waiting: Optional[Found] = None
    for number, line in lines:
        starts = record_starts(line)
        if waiting:
            if _continues(waiting, line, starts):
                waiting = _with_line(waiting, line)
                continue
            yield waiting
            waiting = None
        if not starts and not may_be_entry(line):
            continue
        nested = texts_in(line)
        if nested is not None:
            for text in nested:
                inner = scan((number, part) for part in text.split(b"\n"))
                yield from (found._replace(line=number) for found in inner)
            continue
        if not starts:
            continue
        *whole, last = _split(number, line, starts)
        yield from whole
        if _may_go_on(last):
            waiting = last
        else:
            yield last
    if waiting:
        yield waiting


class Start(NamedTuple):
    """Where a record begins in a line; ``strong`` as in heads.is_strong."""

    at: int
    strong: bool


def record_starts(line: bytes) -> list[Start]:
    """Where records begin in a line. A record's beginning within the quotes of another record is none."""
    if b"audit" not in line and b"avc:" not in line and b"SELINUX_ERR " not in line:
        return []
    if _one_record(line):
        return [Start(0, True)]
    starts: list[Start] = []
    quotes = _Quotes(line)
    tclass = -1  # where the record under way names its class: the first "tclass=" behind its start
    for found in START.finditer(line):
        at, strong = found.start(), is_strong(found[0])
        if starts:
            if quotes.around(at):
                continue
            if not strong and not starts[-1].at < tclass < at:
                continue  # part of the record under way: its own "avc:  denied", or free text
        if tclass < at:
            found_at = line.find(b"tclass=", at)
            tclass = len(line) if found_at < 0 else found_at
        starts.append(Start(at, strong))
        quotes.restart(at)
    return starts


def _one_record(line: bytes) -> bool:
    """Whether a line is one record from its first byte, as nearly all lines of an audit.log are: seen by searching for
    what else could begin a record, which is much faster than the expression for it."""
    return (
        line.startswith((b"type=", b"node="))
        and line.count(b"audit(") == 1
        and b"audit:" not in line
        and b"audit[" not in line
        and line.count(b"avc:") <= 1
        and b"SELINUX_ERR op=" not in line
        and b"SELINUX_ERR security_" not in line
        and not -1 < line.find(b"tclass=") < line.find(b"avc:")
        and _AT_ONCE.match(line) is not None
    )


class _Quotes:
    """Whether a place in a line is within double quotes, counted from where the record under way begins.

    Moves forward only, so that a whole line costs one pass over it.
    """

    def __init__(self, line: bytes) -> None:
        self._line = line
        self._at = 0
        self._odd = False
        self._closing = -1

    def restart(self, at: int) -> None:
        self._at, self._odd = at, False

    def around(self, at: int) -> bool:
        self._odd ^= bool(self._line.count(b'"', self._at, at) % 2)
        self._at = at
        if not self._odd:
            return False
        if self._closing < at:
            found = self._line.find(b'"', at)
            self._closing = len(self._line) if found < 0 else found
        # A quote that is never closed, or closed in the middle of a word, was cut off: a new record begins here.
        after = self._line[self._closing + 1 : self._closing + 2]
        return self._closing < len(self._line) and (not after or after[0] in _AFTER_QUOTE)


def _split(number: int, line: bytes, starts: list[Start]) -> list[Found]:
    found: list[Found] = []
    ends = [*(start.at for start in starts[1:]), len(line)]
    for start, end in zip(starts, ends):
        text = line[start.at : end].rstrip().decode("latin-1")
        prefix = line[max(0, start.at - _LONGEST_PREFIX) : start.at].decode("latin-1") if not found else ""
        found.append(Found(number, prefix, text, claim(text)))
    return found


def _may_go_on(found: Found) -> bool:
    if found.claim.kind == heads.OTHER:
        return found.claim.type in heads.COMPANIONS
    return found.claim.verdict in (heads.DENIED, heads.CUT) and "permissive=" not in found.text


def _continues(waiting: Found, line: bytes, starts: list[Start]) -> bool:
    if len(waiting.continuation) >= MOST_LINES or len(line) > _LONGEST_CONTINUATION or not line.strip(b" \t\r>"):
        return False
    if starts and waiting.claim.verdict != heads.CUT:
        return False  # only a head with nothing behind it goes on in a line that itself looks like a record
    return not stands_alone(line, starts)


def stands_alone(line: bytes, starts: list[Start]) -> bool:
    """Whether no record goes on in a line, whatever stands before it: what is read of a log from such a line on does
    not depend on the lines before it, but for the events they belong to."""
    return any(start.strong for start in starts) or _NO_CONTINUATION.match(line) is not None


def _with_line(waiting: Found, line: bytes) -> Found:
    indent = _INDENT.match(line)
    text = (line[indent.end() :] if indent else line).decode("latin-1")
    return waiting._replace(continuation=(*waiting.continuation, text))
