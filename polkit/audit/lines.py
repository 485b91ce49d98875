"""Blocks of bytes to numbered lines, with a bound on what is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from polkit.audit.scan import record_starts

LONGEST_LINE = 1 << 20
"""Bytes. A longer line comes in pieces that begin where a record begins."""

_OVERLAP = 512
"""More than the first bytes of any record (heads.START)."""


def numbered_lines(blocks: Iterable[bytes], longest: int = LONGEST_LINE, first: int = 1) -> Iterator[tuple[int, bytes]]:
    """Each line with its number from ``first``, without its line end. The pieces of a line longer than ``longest``
    bytes share their number."""
    number, pending = first, b""
    for block in blocks:
        *whole, rest = block.split(b"\n")
        if whole:
            yield number, _ended(pending + whole[0])
            for line in whole[1:]:
                number += 1
                yield number, _ended(line)
            number += 1
            pending = rest
        else:
            pending += rest
        while len(pending) > longest:
            cut = _place_to_cut(pending)
            yield number, pending[:cut]
            pending = pending[cut:]
    if pending:
        yield number, _ended(pending)


def _ended(line: bytes) -> bytes:
    return line[:-1] if line.endswith(b"\r") else line


def _place_to_cut(line: bytes) -> int:
    """Where the last record begins in the second half of an overlong line; near its end where none does."""
    half = len(line) // 2
    starts = record_starts(line[half:])
    return half + starts[-1].at if starts else len(line) - _OVERLAP
