"""Scenarios written for one test, and the kernel that machines are booted with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

WriteScenario = Callable[..., Path]

HEAD = """
[scenario]
name = "small"

[workload]
domain = "container_t"
level = "s0:c1,c2"
"""
STEP = """
[[step]]
name = "one"
do = "read"
path = "/etc/passwd"
expect = "allowed"
why = "it is there to be read"
"""


@pytest.fixture
def scenario_file(tmp_path: Path) -> WriteScenario:
    """``scenario_file(more, head=HEAD, step=STEP)``: a file with these texts after each other."""

    def write(more: str = "", head: str = HEAD, step: str = STEP) -> Path:
        path = tmp_path / "small.toml"
        path.write_text(head + more + step, encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def kernel(repository: Path) -> Path:
    """A kernel image: POLKIT_KERNEL, else what script/machine finds or downloads."""
    named = os.environ.get("POLKIT_KERNEL")
    if not named:
        done = subprocess.run([repository / "script" / "machine"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no machine can be booted here: {done.stderr.strip()[-200:]}")
        named = done.stdout.splitlines()[-1]
    return Path(named)
