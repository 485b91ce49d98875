"""Where one label ends and the next begins: from observed paths to the directories that get one type each.

Paths alone, no policy. A directory is generalised along whole components, as far as all evidence in it is of one
kind: what is only read stays read-only, however near to it something is written. Names that are made anew at each run
(digests, process ids, temporary names) stand in no label: the directory that they lie in stands for them.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from polkit.minimize.paths import is_below
from polkit.module import KINDS

_MANY = 16
"""More labels than this below one root, and what is read and what is written is too much mixed to be told apart."""
_DEEP = 32
"""Components below a root, or of a directory, that are told apart; what lies deeper counts as lying there."""
_EXTENSION = r"(\.[A-Za-z0-9_]{1,12}){0,2}"
_PASSING = re.compile(
    rf"(sha256[-:_])?[0-9a-f]{{16,}}{_EXTENSION}"
    rf"|[0-9a-fA-F]{{8}}(-[0-9a-fA-F]{{4}}){{3}}-[0-9a-fA-F]{{12}}{_EXTENSION}"
    rf"|[0-9]+{_EXTENSION}|[vV]?[0-9]+(\.[0-9]+)+([-+._][A-Za-z0-9]+)*"
    r"|\.?tmp[-_.]?[A-Za-z0-9_]{6,12}|\.nfs[0-9a-f]{8,}|.* \(deleted\)",
    re.DOTALL,
)


class Seen(NamedTuple):
    """An observed object: its path, its class, and whether anything changed it."""

    path: str
    tclass: str
    written: bool


class Region(NamedTuple):
    """What one file context labels: with an empty ``kind`` a directory and all below it, else that object alone."""

    path: str
    kind: str
    written: bool

    def holds(self, path: str, tclass: str) -> bool:
        """The entry matches this object."""
        if not self.kind:
            return is_below(path, self.path)
        return path == self.path and self.kind == KINDS.get(tclass)


@dataclass
class _Node:
    """A directory or other object in the tree of what was seen."""

    children: dict[str, _Node] = field(default_factory=dict)
    tclass: str = ""
    """Empty where it was only passed through."""
    written: bool = False
    passing: set[bool] = field(default_factory=set)
    """Of what lies in it under names that are made anew: whether it was written, whether only read."""
    costs: dict[bool, float] = field(default_factory=dict)
    """How many further labels it needs below it with a read-only (False) or a read-write label (True) of its own."""

    @property
    def is_directory(self) -> bool:
        return bool(self.children or self.passing) or self.tclass in ("", "dir")


def is_passing_name(name: str) -> bool:
    """A name that the next run, host or version will not have: a digest, a number, a version, a temporary name."""
    return _PASSING.fullmatch(name) is not None


def lasting_directory(directory: str, too_high: Callable[[str], bool]) -> str:
    """The directory, or the one above its first component that is made anew at each run, unless that is too high."""
    parts = directory.split("/")
    for place, name in enumerate(parts):
        above = "/".join(parts[:place]) or "/"
        if name and is_passing_name(name) and not too_high(above):
            return above
    return directory


def joined_directories(directories: Iterable[str], joinable: Callable[[str], bool]) -> tuple[str, ...]:
    """The fewest directories that hold all of these: siblings become their parent where that is ``joinable``.

    ``/srv/models/a`` and ``/srv/models/b`` become ``/srv/models``; a directory on its own stays as it is.
    """
    top = _Node()
    for directory in directories:
        node = top
        for name in _components(directory)[:_DEEP]:
            node = node.children.setdefault(name, _Node())
        node.tclass = "dir"
    return tuple(sorted(_joined("", top, joinable)))


def _joined(path: str, node: _Node, joinable: Callable[[str], bool]) -> Iterator[str]:
    if node.tclass or (len(node.children) > 1 and joinable(path or "/")):
        yield path or "/"
        return
    for name, child in node.children.items():
        yield from _joined(f"{path}/{name}", child, joinable)


def regions(root: str, seen: Iterable[Seen]) -> tuple[Region, ...]:
    """The fewest labels below ``root`` that keep what was only read apart from what was written, outermost first.

    Ties go to the read-only type. What lies in a directory unseen gets that directory's label.
    """
    objects = sorted(set(seen))
    top = _tree(root, objects)
    if not top.is_directory:
        return (Region(root, KINDS.get(top.tclass, ""), top.written),)
    default = _cost(top, True) < _cost(top, False)
    found = [Region(root, "", default), *_exceptions(root, top, default)]
    if len(found) > _MANY:
        return (Region(root, "", any(one.written for one in objects)),)
    return tuple(found)


def region_of(path: str, tclass: str, found: Iterable[Region]) -> Region:
    """The region that decides the label of an object: the object's own, else the innermost directory's."""
    return max((one for one in found if one.holds(path, tclass)), key=lambda one: (bool(one.kind), len(one.path)))


def _tree(root: str, objects: Iterable[Seen]) -> _Node:
    top = _Node()
    for one in objects:
        node = top
        for depth, name in enumerate(_components(one.path[len(root) :])):
            if depth == _DEEP or is_passing_name(name):
                node.passing.add(one.written)
                break
            node = node.children.setdefault(name, _Node())
        else:
            node.tclass = "dir" if "dir" in (node.tclass, one.tclass) else one.tclass
            node.written = node.written or one.written
    return top


def _components(path: str) -> list[str]:
    return [name for name in path.split("/") if name]


def _cost(node: _Node, written: bool) -> float:
    """How many further labels a directory with this label needs below it; infinite where it may not have it."""
    if written not in node.costs:
        node.costs[written] = _worked_out(node, written)
    return node.costs[written]


def _worked_out(node: _Node, written: bool) -> float:
    files = [child for child in node.children.values() if not child.is_directory]
    read_here = False in node.passing or not all(child.written for child in files)
    if (True in node.passing and not written) or (read_here and written and True not in node.passing):
        return math.inf
    own = 1.0 if node.written and not written else 0.0
    return own + sum(_least(child, written) for child in node.children.values())


def _least(child: _Node, inherited: bool) -> float:
    if not child.is_directory:
        return float(child.written and not inherited)
    return min(_cost(child, inherited), 1 + _cost(child, not inherited))


def _exceptions(path: str, node: _Node, label: bool) -> Iterator[Region]:
    """The labels below a directory that differ from its own."""
    if node.written and not label:
        yield Region(path, KINDS["dir"], True)
    for name, child in sorted(node.children.items()):
        place = posixpath.join(path, name)
        if not child.is_directory:
            if child.written and not label:
                yield Region(place, KINDS.get(child.tclass, KINDS["file"]), True)
        elif _has_another(child, label):
            yield Region(place, "", not label)
            yield from _exceptions(place, child, not label)
        else:
            yield from _exceptions(place, child, label)


def _has_another(child: _Node, inherited: bool) -> bool:
    """The directory itself gets the other label: where that takes fewer entries, or as many and the exception would be
    in this very directory."""
    stay, change = _cost(child, inherited), 1 + _cost(child, not inherited)
    here = child.written or any(not one.is_directory and one.written for one in child.children.values())
    return change < stay or (change == stay and not inherited and here)
