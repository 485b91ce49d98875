"""Which host directories and ports get a type of the module's own, and what that type is.

A first pass over all denials, so that one directory has one type: read-only where nothing ever wrote, read-write
where something did. An existing type is taken instead only where it gives exactly what was observed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from polkit.minimize.existing_types import Wanted, fitting_type
from polkit.minimize.generic_types import why_generic
from polkit.minimize.labels_in_force import in_force
from polkit.minimize.own_ports import own_ports
from polkit.minimize.paths import is_below
from polkit.minimize.placing import Placed, is_too_high, placed
from polkit.minimize.question import FILE_CLASSES, WRITING, LabelTree, OwnTypes, Settings
from polkit.minimize.regions import Region, Seen, innermost, joined_directories, regions, regions_of
from polkit.model import Counted
from polkit.module import quote_path, tree_pattern
from polkit.policy import TargetPolicy

_Sides = tuple[str, str]
"""Source and target type, canonical where the policy knows them."""


def own_types(counted: Iterable[Counted], policy: TargetPolicy, settings: Settings) -> OwnTypes:
    """The directories, device nodes and ports that need a type of the module's own, each with its type."""
    listed = tuple(counted)
    return replace(_trees(listed, policy, settings), ports=own_ports(listed, policy, settings))


@dataclass
class _Root:
    """A directory (or object) that is labelled, and what was observed at or below it."""

    path: str
    objects: list[Placed] = field(default_factory=list)
    mounted: bool = False

    def seen(self) -> list[Seen]:
        """Its objects as what was seen of their paths."""
        written = {one.path for one in self.objects if not WRITING.isdisjoint(one.counted.key.perms)}
        renamed = {one.path for one in self.objects if "rename" in one.counted.key.perms}
        return [Seen(one.path, one.tclass, one.path in written, one.path in renamed) for one in self.objects]


_Regions = dict[str, tuple[Region, ...]]
"""From a root's path to where which label goes."""


def _trees(counted: tuple[Counted, ...], policy: TargetPolicy, settings: Settings) -> OwnTypes:
    """The directories, each with its type."""
    roots = _roots([one for each in counted for one in placed(each, policy, settings)], policy)
    found = {root.path: regions(root.path, root.seen()) for root in roots}
    single = _single(roots)
    for each in counted:
        where = None if each.evidence.paths else single.get(_sides(each, policy))
        if where and not WRITING.isdisjoint(each.key.perms) and not any(one.written for one in found[where]):
            found[where] = (found[where][0]._replace(written=True),)  # nothing tells which part of it was written
    used: dict[Region, list[Placed]] = {}
    for root in roots:
        for one, region in zip(root.objects, regions_of(root.seen(), found[root.path])):
            used.setdefault(region, []).append(one)
    trees, blocked = in_force(_labelled(used, _volumes(roots, found), policy, settings), used, policy)
    by_path = {one.path: trees[region] for region, use in used.items() for one in use if one.path not in blocked}
    of_root = {path: tuple(trees[one] for one in inside if one in trees) for path, inside in found.items()}
    pathless = {sides: of_root[path] for sides, path in single.items()}
    return OwnTypes(dict(sorted(by_path.items())), pathless, dict(sorted(blocked.items())))


def _single(roots: Iterable[_Root]) -> dict[_Sides, str]:
    """From (source, target type) to the one root where all its known paths lie."""
    known: dict[_Sides, set[str]] = {}
    for root in roots:
        for one in root.objects:
            known.setdefault((one.source, one.target), set()).add("" if one.is_device else root.path)
    return {sides: min(found) for sides, found in known.items() if len(found) == 1 and "" not in found}


def _volumes(roots: Iterable[_Root], found: _Regions) -> frozenset[str]:
    """The sources of mounts that have one label everywhere."""
    return frozenset(
        root.path
        for root in roots
        if root.mounted
        and len(found[root.path]) == 1
        and not any(path != root.path and is_below(path, root.path) for path in found)
    )


def _sides(one: Counted, policy: TargetPolicy) -> _Sides:
    source, target = one.key.source.type, one.key.target.type
    return policy.type_name(source) or source, policy.type_name(target) or target


def _roots(objects: Iterable[Placed], policy: TargetPolicy) -> list[_Root]:
    """Every root with what lies in it and in no root further in, outermost first."""
    listed = tuple(objects)
    paths = {one.root for one in listed if one.given} | _taken_together(listed, policy)
    roots = {path: _Root(path) for path in sorted(paths)}
    for one in listed:
        root = roots[innermost(one.path, roots)]
        root.objects.append(one)
        root.mounted = root.mounted or (one.given and one.root == root.path and not one.is_device)
    return [root for root in roots.values() if root.objects]


def _taken_together(objects: tuple[Placed, ...], policy: TargetPolicy) -> set[str]:
    """Directories that no mount gives: those of one domain that lie beside each other become the one above them.

    What is only read and what is written are taken together apart, and never a directory that file_contexts gives a
    label of its own.
    """
    groups: dict[tuple[str, bool], dict[str, Placed]] = {}
    found = [one for one in objects if not one.given]
    written = {one.root for one in found if not WRITING.isdisjoint(one.counted.key.perms)}
    single = {one.path for one in found if one.root == one.path and one.tclass != "dir"}
    for one in found:
        if one.root not in single:
            groups.setdefault((one.source, one.root in written), {})[one.root] = one
    joined = set(single)
    for (source, _), members in groups.items():
        targets = {one.target for one in members.values()}

        def joinable(path: str, source: str = source, targets: set[str] = targets) -> bool:
            return not is_too_high(path) and _is_unlabelled(path, source, targets, policy)

        joined.update(joined_directories(members, joinable))
    return joined


def _is_unlabelled(directory: str, source: str, targets: set[str], policy: TargetPolicy) -> bool:
    """file_contexts means nothing by the label of a directory: none, a generic one, or the one that its files have."""
    label = policy.file_label(directory, "dir")
    return label is None or label.type in targets or bool(why_generic(policy, source, label.type, "dir"))


def _labelled(
    used: dict[Region, list[Placed]], volumes: frozenset[str], policy: TargetPolicy, settings: Settings
) -> dict[Region, LabelTree]:
    """The label of each region. Those of different domains get different types, so that neither gets at the other's."""
    kinds = {region: _kind(region, use) for region, use in used.items()}
    owners = {region: frozenset(one.source for one in use) for region, use in used.items()}
    several = Counter(kind for kind, _ in {(kinds[region], owners[region]) for region in used})
    trees = {}
    for region, use in used.items():
        kind = kinds[region]
        attributes = ("device_node", "file_type") if kind == "device" else ("file_type",)
        existing = fitting_type(_wanted(use), policy, settings)
        place = policy.spoken_of(region.path)
        trees[region] = LabelTree(
            root=region.path,
            pattern=quote_path(place) if region.kind else tree_pattern(place),
            kind=region.kind,
            type=existing or _name(kind, owners[region] if several[kind] > 1 else frozenset(), settings),
            attributes=tuple(attribute for attribute in attributes if policy.types(attribute)),
            writable=region.written,
            own=existing is None,
            volume=region.path in volumes,
        )
    return trees


def _kind(region: Region, use: Iterable[Placed]) -> str:
    if any(one.is_device for one in use):
        return "device"
    return "cache" if region.written else "model"


def _name(kind: str, owners: frozenset[str], settings: Settings) -> str:
    owner = "_".join(re.sub(r"_t\Z|[^A-Za-z0-9_]", "", source) for source in sorted(owners))[:48]
    return f"{settings.module}_{owner}_{kind}_t" if owner else f"{settings.module}_{kind}_t"


def _wanted(use: Iterable[Placed]) -> Wanted:
    """What each domain was refused in a region, and the types it has there now."""
    perms: dict[tuple[str, str], set[str]] = {}
    present = set()
    for one in use:
        present.add(one.target)
        perms.setdefault((one.source, one.tclass), set()).update(one.counted.key.perms)
    return Wanted({key: frozenset(found) for key, found in perms.items()}, frozenset(present), FILE_CLASSES)
