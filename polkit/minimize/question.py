"""One permission of one counted denial, with all that the rungs of the ladder may ask about it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Optional

from polkit.config import CONTAINER_DOMAINS
from polkit.minimize.paths import HostPath, PathMap, normal_path
from polkit.model import AccessKey, Evidence, LevelRelations, Party, Port, Remedy
from polkit.policy import Access, FileEntry, Risk, TargetPolicy, Verdict

FILE_CLASSES = frozenset({"file", "dir", "lnk_file", "chr_file", "blk_file", "sock_file", "fifo_file"})
DEVICE_CLASSES = frozenset({"chr_file", "blk_file"})
WRITING = frozenset(
    (
        *("append", "add_name", "create", "link", "mounton", "quotaon", "relabelfrom", "relabelto", "remove_name"),
        *("rename", "reparent", "rmdir", "setattr", "swapon", "unlink", "write"),
    )
)
"""Permissions of file classes that change the object; with one of them a directory's type is a read-write one."""


NOTHING = "none"
"""The word for a domain that starts from nothing, where a base is named."""


@dataclass(frozen=True)
class Settings:
    """How to diagnose. ``module`` names the types of the module's own; ``accepted`` holds risk or decision ids.

    ``extend``: rules go onto the domains in the log, shared ones too. ``base``: the domain that the module's own one
    inherits from, ``none`` for one that starts from nothing; None where nothing was asked. ``bases`` are the domains
    that may be inherited, ``shared`` those that the configuration calls shared. ``predict``: what the evidence implies
    but does not show is asked for too.
    """

    module: str = "polkit_local"
    paths: PathMap = field(default_factory=PathMap)
    include_dontaudited: bool = False
    accepted: frozenset[str] = frozenset()
    extend: bool = False
    base: Optional[str] = None
    bases: tuple[str, ...] = CONTAINER_DOMAINS
    shared: frozenset[str] = frozenset()
    predict: bool = False


def domain_name(settings: Settings) -> str:
    """The name of the module's own domain, whether or not it gets one."""
    return f"{settings.module}_t"


@dataclass(frozen=True)
class LabelTree:
    """A host directory with all below it, or with a ``kind`` (file_contexts(5)) that object alone, and its type.

    ``own``: a type of the module's own, else an existing one that fits exactly. ``volume``: the whole of what a
    container mounts, with one label everywhere. ``over``: the entry that decides over any module's here, so that the
    label must be an administrator's entry; empty for none.
    """

    root: str
    pattern: str
    type: str
    attributes: tuple[str, ...]
    writable: bool
    kind: str = ""
    own: bool = True
    volume: bool = False
    over: str = ""


class PortRange(NamedTuple):
    """Neighbouring ports that are labelled together; ``own`` as of a LabelTree."""

    protocol: str
    low: int
    high: int
    type: str
    own: bool


@dataclass(frozen=True)
class OwnTypes:
    """The types of the module's own that the denials of an input ask for, settled before any is diagnosed."""

    trees: dict[str, LabelTree] = field(default_factory=dict)
    """From a host path in the evidence to the tree it lies in; only paths that need a type of the module's own."""
    pathless: dict[tuple[str, str], tuple[LabelTree, ...]] = field(default_factory=dict)
    """From (source, target type) to the trees of the one root where all its known paths lie: for records with none."""
    blocked: dict[str, FileEntry] = field(default_factory=dict)
    """From an observed path that would keep its label to the entry that decides over any that could be added."""
    ports: dict[Port, PortRange] = field(default_factory=dict)
    """From a port that needs a label to the ports that are labelled with it."""


@dataclass(frozen=True)
class Foreseen:
    """What a predicted access rests on: the ids of decisions, and the calls that were refused. ``certain``: the kernel
    asks for it within the same call; else a program that makes the call asks for it next."""

    follows: tuple[str, ...]
    calls: tuple[str, ...]
    certain: bool


@dataclass(frozen=True)
class Question:
    """One permission asked of the target policy. Type names in ``access`` are canonical where the policy knows them."""

    key: AccessKey
    evidence: Evidence
    access: Access
    policy: TargetPolicy
    settings: Settings
    own: OwnTypes
    verdict: Optional[Verdict]
    """None when a name is unknown to the policy, or the record is a SELINUX_ERR."""
    foreseen: Optional[Foreseen] = None
    """Set where no record shows the access: it was predicted."""

    @property
    def source(self) -> str:
        """The source type."""
        return self.access.source.type

    @property
    def target(self) -> str:
        """The target type."""
        return self.access.target.type

    @property
    def known_as(self) -> str:
        """``observed`` or ``predicted``."""
        return "observed" if self.foreseen is None else "predicted"

    @property
    def from_container(self) -> bool:
        """The process runs in a domain for containers, so its paths are not the host's."""
        return self.policy.is_container_domain(self.source)

    def host_paths(self) -> tuple[HostPath, ...]:
        """The observed paths that are known on the host: mapped, a host device node, or of a host process."""
        found = (self.host_path(path) for path in self.evidence.paths)
        return tuple(path for path in found if path is not None)

    def host_path(self, path: str) -> Optional[HostPath]:
        """One observed path on the host, or None when that can't be known."""
        return host_path(path, self.key.tclass, self.evidence, self.from_container, self.settings.paths)

    def at(self, type_: str, levels: LevelRelations) -> Question:
        """The same access on another target type and level, asked afresh: what would refuse after a relabel."""
        target = Party(self.access.target.user, self.access.target.role, type_)
        access = replace(self.access, target=target, levels=levels)
        return replace(self, access=access, verdict=self.policy.decide(access), own=OwnTypes())


@dataclass(frozen=True)
class Finding:
    """What one rung has to say. ``decides`` is false for a reason that stands beside another one only.

    ``reason`` tells apart what blocks: findings with the same reason are alternative remedies for one lack, so only
    the first is kept; ``rule`` is the lack of an allow rule.
    """

    cause: str
    remedy: Remedy
    why: str
    reason: str = "rule"
    decides: bool = True
    asked: tuple[str, ...] = ()
    settles: tuple[str, ...] = ()
    """Further reasons that this finding does away with."""
    risk: Optional[Risk] = None
    """What the risk catalogue says of granting the access; set where the remedy grants it."""
    retarget: Optional[str] = None
    """The existing type the target gets by the remedy: what still refuses then stands beside it."""


def host_path(path: str, tclass: str, evidence: Evidence, from_container: bool, paths: PathMap) -> Optional[HostPath]:
    """Where an observed path is on the host; None for a container's path that no mount maps, and for no path at all.

    A device node under ``/dev`` is the host's own when the file system is devtmpfs; a container's private ``/dev`` is
    a tmpfs, and what stands in it was made by the engine.
    """
    if not path.startswith("/") or "\0" in path:
        return None
    mapped = paths.to_host(path)
    if mapped is not None:
        return mapped
    if normal_path(path) != (path.rstrip("/") or "/"):
        return None  # the kernel logs no `..`: this was written by the process, and may mean another file
    path = normal_path(path)
    if not from_container:
        return HostPath(path, None)
    private = bool(evidence.devices) and "devtmpfs" not in evidence.devices
    if tclass in DEVICE_CLASSES and path.startswith("/dev/") and not private:
        return HostPath(path, None)
    return None
