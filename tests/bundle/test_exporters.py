"""polkit package --for: which forms there are, and where they go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from polkit.bundle import package
from polkit.bundle.exporters import EXPORTERS
from tests.bundle.making import make_project, semodule, small_host
from tests.records import avc


@pytest.mark.parametrize("place", ["docs/verbs/package.md", "docs/exporters.md"])
def test_every_form_is_described(repository: Path, place: str) -> None:
    words = (repository / place).read_text(encoding="utf-8").replace(",", " ").replace("`", " ").split()
    assert [name for name in EXPORTERS if name not in (word.rstrip(".") for word in words)] == []


def test_the_command_takes_lists_and_says_what_was_built(tmp_path: Path, host: Path) -> None:
    """The directory is the only one beside the archive; the bundle is the same, whether a package was built or not."""
    project = make_project(tmp_path / "vllm", host)
    shutil.copytree(project, tmp_path / "without")
    env = {**os.environ, "HOME": str(tmp_path)}

    def run(where: Path, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "polkit", "package", where, "--target", f"host={host}", "--no-proof", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=env)

    asked = ("--for", "podman", "--for", "rpm, deb,rpm")
    done = run(project, *asked, "--format", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    names = ["vllm-selinux-0.1.0-1.host.noarch.rpm", "vllm-selinux_0.1.0-1+host_all.deb"]
    assert [Path(path).name for path in told["packages"]] == names
    assert {path.split("/")[1] for path in told["files"] if path.startswith("export/")} == {"rpm", "deb", "podman"}
    assert [path.name for path in (project / "dist").iterdir() if path.is_dir()] == ["vllm-0.1.0"]
    again = run(project, *asked)
    assert again.returncode == 0 and all(name in again.stdout for name in names), again.stderr
    for path in told["packages"]:
        Path(path).unlink()
    assert run(project, *asked).returncode == 0
    assert all(Path(path).is_file() for path in told["packages"])

    none = run(tmp_path / "without", "--for", "podman,, ,deb", "--quiet")
    assert none.returncode == 0 and none.stdout == ""
    wrong = run(tmp_path / "without", "--for", "rpm,tar")
    assert wrong.returncode == 2 and "--for 'tar' is none of rpm, deb, ansible" in wrong.stderr


def test_a_release_that_allows_all_already_gets_no_package(tmp_path: Path, host: Path) -> None:
    newer = small_host(tmp_path / "newer")
    (tmp_path / "more.cil").write_text(
        "(allow container_t xserver_misc_device_t (chr_file (open)))\n", encoding="ascii"
    )
    semodule(newer, "-X", "400", "-i", tmp_path / "more.cil")
    log = avc("open", "xserver_misc_device_t", "chr_file", levels=("s0:c0", "s0"), fields='path="/dev/nvidia0"')
    project = make_project(tmp_path / "vllm", host, log)
    made = package(
        project, targets={"el9": str(host), "el10": str(newer), "debian13": str(newer)}, exports=("rpm,deb",)
    )
    assert [path.name for path in made.packages] == ["vllm-selinux-0.1.0-1.el9.noarch.rpm"]
    assert "deb: no target that is such a release gets a module" in made.notes
    assert not (made.directory / "export/deb").exists()
