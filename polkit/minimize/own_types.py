"""Which host directories and ports get a type of the module's own, and what that type is.

A first pass over all denials, so that one directory has one type: read-only where nothing ever wrote, read-write
otherwise. A relabelled directory is a mount's source or a directory of observed paths, never a system directory.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Optional

from polkit.minimize.generic_types import why_generic
from polkit.minimize.paths import HostPath
from polkit.minimize.question import DEVICE_CLASSES, FILE_CLASSES, LabelTree, OwnTypes, Settings, host_path
from polkit.model import Counted, Port
from polkit.module import quote_path, tree_pattern
from polkit.policy import TargetPolicy

WRITING = frozenset(
    (
        *("append", "add_name", "create", "link", "mounton", "quotaon", "relabelfrom", "relabelto", "remove_name"),
        *("rename", "reparent", "rmdir", "setattr", "swapon", "unlink", "write"),
    )
)
"""Permissions of file classes that change the object; with one of them a directory's type is a read-write one."""

PORT_PERMISSIONS = frozenset({"name_bind", "name_connect"})
_MEDIA = re.compile(r"/(mnt|media|run/media)/")
_SYSTEM = re.compile(
    r"/(|bin|boot(/.*)?|dev(/.*)?|etc(/(ssl|pki|selinux|systemd)(/.*)?)?|home(/[^/]+)?|lib(32|64)?|libx32|media|mnt|opt"
    r"|proc(/.*)?|root|run(/[^/]+)?|sbin|srv|sys(/.*)?|tmp|usr(/[^/]+)?|usr/local/[^/]+"
    r"|var(/(cache|lib|lock|log|opt|run|spool|tmp))?|var/run/[^/]+|var/lib/(containers|docker|kubelet|selinux)(/.*)?)"
)


def is_system_directory(path: str) -> bool:
    """A directory that more than one program lives by: giving it a module's own type would break others."""
    return _SYSTEM.fullmatch(path) is not None


def own_types(counted: Iterable[Counted], policy: TargetPolicy, settings: Settings) -> OwnTypes:
    """The directories, device nodes and ports that need a type of the module's own, each with its type."""
    listed = tuple(counted)
    trees, pathless = _trees(listed, policy, settings)
    return OwnTypes(trees, pathless, _ports(listed, policy, settings))


_Trees = dict[str, LabelTree]
_Pathless = dict[tuple[str, str], LabelTree]


def _trees(counted: Iterable[Counted], policy: TargetPolicy, settings: Settings) -> tuple[_Trees, _Pathless]:
    """From each observed host path that needs a type to the tree it lies in; and the same for records without a path.

    Directories of different domains get different types, so that neither domain gets at the other's.
    """
    roots: dict[str, str] = {}
    uses: dict[str, _Use] = {}
    known: dict[tuple[str, str], set[str]] = {}
    without_path: list[Counted] = []
    for one in counted:
        if not one.evidence.paths:
            without_path.append(one)
        for path, root in _needed(one, policy, settings):
            roots[path] = root
            known.setdefault(_sides(one, policy), set()).add(root)
            use = uses.setdefault(root, _Use())
            use.sources.add(_sides(one, policy)[0])
            use.device = use.device or (one.key.tclass in DEVICE_CLASSES and path.startswith("/dev/"))
            use.written = use.written or not WRITING.isdisjoint(one.key.perms)
    single = {sides: min(found) for sides, found in known.items() if len(found) == 1 and not uses[min(found)].device}
    for one in without_path:
        root_of_all = single.get(_sides(one, policy))
        if root_of_all is not None and not WRITING.isdisjoint(one.key.perms):
            uses[root_of_all].written = True
    owners = {frozenset(use.sources) for use in uses.values()}
    trees = {root: _tree(root, use, len(owners) > 1, policy, settings) for root, use in uses.items()}
    by_path = {path: trees[root] for path, root in sorted(roots.items())}
    return by_path, {sides: trees[root] for sides, root in single.items()}


def _sides(one: Counted, policy: TargetPolicy) -> tuple[str, str]:
    """Source and target type, canonical where the policy knows them."""
    source, target = one.key.source.type, one.key.target.type
    return policy.type_name(source) or source, policy.type_name(target) or target


@dataclass
class _Use:
    """Who does what below a root."""

    sources: set[str] = field(default_factory=set)
    device: bool = False
    written: bool = False


def _ports(counted: Iterable[Counted], policy: TargetPolicy, settings: Settings) -> dict[Port, str]:
    """A type for each port that no rule gives; with more than one, its number is part of the type's name."""
    ports = {
        one.key.port
        for one in counted
        if one.key.port is not None and not _ports_given(one, policy) and not PORT_PERMISSIONS.isdisjoint(one.key.perms)
    }
    if len(ports) == 1:
        return dict.fromkeys(ports, f"{settings.module}_port_t")
    return {port: f"{settings.module}_{port.protocol}{port.number}_port_t" for port in sorted(ports)}


def _ports_given(one: Counted, policy: TargetPolicy) -> bool:
    """The policy's rules give all of it already."""
    key = one.key
    return PORT_PERMISSIONS.intersection(key.perms) <= policy.allowed(key.source.type, key.target.type, key.tclass)


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
        if place is None or not _free_to_label(place, source, target, key.tclass, policy):
            continue
        root = _root(place, target, key.tclass)
        if root is not None:
            yield place.path, root


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


def _tree(root: str, use: _Use, several: bool, policy: TargetPolicy, settings: Settings) -> LabelTree:
    kind = "device" if use.device else ("cache" if use.written else "model")
    attributes = ("device_node", "file_type") if use.device else ("file_type",)
    known = tuple(attribute for attribute in attributes if policy.types(attribute))
    pattern = quote_path(root) if use.device else tree_pattern(root)
    owner = "_".join(re.sub(r"_t\Z|[^A-Za-z0-9_]", "", source) for source in sorted(use.sources))[:48]
    name = f"{settings.module}_{owner}_{kind}_t" if several else f"{settings.module}_{kind}_t"
    return LabelTree(root, pattern, name, known, use.written)
