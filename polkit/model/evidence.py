"""What was seen: bounded samples of the records behind a count, and the books of an input."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional

from polkit.model.access import AccessKey

SAMPLE = 64
"""At most so many distinct values of each kind are kept; the smallest ones, so that joining samples has a law."""


@dataclass(frozen=True)
class Evidence:
    """What the records behind one count or decision looked like. Samples are sorted and hold at most SAMPLE values.

    ``records`` counts denials, ``accesses`` one for each permission of each; ``first`` and ``last`` are
    milliseconds since the epoch (None when no record had a full date); ``permissive`` counts the records of a
    permissive domain. ``paths`` are as the process saw them; ``names`` are last components where no path is known;
    ``devices`` are the ``dev=`` fields (``devtmpfs``, ``tmpfs``, ``dm-0``).
    """

    records: int = 0
    accesses: int = 0
    first: Optional[int] = None
    last: Optional[int] = None
    permissive: int = 0
    comms: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    exes: tuple[str, ...] = ()
    syscalls: tuple[str, ...] = ()
    calls: tuple[str, ...] = ()
    """System calls with the flags that decide what they ask for (``openat(O_RDWR|O_CREAT)``); none without any."""
    nodes: tuple[str, ...] = ()
    """Device nodes with their numbers (``/dev/nvidia0 195:0``), where a record of the event tells them."""
    answers: tuple[str, ...] = ()
    """How ioctls ended: ``success``, or the error's name (``ENOTTY``; ``EACCES`` where they were refused)."""
    commands: tuple[str, ...] = ()
    """Command lines of the processes, as far as the log has them; what looks like a password or token is masked."""
    addresses: tuple[str, ...] = ()
    """Addresses that sockets were to be bound or connected to: ``10.0.0.5:8000``, ``/run/x/socket``, ``@abstract``."""
    ports: tuple[int, ...] = ()
    levels: tuple[str, ...] = ()
    """``source level -> target level`` pairs."""
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unparsed:
    """A denial that could not be read: where it stands, why, and the start of its text (escaped when printed)."""

    source: str
    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Counted:
    """One distinct access vector of an input with its evidence."""

    key: AccessKey
    evidence: Evidence


@dataclass(frozen=True)
class InputSummary:
    """The books of everything read: ``denials == parsed + unreadable``.

    ``records`` counts by kind: AVC, USER_AVC, SELINUX_ERR and other; ``granted`` are ``avc: granted`` records;
    ``undated`` denials carried no full date and so passed every ``--since``/``--until``; ``filtered`` denials were
    left out by a filter and count nowhere else. ``unparsed`` lists the denials that could not be read, ``unlisted``
    counts those beyond the bound of that list. ``notes`` are readings that ended early and the like, one line each.
    """

    sources: tuple[str, ...] = ()
    bytes: int = 0
    lines: int = 0
    denials: int = 0
    distinct: int = 0
    accesses: int = 0
    parsed: int = 0
    records: dict[str, int] = field(default_factory=dict)
    granted: int = 0
    undated: int = 0
    filtered: int = 0
    unparsed: tuple[Unparsed, ...] = ()
    unlisted: int = 0
    notes: tuple[str, ...] = ()

    @property
    def unreadable(self) -> int:
        """How many denials could not be read, listed or not."""
        return len(self.unparsed) + self.unlisted


@dataclass(frozen=True)
class Denials:
    """All that was read, ready for diagnosis: the books, and the distinct access vectors in a fixed order."""

    summary: InputSummary
    counted: tuple[Counted, ...]
