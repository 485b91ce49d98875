"""Policies to ask: the real one of the policy root, and small ones compiled from the sources beside the tests."""

from __future__ import annotations

import bz2
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from polkit.policy import TargetPolicy, load_policy

SOURCES = Path(__file__).parent / "sources"
Compile = Callable[[str], Path]


@pytest.fixture(scope="session")
def binary_policy(policy_root: Path) -> Path:
    """The binary policy of the policy root."""
    return sorted(policy_root.glob("etc/selinux/*/policy/policy.*"))[-1]


@pytest.fixture(scope="session")
def real(policy_root: Path) -> TargetPolicy:
    """The real policy, loaded once."""
    return load_policy(str(policy_root))


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compiles ``sources/NAME`` (``.conf`` by checkpolicy, ``.cil`` by secilc) once; gives the binary's path."""
    directory = tmp_path_factory.mktemp("compiled")

    def build(name: str) -> Path:
        source, binary = SOURCES / name, directory / f"{name}.bin"
        if not binary.exists():
            if source.suffix == ".cil":
                command = ["secilc", "-N", "-c", "31", "-o", binary, "-f", "/dev/null", source]
            else:
                levels = ["-M"] if "\nmlsconstrain" in source.read_text() else []
                command = ["checkpolicy", *levels, "-c", "31", "-o", binary, source]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            assert done.returncode == 0, done.stdout
        return binary

    return build


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store of a few modules over the policy ``roles.conf``."""
    modules = tmp_path / "active/modules"
    for where, text in {
        "100/base": """
            ; (neverallow init_t app_t (process (signal))) is a comment
            (typeattributeset exempt (init_t))
            (typeattributeset base_typeattr_1 (and (domains) (not (exempt))))
            (neverallow base_typeattr_1 app_t (process (transition)))
            (neverallow domains self (file (read)))
            (neverallow app_t notself (process (signal)))
            (neverallow other_t domains (process (not (signal))))
            (filecon "/a;b(" file (u r app_t ((s0) (s0))))""",
        "100/app": "(typeattributeset exempt (app_t))",
        "400/app": """
            (optional outer
                (typeattributeset cil_gen_require init_t)
                (optional inner (typeattributeset cil_gen_require (no_such_t))
                    (typeattributeset exempt (other_t))))""",
        "100/gone": "(neverallow init_t init_t (process (dyntransition)))",
    }.items():
        (modules / where).mkdir(parents=True)
        (modules / where / "cil").write_bytes(bz2.compress(text.encode()) if "base" in where else text.encode())
    (modules / "disabled").mkdir()
    (modules / "disabled/gone").touch()
    return tmp_path


@pytest.fixture
def cache_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own; gives the folder that the entries will be in."""
    monkeypatch.delenv("POLKIT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache/polkit"
