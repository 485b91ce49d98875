"""No line, however damaged, raises; no source, however odd, is waited for, held whole or silently lost."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.audit import dump, load, read_logs, totals
from polkit.errors import SourceError
from tests.audit.reading import FIXTURES, avc

CORPUS = [
    line
    for path in sorted(FIXTURES.rglob("*"))
    if path.suffix in (".log", ".txt") and path.name not in ("utf-16.txt",)
    for line in path.read_bytes().splitlines(keepends=True)[:40]
]
PIECES = (
    b'"',
    b"'",
    b"{",
    b"}",
    b"\0",
    b"\x1d",
    b"\xff",
    b"\n",
    b"avc:  denied  { read } for ",
    b"audit(",
    b"msg='",
    b"\\",
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    record = bytearray(draw(st.sampled_from(CORPUS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(record)))
        how = draw(st.integers(0, 3))
        if how == 0:
            record[at:at] = draw(st.sampled_from(PIECES) | st.binary(max_size=4))
        elif how == 1:
            del record[at : at + draw(st.integers(1, 60))]
        elif how == 2:
            record[at:] = b"\n"
        else:
            record[at:] = draw(st.sampled_from(CORPUS))[-draw(st.integers(1, 300)) :]
    return bytes(record)


@settings(max_examples=300, deadline=None)
@given(st.lists(mutated(), min_size=1, max_size=12).map(b"".join))
def test_mutated_records_never_raise_and_are_all_accounted_for(content: bytes) -> None:
    ledger = read_logs(["-"], stdin=BytesIO(content))
    books = totals(ledger).summary
    assert books.denials == books.parsed + books.unreadable
    assert books.bytes == len(content)
    assert load(dump(ledger)) == ledger


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000))
def test_any_bytes_are_read(content: bytes) -> None:
    books = totals(read_logs(["-"], stdin=BytesIO(content))).summary
    assert books.denials == books.parsed + books.unreadable


def test_a_file_that_disappears_is_a_note_in_a_directory_and_an_error_where_it_is_named(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.log").write_text(avc(serial=number) + "\n" * (number + 1))

    def vanish(_: int) -> None:
        (tmp_path / "1.log").unlink(missing_ok=True)

    books = totals(read_logs([str(tmp_path)], progress=vanish)).summary
    assert books.parsed == 2
    assert [note.partition("1.log: ")[2] for note in books.notes] == [
        f"not read: {tmp_path}/1.log: No such file or directory"
    ]
    with pytest.raises(SourceError, match="no such file"):
        read_logs([str(tmp_path / "1.log")])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every directory")
def test_a_directory_without_rights_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(SourceError, match="closed: Permission denied"):
        read_logs([str(tmp_path / "closed")])


def test_a_directory_that_may_not_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(SourceError, match="Permission denied"):
        read_logs([str(tmp_path)])


def test_a_pipe_that_a_glob_finds_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(avc())
    os.mkfifo(tmp_path / "b.log")
    books = totals(read_logs([str(tmp_path / "*.log")])).summary
    assert (books.parsed, len(books.notes)) == (1, 1)
    assert "is no regular file" in books.notes[0]
    assert totals(read_logs([str(tmp_path)])).summary.parsed == 1


def test_a_truncated_gzip_gives_what_could_be_read_and_says_so(tmp_path: Path) -> None:
    noise = b"".join(os.urandom(200).hex().encode() + b"\n" for _ in range(2000))
    data = gzip.compress((avc() + "\n").encode() + noise)
    (tmp_path / "x.gz").write_bytes(data[:-2000])
    books = totals(read_logs([str(tmp_path / "x.gz")])).summary
    assert books.parsed == 1
    assert books.notes == (f"{tmp_path}/x.gz: the compressed data ends early; read up to there",)


class Line:
    """A line of so many bytes, from any place, with a record at its very end."""

    def __init__(self, filling: bytes, size: int) -> None:
        self._filling = filling
        self._left = size

    def read(self, size: int = -1) -> bytes:
        if self._left <= 0:
            end, self._filling = self._filling and b" " + avc().encode() + b"\n", b""
            return end
        taken = min(size if size > 0 else self._left, self._left)
        self._left -= taken
        return (self._filling * (taken // len(self._filling) + 1))[:taken]


BOUND = 48_000_000


SIZES = {b"x": 100_000_000, b" ": 8_000_000, b'"': 8_000_000, b'{"a":': 8_000_000, b"\\": 8_000_000, b"\0": 8_000_000}
SIZES[b"type=AVC msg=audit(1.1:1): x "] = 3_000_000


@pytest.mark.parametrize("filling", SIZES)
def test_a_line_of_absurd_length_takes_no_more_memory_than_its_bound(filling: bytes) -> None:
    """As the process's own peak: what tracemalloc would count takes it a minute."""
    code = (
        "import io, resource, sys\n"
        "from polkit.audit import read_logs, totals\n"
        "from tests.audit.reading import avc\n"
        "from tests.audit.test_audit_bad_input import BOUND, SIZES, Line\n"
        "filling = bytes.fromhex(sys.argv[1])\n"
        "totals(read_logs(['-'], stdin=io.BytesIO(avc().encode())))\n"  # what the imports take
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "books = totals(read_logs(['-'], stdin=Line(filling, SIZES[filling]))).summary\n"
        "taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before\n"
        "assert books.denials == books.parsed + books.unreadable >= 1, books\n"
        "assert books.bytes > SIZES[filling] and taken < BOUND, taken\n"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code, filling.hex()]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
