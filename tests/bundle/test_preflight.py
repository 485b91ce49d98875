"""What the scripts find on a host before they change it, and what they leave to its administrator."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from polkit.bundle import Packaged
from tests.bundle.killing import LABEL, everything, label_of
from tests.bundle.making import Run, semodule, with_lists
from tests.minimize.proof_worlds import NAME

VAR = b"system_u:object_r:var_t:s0\0"
SHELLS = ("dash", "busybox sh", pytest.param("bash --posix", marks=pytest.mark.heavy))


def labelled(root: Path) -> None:
    for path in [root / "srv", *(root / "srv").rglob("*")]:
        os.setxattr(path, LABEL, VAR)


@pytest.mark.parametrize("shell", SHELLS)
def test_any_posix_shell(host_bundle: Packaged, root: Path, tmp_path: Path, shell: str) -> None:
    if shutil.which(shell.split(maxsplit=1)[0]) is None:
        pytest.skip(f"there is no {shell} here")
    labelled(root)
    bundle = with_lists(host_bundle.directory, tmp_path / "b", "tcp 9099 spare_port_t\n", "container_use_data 1\n")
    before = everything(root)
    for name, said in (
        ("install.sh", "vllm 0.1.0 is installed (target host, priority 200).\n"),
        ("verify.sh", "vllm 0.1.0 is installed as shipped (target host).\n"),
        ("uninstall.sh", "vllm is removed.\n"),
    ):
        command = [*shell.split(), str(bundle / name), "--root", str(root)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
    assert everything(root) == before


def test_one_run_at_a_time(host_bundle: Packaged, root: Path, run: Run) -> None:
    home = os.open(root / "var/lib/selinux" / NAME, os.O_RDONLY)
    try:
        fcntl.flock(home, fcntl.LOCK_EX)
        refused = run(host_bundle.directory, "install.sh")
        assert (refused.returncode, "another run of a bundle's scripts" in refused.stderr) == (1, True)
        # To look does not wait for anybody.
        assert run(host_bundle.directory, "install.sh", "--check").returncode == 0
    finally:
        os.close(home)
    assert run(host_bundle.directory, "install.sh").returncode == 0


def test_checking_changes_nothing(host_bundle: Packaged, root: Path, run: Run) -> None:
    before = everything(root)
    done = run(host_bundle.directory, "install.sh", "--check")
    assert (done.returncode, done.stdout) == (0, "vllm 0.1.0 can be installed (target host).\n"), done.stderr
    assert everything(root) == before


def test_ports_that_somebody_labelled_stay(host_bundle: Packaged, root: Path, run: Run, tmp_path: Path) -> None:
    """A range that a module or an administrator labelled counts; the ranges that all ports lie in do not."""
    (tmp_path / "ports.cil").write_text(
        "(type unreserved_port_t) (roletype object_r unreserved_port_t) (typeattributeset port_type unreserved_port_t)"
        "(type vnc_port_t) (roletype object_r vnc_port_t) (typeattributeset port_type vnc_port_t)"
        "(portcon tcp (1024 32767) (system_u object_r unreserved_port_t ((s0) (s0))))"
        "(portcon tcp (5900 5983) (system_u object_r vnc_port_t ((s0) (s0))))\n",
        encoding="ascii",
    )
    semodule(root, "-X", "100", "-i", tmp_path / "ports.cil")
    local = root / "var/lib/selinux" / NAME / "active/ports.local"
    local.write_text("portcon tcp 9200-9300 system_u:object_r:http_port_t:s0\n", encoding="ascii")
    semodule(root, "-B")
    wanted = "".join(f"tcp {port} spare_port_t\n" for port in (5901, 9099, 9250))
    bundle = with_lists(host_bundle.directory, tmp_path / "b", wanted)
    done = run(bundle, "install.sh")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [
        "port 5901/tcp is vnc_port_t here, and stays so; the module would have it as spare_port_t",
        "port 9250/tcp is http_port_t here, and stays so; the module would have it as spare_port_t",
    ]
    ours = root / "var/lib/selinux-bundles/vllm/current/ports"
    assert ours.read_text(encoding="ascii") == "tcp 9099 spare_port_t\n"
    assert run(bundle, "verify.sh").returncode == 0


def test_labels_of_somebody_else_come_back(host_bundle: Packaged, root: Path, run: Run) -> None:
    """Volumes that were relabelled for one container, files with names as hostile as they come."""
    models = root / "srv/models"
    volume = b"system_u:object_r:etc_t:s0:c1,c2\0"
    names = (
        "sub/plain",
        "tab\there",
        "blank at the end ",
        "x from system_u:object_r:etc_t:s0 to y",
        f"line\nWould relabel {models / 'w'} from system_u:object_r:shadow_t:s0 to system_u:object_r:var_t:s0",
    )
    for name in names:
        (models / name).parent.mkdir(parents=True, exist_ok=True)
        (models / name).write_text("", encoding="ascii")
    labelled(root)
    for name in names:
        os.setxattr(models / name, LABEL, volume)
    before = everything(root)
    assert run(host_bundle.directory, "install.sh").returncode == 0
    assert label_of(models / "sub/plain") == b"system_u:object_r:vllm_model_t:s0\0"
    assert run(host_bundle.directory, "install.sh").returncode == 0
    assert run(host_bundle.directory, "uninstall.sh").returncode == 0
    after = everything(root)
    # A name with a line break can't be written down in a list of lines: it is left to the host's file contexts.
    assert [path for path in before if before[path] != after[path]] == [f"srv/models/{names[-1]}"]
    assert label_of(models / "w") == VAR


def test_what_an_administrator_set_since_stays(host_bundle: Packaged, root: Path, run: Run, tmp_path: Path) -> None:
    bundle = with_lists(host_bundle.directory, tmp_path / "b", "", "container_use_data 1\n")
    assert run(bundle, "install.sh").returncode == 0
    local = root / "var/lib/selinux" / NAME / "active/booleans.local"
    local.write_text("# mine\ncontainer_use_data=0\n", encoding="ascii")
    semodule(root, "-B")
    kept = local.read_text(encoding="ascii")
    assert run(bundle, "uninstall.sh").returncode == 0
    assert local.read_text(encoding="ascii") == kept


def test_each_type_can_be_moved_to_another(host_bundle: Packaged, root: Path, run: Run) -> None:
    assert run(host_bundle.directory, "install.sh").returncode == 0
    local = root / "var/lib/selinux" / NAME / "active/file_contexts.local"
    local.write_text(
        "/opt/x    system_u:object_r:vllm_model_t:s0\n/opt/y    system_u:object_r:vllm_t:s0\n", encoding="ascii"
    )
    semodule(root, "-B")
    moves = ("--migrate", "vllm_model_t=etc_t", "--migrate", "vllm_t=var_t")
    assert run(host_bundle.directory, "uninstall.sh", "--migrate", "somebodys_t=etc_t").returncode == 1
    assert run(host_bundle.directory, "uninstall.sh", *moves[:2]).returncode == 1
    done = run(host_bundle.directory, "uninstall.sh", *moves)
    assert done.returncode == 0, done.stderr
    assert local.read_text(encoding="ascii") == (
        "/opt/x    system_u:object_r:etc_t:s0\n/opt/y    system_u:object_r:var_t:s0\n"
    )


def test_a_module_that_another_one_needs_stays(host_bundle: Packaged, root: Path, run: Run, tmp_path: Path) -> None:
    labelled(root)
    assert run(host_bundle.directory, "install.sh").returncode == 0
    (tmp_path / "friend.cil").write_text("(allow data_t vllm_model_t (file (read)))\n", encoding="ascii")
    semodule(root, "-X", "400", "-i", tmp_path / "friend.cil")
    before = everything(root)
    refused = run(host_bundle.directory, "uninstall.sh")
    assert (refused.returncode, "something else in the policy needs it" in refused.stderr) == (1, True)
    assert everything(root) == before


def test_a_module_that_went_by_other_means(host_bundle: Packaged, root: Path, run: Run, tmp_path: Path) -> None:
    """What else was changed for it goes with the next run, whichever it is."""
    labelled(root)
    bundle = with_lists(host_bundle.directory, tmp_path / "b", "tcp 9099 spare_port_t\n", "container_use_data 1\n")
    before = everything(root)
    assert run(bundle, "install.sh").returncode == 0
    semodule(root, "-X", "200", "-r", "vllm")
    done = run(bundle, "uninstall.sh")
    assert (done.returncode, done.stdout) == (0, "vllm is not installed.\n")
    assert "was removed by other means" in done.stderr
    assert everything(root) == before


def test_a_store_that_was_lost_between_two_renames(host_bundle: Packaged, root: Path, run: Run) -> None:
    """libsemanage, killed in the middle of its commit."""
    home = root / "var/lib/selinux" / NAME
    labelled(root)
    before = everything(root)
    (home / "active").rename(home / "previous")
    done = run(host_bundle.directory, "install.sh")
    assert done.returncode == 0, done.stderr
    assert run(host_bundle.directory, "uninstall.sh").returncode == 0
    assert everything(root) == before
