"""Policies to ask: the real one of the policy root, and small ones compiled from the sources beside the tests."""

from __future__ import annotations

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
