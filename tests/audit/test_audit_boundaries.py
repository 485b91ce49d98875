"""Where a log begins and ends: after the last load of a policy, and in the next file of a rotated set."""

from __future__ import annotations

import gzip
from io import BytesIO
from pathlib import Path

import pytest

from polkit.audit import read_logs, read_options, totals
from polkit.errors import SourceError
from polkit.model import InputSummary
from tests.audit.reading import avc

LOAD = "type=MAC_POLICY_LOAD msg=audit(1700000100.500:{}): auid=0 ses=1 lsm=selinux res=1"
SINCE = read_options("policy-load", None)


def at(second: int, serial: int = 1, host: str = "") -> str:
    return host + avc(serial=serial).replace("1700000000.123", f"17000001{second:02}.000")


def summary(*lines: str) -> InputSummary:
    return totals(read_logs(["-"], SINCE, stdin=BytesIO("\n".join(lines).encode()))).summary


def test_only_what_came_after_the_last_load_counts() -> None:
    older = LOAD.format(2).replace("100.500", "050.500")
    books = summary(at(0), older, at(0, 3), LOAD.format(4), at(1, 5), at(2, 6))
    assert (books.denials, books.filtered) == (2, 2)


def test_a_load_concerns_its_own_host() -> None:
    books = summary(
        at(0, host="node=a "), at(0, host="node=b "), f"node=a {LOAD.format(2)}", at(1, host="node=a "), at(0, 7)
    )
    assert (books.denials, books.filtered) == (3, 1)


def test_loads_of_every_form_count() -> None:
    for load in (
        f"[    3.1] audit: {LOAD.format(2).replace('MAC_POLICY_LOAD msg=', '1403 ')}",
        LOAD.format(2).replace("1700000100.500", "11/14/2023 22:15:00.500"),
        '{"message": "' + LOAD.format(2) + '"}',
    ):
        assert summary(at(0), load, at(1)).filtered == 1


def test_the_load_may_stand_in_another_file(tmp_path: Path) -> None:
    (tmp_path / "audit.log.1").write_text(at(0) + "\n")
    (tmp_path / "audit.log").write_text(f"{LOAD.format(2)}\n{at(1, 2)}\n")
    books = totals(read_logs([str(tmp_path)], SINCE)).summary
    assert (books.denials, books.filtered) == (1, 1)


def test_without_a_load_it_says_so() -> None:
    with pytest.raises(SourceError, match="no load of a policy"):
        summary(at(0))


SYSCALL = 'type=SYSCALL msg=audit(1700000000.123:1): arch=c000003e syscall=257 a2=80000 exe="/bin/x"'
PATH = 'type=PATH msg=audit(1700000000.123:1): item=0 name="/srv/y" inode=7 nametype=NORMAL'


@pytest.mark.parametrize("names", [("audit.log.1", "audit.log"), ("audit.log.2.gz", "audit.log.1.gz")])
def test_an_event_goes_on_in_the_next_file_of_its_set(tmp_path: Path, names: tuple[str, str]) -> None:
    older, younger = f"{avc('name=y ino=7')}\n{SYSCALL}\n", f"{PATH}\n{avc(serial=2)}\n"
    for name, text in zip(names, (older, younger)):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    (counted,) = totals(read_logs([str(tmp_path)])).counted
    assert (counted.evidence.paths, counted.evidence.exes, counted.evidence.records) == (("/srv/y",), ("/bin/x",), 2)


def test_an_event_does_not_go_on_in_another_log(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(f"{avc('name=y ino=7')}\n{SYSCALL}\n")
    (tmp_path / "b.log").write_text(f"{PATH}\n")
    (counted,) = totals(read_logs([str(tmp_path)])).counted
    assert (counted.evidence.paths, counted.evidence.names) == ((), ("y",))
