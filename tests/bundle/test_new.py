"""polkit new: what it writes is a project that every verb takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from polkit.bundle import Described, new_project
from polkit.config import load_config
from polkit.errors import UsageError
from polkit.module import build_package
from polkit.rehearse import read_scenario

ODD = Described('He said "\\x" # [targets]', "Ünïcode & <b>", "MIT OR Apache-2.0")


@pytest.mark.parametrize("described", [Described(), ODD], ids=["bare", "odd"])
def test_a_new_project_reads_compiles_and_rehearses(tmp_path: Path, described: Described) -> None:
    place = tmp_path / "deep" / "vllm-cuda"
    written = new_project("vllm-cuda", place, described)
    assert sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()) == list(written)
    assert {"polkit.toml", "vllm-cuda.te", "vllm-cuda.fc", "vllm-cuda.if", "scenario.toml", "CHANGELOG.md"} <= set(
        written
    )
    module = load_config(place / "polkit.toml").module
    assert (module.name, module.version) == ("vllm-cuda", "0.1.0")
    assert Described(module.summary, module.vendor, module.license) == described
    assert read_scenario(place / "scenario.toml").name == "vllm-cuda"
    te, fc = ((place / f"vllm-cuda.{suffix}").read_text(encoding="ascii") for suffix in ("te", "fc"))
    assert build_package("vllm-cuda", te, fc, True, 19)


def test_what_is_there_is_refused_and_with_force_others_files_stay(tmp_path: Path) -> None:
    new_project("vllm", tmp_path / "p", Described())
    (tmp_path / "p/mine.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "p/polkit.toml").write_text("changed", encoding="utf-8")
    with pytest.raises(UsageError, match="exists"):
        new_project("vllm", tmp_path / "p", Described())
    assert (tmp_path / "p/polkit.toml").read_text(encoding="utf-8") == "changed"
    new_project("vllm", tmp_path / "p", Described(), force=True)
    assert (tmp_path / "p/mine.txt").read_text(encoding="utf-8") == "mine"
    assert load_config(tmp_path / "p/polkit.toml").module.name == "vllm"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p"]


@pytest.mark.parametrize("name", ["", "../x", "Vllm", "a b", "-x", "a" * 65, "x\n", "1x"])
def test_a_name_that_no_module_can_have_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        new_project(name, tmp_path / "p", Described())
    assert list(tmp_path.iterdir()) == []


def test_the_verb_writes_beside_where_it_stands(tmp_path: Path) -> None:
    def polkit(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "polkit", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert polkit("new", "vllm", "--vendor", "ACME").returncode == 0
    assert (tmp_path / "vllm/polkit.toml").is_file()
    again = polkit("new", "vllm")
    assert (again.returncode, again.stderr.startswith("polkit: vllm exists")) == (2, True)
    assert polkit("new", "vllm", "--vendor", "a\nb", "--force").returncode == 2
