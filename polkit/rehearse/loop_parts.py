"""What both loops are told in: phases, steps that were refused, attacks."""

from __future__ import annotations

from dataclasses import dataclass

from polkit.rehearse.judge import ALLOWED, DENIED, Judged
from polkit.rehearse.rehearsal import Rehearsal


@dataclass(frozen=True)
class Phase:
    """One phase of one round: ``boots`` machines ran in it. Phases of a round may have run side by side."""

    name: str
    round: int
    seconds: float
    boots: int = 0


@dataclass(frozen=True)
class Attacks:
    """Of ``steps`` attacks so many were refused; ``through`` names those that succeeded, ``failed`` those that failed
    without SELinux."""

    steps: int
    refused: int
    through: tuple[str, ...]
    failed: tuple[str, ...]


def attacks_of(rehearsal: Rehearsal) -> Attacks:
    """The steps of a rehearsal that were to be denied."""
    steps = [one for one in rehearsal.judged if one.expect == DENIED]
    return Attacks(
        steps=len(steps),
        refused=sum(one.got == DENIED for one in steps),
        through=tuple(one.step.name for one in steps if one.got == ALLOWED),
        failed=tuple(one.step.name for one in steps if one.got not in (ALLOWED, DENIED)),
    )


def service_refused(rehearsal: Rehearsal) -> tuple[Judged, ...]:
    """The steps that were to be allowed and were not."""
    return tuple(one for one in rehearsal.judged if one.expect == ALLOWED and one.got != ALLOWED)
