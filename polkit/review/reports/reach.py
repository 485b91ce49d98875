"""Who reaches what by a module: its grants joined to edges between domains and types, few enough to be drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Callable, NamedTuple

from polkit.review.reports.grants import GENERATED, Grant

RISKS = ("", "low", "medium", "high")
"""Mildest first."""
POLICY_DOMAINS = "domains of the policy"
"""Whoever reaches a new type by the policy's own rules: one end of edges, for they are many and always the same."""
_MOST_SOURCES = 8
_MOST_TARGETS = 20
_KINDS = (
    ("capabilities", {"capability", "capability2", "cap_userns", "cap2_userns"}),
    ("processes", {"process", "process2"}),
    ("devices", {"chr_file", "blk_file"}),
    ("files", {"file", "dir", "lnk_file", "fifo_file", "anon_inode"}),
    ("sockets", {"sock_file"}),
    ("file systems", {"filesystem"}),
    ("ports and network", {"node", "netif", "packet", "peer", "association"}),
)
_LABELLING = ("associate",)
"""What a file's type needs to lie in a file system: nobody reaches anything by it."""
_OTHERS = "others"
_SEVERAL = "several types"
_GRAVE = RISKS.index("medium")
"""From this risk on a type stands alone before the module's own do, unless those are few."""
_FEW = 6


class Edge(NamedTuple):
    """What ``source`` may do to ``target``, each a type, an attribute or a group. ``perms``: of all classes together;
    ``accesses``: permissions between types; ``types``: how many the target stands for; ``risk``: the gravest, one of
    RISKS."""

    source: str
    target: str
    classes: tuple[str, ...]
    perms: int
    accesses: int
    types: int
    risk: str


class Node(NamedTuple):
    """An end of edges. ``own``: the module brings it; ``members``: what a group holds, by name."""

    name: str
    own: bool
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reach:
    """``edges``: every edge, the gravest first. ``drawn``: those between ``sources`` and ``targets``, which are what a
    picture has room for: what has less weight stands together, by kind."""

    edges: tuple[Edge, ...]
    sources: tuple[Node, ...]
    targets: tuple[Node, ...]
    drawn: tuple[Edge, ...]


def reach_of(grants: Iterable[Grant], own: frozenset[str]) -> Reach:
    """The edges that grants come to; ``own``: the types that the module brings."""
    found: dict[tuple[str, str], list[Grant]] = {}
    for one in grants:
        if one.perms == _LABELLING:
            continue
        found.setdefault(_ends(one, own), []).append(one)
    edges = tuple(sorted((_edge(*key, rows) for key, rows in found.items()), key=_weight))
    left = _groups(edges, own, _MOST_SOURCES, lambda edge: edge.source, lambda _: "domains")
    right = _groups(edges, own, _MOST_TARGETS, lambda edge: edge.target, _kind)
    return Reach(edges, tuple(_nodes(left, own)), tuple(_nodes(right, own)), tuple(_joined(edges, left, right)))


def _ends(one: Grant, own: frozenset[str]) -> tuple[str, str]:
    source = POLICY_DOMAINS if one.by_policy and one.domain not in own else _readable(one.domain)
    return source, _readable(one.type)


def _readable(name: str) -> str:
    return _SEVERAL if GENERATED.match(name) else name


def _edge(source: str, target: str, rows: list[Grant]) -> Edge:
    return Edge(
        source=source,
        target=target,
        classes=tuple(sorted({one.tclass for one in rows})),
        perms=len({(one.tclass, perm) for one in rows for perm in one.perms}),
        accesses=sum(one.accesses for one in rows),
        types=max(one.targets for one in rows),
        risk=max((one.risk for one in rows), key=RISKS.index),
    )


def _weight(edge: Edge) -> tuple[int, int, str, str]:
    return -RISKS.index(edge.risk), -edge.perms, edge.source, edge.target


def _kind(edge: Edge) -> str:
    for kind, classes in _KINDS:
        if classes.intersection(edge.classes):
            return kind
    return "ports and network" if any(one.endswith("_socket") for one in edge.classes) else _OTHERS


def _groups(
    edges: tuple[Edge, ...],
    own: frozenset[str],
    most: int,
    end: Callable[[Edge], str],
    kind: Callable[[Edge], str],
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """From each name to the node it stands in, and the node's members: itself, or of those with less weight a group."""
    risks: dict[str, int] = {}
    kinds: dict[str, str] = {}
    for edge in edges:
        name = end(edge)
        risks[name] = max(risks.get(name, 0), RISKS.index(edge.risk))
        kinds.setdefault(name, kind(edge) + (" of the module" if name in own else ""))
    few = len(own.intersection(risks)) <= _FEW
    first = {name for name, risk in risks.items() if risk >= _GRAVE or name == POLICY_DOMAINS or (few and name in own)}
    names = sorted(risks, key=lambda name: (name not in first, name not in own))
    if len(names) <= most:
        return {name: (name, ()) for name in names}
    room = most - len(set(kinds.values()))
    found: dict[str, tuple[str, tuple[str, ...]]] = {name: (name, ()) for name in names[:room]}
    members: dict[str, list[str]] = {}
    for name in names[room:]:
        members.setdefault(kinds[name], []).append(name)
    for what, those in members.items():
        label, group = (f"{len(those)} more {what}", tuple(sorted(those))) if len(those) > 1 else (those[0], ())
        found.update((name, (label, group)) for name in those)
    return found


def _nodes(groups: dict[str, tuple[str, tuple[str, ...]]], own: frozenset[str]) -> Iterator[Node]:
    for label, members in dict.fromkeys(groups.values()):
        yield Node(label, own.issuperset(members or (label,)), members)


def _joined(
    edges: tuple[Edge, ...],
    left: dict[str, tuple[str, tuple[str, ...]]],
    right: dict[str, tuple[str, tuple[str, ...]]],
) -> Iterator[Edge]:
    found: dict[tuple[str, str], list[Edge]] = {}
    for edge in edges:
        found.setdefault((left[edge.source][0], right[edge.target][0]), []).append(edge)
    for (source, target), those in found.items():
        classes = tuple(sorted({one for edge in those for one in edge.classes}))
        risk = max((edge.risk for edge in those), key=RISKS.index)
        perms, types = max(edge.perms for edge in those), max(edge.types for edge in those)
        yield Edge(source, target, classes, perms, sum(edge.accesses for edge in those), types, risk)
