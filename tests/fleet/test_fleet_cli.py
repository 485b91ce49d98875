"""``polkit collect --on``: what a user sees, and what stays as it is without it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest

from tests.cli.conftest import Polkit
from tests.cli.conftest import polkit as polkit  # noqa: PLC0414  (a fixture)
from tests.fleet.conftest import Cluster, node_log, wait_for


@pytest.fixture
def nodes(tmp_path: Path) -> Path:
    """A folder with the logs of three nodes, one of them large."""
    for node, events in enumerate((5, 50, 1000)):
        (tmp_path / f"node{node}.log").write_text(node_log(node, events))
    return tmp_path


def test_the_ledger_of_a_cluster_is_that_of_one_machine_byte_for_byte(
    polkit: Polkit, cluster: Cluster, nodes: Path
) -> None:
    for name in ("plain", "fleet"):
        on = ("--on", cluster.address) if name == "fleet" else ()
        done = polkit("collect", *on, "node*.log", "-o", f"{name}.zst", "--format", "json", policy=False)
        assert (done.returncode, done.stderr) == (0, "")
        (nodes / f"{name}.json").write_text(done.stdout.replace(f"{name}.zst", ""))
    for kind in ("zst", "json"):
        assert (nodes / f"plain.{kind}").read_bytes() == (nodes / f"fleet.{kind}").read_bytes()
    assert len(json.loads((nodes / "fleet.json").read_text())["input"]["sources"]) == 3


def test_a_cluster_of_its_own_is_started_and_ended(polkit: Polkit, nodes: Path) -> None:
    done = polkit("collect", "--on", "local:2", "node*.log", "-o", "fleet", policy=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 sources" in done.stdout
    polkit("collect", "node*.log", "-o", "plain", policy=False)
    assert (nodes / "fleet").read_bytes() == (nodes / "plain").read_bytes()


def test_an_unreadable_log_is_one_line_and_the_exit_code_is_that_of_one_machine(
    polkit: Polkit, cluster: Cluster, nodes: Path
) -> None:
    """As a note where a glob found it, as an error where it was named; its name can't reach the terminal as it is."""
    (nodes / "node\x1b[31m.log").symlink_to("/nowhere")
    for name, code in (("node*.log", 0), ("/proc/self/mem", 3)):
        found = [
            polkit("collect", *on, "node0.log", name, "-o", "x", "--force", policy=False)
            for on in ((), ("--on", cluster.address))
        ]
        assert [done.returncode for done in found] == [code] * 2
        assert (found[0].stdout, found[0].stderr) == (found[1].stdout, found[1].stderr)
        text = found[1].stdout + found[1].stderr
        assert "\x1b" not in text
        wanted = "node\\x1b[31m.log" if code == 0 else "/proc/self/mem"
        assert len([line for line in text.splitlines() if wanted in line]) == 1


def test_a_strangers_url_is_escaped(polkit: Polkit, cluster: Cluster) -> None:
    done = polkit("collect", "--on", cluster.address, "nosuch://\x1b[2J\n/x", policy=False)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_errors_say_what_to_do_next(polkit: Polkit, nodes: Path) -> None:
    done = polkit("collect", "--on", "somewhere", "node0.log", policy=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "local:N" in done.stderr
    (nodes / "distributed.py").write_text('raise ImportError("none", name="distributed")')
    done = polkit("collect", "--on", "local", "node0.log", policy=False, env={"PYTHONPATH": _before(nodes)})
    assert (done.returncode, done.stdout) == (4, "")
    assert "pip install 'selinux-polkit[fleet]'" in done.stderr


@pytest.mark.heavy
def test_a_scheduler_that_does_not_answer_is_said(polkit: Polkit, nodes: Path) -> None:
    done = polkit("collect", "--on", "tcp://127.0.0.1:9", "node0.log", policy=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("polkit: no scheduler answers at tcp://127.0.0.1:9: ")
    assert len(done.stderr.splitlines()) == 2


def _before(folder: Path) -> str:
    """A PYTHONPATH with a folder before what is in it."""
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH", ""))))


def test_without_on_nothing_of_dask_is_loaded(polkit: Polkit, nodes: Path) -> None:
    for arguments in (("--help",), ("collect", "--help"), ("collect", "node0.log", "-o", "x")):
        done = polkit(*arguments, policy=False, env={"PYTHONPROFILEIMPORTTIME": "1"})
        imported = {line.rsplit("|", 1)[-1].strip().partition(".")[0] for line in done.stderr.splitlines()}
        assert "click" in imported
        assert not imported & {"dask", "distributed", "fsspec", "tornado", "aiohttp"}


def test_progress_is_shown_on_a_terminal(cluster: Cluster, tmp_path: Path) -> None:
    for node in range(240):
        (tmp_path / f"{node}.log").write_text(node_log(node, 250))
    command = ["-m", "polkit", "collect", "--on", cluster.address, "*.log", "-o", "x"]
    child = pexpect.spawn(sys.executable, command, cwd=str(tmp_path), timeout=60, dimensions=(24, 80))
    child.expect(r"[1-9]\d* of 240 units, \d+ MB")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_an_interrupt_takes_the_work_off_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    for node in range(80):
        (tmp_path / f"{node}.log").write_text(node_log(node, 300))
    command = [sys.executable, "-m", "polkit", "collect", "--on", cluster.address, "*.log", "-o", "x"]
    with cluster.client() as watch:

        def tasks() -> int:
            number: int = watch.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
            return number

        with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            wait_for(lambda: tasks() > 40)
            child.send_signal(signal.SIGINT)
            out, err = child.communicate(timeout=60)
        assert (child.returncode, out, err.strip()) == (130, b"", b"polkit: interrupted")
        wait_for(lambda: tasks() == 0)
    assert not (tmp_path / "x").exists()


@pytest.mark.heavy
def test_an_interrupt_at_a_terminal_ends_a_cluster_of_its_own_quietly(tmp_path: Path) -> None:
    """There the signal reaches every process of the foreground."""
    for node in range(200):
        (tmp_path / f"{node}.log").write_text(node_log(node, 300))
    command = ["-m", "polkit", "collect", "--on", "local:2", "*.log", "-o", "x"]
    child = pexpect.spawn(sys.executable, command, cwd=str(tmp_path), timeout=90, dimensions=(24, 200))
    child.expect(r"[1-9]\d* of 200 units, \d+ MB")
    child.sendintr()
    begun = time.monotonic()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert time.monotonic() - begun < 30
    assert b"Traceback" not in child.before
    assert child.before.rstrip().endswith(b"polkit: interrupted")
