"""Records are found wherever they stand: several on a line, wrapped over lines, in JSON, in overlong lines."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from polkit.audit import ReadOptions
from tests.audit.reading import avc

FULL = (
    "type=AVC msg=audit(1544147301.683:927886): avc:  denied  { write remove_name } for  pid=15108 "
    'comm="sriovdp" name="device-plugins" dev="md126" ino=2149421115 '
    "scontext=system_u:system_r:container_t:s0:c329,c513 tcontext=system_u:object_r:var_lib_t:s0 tclass=dir "
    "permissive=1"
)
NEXT = avc('comm="next"', serial=99)


def test_several_records_on_a_line(read):
    bare = FULL[FULL.index("avc:") :]
    for line in (f"{FULL} {NEXT}", f"{FULL}{NEXT}", f"{bare} {NEXT}", f"{bare} {bare.replace('write', 'search')}"):
        denials = read(line)
        assert (denials.summary.parsed, len(denials.counted)) == (2, 2)


def test_a_record_cut_in_a_quote_does_not_swallow_the_next_on_its_line(read):
    denials = read('type=AVC msg=audit(1.1:1): avc:  denied  { read } for  pid=1 comm="pyth' + NEXT)
    assert [record.line for record in denials.summary.unparsed] == [1]
    assert denials.counted[0].evidence.comms == ("next",)


WRAPS = {
    "mid-token": FULL.replace("container_t", "container_\nt"),
    "at a colon": FULL.replace("container_t:", "container_t:\n"),
    "in the categories": FULL.replace("c329,", "c329,\n"),
    "in a permission": FULL.replace("remove_name", "remo\nve_name"),
    "between permissions": FULL.replace("write ", "write\n"),
    "in the class, then the end": FULL.replace("=dir ", "=di\nr\n"),
    "before permissive": FULL.replace(" permissive", "\npermissive"),
    "in permissive": FULL.replace("permissive", "permis\nsive"),
    "in a name": FULL.replace("device-", "dev\nice-"),
    "in a number": FULL.replace("2149421115", "21494\n21115"),
    "before the body": FULL.replace(": avc:", ":\navc:"),
    "before the verdict": FULL.replace("avc:  ", "avc:\n"),
    "in the stamp": FULL.replace("audit(1544", "audit(1544\n"),
    "indented": FULL.replace(" for", "\n    for").replace(" tcontext", "\n    tcontext"),
    "quoted": "> " + FULL.replace(" for", "\n> for").replace(" tcontext", "\n> > tcontext"),
    "at every blank": re.sub(" +", "\n", FULL).replace("type=AVC\n", "type=AVC "),
    "a gap in its line": FULL.replace("system_u:system_r", f"system_u:{' ' * 60}system_r"),
    "with carriage returns": FULL.replace("remove_name", "remo\r\nve_name"),
}


@pytest.mark.parametrize("name", WRAPS)
def test_a_wrapped_record_reads_as_the_whole_one(name, read):
    wrapped = read(f"{NEXT}\n{WRAPS[name]}\n{NEXT}\nthe end\n")
    whole = read(f"{NEXT}\n{FULL}\n{NEXT}\nthe end\n")
    assert wrapped.summary.unparsed == ()
    assert wrapped.counted == whole.counted


@given(width=st.integers(24, 200), indent=st.sampled_from(["", "  ", "> "]))
def test_a_terminal_of_any_width_may_wrap(width, indent):
    from tests.audit.reading import read_bytes

    lines = [FULL[at : at + width] for at in range(0, len(FULL), width)]
    # A blank that falls on the margin is lost in a paste, or not; both are read.
    assume(len(lines) <= 16)
    wrapped = read_bytes("".join(f"{indent}{line}\n" for line in lines))
    assert wrapped.summary.unparsed == ()
    (counted,) = wrapped.counted
    assert (counted.key, counted.evidence.permissive) == (read_bytes(FULL).counted[0].key, 1)


def test_what_follows_a_record_is_not_drawn_into_it(read):
    old = avc('comm="old"', tail="")
    for after in ("----", "time->Tue Nov 14 22:13:20 2023", "Hash: python3,a_t,b_t,file,read", "permitted", "r"):
        denials = read(f"{old}\n{after}\n{NEXT}\n")
        assert (denials.summary.parsed, {counted.key.tclass for counted in denials.counted}) == (2, {"file"})


def test_a_class_that_goes_on_in_the_next_line_is_not_taken_for_whole(read):
    denials = read(f"{avc(tclass='chr_', tail='')}\nfile permissive=1\n")
    (counted,) = denials.counted
    assert (counted.key.tclass, counted.evidence.permissive) == ("chr_file", 1)


def test_a_wrap_that_fits_two_accesses_is_not_decided(read):
    # Neither half is a permission we know, nor is the whole.
    denials = read(avc(perms="frob\nnicate").replace("  ", " "))
    assert (denials.counted, len(denials.summary.unparsed)) == ((), 1)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda line: {"log": line + "\n", "stream": "stdout"},
        lambda line: {"a": {"b": [1, None, {"message": line}]}},
        lambda line: {"message": json.dumps({"log": line})},
        lambda line: {"MESSAGE": line.split(": ", 1)[1], "n": 1.5},
        lambda line: {"log": f"{line}\n{line}\n"},
    ],
)
def test_records_in_json(wrap, read):
    line = json.dumps(wrap(FULL))
    denials = read(f"{line}\n")
    (counted,) = denials.counted
    assert (counted.key.perms, counted.evidence.comms) == (("remove_name", "write"), ("sriovdp",))


def test_a_line_that_only_looks_like_json_is_text(read):
    for line in ("{" + FULL, "{" * 100_000 + FULL, json.dumps({FULL: 1})):
        assert read(line).summary.denials == 1


def test_lines_are_counted_and_records_know_theirs(read):
    summary = read("one\n\ntype=AVC msg=audit(1.1:1): avc:  denied  { read }\nfour").summary
    assert (summary.lines, summary.unparsed[0].line, summary.bytes) == (4, 3, 59)


def test_overlong_lines_lose_no_record_and_take_bounded_memory(read):
    import tracemalloc

    class Endless:
        """A line of 48 MB with a record every 64 KiB or so."""

        def __init__(self) -> None:
            self.left = 48

        def read(self, size: int = -1) -> bytes:
            if size == 6:
                return b"begin "
            self.left -= 1
            return (b"junk " * 52_000 + f"{FULL} ".encode()) if self.left >= 0 else b""

    from polkit.audit import read_logs, totals

    tracemalloc.start()
    denials = totals(read_logs(["-"], stdin=Endless()))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (denials.summary.parsed, denials.summary.lines, denials.summary.unparsed) == (48, 1, ())
    assert peak < 16_000_000


def test_hostile_lines_take_linear_time(read):
    import time

    quoted = 'type=SYSCALL msg=audit(1.1:1): a="' + "type=AVC msg=audit(" * 40_000
    odd = 'type=AVC msg=audit(1.1:1): avc:  denied  { x } for comm="' + "avc:  denied " * 60_000 + '"'
    braces = "avc:  denied  { read " * 40_000
    begun = time.monotonic()
    for line in (quoted, odd, braces, "'" * 500_000 + "avc:  denied  {", FULL + " x" * 400_000):
        read(line)
    assert time.monotonic() - begun < 10


def test_filters_count_what_they_leave_out(read):
    records = "\n".join(avc(serial=n).replace("1700000000.123", f"{1700000000 + n}.123") for n in range(10))
    bare = avc().split(": ", 1)[1]
    window = ReadOptions(since=1_700_000_002_123, until=1_700_000_005_123)
    summary = read(f"{records}\n{bare}\ntype=AVC msg=audit(1.1:1): avc:  denied\n", window).summary
    assert (summary.parsed, summary.filtered, summary.undated, len(summary.unparsed)) == (4, 7, 1, 1)
    assert (summary.denials, summary.records["AVC"]) == (5, 5)
    nobody = read(records, ReadOptions(source_types=frozenset({"other_t"}))).summary
    assert (nobody.parsed, nobody.filtered, nobody.denials) == (0, 10, 0)


SYSCALL = 'type=SYSCALL msg=audit(1.1:{n}): arch=c000003e syscall=257 success=no exe="/usr/bin/python3" key=(null)'
EVENT = [
    avc('comm="p" name="x" dev="dm-0" ino=7').replace("1700000000.123:1", "1.1:{n}"),
    SYSCALL,
    'type=CWD msg=audit(1.1:{n}): cwd="/srv"',
    'type=PATH msg=audit(1.1:{n}): item=0 name="models/" inode=3 nametype=PARENT',
    'type=PATH msg=audit(1.1:{n}): item=1 name="models/x" inode=7 nametype=NORMAL',
]


@given(order=st.permutations(range(len(EVENT) * 2)))
def test_an_event_is_joined_in_any_order_and_interleaving(order):
    from tests.audit.reading import read_bytes

    records = [line.replace("{n}", "1") for line in EVENT] + [line.replace("{n}", "2") for line in EVENT]
    (counted,) = read_bytes("\n".join(records[place] for place in order)).counted
    evidence = counted.evidence
    assert (evidence.records, evidence.syscalls, evidence.exes) == (2, ("openat",), ("/usr/bin/python3",))
    assert (evidence.paths, evidence.names) == (("/srv/models/x",), ())


@pytest.mark.parametrize(
    ("fields", "perms", "tclass", "item", "path"),
    [
        ('name="x"', "create", "file", 'name="/srv/x" inode=9 nametype=CREATE', "/srv/x"),
        ('name="x"', "add_name", "dir", 'name="/srv/m/x" inode=9 nametype=CREATE', "/srv/m"),
        ('name="m" ino=7', "write", "dir", 'name="/srv/m/" inode=7 nametype=PARENT', "/srv/m"),
        ('name="/" ino=1', "write", "dir", 'name="/dev/shm/" inode=1 nametype=PARENT', "/dev/shm"),
        ('name="vm" ino=5', "search", "dir", 'name="/proc/sys/vm/x" nametype=UNKNOWN', "/proc/sys/vm"),
        ('name="x" ino=7', "read", "file", 'name="/srv/x" inode=8 nametype=NORMAL', None),
        ('name="x" ino=7', "read", "file", "name=(null) inode=7 nametype=NORMAL", None),
        ('path="/own" ino=7', "read", "file", 'name="/srv/own" inode=7 nametype=NORMAL', "/own"),
    ],
)
def test_the_path_of_what_was_accessed(fields, perms, tclass, item, path, read):
    event = avc(fields, perms, tclass) + f"\ntype=PATH msg=audit(1700000000.123:1): item=0 {item}\n"
    (counted,) = read(event).counted
    assert counted.evidence.paths == ((path,) if path else ())


def test_a_system_call_named_by_an_enriched_or_interpreted_record_or_by_aarch64(read):
    for companion in (
        'arch=c00000b7 syscall=56 exe="/x"',
        'arch=c000003e syscall=999 exe="/x"\x1dARCH=x86_64 SYSCALL=openat AUID="unset"',
        "arch=x86_64 syscall=openat exe=/x",
    ):
        (counted,) = read(f"type=SYSCALL msg=audit(1700000000.123:1): {companion}\n{avc()}\n").counted
        assert (counted.evidence.syscalls, counted.evidence.exes) == (("openat",), ("/x",))
