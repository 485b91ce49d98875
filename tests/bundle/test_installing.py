"""The scripts of a bundle, run for real on a scratch root: what they refuse, and that nothing is left behind."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from polkit.bundle import Packaged, package
from polkit.module import build_package, fast_place
from tests.bundle.making import Run, evidence, make_project, semodule, snapshot, with_lists


def test_what_was_installed_goes_without_a_trace(host_bundle: Packaged, root: Path, run: Run, tmp_path: Path) -> None:
    bundle = with_lists(host_bundle.directory, tmp_path / "b", "tcp 9099 spare_port_t\ntcp 80 spare_port_t\n")
    before = snapshot(root)
    assert run(bundle, "verify.sh").returncode == 1

    done = run(bundle, "install.sh")
    assert (done.returncode, done.stdout) == (0, "vllm 0.1.0 is installed (target host, priority 200).\n"), done.stderr
    assert "port 80/tcp is http_port_t here, and stays so" in done.stderr
    listed = semodule(root, "-lfull")
    assert [line.split()[:2] for line in listed.splitlines() if "vllm" in line] == [
        ["200", "vllm"],
        ["200", "vllm-ports"],
    ]
    contexts = (root / "etc/selinux/small/contexts/files/file_contexts").read_text(encoding="utf-8")
    assert "/srv/models(/.*)?\tsystem_u:object_r:vllm_model_t:s0" in contexts
    assert label(root / "srv/models/sub") == "system_u:object_r:vllm_model_t:s0"
    assert run(bundle, "verify.sh").stdout == "vllm 0.1.0 is installed as shipped (target host).\n"

    done = run(bundle, "uninstall.sh")
    assert (done.returncode, done.stdout) == (0, "vllm is removed.\n"), done.stderr
    assert snapshot(root) == before
    assert label(root / "srv/models/sub") == "system_u:object_r:var_t:s0"


def label(path: Path) -> str:
    return os.getxattr(path, "security.selinux").rstrip(b"\0").decode()


def test_nothing_is_changed_where_something_is_missing(
    host_bundle: Packaged, root: Path, run: Run, tmp_path: Path
) -> None:
    before = snapshot(root)
    bundle = tmp_path / "b"
    shutil.copytree(host_bundle.directory, bundle)
    needs = bundle / "targets/host/needs"
    needs.write_text(
        needs.read_text(encoding="ascii") + "type nvidia_device_t\nperm chr_file teleport\n", encoding="ascii"
    )
    refused = run(bundle, "install.sh")
    assert (refused.returncode, "this bundle is not what was shipped" in refused.stderr) == (1, True)
    refused = run(with_lists(bundle, tmp_path / "c"), "install.sh")
    assert refused.returncode == 1
    assert "  perm chr_file teleport\n  type nvidia_device_t\n" in refused.stderr
    assert "type container_domain" not in refused.stderr
    for words in (["--target", "el9"], ["--target", "$(id)"], ["--frob"], ["--target"], ["--migrate", "etc_t"]):
        assert run(host_bundle.directory, "install.sh", *words).returncode == 2
    assert run(host_bundle.directory, "install.sh", "--store", "no").returncode == 3
    assert snapshot(root) == before


def test_a_module_of_the_same_name_elsewhere_is_not_shadowed(
    host_bundle: Packaged, root: Path, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "vllm.cil").write_text("(type somebodys_t)\n", encoding="ascii")
    semodule(root, "-X", "400", "-i", tmp_path / "vllm.cil")
    before = snapshot(root)
    refused = run(host_bundle.directory, "install.sh")
    assert refused.returncode == 1
    assert "a module vllm at priority 400" in refused.stderr
    assert snapshot(root) == before


def test_local_settings_on_our_types_are_listed_and_moved_only_when_told(
    host_bundle: Packaged, root: Path, run: Run
) -> None:
    before = snapshot(root)
    assert run(host_bundle.directory, "install.sh").returncode == 0
    local = root / "var/lib/selinux/small/active/file_contexts.local"
    local.write_text(
        "/opt/x    system_u:object_r:vllm_model_t:s0\n/opt/y    system_u:object_r:var_t:s0\n", encoding="ascii"
    )
    semodule(root, "-B")
    there = snapshot(root)
    refused = run(host_bundle.directory, "uninstall.sh")
    assert refused.returncode == 1
    assert "file_contexts.local: /opt/x" in refused.stderr
    assert "/opt/y" not in refused.stderr
    assert run(host_bundle.directory, "uninstall.sh", "--migrate", "no_such_t").returncode == 1
    assert snapshot(root) == there
    assert run(host_bundle.directory, "uninstall.sh", "--migrate", "etc_t").returncode == 0
    kept = "/opt/x    system_u:object_r:etc_t:s0\n/opt/y    system_u:object_r:var_t:s0\n"
    assert local.read_text(encoding="ascii") == kept
    after = snapshot(root)
    assert {name for name in {*before, *after} if before.get(name) != after.get(name)} == {
        "var/lib/selinux/small/active/file_contexts.local",
        "etc/selinux/small/contexts/files/file_contexts.local",
        *(name for name in after if name.endswith("file_contexts.local.bin")),
    }


def test_an_upgrade_can_be_rolled_back(host_bundle: Packaged, host: Path, root: Path, run: Run, tmp_path: Path) -> None:
    """The first version has a port and a boolean, the second neither and one rule more."""
    boolean = "container_use_data 1\n"
    first = with_lists(host_bundle.directory, tmp_path / "first", "tcp 9099 spare_port_t\n", boolean)
    before = snapshot(root)
    assert run(first, "install.sh").returncode == 0
    installed = snapshot(root)
    booleans = root / "var/lib/selinux/small/active/booleans.local"
    assert booleans.read_text(encoding="ascii") == "container_use_data=1\n"

    project = make_project(tmp_path / "p", host)
    for name in ("polkit.toml", "vllm.te"):
        text = (project / name).read_text(encoding="utf-8").replace("0.1.0", "0.2.0")
        (project / name).write_text(text, encoding="utf-8")
    second = package(project, targets={"host": str(host)}).directory
    assert run(second, "install.sh").returncode == 0
    assert run(second, "verify.sh").stdout == "vllm 0.2.0 is installed as shipped (target host).\n"
    assert "vllm-ports" not in semodule(root, "-lfull")
    assert not booleans.exists()
    assert run(first, "verify.sh").returncode == 1

    done = run(second, "rollback.sh")
    assert (done.returncode, done.stdout) == (0, "vllm is back at: 0.1.0 host\n"), done.stderr
    assert run(first, "verify.sh").returncode == 0
    assert {name: content for name, content in snapshot(root).items() if "bundles" not in name} == {
        name: content for name, content in installed.items() if "bundles" not in name
    }
    assert run(second, "rollback.sh").returncode == 1
    assert run(second, "uninstall.sh").returncode == 0
    assert snapshot(root) == before


@pytest.mark.parametrize("kept", ["before", "after"], ids=["before the transaction", "after it"])
def test_a_run_that_was_cut_short_is_undone_or_finished(host_bundle: Packaged, root: Path, run: Run, kept: str) -> None:
    """What is left when an installation is killed: its record, without the module or with it."""
    before = snapshot(root)
    assert run(host_bundle.directory, "install.sh").returncode == 0
    done = snapshot(root)
    state = root / "var/lib/selinux-bundles/vllm"
    (state / "current").rename(state / "next")
    if kept == "before":
        semodule(root, "-X", "200", "-r", "vllm")
    assert run(host_bundle.directory, "install.sh").returncode == 0
    assert snapshot(root) == done
    assert run(host_bundle.directory, "uninstall.sh").returncode == 0
    assert snapshot(root) == before


def test_a_module_that_was_there_before_comes_back(host_bundle: Packaged, root: Path, run: Run, tmp_path: Path) -> None:
    te = "module vllm 0.0.1;\nrequire { attribute file_type; }\ntype vllm_model_t, file_type;\n"
    (tmp_path / "vllm.pp").write_bytes(build_package("vllm", te, "", True, 19))
    semodule(root, "-X", "200", "-i", tmp_path / "vllm.pp")
    before = snapshot(root)
    done = run(host_bundle.directory, "install.sh")
    assert (done.returncode, "no bundle installed is replaced" in done.stderr) == (0, True)
    done = run(host_bundle.directory, "rollback.sh")
    assert (done.returncode, done.stdout) == (0, "vllm is back at: before this bundle\n")
    assert snapshot(root) == before


@pytest.mark.heavy
def test_on_a_distributions_policy_nothing_is_left_behind(policy_root: Path, run: Run, tmp_path: Path) -> None:
    """The container host's own store: hundreds of modules, packed, and a whole distribution's file contexts."""
    project = make_project(tmp_path / "p", policy_root, evidence("s0:c1,c2"))
    packaged = package(project, targets={"host": str(policy_root)}, with_proof=False)
    with tempfile.TemporaryDirectory(prefix="polkit-root-", dir=fast_place()) as scratch:
        real = Path(scratch) / "root"
        for part in ("etc", "var"):
            shutil.copytree(policy_root / part, real / part, symlinks=True)
        (real / "srv/models").mkdir(parents=True)
        before = snapshot(real)
        done = run(packaged.directory, "install.sh", on=real)
        assert done.returncode == 0, done.stderr
        assert label(real / "srv/models") == "system_u:object_r:vllm_model_t:s0"
        assert run(packaged.directory, "uninstall.sh", on=real).returncode == 0
        assert snapshot(real) == before
        assert label(real / "srv/models") == "system_u:object_r:var_t:s0"
