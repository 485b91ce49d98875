"""The rules that a project sets itself in ``polkit.toml`` ``[gates]``, held against a module under review."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from polkit.review.case import Case
from polkit.review.findings import Place


@dataclass(frozen=True)
class GateResult:
    """One gate: ``kind`` is its key in polkit.toml, ``ok`` None where it can't be told; ``accesses`` are those that
    break it."""

    name: str
    kind: str
    ok: Optional[bool]
    why: str
    place: Optional[Place] = None
    accesses: tuple[str, ...] = ()


def hold(case: Case) -> tuple[GateResult, ...]:
    """Every gate of the project, held against the case."""
    return ()
