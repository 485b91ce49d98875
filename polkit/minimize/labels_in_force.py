"""Whether the labels would be in force: asked of libselinux, with the target's own file contexts around them.

A module's entries stand among those of the distribution; those for home directories and an administrator's own are
read after them and decide, however general they are. There the label has to be an administrator's entry, too: the last
one that was added decides.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import replace

from polkit.errors import AccountingError
from polkit.minimize.placing import Placed
from polkit.minimize.question import LabelTree
from polkit.minimize.regions import Region, innermost
from polkit.model import FileContext
from polkit.policy import FileEntry, TargetPolicy

_LATER = (".homedirs", ".local")

Trees = dict[Region, LabelTree]
Used = Mapping[Region, Iterable[Placed]]


def in_force(trees: Trees, used: Used, policy: TargetPolicy) -> tuple[Trees, dict[str, FileEntry]]:
    """The trees, with those marked that must be an administrator's entry; and each observed path that would keep
    another label all the same, with the entry that decides it.

    Raises AccountingError where a label would reach beyond its tree.
    """
    if not trees or not policy.has_file_contexts:
        return trees, {}
    changed = _changed(trees, policy)
    marked = _with_administrators(trees, used, changed)
    if marked != trees:
        trees, changed = marked, _changed(marked, policy)
    blocked = {}
    for region, tree in trees.items():
        for one in used[region]:
            if one.path not in blocked and not _has(tree, one, changed):
                found = changed.file_entry(one.path, one.tclass)
                blocked[one.path] = FileEntry("file_contexts", "unknown") if found is None else found
    _check_neighbours(trees.values(), policy, changed)
    return trees, blocked


def context_of(tree: LabelTree) -> FileContext:
    """The entry of file contexts for a tree."""
    return FileContext(tree.pattern, tree.kind, tree.type)


def _changed(trees: Trees, policy: TargetPolicy) -> TargetPolicy:
    outermost_first = sorted(trees.values(), key=lambda tree: (tree.root, tree.kind))
    modules = tuple(context_of(tree) for tree in outermost_first if not tree.over)
    return policy.with_contexts(modules, tuple(context_of(tree) for tree in outermost_first if tree.over))


def _with_administrators(trees: Trees, used: Used, changed: TargetPolicy) -> Trees:
    """Marks each tree over which a later entry would decide, and with it every tree further in."""
    over: dict[str, str] = {}
    for region, tree in trees.items():
        lost = next((one for one in used[region] if not _has(tree, one, changed)), None)
        entry = None if lost is None else changed.file_entry(lost.path, lost.tclass)
        if entry is not None and entry.file.endswith(_LATER):
            over[tree.root] = f"{entry.pattern} in {entry.file}"
    marked = dict(trees)
    for region, tree in trees.items():
        outer = innermost(tree.root, over)
        if outer in over:
            marked[region] = replace(tree, over=over[outer])
    return marked


def _has(tree: LabelTree, one: Placed, changed: TargetPolicy) -> bool:
    """The object gets the tree's type; taken to be so for a path that libselinux' bindings can't be asked about."""
    label = changed.file_label(one.path, one.tclass)
    if label is not None:
        return label.type == tree.type
    return any("\ud800" <= character <= "\udfff" for character in one.path)


def _check_neighbours(trees: Iterable[LabelTree], policy: TargetPolicy, changed: TargetPolicy) -> None:
    """The directory above each tree and what lies beside it keep their labels."""
    listed = tuple(trees)
    whole, single = {tree.root for tree in listed if not tree.kind}, {tree.root for tree in listed if tree.kind}
    for tree in listed:
        above = posixpath.dirname(tree.root)
        beside = (f"{tree.root}0", f"{tree.root}-old/x", posixpath.join(above, "0"))
        for path in (above, posixpath.dirname(above), *beside):
            if path in single or innermost(path, whole) in whole:
                continue
            if policy.file_label(path, "dir") != changed.file_label(path, "dir"):
                raise AccountingError(
                    f"labelling {tree.root} would change the label of {path}",
                    "This is a defect of polkit; please report it with the log",
                )
