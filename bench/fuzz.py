"""Reads mutated records of the fixtures: none may raise, every denial is counted, parsed or reported.

``script/bench fuzz [RECORDS [SEED]]``; a million records if not said otherwise. The same seed mutates alike. A failure
prints the bytes that caused it, as small as halving makes them.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

from polkit.audit import dump, load, read_logs, totals

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures" / "avc"
RECORDS = 1_000_000
BATCH = 500
_LONGEST = 4000

WORDS = (
    *(b'"', b"'", b"{", b"}", b"=", b":", b"\0", b"\x1d", b"\xff", b"\xc3", b"\n", b"\r\n", b"  ", b"\\", b'\\"', b","),
    *(
        b"avc:  denied  { read } for ",
        b"avc:  granted ",
        b"type=AVC msg=audit(1700000000.123:1): ",
        b"audit(",
        b"msg='",
    ),
    *(b"audit: type=1400 audit(1.1:1): ", b"type=1401 ", b"SELINUX_ERR op=", b"USER_AVC", b"node=x ", b"permissive=1"),
    *(b" scontext=u:r:t:s0", b" tcontext=u:r:t:s0:c1,c2", b" tclass=file", b" ioctlcmd=0x5401", b" c1,c2", b" ssid=1"),
    *(
        b"__CURSOR=s=1\n",
        b"MESSAGE\n\x05\0\0\0\0\0\0\0",
        b'{"MESSAGE": "',
        b'"}',
        b"----\n",
        b"time->",
        b"> ",
        b"\xef\xbb\xbf",
    ),
    *(b"9" * 40, b"A" * 300, b"c0.c1023", b"s0-s0:", b"\xe2\x80\xae", b"\x1b[2J"),
)


def main() -> None:
    """Mutate and read; exit with 1 at the first failure."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else RECORDS
    chance = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    corpus = list(_corpus())
    begun, read, denials, unparsed = time.perf_counter(), 0, 0, 0
    while read < records:
        batch = [_mutated(chance, corpus) for _ in range(BATCH)]
        problem = _problem(batch)
        if problem:
            culprit = _smallest(batch, lambda some: _problem(some) is not None)
            sys.exit(f"after {read:,} records: {problem}\n{b''.join(culprit)!r}")
        books = totals(read_logs(["-"], stdin=BytesIO(_content(batch)))).summary
        denials, unparsed, read = denials + books.denials, unparsed + books.unreadable, read + BATCH
    seconds = time.perf_counter() - begun
    print(f"{read:,} mutated records of {len(corpus):,}, {seconds:.0f} s: no exception, the books balance")
    print(f"{denials:,} denials, of which {unparsed:,} are reported as not readable")


def _corpus() -> Iterator[bytes]:
    for path in sorted(FIXTURES.rglob("*")):
        if path.suffix in (".log", ".txt"):
            yield from (line[:_LONGEST] for line in path.read_bytes().splitlines(keepends=True) if line.strip())


def _mutated(chance: random.Random, corpus: list[bytes]) -> bytes:
    record = bytearray(chance.choice(corpus))
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(record) + 1)
        how = chance.randrange(7)
        if how == 0 and record:
            record[at % len(record)] = chance.randrange(256)
        elif how == 1:
            record[at:at] = chance.choice(WORDS)
        elif how == 2:
            del record[at : at + chance.choice((1, 1, 5, 40, 400))]
        elif how == 3:
            record[at:] = b"\n"
        elif how == 4:
            record[at:at] = record[at : at + chance.choice((3, 30, 300))]
        elif how == 5:
            other = chance.choice(corpus)
            record[at:] = other[chance.randrange(len(other)) :]
        else:
            record[at:at] = b"\n" + b" " * chance.randrange(3)
    return bytes(record)


def _content(batch: list[bytes]) -> bytes:
    """Some records as a file; behind a line end, so that none of them makes it a compressed one."""
    return b"\n" + b"".join(batch)


def _problem(batch: list[bytes]) -> str | None:
    """What is wrong with what is read of some records; None where nothing is."""
    content = _content(batch)
    try:
        ledger = read_logs(["-"], stdin=BytesIO(content))
        books = totals(ledger).summary
        if books.denials != books.parsed + books.unreadable or books.bytes != len(content):
            return f"the books don't balance: {books}"
        if load(dump(ledger)) != ledger:
            return "the ledger doesn't survive its text form"
    except Exception as problem:  # noqa: BLE001  (any is what is looked for)
        return f"{type(problem).__name__}: {problem}"
    return None


def _smallest(batch: list[bytes], fails: Callable[[list[bytes]], bool]) -> list[bytes]:
    size = len(batch) // 2
    while size:
        for at in range(0, len(batch), size):
            fewer = batch[:at] + batch[at + size :]
            if fails(fewer):
                batch = fewer
                break
        else:
            size //= 2
    return batch


if __name__ == "__main__":
    main()
