"""A plan from the text of a log, on the real container host policy."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polkit.audit import read_logs, totals
from polkit.minimize import Mount, PathMap, Settings, make_plan
from polkit.model import Plan
from polkit.policy import TargetPolicy, load_policy

Planner = Callable[..., Plan]


@pytest.fixture(scope="session")
def fedora_shapes(tmp_path_factory: pytest.TempPathFactory) -> TargetPolicy:
    """A small policy with what Debian's lacks (``sources/fedora_shapes.cil``)."""
    source = Path(__file__).parent / "sources" / "fedora_shapes.cil"
    binary = tmp_path_factory.mktemp("fedora") / "policy"
    subprocess.run(["secilc", "-c", "31", "-o", binary, "-f", "/dev/null", source], check=True)
    return load_policy(str(binary))


@pytest.fixture(scope="session")
def exact_types(tmp_path_factory: pytest.TempPathFactory) -> TargetPolicy:
    """A small policy with types that fit one service exactly, and nearly (``sources/exact_types.cil``)."""
    source = Path(__file__).parent / "sources" / "exact_types.cil"
    binary = tmp_path_factory.mktemp("exact") / "policy"
    subprocess.run(["secilc", "-c", "31", "-o", binary, "-f", "/dev/null", source], check=True)
    return load_policy(str(binary))


@pytest.fixture(scope="session")
def plan_of(policy: TargetPolicy) -> Planner:
    """``plan_of(text, mounts={"/host": "/ctr"}, booleans={...}, **settings)``."""

    def plan(
        text: str,
        mounts: dict[str, str] | None = None,
        booleans: dict[str, bool] | None = None,
        on: TargetPolicy | None = None,
        graph_roots: tuple[str, ...] = (),
        **settings: Any,
    ) -> Plan:
        ledger = read_logs(["-"], stdin=io.BytesIO(text.encode()))
        paths = PathMap(tuple(Mount(ctr, host) for host, ctr in (mounts or {}).items()), graph_roots)
        target = (on or policy).with_booleans(booleans or {})
        return make_plan(totals(ledger), target, Settings(module="vllm", paths=paths, **settings))

    return plan
