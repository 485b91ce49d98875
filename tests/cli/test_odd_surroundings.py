"""The command in surroundings that nobody planned for, and under names that belong to somebody else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Polkit
from tests.records import avc

RECORD = avc("execheap", "container_t", "process")
NODE = avc("read", "device_t", "chr_file", fields='path="/dev/foo" dev="devtmpfs"')
PORT = avc("name_bind", "unreserved_port_t", "tcp_socket", "httpd_t", fields="src=8123")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_text(RECORD)
    return path


def in_a_shell(line: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    """``line`` of a shell with the command's words in place of ``"$@"``."""
    command = [sys.executable, "-m", "polkit", *map(str, arguments)]
    return subprocess.run(["sh", "-c", line, "sh", *command], capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_closed_descriptor_is_no_traceback(closed: str, log: Path, policy_root: Path) -> None:
    """Daemons and cron jobs start commands so. With stderr closed, stdout still has the plan."""
    done = in_a_shell(f'"$@" {closed}', "explain", log, "--policy", policy_root)
    assert b"Traceback" not in done.stderr
    if closed != ">&-":
        assert b"execheap" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--format", "json")])
def test_a_full_disk_is_an_error_in_one_line(arguments: tuple[str, ...], log: Path, policy_root: Path) -> None:
    done = in_a_shell('"$@" >/dev/full', "explain", log, "--policy", policy_root, *arguments)
    assert done.stderr.startswith(b"polkit: ")
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert done.returncode == 3


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_the_terminal_cannot_show_is_escaped(encoding: str, polkit: Polkit, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(RECORD.replace("python3", "\u6a21\u578b"))
    done = polkit("explain", "log", env={"PYTHONIOENCODING": encoding})
    assert "Traceback" not in done.stderr
    assert "\\u6a21\\u578b" in done.stdout


def test_a_width_of_nought_is_no_width(polkit: Polkit, log: Path) -> None:
    """Emacs and some CI runners set it."""
    assert "execheap" in polkit("explain", log, env={"COLUMNS": "0"}).stdout


def test_a_directory_name_that_is_too_long(polkit: Polkit, log: Path) -> None:
    done = polkit("generate", log, "-o", "a" * 300)
    assert done.returncode in (2, 3)
    assert "Traceback" not in done.stderr


@pytest.fixture
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory that only root may look into."""
    place = tmp_path_factory.mktemp("closed")
    place.chmod(0)
    yield place
    place.chmod(0o700)


def test_a_directory_below_a_closed_one(closed: Path, log: Path, policy_root: Path) -> None:
    mortal = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    command = [*mortal, sys.executable, "-m", "polkit", "generate", log, "-o", closed / "out", "--policy", policy_root]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert done.returncode in (2, 3)


@pytest.mark.parametrize(
    ("name", "record", "theirs"),
    [
        ("xserver_misc", NODE, "xserver_misc_device_t"),
        ("fixed_disk", NODE, "fixed_disk_device_t"),
        ("http", PORT, "http_port_t"),
    ],
    ids=["device", "disk", "port"],
)
def test_a_type_of_the_policy_is_not_the_modules_own(
    name: str, record: str, theirs: str, polkit: Polkit, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text(record)
    done = polkit("generate", "log", "-n", name)
    assert done.returncode == 2
    assert theirs in done.stderr
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("name", ["container", "base"])
def test_a_module_of_the_store_is_not_replaced(name: str, polkit: Polkit, log: Path, tmp_path: Path) -> None:
    """At priority 200 ours would hide the distribution's: ``base`` is the policy itself."""
    done = polkit("generate", log, "-n", name)
    assert done.returncode == 2
    assert name in done.stderr
    assert "semodule" not in done.stdout
    assert not (tmp_path / name).exists()


def test_a_mount_with_an_option_that_is_none(polkit: Polkit, log: Path) -> None:
    """``/a:/b:/c`` is a mistake, not a mount with the option ``/c``."""
    done = polkit("explain", log, "--mount", "/a:/b:/c")
    assert done.returncode == 2
    assert "/a:/b:/c" in done.stderr


def test_a_second_round_does_not_lose_the_first(log: Path, policy_root: Path, polkit: Polkit, tmp_path: Path) -> None:
    """Installed under the same name the new module takes the place of the old one, whose rules the log says nothing of:
    they work already."""
    host = tmp_path / "host"
    shutil.copytree(policy_root, host, symlinks=True)
    (next(host.glob("var/lib/selinux/*/active/modules")) / "200" / "vllm").mkdir(parents=True)
    done = polkit("generate", log, "-n", "vllm", "--policy", host)
    assert "replace" in done.stdout + done.stderr


def test_without_a_policy_nobody_else_has_the_modules_types(polkit: Polkit, log: Path) -> None:
    log.write_text(avc("read", "default_t", fields='path="/srv/models/x"', source="httpd_t"))
    done = polkit("explain", log, "--policy", "none", "-n", "vllm", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "vllm_model_t" in done.stdout
