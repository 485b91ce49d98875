"""Targets that lack what others have: an older release, and one that an update took a type from."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from polkit.bundle import Packaged, package
from polkit.module import precedence
from tests.bundle.making import SOURCE, Run, evidence, make_project, semodule
from tests.records import avc


def test_an_update_that_drops_a_type_is_not_blocked(
    root: Path, host_bundle: Packaged, run: Run, tmp_path: Path
) -> None:
    """The distribution's next version has no GPU type: it goes in beside the module, which loses that rule alone."""
    assert run(host_bundle.directory, "install.sh", "--target", "host").returncode == 0
    text = SOURCE.read_text(encoding="ascii")
    lines = [line for line in text.splitlines() if not line.startswith("(typeattributeset device_node")]
    newer = "\n".join(lines).replace("(type xserver_misc_device_t)", "").replace("xserver_misc_device_t", "")
    assert "xserver" not in newer
    (tmp_path / "host.cil").write_text(newer, encoding="ascii")
    semodule(root, "-X", "100", "-i", tmp_path / "host.cil")
    assert "200 vllm" in semodule(root, "-lfull")
    told = run(host_bundle.directory, "verify.sh", "--target", "host")
    assert told.returncode != 0
    assert "xserver_misc_device_t" in told.stdout + told.stderr

    again = package(make_project(tmp_path / "p", root), targets={"now": str(root)})
    target = again.manifest["targets"]["now"]
    assert any("xserver_misc_device_t:chr_file" in one for one in target["left_out"])
    assert "xserver_misc_device_t" not in {*target["requires"]["types"], *target["requires"]["optional"]}


NEWER_CLASSES = ("anon_inode", "bpf", "io_uring", "perf_event", "process2")
_NEWER = re.compile(
    rf"\((?:(?:class|classcommon) )?(?:{'|'.join(NEWER_CLASSES)}) \(|\(classcommon (?:{'|'.join(NEWER_CLASSES)}) "
)
_RULE = re.compile(r"\s*\((?:allow|auditallow|dontaudit|constrain|mlsconstrain) ")
_NEWER_PERMS = re.compile(r" ?\b(?:watch(?:_\w+)?|audit_access)\b")


def _older(line: str) -> str:
    """A line of CIL without newer permissions; of the order of classes, without newer classes."""
    if line.startswith("(classorder"):
        return "(classorder (" + " ".join(one for one in line[13:-2].split() if one not in NEWER_CLASSES) + "))"
    return _NEWER_PERMS.sub("", line).replace("( ", "(")


def _sorted_as_by_the_store(line: str) -> Any:
    words = line.split()
    return precedence(words[0], words[1] if len(words) > 2 else "") if words else precedence("/", "")


def made_old(policy_root: Path, place: Path) -> Path:
    """The container host's policy as a release has it that lacks newer classes and permissions, and calls /run
    /var/run. A policy root without a module store."""
    (binary,) = policy_root.glob("etc/selinux/*/policy/policy.*")
    contexts = binary.parent.parent / "contexts"
    home = place / "root/etc/selinux/old"
    (home / "policy").mkdir(parents=True)
    shutil.copytree(contexts, home / "contexts")
    shutil.copy(binary, place / "policy")
    subprocess.run(
        ["checkpolicy", "-M", "-b", "-C", "-o", "base.cil", "policy"], cwd=place, check=True, capture_output=True
    )
    said = (place / "base.cil").read_text(encoding="utf-8").splitlines()
    lines = [_older(line) for line in said if not _NEWER.search(line)]
    lines = [line for line in lines if not (_RULE.match(line) and "())" in line)]
    (place / "old.cil").write_text("\n".join(lines), encoding="utf-8")
    words = ["secilc", "-m", "-N", "-M", "true", "-U", "allow", "-c", "31", "-o", str(home / "policy/policy.31")]
    subprocess.run([*words, "-f", "/dev/null", "old.cil"], cwd=place, check=True)
    for path in (home / "contexts/files").glob("*.bin"):
        path.unlink()
    for name in ("file_contexts", "file_contexts.subs_dist"):
        path = home / "contexts/files" / name
        kept = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("/var/run")]
        changed = [re.sub(r"^/run\b", "/var/run", line) for line in kept]
        if name == "file_contexts":
            changed.sort(key=_sorted_as_by_the_store)
        path.write_text("".join(f"{line}\n" for line in changed), encoding="utf-8")
    with (home / "contexts/files/file_contexts.subs_dist").open("a", encoding="utf-8") as file:
        file.write("/run /var/run\n")
    (place / "root/etc/selinux/config").write_text("SELINUXTYPE=old\n", encoding="ascii")
    return place / "root"


@pytest.mark.heavy
def test_an_older_release_gets_what_it_knows(tmp_path: Path, policy_root: Path) -> None:
    old = made_old(policy_root, tmp_path)
    levels = ("s0:c0", "s0:c0")
    log = (
        evidence()
        + avc("map_create", "container_t", "bpf", levels=levels, serial=11)
        + avc("create", "container_t", "user_namespace", levels=levels, serial=12)
        + avc("read watch", "xserver_misc_device_t", "chr_file", levels=("s0:c0", "s0"), serial=13)
    )
    project = make_project(tmp_path / "p", policy_root, log)
    with (project / "vllm.fc").open("a", encoding="utf-8") as file:
        file.write("/run/v(/.*)? system_u:object_r:vllm_model_t:s0\n")
    packaged = package(project, targets={"new": str(policy_root), "old": str(old)})
    new, older = (packaged.manifest["targets"][name] for name in ("new", "old"))
    assert older["policydb"] == 19
    assert older["proof"]["covered"] is True
    assert (older["proof"]["build"], new["proof"]["build"]) == ("binary", "store")
    left = " ".join(older["left_out"])
    assert "bpf { map_create }: unknown-class" in left
    assert "watch }: unknown-permission" in left
    assert not set(NEWER_CLASSES) & set(older["requires"]["permissions"])
    assert not any("watch" in perm for perms in older["requires"]["permissions"].values() for perm in perms)
    assert "watch" in new["requires"]["permissions"]["chr_file"]
    ends = {name: {one["pattern"] for one in target["contexts"]} for name, target in (("new", new), ("old", older))}
    assert any(pattern.startswith("/run/v") for pattern in ends["new"])
    assert any(pattern.startswith("/var/run/v") for pattern in ends["old"])
    assert not any(pattern.startswith("/run") for pattern in ends["old"])
    row = next(one for one in packaged.manifest["side_by_side"] if "bpf" in one["text"])
    assert row["targets"]["old"] == "unknown-class"
