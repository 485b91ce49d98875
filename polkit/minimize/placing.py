"""Which observed paths need a label of the module's own, and how far up it may reach.

A relabelled directory is a mount's source or a directory of observed paths, never a system directory.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from polkit.minimize.generic_types import why_generic
from polkit.minimize.paths import HostPath
from polkit.minimize.question import DEVICE_CLASSES, FILE_CLASSES, Settings, host_path
from polkit.minimize.regions import lasting_directory
from polkit.model import Counted
from polkit.policy import TargetPolicy

_MEDIA = re.compile(r"/(mnt|media|run/media)/")
_SYSTEM = re.compile(
    r"/(|bin|boot(/.*)?|dev(/.*)?|etc(/(ssl|pki|selinux|systemd)(/.*)?)?|home(/[^/]+)?|lib(32|64)?|libx32|media|mnt|opt"
    r"|proc(/.*)?|root|run(/[^/]+)?|sbin|srv|sys(/.*)?|tmp|usr(/[^/]+)?|usr/local/[^/]+"
    r"|var(/(cache|lib|lock|log|opt|run|spool|tmp))?|var/run/[^/]+|var/lib/(containers|docker|kubelet|selinux)(/.*)?)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Placed:
    """An observed object that no existing label fits: its count, both types, its host path, and the directory (or the
    object itself) that is labelled for it; ``given`` where that is a mount's source or a node: nobody's to widen."""

    counted: Counted
    source: str
    target: str
    path: str
    root: str
    given: bool

    @property
    def tclass(self) -> str:
        """The object's class."""
        return self.counted.key.tclass

    @property
    def is_device(self) -> bool:
        """A device node of the host."""
        return self.tclass in DEVICE_CLASSES and self.path.startswith("/dev/")


def is_system_directory(path: str) -> bool:
    """A directory that more than one program lives by: giving it a module's own type would break others."""
    return _SYSTEM.fullmatch(path) is not None


def is_too_high(path: str) -> bool:
    """A system directory or one right below the root: as far up as that no directories are taken together."""
    return is_system_directory(path) or path.count("/") < 2


def placed(one: Counted, policy: TargetPolicy, settings: Settings) -> Iterator[Placed]:
    """Every path of one count that needs a label of the module's own."""
    key = one.key
    source, target = policy.type_name(key.source.type), policy.type_name(key.target.type)
    if key.tclass not in FILE_CLASSES or source is None or target is None:
        return
    if not why_generic(policy, source, target, key.tclass):
        return
    from_container = policy.is_container_domain(source)
    for path in one.evidence.paths:
        place = host_path(path, key.tclass, one.evidence, from_container, settings.paths)
        if place is None or not _free_to_label(place, source, target, key.tclass, policy):
            continue
        root, given = _root(place, target, key.tclass)
        if root is not None:
            yield Placed(one, source, target, place.path, root, given)


def _free_to_label(place: HostPath, source: str, target: str, tclass: str, policy: TargetPolicy) -> bool:
    """Nobody else labels the path: file_contexts has no better type for it, and does not leave it to its program.

    ``<<none>>`` (no answer) outside of mounted media means that a program labels the file itself, as cron its tables.
    """
    if better_label(place, source, target, tclass, policy) is not None:
        return False
    media = _MEDIA.match(place.path) is not None
    return media or not policy.has_file_contexts or policy.file_label(place.path, tclass) is not None


def better_label(place: HostPath, source: str, target: str, tclass: str, policy: TargetPolicy) -> Optional[str]:
    """The type file_contexts gives a host path, where that is another one than the file has and not a generic one."""
    label = policy.file_label(place.path, tclass)
    if label is None or policy.type_name(label.type) in (None, target):
        return None
    return None if why_generic(policy, source, label.type, tclass) else label.type


def _root(place: HostPath, target: str, tclass: str) -> tuple[Optional[str], bool]:
    """The directory or file to label: the mount's source where that is nobody else's, else the path's own directory.

    A host process's path is labelled only where nothing in file_contexts matches it; elsewhere the type is wrong
    because the file was moved, and restoring it is the remedy. Device nodes are named one by one: the number in a
    node's name tells devices apart (a disk, a console, another tenant's card), and one observed is no evidence for all.
    """
    if tclass in DEVICE_CLASSES and place.path.startswith("/dev/"):
        return place.path, True
    if place.mount is not None and not is_system_directory(place.mount.host):
        return place.mount.host, True
    if place.mount is None and target != "default_t":
        return None, False
    directory = place.path if tclass == "dir" else posixpath.dirname(place.path)
    if not is_system_directory(directory):
        return lasting_directory(directory, is_too_high), False
    return None if is_system_directory(place.path) else place.path, False
