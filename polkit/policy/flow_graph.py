"""Where information may flow under a policy's rules: who writes into what, and who reads from what.

A graph between names as the rules have them, types and attributes, so that nothing is expanded: a flow from one type to
another is one from a name of the first to a name of the second. Source: setools' ``infoflow.py``: a permission that
writes is a flow from the subject to the object, one that reads a flow from the object to the subject; constraints, and
so levels, are not looked at.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Optional

from polkit.policy.inheritance import is_generated
from polkit.policy.permission_map import NO_FLOW, Weights, permission_map
from polkit.policy.rules import Rules
from polkit.policy.terms import term_of, text_of

_COMMON_GROUND = 50
"""A type that as many domains write and as many read connects all with all. On Debian's policy with the container
modules and from weight 8 on these are 20 types (null_device_t, tmp_t, user_devpts_t, var_run_t, ...) and packets."""
_NETWORK = ("netif_type", "node_type", "packet_type")

Edge = tuple[str, str]
"""Information may flow from the first type to the second."""


class FlowStep(NamedTuple):
    """One step of a flow: from ``source`` to ``target``, because of a rule, as written, and those of its permissions
    that carry it. ``condition``: the booleans that the rule stands under, empty for none. ``is_new``: the policy did
    not let it through before."""

    source: str
    target: str
    rule_source: str
    rule_target: str
    tclass: str
    perms: tuple[str, ...]
    weight: int
    condition: str = ""
    is_new: bool = False

    @property
    def text(self) -> str:
        """Both ends, and the rule."""
        rule = f"allow {self.rule_source} {self.rule_target}:{self.tclass} {{ {' '.join(self.perms)} }}"
        under = f" if {self.condition}" if self.condition else ""
        return f"{self.source} -> {self.target}: {rule}{under}{' (new)' if self.is_new else ''}"


class FlowGraph:
    """The flows of at least some weight under the rules in force, and under ``more`` edges between types."""

    def __init__(self, rules: Rules, least: int, more: Iterable[Edge] = ()) -> None:
        self.rules = rules
        self._least = least
        self._sides = rules.facts.sides
        self._out: dict[str, set[str]] = {}
        self._into: dict[str, set[str]] = {}
        for tclass, sources in rules.index.allow.items():
            reads, writes = self._masks(tclass)
            if reads | writes:
                for source, targets in sources.items():
                    for target, mask in targets.items():
                        self._add(source, target, mask & reads, mask & writes)
        for tclass, sources_if in rules.index.allow_if.items():
            reads, writes = self._masks(tclass)
            for targets_if in sources_if.values():
                for found in targets_if.values():
                    for rule in found:
                        if rules.truths[rule.condition] == rule.block:
                            self._add(rule.source, rule.target, rule.mask & reads, rule.mask & writes)
        for one, other in more:
            self._connect(one, other)

    def has(self, one: str, other: str) -> bool:
        """Information may flow from ``one`` type straight to the ``other``."""
        others = self._sides.get(other, frozenset((other,)))
        sides = self._sides.get(one, frozenset((one,)))
        return any(not others.isdisjoint(self._out.get(side, ())) for side in sides)

    def after(self, starts: Iterable[str], trusted: frozenset[str]) -> dict[str, Optional[str]]:
        """The types that information of ``starts`` may come to, in the order of the steps it takes, each with the type
        before it. Nothing passes through a ``trusted`` type, though it may begin or end there."""
        return self._walk(starts, trusted, self._out)

    def before(self, ends: Iterable[str], trusted: frozenset[str]) -> dict[str, Optional[str]]:
        """The types whose information may come to one of ``ends``, each with the type after it."""
        return self._walk(ends, trusted, self._into)

    def _walk(
        self, starts: Iterable[str], trusted: frozenset[str], table: Mapping[str, set[str]]
    ) -> dict[str, Optional[str]]:
        found: dict[str, Optional[str]] = dict.fromkeys(sorted(set(starts)))
        pending, left, come_to = list(found), set[str](), set[str]()
        for type_ in pending:
            for name in self._fresh(type_, left):
                for other in sorted(table.get(name, set[str]()) - come_to):
                    come_to.add(other)
                    for member in sorted(self.rules.facts.members(other)):
                        if member not in found:
                            found[member] = type_
                            if member not in trusted:
                                pending.append(member)
        return found

    def _fresh(self, type_: str, left: set[str]) -> list[str]:
        names = sorted(self._sides.get(type_, frozenset((type_,))) - left)
        left.update(names)
        return names

    def step(self, one: str, other: str, is_new: bool, any_state: bool) -> Optional[FlowStep]:
        """The rule that lets most through from ``one`` type to the ``other``; of several, one in force first, then one
        on files, then the one of fewest types. ``any_state``: rules that are not in force count, too."""
        members = self.rules.facts.members
        found = []
        for subject, object_, reading in ((one, other, False), (other, one, True)):
            for source, target, tclass, mask, condition in self._between(subject, object_, any_state):
                weight, perms = self._carried(tclass, mask, reading)
                if perms:
                    reach = len(members(source)) * len(members(target))
                    shown = (_shown(source, subject), _shown(target, object_))
                    order = (-weight, bool(condition), tclass != "file", reach)
                    found.append((*order, *shown, tclass, perms, condition))
        if not found:
            return None
        weight, _, _, _, source, target, tclass, perms, condition = min(found)
        return FlowStep(one, other, source, target, tclass, perms, -weight, condition, is_new)

    def origins(self, starts: Sequence[str], trusted: frozenset[str]) -> dict[str, int]:
        """Of every type that information of ``starts`` may come to, a set of them: bit n stands for number n."""
        reached: dict[str, int] = {}
        given: dict[str, int] = {}
        done: dict[str, int] = {}
        come_to: dict[str, int] = {}
        pending: deque[str] = deque()

        def pass_on(type_: str, bits: int) -> None:
            for name in self._sides.get(type_, (type_,)):
                if bits & ~given.get(name, 0):
                    given[name] = given.get(name, 0) | bits
                    pending.append(name)

        for number, start in enumerate(starts):
            pass_on(start, 1 << number)
        while pending:
            name = pending.popleft()
            bits = given[name] & ~done.get(name, 0)
            done[name] = given[name]
            for other in self._out.get(name, ()) if bits else ():
                fresh = bits & ~come_to.get(other, 0)
                if fresh:
                    come_to[other] = come_to.get(other, 0) | fresh
                    for member in self.rules.facts.members(other):
                        more = fresh & ~reached.get(member, 0)
                        if more:
                            reached[member] = reached.get(member, 0) | more
                            if member not in trusted:
                                pass_on(member, more)
        return reached

    def common_ground(self) -> frozenset[str]:
        """The types that so many domains write and read that they connect everything with everything: their contents
        say nothing about who may learn of whom. Those of packets, interfaces and nodes are among them."""
        facts = self.rules.facts
        domains = sorted(facts.types.get("domain", frozenset()))
        number = {name: place for place, name in enumerate(domains)}

        def bits(name: str) -> int:
            return sum(1 << number[member] for member in facts.members(name) if member in number)

        sets: dict[str, int] = {}
        found = {member for name in _NETWORK for member in facts.types.get(name, frozenset())}
        for type_, sides in self._sides.items():
            if type_ not in number and type_ not in found:
                for table in (self._out, self._into):
                    joined = 0
                    for name in {other for side in sides for other in table.get(side, ())}:
                        if name not in sets:
                            sets[name] = bits(name)
                        joined |= sets[name]
                    if bin(joined).count("1") < _COMMON_GROUND:
                        break
                else:
                    found.add(type_)
        return frozenset(found)

    def _masks(self, tclass: str) -> tuple[int, int]:
        weights = permission_map().get(tclass, {})
        reads = writes = 0
        for perm, bit in self.rules.index.bits.get(tclass, {}).items():
            weight = weights.get(perm, NO_FLOW)
            reads |= bit if weight.read >= self._least else 0
            writes |= bit if weight.write >= self._least else 0
        return reads, writes

    def _add(self, source: str, target: str, reads: int, writes: int) -> None:
        if writes:
            self._connect(source, target)
        if reads:
            self._connect(target, source)

    def _connect(self, one: str, other: str) -> None:
        self._out.setdefault(one, set()).add(other)
        self._into.setdefault(other, set()).add(one)

    def _between(self, subject: str, object_: str, any_state: bool) -> Iterator[tuple[str, str, str, int, str]]:
        sources, targets = self._sides.get(subject, frozenset()), self._sides.get(object_, frozenset())
        index = self.rules.index
        for tclass, rows in index.allow.items():
            for source in sources & rows.keys():
                for target in targets & rows[source].keys():
                    yield source, target, tclass, rows[source][target], ""
        for tclass, rows_if in index.allow_if.items():
            for source in sources & rows_if.keys():
                for target in targets & rows_if[source].keys():
                    for rule in rows_if[source][target]:
                        if any_state or self.rules.truths[rule.condition] == rule.block:
                            term = term_of(self.rules, rule.condition, rule.block)
                            yield source, target, tclass, rule.mask, text_of(frozenset((term,)))

    def _carried(self, tclass: str, mask: int, reading: bool) -> tuple[int, tuple[str, ...]]:
        """The weight in one direction, and the permissions that carry at least the least one."""
        weights = permission_map().get(tclass, {})
        found: list[tuple[int, str]] = []
        for perm in self.rules.index.perms(tclass, mask):
            weight = weights.get(perm, NO_FLOW)
            found.append((weight.read if reading else weight.write, perm))
        carried = [(weight, perm) for weight, perm in found if weight >= self._least]
        return max((weight for weight, _ in carried), default=0), tuple(sorted(perm for _, perm in carried))


def _shown(name: str, type_: str) -> str:
    """A name of a rule; what the compiler calls a set of types says nothing, so the type instead."""
    return type_ if is_generated(name) else name


def flows_of(source: str, target: str, tclass: str, perms: Iterable[str], least: int) -> Iterator[Edge]:
    """The flows that permissions of one type on another are."""
    weights = permission_map().get(tclass, {})
    given: list[Weights] = [weights.get(perm, NO_FLOW) for perm in perms]
    if source != target:
        if any(weight.write >= least for weight in given):
            yield source, target
        if any(weight.read >= least for weight in given):
            yield target, source
