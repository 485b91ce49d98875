"""Pieces of a log, read each by itself and joined, give its ledger: whatever it holds, wherever it is cut."""

from __future__ import annotations

import io
from itertools import chain, cycle, islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.audit import (
    Piece,
    ReadOptions,
    Source,
    can_be_split,
    dump,
    join_pieces,
    read_piece,
    read_source,
)
from tests.audit.reading import LOGS, avc

ALL = ReadOptions()


def in_one_go(content: bytes, options: ReadOptions = ALL) -> list[str]:
    return list(dump(read_source(Source("log", None, opener=lambda: io.BytesIO(content)), options)))


def in_pieces(content: bytes, step: int, options: ReadOptions = ALL) -> tuple[list[str], int]:
    """The ledger's lines, and the number of pieces."""

    def read_at(offset: int, size: int) -> bytes:
        assert offset >= 0
        assert size > 0
        return content[offset : offset + size]

    found = [read_piece(read_at, len(content), border, step, options) for border in range(0, len(content), step)]
    pieces: list[Piece] = [piece for piece in found if piece is not None]
    return list(dump(join_pieces("log", pieces, options))), len(pieces)


def splits(content: bytes) -> bool:
    return can_be_split(lambda offset, size: content[offset : offset + size])


def event(serial: int, *, comm: str = "app", kind: str = "read") -> list[str]:
    """A denial and its companions, one line each."""
    stamp = f"audit(1700000000.123:{serial})"
    return [
        avc(f'comm="{comm}" name="f{serial}"', kind, serial=serial),
        f'type=SYSCALL msg={stamp}: arch=c000003e syscall=257 success=no exit=-13 a2=0 exe="/usr/bin/{comm}"',
        f'type=CWD msg={stamp}: cwd="/srv/{serial % 7}"',
        f'type=PATH msg={stamp}: item=0 name="f{serial}" nametype=NORMAL',
    ]


LINES = st.one_of(
    st.integers(1, 40).flatmap(lambda serial: st.sampled_from(event(serial))),
    st.sampled_from(
        [
            "",
            "----",
            "type=CRED_ACQ msg=audit(1700000000.000:7): pid=1 res=success",
            "avc:  denied  { read } for  pid=1 comm=app scontext=u:r:a_t:s0",
            "  tcontext=u:object_r:b_t:s0 tclass=file permissive=0",
            "type=AVC msg=audit(1700000000.000:3): avc:  denied  {",
            "__CURSOR=s=1",
            "_HOSTNAME=node",
            "MESSAGE",
            "\x05\x00\x00\x00\x00\x00\x00\x00hello",
            "plain text, é",
        ]
    ),
)


@settings(max_examples=10)
@given(st.lists(LINES, max_size=60), st.integers(1, 900), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_pieces_of_any_size_give_the_same_ledger(lines: list[str], step: int, end: str, ended: bool) -> None:
    """However a log goes on behind a head that is an audit.log's."""
    head = chain.from_iterable(event(serial) for serial in range(50, 1150))
    content = (end.join([*head, *lines]) + (end if ended else "")).encode()
    assert splits(content)
    step += len(content) - 5000
    assert in_pieces(content, step)[0] == in_one_go(content)


@given(st.permutations(list(chain.from_iterable(event(serial) for serial in range(1, 13)))), st.integers(50, 3000))
def test_events_that_interleave_over_a_border_are_joined(lines: list[str], step: int) -> None:
    content = "\n".join(lines).encode()
    assert in_pieces(content, step)[0] == in_one_go(content)


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.name)
@pytest.mark.parametrize("number", [2, 5])
def test_recorded_logs_can_be_read_in_pieces(log: Path, number: int) -> None:
    content = log.read_bytes()
    if splits(content):
        assert in_pieces(content, len(content) // number + 1)[0] == in_one_go(content)


def long_log(events: int) -> bytes:
    """Events of a hundred programs, so that many counts have more than a sample's records."""
    kinds = cycle(("read", "open", "write getattr"))
    rows = (event(n, comm=f"c{n * 7919 % 100}", kind=kind) for n, kind in zip(range(events), kinds))
    return "\n".join(chain.from_iterable(rows)).encode()


@pytest.mark.parametrize("number", [2, 7, 50])
def test_an_ordinary_log_is_read_in_as_many_pieces_as_asked_for(number: int) -> None:
    content = long_log(2500)
    ledger, pieces = in_pieces(content, -(-len(content) // number))
    assert pieces == number
    assert ledger == in_one_go(content)


def test_a_log_without_a_place_between_events_is_one_piece() -> None:
    content = "\n".join(chain.from_iterable(zip(*(event(n) for n in range(1, 60))))).encode()
    ledger, pieces = in_pieces(content, 700)
    assert pieces == 1
    assert ledger == in_one_go(content)


def test_options_and_unparsed_records_hold_over_borders() -> None:
    rows = ([avc(serial=2 * n), avc(serial=2 * n + 1).replace(":a_t:", ":c_t:")] for n in range(2500))
    content = "\n".join(
        islice(chain.from_iterable((*row, "type=AVC msg=audit(1.000:1): avc:  denied {") for row in rows), 5000)
    ).encode()
    for options in (ALL, ReadOptions(source_types=frozenset(("c_t",)))):
        assert in_pieces(content, 30_000, options)[0] == in_one_go(content, options)


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"type=AVC\n", True),
        (b"\xef\xbb\xbftype=AVC\ntype=CWD\n", True),
        (b"Nov 21\n" * 3, False),
        (b"\x1f\x8b\x08", False),
        (b"\xff\xfet\x00", False),
    ],
)
def test_what_can_be_split_is_seen_from_its_first_bytes(head: bytes, expected: bool) -> None:
    assert can_be_split(lambda offset, size: head[offset : offset + size]) is expected


def test_a_ledger_is_never_split() -> None:
    saved = "\n".join(in_one_go(long_log(9))).encode()
    assert not can_be_split(lambda offset, size: saved[offset : offset + size])
