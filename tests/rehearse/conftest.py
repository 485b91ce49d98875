"""Scenarios written for one test."""

from __future__ import annotations

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
