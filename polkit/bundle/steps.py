"""The steps from one version to the next, and what asks for one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from polkit.bundle.released import Number, number_of


class Step(IntEnum):
    """How far a version has to be from the one before; the higher, the more was granted."""

    PATCH = 0
    MINOR = 1
    MAJOR = 2

    @property
    def word(self) -> str:
        """``patch``, ``minor``, ``major``."""
        return self.name.lower()


@dataclass(frozen=True, order=True)
class Reason:
    """Something that a newer version changes on a target, and the step that it asks for."""

    step: Step
    target: str
    text: str


@dataclass(frozen=True)
class Demand:
    """What a version has to be after ``since``, and why: reasons gravest first. A change that needs no more than a
    patch is listed too."""

    since: str
    reasons: tuple[Reason, ...] = ()

    @property
    def step(self) -> Step:
        """The step that all reasons together ask for."""
        return max((one.step for one in self.reasons), default=Step.PATCH)

    @property
    def witnesses(self) -> tuple[Reason, ...]:
        """The reasons for that step; none where nothing is more permissive than before."""
        return () if self.step is Step.PATCH else tuple(one for one in self.reasons if one.step is self.step)

    @property
    def next_version(self) -> str:
        """The lowest version that is enough."""
        major, minor, patch = number_of(self.since)
        return {
            Step.PATCH: f"{major}.{minor}.{patch + 1}",
            Step.MINOR: f"{major}.{minor + 1}.0",
            Step.MAJOR: f"{major + 1}.0.0",
        }[self.step]

    def allows(self, version: str) -> bool:
        """A version is a step of at least this kind above the released one."""
        number, since = number_of(version), number_of(self.since)
        return number > since and step_between(since, number) >= self.step


def demand(since: str, reasons: Iterable[Reason]) -> Demand:
    """The demand that reasons make, each once, gravest first."""
    return Demand(since, tuple(sorted(set(reasons), key=lambda one: (-one.step, one.target, one.text))))


def step_between(older: Number, newer: Number) -> Step:
    """The step from a version to a higher one."""
    if newer[0] != older[0]:
        return Step.MAJOR
    return Step.MINOR if newer[1] != older[1] else Step.PATCH
