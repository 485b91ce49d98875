"""Logs read in a process of their own: the same ledger, the same errors, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from polkit.audit import Ledger, ReadOptions, collect, collect_ahead
from polkit.audit.ahead import SMALLEST
from polkit.errors import SourceError
from tests.audit.reading import FIXTURES

OPTIONS = ReadOptions()
KERNEL = (FIXTURES / "kernel" / "vllm-permissive.audit.log").read_bytes()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log that is worth a process."""
    path = tmp_path / "audit.log"
    path.write_bytes(KERNEL * (SMALLEST // len(KERNEL) + 1))
    return path


def children() -> set[str]:
    listed = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return set(listed.read_text().split())


def test_what_is_read_ahead_is_what_is_read(log: Path) -> None:
    before = children()
    told: list[int] = []
    with collect_ahead([str(log)], OPTIONS, progress=told.append) as collected:
        assert len(children() - before) == 1
        ledger = collected()
    assert ledger == collect([str(log)], OPTIONS)
    assert told[-1] == log.stat().st_size
    assert children() == before


def test_a_small_log_and_standard_input_are_read_here(tmp_path: Path) -> None:
    before = children()
    path = tmp_path / "audit.log"
    path.write_bytes(KERNEL[: SMALLEST // 2])
    with collect_ahead([str(path)], OPTIONS) as collected:
        assert children() == before
        small = collected()
    assert small == collect([str(path)], OPTIONS)
    with path.open("rb") as stream, collect_ahead(["-"], OPTIONS, stream) as collected:
        assert children() == before
        assert len(collected().partials) == 1


def test_errors_come_from_the_other_process(log: Path) -> None:
    ledger = log.with_name("a.ledger")
    ledger.write_text('{"schema": "polkit.ledger/9"}\n')
    with (
        pytest.raises(SourceError, match="ledger") as caught,
        collect_ahead([str(log), str(ledger)], OPTIONS) as collected,
    ):
        collected()
    with pytest.raises(SourceError) as direct:
        collect([str(log), str(ledger)], OPTIONS)
    assert (str(caught.value), caught.value.hint) == (str(direct.value), direct.value.hint)


def test_a_reader_that_is_killed_is_said(log: Path) -> None:
    before = children()
    with pytest.raises(SourceError, match="ended early"), collect_ahead([str(log)], OPTIONS) as collected:
        (reader,) = children() - before
        os.kill(int(reader), signal.SIGKILL)
        collected()
    assert children() == before


def test_an_error_meanwhile_ends_the_reader(log: Path) -> None:
    def fail() -> Ledger:
        with collect_ahead([str(log)], OPTIONS):
            raise KeyError

    before = children()
    with pytest.raises(KeyError):
        fail()
    assert children() == before


@pytest.mark.parametrize("verb", ["collect", "explain"])
def test_ctrl_c_ends_all_processes_without_a_word_of_theirs(tmp_path: Path, verb: str) -> None:
    """The terminal interrupts every process of the command: the readers of both halves of a large log too."""
    records = b"".join(line for line in KERNEL.splitlines(keepends=True) if line.startswith(b"type="))
    large = tmp_path / "audit.log"
    large.write_bytes(records * (150_000_000 // len(records)))
    arguments = ["-o", str(tmp_path / "x")] if verb == "collect" else ["--policy", "none"]
    command = [sys.executable, "-m", "polkit", verb, str(large), *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as child:
        deadline = time.monotonic() + 30
        while len(in_session(child.pid)) < (2 if verb == "collect" else 3) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert child.poll() is None
        os.killpg(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err.strip()) == (130, "", "polkit: interrupted")
    assert not in_session(child.pid)


def in_session(leader: int) -> list[str]:
    """The processes of a session that still run; proc(5), stat."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[3] == str(leader) and fields[0] != "Z":
            found.append(stat.parent.name)
    return found
