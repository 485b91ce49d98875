"""Flows of information between zones that a policy lets through and an older one did not.

Every path of flows that is new has a step that is new, so the types before and after the new steps are all that is
looked at. In a real policy everything reaches everything within a few steps: each domain writes to /dev/null and to the
log, and backup programs read all files. So nothing is followed through what the changed policy does not concern:

- a domain of the old policy that gets nothing new is trusted not to pass on what it learns: those who wrote its policy
  answer for it;
- so is, always, a domain that nothing holds (unconfined, the init system, the kernel, container engines);
- common ground, which nearly all domains write and read, connects everything: what is written there is the concern of
  whoever puts it into a zone;
- what others may do to a new type for what it joins to exist (``file_type``) counts as if it had been there before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, Optional

from polkit.config import Zone
from polkit.policy.between import Between
from polkit.policy.difference import AccessChange
from polkit.policy.flow_graph import Edge, FlowGraph, FlowStep, flows_of
from polkit.policy.index import gather, gather_lists
from polkit.policy.power import unlimited_because
from polkit.policy.rules import Rules
from polkit.policy.succession import structural_part
from polkit.policy.target import rules_of

_TRIED = 12
"""Of so many types of a zone, in the order of their names, the shortest path is shown."""


@dataclass(frozen=True)
class Flow:
    """Information of ``from_zone`` may newly come to ``to_zone``, which is less confidential.

    ``steps`` is a shortest path, of those that pass through no zone between the two; ``pairs`` counts the pairs of
    types, one of each zone, that are newly connected.
    """

    from_zone: str
    to_zone: str
    steps: tuple[FlowStep, ...]
    pairs: int

    @property
    def path(self) -> tuple[str, ...]:
        """The types, from the one to the other."""
        return (self.steps[0].source, *(step.target for step in self.steps))


class _New(NamedTuple):
    """What is new: flows between types, of them those that a boolean decides, those that come with existing, and the
    domains that got something."""

    edges: frozenset[Edge]
    conditional: frozenset[Edge]
    structural: frozenset[Edge]
    concerned: frozenset[str]


def new_flows(found: Between, zones: Mapping[str, Zone], least: int, exclude: Iterable[str] = ()) -> tuple[Flow, ...]:
    """The flows from a zone to one of a lower level that the new policy lets through and the old one doesn't.

    ``least``: of permissions whose weight in setools' permission map is at least this. ``exclude``: types and
    attributes that nothing passes through, besides those above. The policy's old rules count as the booleans stand,
    new ones whatever they are. Raises MissingDependency without setools' permission map.
    """
    old, new = rules_of(found.old), rules_of(found.new)
    members = {name: _members(zone.types, new) for name, zone in zones.items()}
    levels = {name: zone.level for name, zone in zones.items()}
    downward = [(one, two) for one, two in product(sorted(zones), repeat=2) if levels[one] > levels[two]]
    what = _new(found, old, new, least)
    if not (downward and what.edges):
        return ()
    before = FlowGraph(old, least, what.structural)
    fresh = sorted(edge for edge in what.edges if not before.has(*edge))
    trusted = _trusted(before, old, what, _members(exclude, new))
    after = FlowGraph(new, least, what.conditional)
    sources = _among(members, {one for one, _ in downward}) & after.before((one for one, _ in fresh), trusted).keys()
    ends = _among(members, {two for _, two in downward}) & after.after((two for _, two in fresh), trusted).keys()
    if not (sources and ends):
        return ()
    connected = _connected(before, after, sorted(sources), ends, trusted)
    paths = _Paths(before, after, trusted)
    return tuple(_flows(paths, connected, downward, members, levels))


def _new(found: Between, old: Rules, new: Rules, least: int) -> _New:
    own, moved = frozenset(found.types_added), {type_ for type_, _ in found.rules.joined}
    edges, conditional, structural, concerned = set[Edge](), set[Edge](), set[Edge](), set(own)
    for change in found.rules.gained:
        given = structural_part(change, old, new, own)
        stated = set(change.perms) - given
        structural.update(flows_of(*change[:3], given, least))
        flows = list(flows_of(*change[:3], stated, least))
        edges.update(flows)
        if change.condition:
            conditional.update(flows)
        if stated and (change.source in moved or not _by_target(change, new, own, stated)):
            concerned.add(change.source)
    return _New(frozenset(edges), frozenset(conditional), frozenset(structural), frozenset(concerned))


def _by_target(change: AccessChange, new: Rules, own: frozenset[str], perms: set[str]) -> bool:
    """The new type that is the target has it for an attribute it joined: the source itself was given nothing."""
    if change.target not in own or change.source in own:
        return False
    sources, attributes = new.facts.sides[change.source], new.facts.attributes[change.target]
    mask = gather(new.index.allow, change.tclass, sources, attributes)
    for rule in gather_lists(new.index.allow_if, change.tclass, sources, attributes):
        mask |= rule.mask
    return perms <= new.index.perms(change.tclass, mask)


def _trusted(graph: FlowGraph, old: Rules, what: _New, excluded: frozenset[str]) -> frozenset[str]:
    domains = old.facts.types.get("domain", frozenset())
    held = frozenset(name for name in domains & what.concerned if not unlimited_because(old, name))
    return (domains - held) | graph.common_ground() | excluded


def _members(names: Iterable[str], rules: Rules) -> frozenset[str]:
    """The types of the policy that types, aliases and attributes stand for."""
    facts = rules.facts
    found = {type_ for name in names for type_ in facts.members(facts.canonical(name))}
    return frozenset(found & facts.attributes.keys())


def _among(members: Mapping[str, frozenset[str]], names: Iterable[str]) -> frozenset[str]:
    return frozenset(type_ for name in names for type_ in members[name])


def _connected(
    before: FlowGraph, after: FlowGraph, sources: list[str], ends: frozenset[str], trusted: frozenset[str]
) -> Mapping[str, frozenset[str]]:
    """From each of the ends to those of the sources whose information may newly come to it."""
    now, was = after.origins(sources, trusted), before.origins(sources, trusted)
    found = {}
    for end in sorted(ends):
        bits = now.get(end, 0) & ~was.get(end, 0)
        origins = frozenset(name for number, name in enumerate(sources) if bits >> number & 1 and name != end)
        if origins:
            found[end] = origins
    return found


class _Paths(NamedTuple):
    """Finds the shortest path from a type to one of several."""

    before: FlowGraph
    after: FlowGraph
    trusted: frozenset[str]

    def to(self, start: str, ends: frozenset[str]) -> Optional[tuple[str, ...]]:
        came_from = self.after.after((start,), self.trusted)
        end: Optional[str] = next((type_ for type_ in came_from if type_ in ends), None)
        path: list[str] = []
        while end is not None:
            path.append(end)
            end = came_from[end]
        return tuple(reversed(path)) or None

    def steps(self, path: tuple[str, ...]) -> Iterator[FlowStep]:
        for one, other in zip(path, path[1:]):
            is_new = not self.before.has(one, other)
            step = self.after.step(one, other, is_new, any_state=is_new)
            if step is not None:
                yield step


def _flows(
    paths: _Paths,
    connected: Mapping[str, frozenset[str]],
    downward: list[tuple[str, str]],
    members: Mapping[str, frozenset[str]],
    levels: Mapping[str, int],
) -> Iterator[Flow]:
    for one, two in downward:
        pairs = {(source, end) for end in members[two] for source in connected.get(end, frozenset()) & members[one]}
        starts = sorted({source for source, _ in pairs})
        found = [
            path
            for start in starts[:_TRIED]
            for path in (paths.to(start, frozenset(end for source, end in pairs if source == start)),)
            if path is not None
        ]
        between_them = _among(members, (name for name in levels if levels[two] < levels[name] < levels[one]))
        direct = [path for path in found if between_them.isdisjoint(path[1:-1])]
        if direct:
            path = min(direct, key=lambda one: (len(one), one))
            yield Flow(one, two, tuple(paths.steps(path)), len(pairs))
