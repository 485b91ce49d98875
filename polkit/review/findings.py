"""What a review finds: where, how grave, how sure, why it matters, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

SEVERITIES = ("info", "low", "medium", "high")
"""Mildest first; from ``medium`` on a review ends with exit code 1."""
CONFIDENCES = ("low", "medium", "high")


class Place(NamedTuple):
    """``file`` is the name that messages use; ``line`` and ``column`` count from 1, 0 where there is none."""

    file: str
    line: int = 0
    column: int = 0

    @property
    def text(self) -> str:
        """``file:line``, or the file alone."""
        return f"{self.file}:{self.line}" if self.line else self.file


class Fix(NamedTuple):
    """What to do: in words, as commands to run, and as a unified diff of the source where that is safe."""

    text: str
    commands: tuple[str, ...] = ()
    patch: str = ""


@dataclass(frozen=True)
class Finding:
    """One finding. ``id`` is a key of ``catalogue.KINDS``; ``why`` is two sentences; ``evidence`` holds the accesses or
    facts that it rests on, one line each, gravest first."""

    id: str
    severity: str
    confidence: str
    place: Place
    title: str
    why: str
    fix: Fix
    evidence: tuple[str, ...] = ()

    def with_severity(self, severity: str) -> Finding:
        """The same, as grave as a project settled in its polkit.toml."""
        return replace(self, severity=severity)


class Ignored(NamedTuple):
    """A finding that a comment in the source silences, with the reason it gives."""

    finding: Finding
    reason: str


def gravest_first(finding: Finding) -> tuple[object, ...]:
    """Sorts findings: by severity, then by place, then by id."""
    return (-SEVERITIES.index(finding.severity), finding.place, finding.id, finding.title)
