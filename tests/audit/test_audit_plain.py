"""The quick way through an audit.log counts what the slow way counts, to the last sample.

A blank before each line makes it none that the quick way knows, and is no part of a record: so the same log, indented,
is the slow way's answer.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.audit import ReadOptions, read_logs, totals
from polkit.model import Denials
from tests.audit.reading import FIXTURES, LOGS, read_bytes

LEVELS = (
    "s0",
    "s0:c1,c2",
    "s0:c2,c1",
    "s0:c1,c1",
    "s0:c1",
    "s0:c1,c3",
    "s0-s0:c0.c1023",
    "s0:c01,c2",
    "s15:c1,c2",
    "sX",
)
ODD = (
    "type=USER_AVC msg=audit(1700000000.500:9): pid=1 uid=0 msg='avc:  denied  { start } for scontext=u:r:a_t:s0"
    " tcontext=u:r:b_t:s0 tclass=service permissive=0'",
    "type=SELINUX_ERR msg=audit(1700000000.500:9): op=security_bounded_transition seresult=denied"
    " oldcontext=u:r:a_t:s0 newcontext=u:r:b_t:s0",
    "type=AVC msg=audit(1700000000.500:9): avc:  granted  { read } for  pid=1 scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0"
    " tclass=file",
    "type=AVC msg=audit(1700000000.500:9): avc:  den",
    'type=AVC msg=audit(1700000000.500:9): apparmor="DENIED" operation="open"',
    "type=1400 msg=audit(1700000000.500:9): avc:  denied  { read } for  pid=1 scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0"
    " tclass=file permissive=0",
    "type=AVC msg=audit(1700000000.500:9): avc:  denied  { read } for  pid=1 scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0"
    " tclass=file permissive=0 type=AVC msg=audit(1700000000.500:9): avc:  denied  { write } for  pid=1"
    " scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0 tclass=file permissive=0",
    'type=AVC msg=audit(1700000000.500:9): avc:  denied  { read } for  pid=1 comm="x scontext=u:r:e_t:s0:c5 tcontext='
    'u:r:e_t:s0 tclass=dir" scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0 tclass=file permissive=0',
    "type=AVC msg=audit(1700000000.500:9): avc:  denied  { read } for  pid=1 scontext=u:r:a_t:s0 tcontext=u:r:b_t:s0"
    " tclass=file",
    "a line of something else",
    "",
)


@st.composite
def records(draw: st.DrawFn) -> list[str]:
    """One event: a denial, most often with its companions; or something odd."""
    if draw(st.integers(0, 9)) == 0:
        return [draw(st.sampled_from(ODD))]
    node = draw(st.sampled_from(["", "", "node=gpu01 "]))
    serial = draw(st.integers(1, 40))
    head = f"msg=audit({1_700_000_000 + draw(st.integers(0, 3))}.{draw(st.integers(0, 999)):03}:{serial}):"
    own, other = draw(st.sampled_from(LEVELS)), draw(st.sampled_from(LEVELS))
    what = draw(
        st.sampled_from(['comm="a" name="f" dev="x" ino=7', 'comm="b" path="/srv/g"', "comm=612062 ioctlcmd=0x5401"])
    )
    perms = draw(st.sampled_from(["read", "ioctl", "write open"]))
    flags = draw(st.sampled_from(["80000", "2"]))
    end = draw(st.sampled_from([" permissive=0", " permissive=1", ""]))
    event = [
        f"{node}type=AVC {head} avc:  denied  {{ {perms} }} for  pid={serial * 7} {what} scontext=u:r:a_t:{own}"
        f" tcontext=u:object_r:b_t:{other} tclass=file{end}",
        f'{node}type=SYSCALL {head} arch=c000003e syscall=257 a0=0 a1=0 a2={flags} exe="/bin/x"',
        f'{node}type=PATH {head} item=0 name="/srv/f" inode=7 nametype=NORMAL',
    ]
    return event[: draw(st.integers(1, 3))]


def both_ways(text: str, options: ReadOptions) -> tuple[Denials, Denials]:
    quick = read_bytes(text, options)
    slow = read_bytes("".join(f" {line}" for line in text.splitlines(keepends=True)), options)
    books = [replace(found.summary, bytes=0, unparsed=()) for found in (quick, slow)]
    assert books[0] == books[1]
    assert sorted(map(repr, quick.summary.unparsed)) == sorted(map(repr, slow.summary.unparsed))
    return quick, slow


OPTIONS = st.sampled_from(
    (
        ReadOptions(),
        ReadOptions(since=1_700_000_001_500),
        ReadOptions(until=1_700_000_001_500),
        ReadOptions(source_types=frozenset({"c_t"})),
        ReadOptions(loads={"gpu01": 1_700_000_002_000}),
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(records(), min_size=1, max_size=30), OPTIONS, st.booleans())
def test_both_ways_count_alike(events: list[list[str]], options: ReadOptions, ended: bool) -> None:
    text = "\n".join(line for event in events for line in event) + "\n" * ended
    quick, slow = both_ways(text, options)
    assert quick.counted == slow.counted


@pytest.mark.parametrize("log", [log for log in LOGS if log.parent.name == "kernel"], ids=lambda log: log.name)
def test_recorded_logs_count_alike_both_ways(log: Path) -> None:
    quick, slow = (found.counted for found in both_ways(log.read_text(errors="surrogateescape"), ReadOptions()))
    assert quick == slow


def test_more_records_than_a_block_and_than_samples(tmp_path: Path) -> None:
    lines = []
    for number in range(9000):
        low, high = sorted((number * 37 % 1024, (number * 101 + 5) % 1024))
        lines.append(
            f"type=AVC msg=audit(170000{number:04}.123:{number}): avc:  denied  {{ read }} for  pid={number}"
            f' comm="c{number % 300}" name="n{number % 70}" scontext=u:r:a_t:s0:c{low},c{high}'
            f" tcontext=u:object_r:b_t:s0:c{high} tclass=file permissive=0"
        )
    quick, slow = both_ways("\n".join(lines), ReadOptions())
    assert quick.counted == slow.counted
    assert sum(one.evidence.records for one in quick.counted) == 9000


FILES = (
    *('name="{0}.bin" dev="dm-0" ino={0}', 'path="/srv/{0}" dev="dm-0" ino={0}', 'path="/srv/{0}" dev="dm-1" ino=7'),
    *('name="{0}" dev="dm-0" ino=1{0}', 'path="/srv/é{0}" dev="dm-0" ino={0}', 'name="a\\{0}" dev="dm-0" ino={0}'),
    *('name="x=avc:{0}" dev="dm-0" ino={0}', 'name="avc:{0}" dev="dm-0" ino={0}', 'name="tclass=d{0}" dev="d" ino=1'),
    *('path="/dev/x{0}" dev="dm-0" ino={0} ioctlcmd=0x5401', 'name="{0}" ino={0}', "name=61{0:04} dev=dm-0 ino={0}"),
    *('path="socket:[{0}]" dev="sockfs" ino={0}', 'name="(null)" dev="dm-0" ino={0}', 'name="" dev="dm-0" ino={0}'),
)


@pytest.mark.parametrize("options", [ReadOptions(), ReadOptions(since=1_700_000_002_500)], ids=["all", "since"])
def test_denials_of_thousands_of_files_count_alike(options: ReadOptions) -> None:
    """Of each access more files than examples are kept of; some come again, with other calls, hosts and levels."""
    chance = random.Random(11)
    lines = []
    for number in range(6000):
        file = chance.choice(FILES).format(chance.choice((chance.randrange(100), chance.randrange(9999))))
        node, comm = chance.choice(("", "", "node=b ")), chance.choice(("a", "b"))
        head = f"msg=audit({1_700_000_000 + number // 1000}.{number % 1000:03}:{number}):"
        lines.append(
            f'{node}type=AVC {head} avc:  denied  {{ read }} for  pid={number} comm="{comm}" {file}'
            f" scontext=u:r:a_t:{chance.choice(LEVELS)} tcontext=u:object_r:b_t:s0 tclass=file permissive=0"
        )
        lines.append(f'{node}type=SYSCALL {head} arch=c000003e syscall={chance.choice((0, 2, 257))} exe="/bin/x"')
    quick, slow = both_ways("\n".join(lines), options)
    assert quick.counted == slow.counted
    assert sum(one.evidence.records for one in quick.counted) > 2000


def test_a_large_log_is_read_in_halves_that_count_as_the_whole(tmp_path: Path) -> None:
    """Larger than what is worth a second process; the file read from a pipe is read in one go."""
    kernel = (FIXTURES / "kernel" / "vllm-permissive.audit.log").read_bytes()
    records = b"".join(line for line in kernel.splitlines(keepends=True) if line.startswith(b"type="))
    path = tmp_path / "audit.log"
    path.write_bytes(records * (36_000_000 // len(records) + 1))
    with path.open("rb") as stream:
        whole = totals(read_logs(["-"], stdin=stream))
    halves = totals(read_logs([str(path)]))
    assert halves.counted == whole.counted
    assert halves.summary == replace(whole.summary, sources=(str(path),))
