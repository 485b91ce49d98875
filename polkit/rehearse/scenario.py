"""A scenario: what stands on the host, what the workload does there, and what is expected of each step. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional, Union

from polkit.rehearse.operations import OPERATIONS

BUSYBOX = "busybox"
"""The word of ``copy`` for a static busybox."""
Argument = Union[str, int, bool, tuple[str, ...]]


@dataclass(frozen=True)
class Thing:
    """Something in the file system before the workload starts.

    ``kind`` is file, dir, link, node or socket. ``label`` is a type, a whole context, or None: as file_contexts say.
    ``content`` is text; ``copy`` a file of this machine (from the scenario's directory), or the word ``busybox``;
    ``size`` so many zero bytes. ``major`` and ``minor`` make a node (``block``: of a disk); ``stand_in`` says that its
    driver is another one's. A socket is listened on by ``server``, a domain.
    """

    path: str
    kind: str
    label: Optional[str] = None
    level: Optional[str] = None
    mode: Optional[int] = None
    content: Optional[str] = None
    copy: Optional[str] = None
    size: Optional[int] = None
    target: Optional[str] = None
    major: int = 0
    minor: int = 0
    block: bool = False
    stand_in: bool = False
    server: Optional[str] = None


@dataclass(frozen=True)
class Listener:
    """A port of this host that another domain listens on (TCP) or receives at (UDP)."""

    port: int
    protocol: str
    domain: str


@dataclass(frozen=True)
class Bystander:
    """A process of another domain, which steps can signal or trace by its name."""

    name: str
    domain: str
    level: Optional[str] = None


@dataclass(frozen=True)
class Workload:
    """What the steps run as where they say nothing else.

    ``root``: a directory of the host that is the workload's ``/``, in a mount namespace of its own; ``binds`` are
    (host path, path inside, read-only).
    """

    domain: str
    level: Optional[str] = None
    user: str = "system_u"
    role: str = "system_r"
    root: Optional[str] = None
    binds: tuple[tuple[str, str, bool], ...] = ()


@dataclass(frozen=True)
class Step:
    """One thing that is done, by a process of its own. ``domain`` and ``level`` are None where they are the workload's.

    ``expect`` is allowed or denied, of the policy enforced.
    """

    name: str
    operation: str
    arguments: Mapping[str, Argument]
    expect: str
    why: str
    domain: Optional[str] = None
    level: Optional[str] = None

    @property
    def object(self) -> str:
        """What it is done to, for a report."""
        return OPERATIONS[self.operation].object.format(**self.arguments)


@dataclass(frozen=True)
class Scenario:
    """All of one file. ``file`` is its path; files that it copies are named from its directory."""

    file: str
    name: str
    summary: str
    fail_fast: bool
    workload: Workload
    things: tuple[Thing, ...]
    listeners: tuple[Listener, ...]
    processes: tuple[Bystander, ...]
    steps: tuple[Step, ...]
