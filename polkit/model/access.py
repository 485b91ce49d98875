"""What was asked for: the key under which denials are counted, and one permission of it."""

from __future__ import annotations

from typing import NamedTuple, Optional

from polkit.model.context import Party
from polkit.model.levels import LevelRelations


class Xperm(NamedTuple):
    """An extended permission: ``kind`` is ``ioctl`` or ``nlmsg``, ``number`` the low 16 bits of the command."""

    kind: str
    number: int

    def __str__(self) -> str:
        return f"0x{self.number:04x}"


class Port(NamedTuple):
    """A port named by a denial: ``protocol`` is tcp, udp, dccp or sctp."""

    protocol: str
    number: int

    def __str__(self) -> str:
        return f"{self.protocol}/{self.number}"


class Failure(NamedTuple):
    """What a SELINUX_ERR record adds: the operation, and the third context it names.

    ``compute_sid``: ``context`` is the executed file's or parent's (the target is the context that came out invalid).
    ``bounded_transition``: ``context`` is empty. ``validate_transition``: ``context`` is the object's old one.
    """

    operation: str
    context: Optional[Party]


class AccessKey(NamedTuple):
    """The key of a count in the ledger: who wanted what of whom, and how their levels compare.

    The levels themselves are no part of it: on a host with containers every process has its own pair of categories,
    and constraints only ever see the comparisons.
    """

    source: Party
    target: Party
    tclass: str
    perms: tuple[str, ...]
    """Sorted, without repeats."""
    xperm: Optional[Xperm]
    port: Optional[Port]
    levels: LevelRelations
    failure: Optional[Failure]
    """Set for SELINUX_ERR records only."""
    origin: str
    """``kernel`` (AVC, SELINUX_ERR) or ``user`` (USER_AVC: an object manager such as dbus or systemd asked)."""
