"""Flows and changes of domain on the real policy are those that setools' own analyses see, all conditional rules in."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from polkit.policy import TargetPolicy
from polkit.policy.domain_paths import Extra, Ways
from polkit.policy.flow_graph import FlowGraph, flows_of
from polkit.policy.rules import Rules
from polkit.policy.statements import read_statements
from polkit.policy.target import rules_of

pytestmark = pytest.mark.heavy


@pytest.fixture(scope="module")
def rules(real: TargetPolicy) -> Rules:
    return rules_of(real)


@pytest.fixture(scope="module")
def setools_policy(binary_policy: Path) -> Any:
    setools = pytest.importorskip("setools")
    pytest.importorskip("networkx", reason="setools' analyses need python3-networkx")
    return setools.SELinuxPolicy(str(binary_policy))


def disabled(rules: Rules) -> Iterator[tuple[str, str, str, frozenset[str]]]:
    """What conditional rules that are not in force give: source, target, class, permissions."""
    for number, holds in enumerate(rules.truths):
        for rule in rules.index.allows_of_condition.get(number, ()):
            if rule.block != holds:
                for source in rules.facts.members(rule.source):
                    for target in rules.facts.members(rule.target):
                        yield source, target, rule.tclass, rules.index.perms(rule.tclass, rule.mask)


def test_flows_are_the_edges_of_setools(rules: Rules, setools_policy: Any) -> None:
    from setools import InfoFlowAnalysis, PermissionMap

    theirs = InfoFlowAnalysis(setools_policy, PermissionMap())
    theirs._build_graph()
    names = {str(node): node for node in theirs.G}
    some = random.Random(1).sample(sorted(names), 40)
    for least in (3, 8):
        more = (edge for one in disabled(rules) for edge in flows_of(*one, least))
        ours = FlowGraph(rules, least, more)
        for name in some:
            edges = theirs.G.out_edges(names[name], data="capacity")
            expected = {str(target) for _, target, weight in edges if weight >= least}
            assert {other for other in names if other != name and ours.has(name, other)} == expected, name
    closed = frozenset(random.Random(2).sample(sorted(names), 3000))
    for name in some[:10]:
        assert set(ours.after((name,), closed)) == _reached(theirs.G, names[name], closed, least), name


def _reached(graph: Any, start: Any, closed: frozenset[str], least: int) -> set[str]:
    found, pending = {str(start)}, [start]
    for one in pending:
        for _, target, weight in graph.out_edges(one, data="capacity"):
            if weight >= least and str(target) not in found:
                found.add(str(target))
                if str(target) not in closed:
                    pending.append(target)
    return found


def test_changes_of_domain_are_the_edges_of_setools(rules: Rules, setools_policy: Any, binary_policy: Path) -> None:
    from setools import DomainTransitionAnalysis

    theirs = DomainTransitionAnalysis(setools_policy)
    theirs._build_graph()
    expected = {(str(one), str(other)) for one, other in theirs.G.edges()}
    extra: Extra = {}
    for source, target, tclass, perms in disabled(rules):
        row = extra.setdefault((source, tclass), {})
        row[target] = row.get(target, frozenset()) | perms
    made = frozenset(text for text in read_statements(binary_policy) if ":process " in text)
    ours = Ways(rules, made, extra)
    domains = sorted({type_ for type_ in rules.facts.attributes if ours.targets(type_)})
    found = {(one, other) for one in domains for other in ours.targets(one) if ours.step(one, other) is not None}
    assert found == expected
    for other in random.Random(3).sample(sorted({target for _, target in expected}), 30):
        assert {one for one, target in expected if target == other} <= set(ours.sources(other))


def test_the_permission_map_is_read_as_setools_reads_it() -> None:
    from setools import PermissionMap

    from polkit.policy.permission_map import permission_map

    theirs = PermissionMap()
    expected = {
        (tclass, str(perm.perm)): (
            perm.weight if perm.direction in "rb" else 0,
            perm.weight if perm.direction in "wb" else 0,
        )
        for tclass in theirs.classes()
        for perm in theirs.perms(tclass)
    }
    found = {
        (tclass, perm): tuple(weights) for tclass, row in permission_map().items() for perm, weights in row.items()
    }
    assert found == expected
