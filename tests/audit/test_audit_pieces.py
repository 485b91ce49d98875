"""Pieces of a log, read each by itself and joined, give its ledger: whatever it holds, wherever it is cut."""

from __future__ import annotations

import io
from itertools import chain, cycle, islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.audit import (
    Held,
    Ledger,
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


def in_pieces(content: bytes, step: int, options: ReadOptions = ALL) -> tuple[list[str], int, int]:
    """The ledger's lines, the number of pieces and how many of them were read again."""
    repeated: list[int] = []

    def read_at(offset: int, size: int) -> bytes:
        assert offset >= 0
        assert size > 0
        return content[offset : offset + size]

    def read(border: int, held: Held | None = None) -> Piece | None:
        return read_piece(read_at, len(content), border, step, options, held)

    found = [(border, read(border)) for border in range(0, len(content), step)]
    begun = [border for border, piece in found if piece is not None]
    pieces = [piece for _, piece in found if piece is not None]

    def again(number: int, held: Held) -> Piece:
        repeated.append(number)
        piece = read(begun[number], held)
        assert piece is not None
        return piece

    ledger: Ledger = join_pieces("log", pieces, options, again)
    return list(dump(ledger)), len(pieces), len(repeated)


def event(serial: int, *, comm: str = "app", kind: str = "read") -> list[str]:
    """A denial and its companions, one line each."""
    stamp = f"audit(1700000000.000:{serial})"
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


@given(st.lists(LINES, min_size=1, max_size=60), st.integers(1, 900), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_pieces_of_any_size_give_the_same_ledger(lines: list[str], step: int, end: str, ended: bool) -> None:
    content = (end.join(lines) + (end if ended else "")).encode()
    if content:
        assert in_pieces(content, step)[0] == in_one_go(content)


@given(st.permutations(list(chain.from_iterable(event(serial) for serial in range(1, 13)))), st.integers(50, 3000))
def test_events_that_interleave_over_a_border_are_joined(lines: list[str], step: int) -> None:
    content = "\n".join(lines).encode()
    assert in_pieces(content, step)[0] == in_one_go(content)


@pytest.mark.parametrize("log", LOGS, ids=lambda path: path.name)
@pytest.mark.parametrize("number", [2, 5])
def test_recorded_logs_can_be_read_in_pieces(log: Path, number: int) -> None:
    content = log.read_bytes()
    if content and can_be_split(lambda offset, size: content[offset : offset + size]):
        assert in_pieces(content, len(content) // number + 1)[0] == in_one_go(content)


def test_forms_that_follow_one_another_can_be_read_in_pieces() -> None:
    """What one form leaves behind in the reader would show in the next."""
    logs = [log.read_bytes() for log in LOGS]
    content = b"\n".join(log for log in logs if can_be_split(lambda at, size, log=log: log[at : at + size]))  # type: ignore[misc]
    ledger, pieces, _ = in_pieces(content, len(content) // 15)
    assert pieces > 10
    assert ledger == in_one_go(content)


def long_log(events: int) -> bytes:
    """Events of a hundred programs, each on its own lines, so that many counts have more than a sample's records."""
    kinds = cycle(("read", "open", "write getattr"))
    rows = (event(n, comm=f"c{n * 7919 % 100}", kind=kind) for n, kind in zip(range(events), kinds))
    return "\n".join(chain.from_iterable(rows)).encode()


def test_an_ordinary_log_is_read_once() -> None:
    """The guess of what reaches over a border is right where events stand together: nothing is read again."""
    content = long_log(6000)
    ledger, pieces, repeated = in_pieces(content, len(content) // 5)
    assert (pieces, repeated) == (5, 0)
    assert ledger == in_one_go(content)


def test_a_wrong_guess_is_found_and_read_again() -> None:
    """Where an event has records far apart, nobody can tell from nearby which events are still open."""
    first = ["\n".join(event(n)) for n in range(1, 513)]
    ballast = ["type=CRED_ACQ msg=audit(1700000000.000:9999): pid=1 res=success"] * 40_000
    late = [event(n)[2].replace("/srv", "/late") for n in range(1, 513)]
    content = "\n".join([*first, *ballast, *late]).encode()
    ledger, pieces, repeated = in_pieces(content, 300_000)
    assert pieces > 5
    assert repeated > 0
    assert ledger == in_one_go(content)


def test_options_and_unparsed_records_hold_over_borders() -> None:
    lines = islice(cycle([avc(serial=1), avc(serial=2).replace(":a_t:", ":c_t:"), "avc:  denied {", ""]), 5000)
    content = "\n".join(lines).encode()
    for options in (ALL, ReadOptions(source_types=frozenset(("c_t",)))):
        assert in_pieces(content, 30_000, options)[0] == in_one_go(content, options)


def test_a_line_beyond_the_bound_is_cut_in_the_same_places() -> None:
    record = avc(f'path="/{"x" * 3000}"')
    content = "\n".join(
        [avc(serial=1), " ".join([record] * 900), avc(serial=2), "y" * 3_000_000, avc(serial=3)]
    ).encode()
    for step in (300_000, 1 << 20):
        assert in_pieces(content, step)[0] == in_one_go(content)


@pytest.mark.parametrize(
    ("head", "expected"),
    [(b"type=AVC", True), (b"\xef\xbb\xbftype=AVC", True), (b"\x1f\x8b\x08", False), (b"\xff\xfet\x00", False)],
)
def test_what_can_be_split_is_seen_from_its_first_bytes(head: bytes, expected: bool) -> None:
    assert can_be_split(lambda offset, size: head[offset : offset + size]) is expected


def test_a_ledger_is_never_split() -> None:
    saved = "\n".join(in_one_go(long_log(9))).encode()
    assert not can_be_split(lambda offset, size: saved[offset : offset + size])
