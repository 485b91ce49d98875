"""Which host directories get a type of the module's own, and what that type is.

A first pass over all denials, so that one directory has one type: read-only where nothing ever wrote, read-write
otherwise. A relabelled directory is a mount's source or a directory of observed paths, never a system directory.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from typing import Optional

from polkit.minimize.generic_types import why_generic
from polkit.minimize.paths import HostPath
from polkit.minimize.question import DEVICE_CLASSES, FILE_CLASSES, LabelTree, Settings, host_path
from polkit.model import Counted
from polkit.module import quote_path, tree_pattern
from polkit.policy import TargetPolicy

WRITING = frozenset(
    (
        *("append", "add_name", "create", "link", "mounton", "quotaon", "relabelfrom", "relabelto", "remove_name"),
        *("rename", "reparent", "rmdir", "setattr", "swapon", "unlink", "write"),
    )
)
"""Permissions of file classes that change the object; with one of them a directory's type is a read-write one."""

_SYSTEM = re.compile(
    r"/(|bin|boot(/.*)?|dev(/.*)?|etc(/(ssl|pki|selinux|systemd)(/.*)?)?|home(/[^/]+)?|lib(32|64)?|libx32|media|mnt|opt"
    r"|proc(/.*)?|root|run(/[^/]+)?|sbin|srv|sys(/.*)?|tmp|usr(/[^/]+)?|usr/local/[^/]+"
    r"|var(/(cache|lib|lock|log|opt|run|spool|tmp))?|var/run/[^/]+|var/lib/(containers|docker|kubelet|selinux)(/.*)?)"
)


def is_system_directory(path: str) -> bool:
    """A directory that more than one program lives by: giving it a module's own type would break others."""
    return _SYSTEM.fullmatch(path) is not None


def own_labels(counted: Iterable[Counted], policy: TargetPolicy, settings: Settings) -> dict[str, LabelTree]:
    """From each observed host path that needs a type of the module's own to the tree it lies in."""
    roots: dict[str, str] = {}
    devices: set[str] = set()
    written: set[str] = set()
    for one in counted:
        for path, root in _needed(one, policy, settings):
            roots[path] = root
            if one.key.tclass in DEVICE_CLASSES and path.startswith("/dev/"):
                devices.add(root)
            if not WRITING.isdisjoint(one.key.perms):
                written.add(root)
    trees = {root: _tree(root, root in devices, root in written, policy, settings) for root in roots.values()}
    return {path: trees[root] for path, root in sorted(roots.items())}


def _needed(one: Counted, policy: TargetPolicy, settings: Settings) -> Iterable[tuple[str, str]]:
    """(host path, tree root) for every path of one count that no existing label fits."""
    key = one.key
    source, target = policy.type_name(key.source.type), policy.type_name(key.target.type)
    if key.tclass not in FILE_CLASSES or source is None or target is None:
        return
    if not why_generic(policy, source, target, key.tclass):
        return
    from_container = policy.is_container_domain(source)
    for path in one.evidence.paths:
        place = host_path(path, key.tclass, one.evidence, from_container, settings.paths)
        if place is None or better_label(place, source, target, key.tclass, policy) is not None:
            continue
        root = _root(place, target, key.tclass)
        if root is not None:
            yield place.path, root


def better_label(place: HostPath, source: str, target: str, tclass: str, policy: TargetPolicy) -> Optional[str]:
    """The type file_contexts gives a host path, where that is another one than the file has and not a generic one."""
    label = policy.file_label(place.path, tclass)
    if label is None or policy.type_name(label.type) in (None, target):
        return None
    return None if why_generic(policy, source, label.type, tclass) else label.type


def _root(place: HostPath, target: str, tclass: str) -> Optional[str]:
    """The directory or file to label: the mount's source where that is nobody else's, else the path's own directory.

    A host process's path is labelled only where nothing in file_contexts matches it; elsewhere the type is wrong
    because the file was moved, and restoring it is the remedy.
    """
    if tclass in DEVICE_CLASSES and place.path.startswith("/dev/"):
        return place.path
    if place.mount is not None and not is_system_directory(place.mount.host):
        return place.mount.host
    if place.mount is None and target != "default_t":
        return None
    directory = place.path if tclass == "dir" else posixpath.dirname(place.path)
    if not is_system_directory(directory):
        return directory
    return None if is_system_directory(place.path) else place.path


def _tree(root: str, device: bool, written: bool, policy: TargetPolicy, settings: Settings) -> LabelTree:
    kind = "device" if device else ("cache" if written else "model")
    attributes = ("device_node", "file_type") if device else ("file_type",)
    known = tuple(attribute for attribute in attributes if policy.types(attribute))
    pattern = quote_path(root) if device else tree_pattern(root)
    return LabelTree(root, pattern, f"{settings.module}_{kind}_t", known, written)
