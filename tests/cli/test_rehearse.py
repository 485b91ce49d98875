"""``polkit rehearse`` where there is nothing to rehearse with, and where it is asked for what can't be."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.cli.conftest import Polkit

SCENARIO = Path(__file__).resolve().parents[2] / "fixtures" / "scenarios" / "serving.toml"


def test_without_qemu_it_says_how_to_get_it(polkit: Polkit) -> None:
    path = {"PATH": str(Path(sys.executable).parent)}
    done = polkit("rehearse", SCENARIO, "--format", "json", policy=False, env=path)
    assert done.returncode == 4
    error = json.loads(done.stdout)["error"]
    assert "qemu-system-x86_64 is not installed" in error["message"]
    assert "install qemu-system-x86" in error["hint"]


def test_a_kernel_that_is_not_there_is_named(polkit: Polkit, tmp_path: Path) -> None:
    qemu = tmp_path / "qemu-system-x86_64"
    qemu.write_text("#!/bin/false\n")
    qemu.chmod(0o755)
    done = polkit("rehearse", SCENARIO, "--kernel", "/no/such", policy=False, env={"PATH": str(tmp_path)})
    assert done.returncode == 3
    assert "kernel /no/such can't be read" in done.stderr


def test_wrong_usage(polkit: Polkit, tmp_path: Path) -> None:
    both = polkit("rehearse", SCENARIO, "--permissive", "--learn", policy=False)
    assert (both.returncode, "exclude each other" in both.stderr) == (2, True)
    bare = polkit("rehearse", SCENARIO, "--base", "none", policy=False)
    assert (bare.returncode, "--base none is for --learn" in bare.stderr) == (2, True)
    (tmp_path / "audit.log").write_text("evidence of another day\n")
    kept = polkit("rehearse", SCENARIO, "-o", tmp_path, policy=False)
    assert (kept.returncode, "holds audit.log already" in kept.stderr) == (2, True)
    assert (tmp_path / "audit.log").read_text() == "evidence of another day\n"


def test_a_domain_that_the_policy_lacks_is_named(polkit: Polkit, policy_root: Path, tmp_path: Path) -> None:
    for name in ("qemu-system-x86_64", "kernel"):
        (tmp_path / name).write_text("#!/bin/false\n")
        (tmp_path / name).chmod(0o755)
    asked = ("--policy-root", policy_root, "--kernel", tmp_path / "kernel", "--as", "container_tt")
    done = polkit("rehearse", SCENARIO, *asked, policy=False, env={"PATH": str(tmp_path)})
    assert done.returncode == 2
    assert "the policy has no type container_tt" in done.stderr
    assert "container_t" in done.stderr.splitlines()[1]
