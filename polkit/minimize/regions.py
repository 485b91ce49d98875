"""Where one label ends and the next begins: from observed paths to the directories that get one type each.

Paths alone, no policy. A directory is generalised along whole components. It is read-write as a whole only where all
evidence in it writes; where something in it is only read, it is read-only, and what is written in it is named. Names
that are made anew at each run (digests, process ids, temporary names) stand in no label: the directory that they lie in
stands for them.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from polkit.module import KINDS

_MANY = 16
"""More written files than this in one directory, and they are not named one by one."""
_MOST = 32
"""More labels than this in one directory, and what is read is not told apart from what is written there."""
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
    """An observed object: its path, its class, whether anything changed it, and whether it was renamed: then it lies
    beside it under a name that the record does not tell."""

    path: str
    tclass: str
    written: bool
    renamed: bool = False


class Region(NamedTuple):
    """What one file context labels: with an empty ``kind`` a directory and all below it, else that object alone."""

    path: str
    kind: str
    written: bool


@dataclass
class _Node:
    """A directory or other object in the tree of what was seen."""

    children: dict[str, _Node] = field(default_factory=dict)
    tclass: str = ""
    """Empty where it was only passed through."""
    written: bool = False
    passing: set[bool] = field(default_factory=set)
    """Of what lies in it under names that are made anew: whether it was written, whether only read."""
    inside: set[bool] = field(default_factory=set)
    """The same of everything in it and of itself; a directory that was only read says nothing about what lies in it."""

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
    """The labels below ``root`` that keep what was only read apart from what was written, outermost first.

    What lies in a directory unseen gets that directory's label.
    """
    top = _tree(root, sorted(set(seen)))
    if not top.is_directory:
        return (Region(root, KINDS.get(top.tclass, ""), top.written),)
    _look_inside(top)
    return tuple(_labels(root, top, _label(top, False)))


def regions_of(seen: Iterable[Seen], found: Sequence[Region]) -> Iterator[Region]:
    """For each object the region that decides its label: the object's own, else the innermost directory's."""
    exact = {(one.path, one.kind): one for one in found if one.kind}
    trees = {one.path: one for one in found if not one.kind}
    for one in seen:
        own = exact.get((one.path, KINDS.get(one.tclass, "")))
        yield trees[innermost(one.path, trees)] if own is None else own


def innermost(path: str, directories: Container[str]) -> str:
    """The path or the nearest above it that is among the directories; the root where none is."""
    while path not in directories and path != "/":
        path = posixpath.dirname(path)
    return path


def _tree(root: str, objects: Iterable[Seen]) -> _Node:
    top = _Node()
    for one in objects:
        node = above = top
        for depth, name in enumerate(_components(one.path[len(root) :])):
            if depth == _DEEP or is_passing_name(name):
                node.passing.add(one.written)
                break
            above, node = node, node.children.setdefault(name, _Node())
        else:
            if one.renamed and node is not top:
                above.passing.add(True)
            node.tclass = "dir" if "dir" in (node.tclass, one.tclass) else one.tclass
            node.written = node.written or one.written
    return top


def _components(path: str) -> list[str]:
    return [name for name in path.split("/") if name]


def _look_inside(node: _Node) -> None:
    """Work out ``inside`` of a directory and of all below it."""
    files = [child for child in node.children.values() if not child.is_directory]
    if sum(child.written for child in files) > _MANY:
        node.passing.add(True)
    node.inside = node.passing | {child.written for child in files} | ({True} if node.written else set())
    for child in node.children.values():
        if child.is_directory:
            _look_inside(child)
            node.inside |= child.inside


def _label(node: _Node, around: bool) -> bool:
    """Whether a directory is read-write as a whole; nothing known of it, as what is around it."""
    if not node.inside:
        return around
    return False not in node.inside or True in node.passing


def _labels(path: str, node: _Node, label: bool) -> list[Region]:
    """The label of a directory, and those of it and below it that differ from that."""
    found = [Region(path, "", label)]
    if node.written and not label:
        found.append(Region(path, KINDS["dir"], True))
    for name, child in sorted(node.children.items()):
        place = posixpath.join(path, name)
        if not child.is_directory:
            if child.written and not label:
                found.append(Region(place, KINDS.get(child.tclass, KINDS["file"]), True))
            continue
        own = _label(child, label)
        inside = _labels(place, child, label if _is_further_in(child, label) else own)
        found += inside[1:] if inside[0].written == label else inside
    return found if len(found) <= _MOST else [Region(path, "", True)]


def _is_further_in(child: _Node, around: bool) -> bool:
    """All that was written in a directory was written in one directory below it: that one gets the label."""
    branches = [one for one in child.children.values() if one.inside or not one.is_directory]
    return not around and not child.written and not child.passing and len(branches) == 1 and branches[0].is_directory
