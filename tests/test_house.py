"""The house stands: its floors, its start-up, its scripts, and what is shipped of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Optional, Union

import pytest

from polkit.grammars import grammar_text

HEAVY_IMPORTS = {"setools", "selinux", "lark", "rich", "jinja2", "dask", "distributed", "fsspec"}
BINARY_POLICY_MAGIC = {magic.to_bytes(4, "little") for magic in (0xF97CFF8C, 0xF97CFF8D, 0xF97CFF8F)}
"""policydb, module and module package: libsepol's sepol/policydb/policydb.h and module.h."""


def command(name: str) -> Path:
    """A program of the environment the tests run in."""
    return Path(sys.executable).with_name(name)


def run(
    *arguments: Union[str, Path], cwd: Optional[Path] = None, env: Optional[dict[str, str]] = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=cwd, env=env)


def tracked(repository: Path) -> list[Path]:
    listed = run("git", "ls-files", "-z", cwd=repository)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [repository / name for name in listed.stdout.split("\0") if name]


def scripts(repository: Path) -> list[Path]:
    return [repository / ".ci" / "run", *(path for path in (repository / "script").iterdir() if path.suffix == "")]


def test_each_floor_imports_only_from_below(repository: Path) -> None:
    linted = run(command("lint-imports"), "--no-cache", cwd=repository)
    assert linted.returncode == 0, linted.stdout
    assert "0 broken" in linted.stdout


def test_help_starts_without_the_heavy_libraries() -> None:
    """Click alone costs 20 ms; setools would add 170."""
    helped = run(command("polkit"), "--help", env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"})
    assert helped.returncode == 0, helped.stderr
    imported = {line.rsplit("|", 1)[-1].strip().partition(".")[0] for line in helped.stderr.splitlines()}
    assert "click" in imported
    assert not imported & HEAVY_IMPORTS


def test_no_compiled_policy_is_committed(repository: Path) -> None:
    compiled = [path for path in tracked(repository) if path.is_file() and path.read_bytes()[:4] in BINARY_POLICY_MAGIC]
    assert compiled == []


def test_grammars_are_found_in_a_checkout(repository: Path) -> None:
    grammars = sorted((repository / "grammar").glob("*.lark"))
    assert grammars
    for grammar in grammars:
        assert grammar_text(grammar.stem) == grammar.read_text(encoding="utf-8")


@pytest.mark.heavy
def test_grammars_templates_and_types_are_shipped(repository: Path, tmp_path: Path) -> None:
    """An sdist and, made from it, a wheel hold every file of the package that is not Python, grammars included."""
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(repository / name, tmp_path)
    for folder in ("polkit", "grammar"):
        shutil.copytree(repository / folder, tmp_path / folder, symlinks=True)
    built = run(sys.executable, "-m", "build", "--outdir", tmp_path / "dist", tmp_path)
    assert built.returncode == 0, built.stdout + built.stderr
    data = {
        path.relative_to(tmp_path).as_posix()
        for pattern in ("grammar/*.lark", "**/*.j2", "**/*.toml", "**/*.sh", "**/*.yml", "py.typed")
        for path in (tmp_path / "polkit").glob(pattern)
    }
    assert "polkit/grammar/avc.lark" in data
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    with tarfile.open(sdist) as archive:
        assert data <= {name.partition("/")[2] for name in archive.getnames()}
    with zipfile.ZipFile(wheel) as archive:
        assert data <= set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    asked = "import polkit, polkit.grammars as g; print(polkit.__file__); g.grammar_text('avc')"
    found = run(sys.executable, "-c", asked, cwd=tmp_path / "installed")
    assert found.returncode == 0, found.stderr
    assert found.stdout.strip() == str(tmp_path / "installed" / "polkit" / "__init__.py")


def test_scripts_run_and_parse(repository: Path) -> None:
    for script in scripts(repository):
        assert os.access(script, os.X_OK), f"{script} is not executable"
        assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
        parsed = run("bash", "-n", script)
        assert parsed.returncode == 0, parsed.stderr


def test_ci_runs_what_everybody_runs(repository: Path) -> None:
    assert "script/test" in (repository / ".ci" / "run").read_text(encoding="utf-8")


def test_files_named_in_the_readme_exist(repository: Path) -> None:
    """Every path in a code block of the README that starts with one of the checkout's folders."""
    readme = (repository / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)
    named = {
        path.rstrip(".")
        for block in blocks
        for path in re.findall(r"(?<![\w./-])(?:script|fixtures|docs|modules|bench|tests)/[\w./-]+", block)
    }
    assert "script/demo" in named
    assert [path for path in sorted(named) if not (repository / path).exists()] == []
