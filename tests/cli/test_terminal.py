"""The command in a real terminal, and the ways in that lead nowhere."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from tests.cli.conftest import Polkit
from tests.records import avc


def in_a_terminal(*arguments: object, env: dict[str, str] | None = None) -> str:
    """What a terminal shows of the command, control sequences included."""
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "polkit", *map(str, arguments)]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", **(env or {})}
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment, close_fds=True):
        os.close(slave)
        shown = b""
        while True:
            try:
                block = os.read(master, 65536)
            except OSError:  # Linux says EIO when the last writer is gone
                break
            if not block:
                break
            shown += block
    os.close(master)
    return shown.decode()


def test_colour_and_a_status_line_that_is_wiped(tmp_path: Path, policy_root: Path) -> None:
    log = tmp_path / "log"
    log.write_text(avc("execheap", "container_t", "process"))
    shown = in_a_terminal("explain", log, "--policy", policy_root)
    assert "\x1b[36m" in shown
    assert "loading the policy\r\x1b[K" in shown
    assert "loading" not in in_a_terminal("explain", log, "--policy", policy_root, "-q")


def test_no_color_is_honoured(tmp_path: Path, policy_root: Path) -> None:
    log = tmp_path / "log"
    log.write_text(avc("execheap", "container_t", "process"))
    shown = in_a_terminal("explain", log, "--policy", policy_root, "-q", env={"NO_COLOR": "1"})
    assert "\x1b[3" not in shown


def test_without_a_verb_it_shows_its_help(polkit: Polkit) -> None:
    done = polkit()
    assert (done.returncode, done.stderr) == (0, "")
    assert "generate" in done.stdout


def test_a_mistyped_verb_is_answered_with_the_one_that_was_meant(polkit: Polkit) -> None:
    done = polkit("explian")
    assert done.returncode == 2
    assert "did you mean explain?" in done.stderr


def test_output_that_nobody_reads_any_more_ends_quietly(policy_root: Path, fixtures_dir: Path) -> None:
    log = fixtures_dir / "avc" / "kernel" / "vllm-enforcing.enriched.log"
    command = f"'{sys.executable}' -m polkit explain '{log}' --policy '{policy_root}' | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("input")
    assert done.stderr == ""
