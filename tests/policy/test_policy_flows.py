"""Flows of information between zones that are new, against the definition worked out in full."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.config import Zone
from polkit.policy import Flow, new_flows
from tests.policy.small import Rule, Small, difference, shortest

DOMAINS = ("d0", "d1", "d2")
OBJECTS = ("o0", "o1", "o2")
OWN = ("n0_t", "n1_t")
ATTRIBUTES = ("domain", "file_type", "many")
LEAST = 8
WEIGHTS = {"read": (10, 0), "write": (0, 10), "getattr": (7, 0), "execute": (1, 0)}
"""Read and write weights of permissions of files in setools' map."""


@st.composite
def rules(draw: Any, names: tuple[str, ...]) -> Rule:
    perms = draw(st.lists(st.sampled_from(sorted(WEIGHTS)), min_size=1, max_size=2, unique=True))
    boolean = draw(st.sampled_from(("", "", "", "off")))
    return Rule(draw(st.sampled_from(names)), draw(st.sampled_from(names)), "file", tuple(perms), boolean)


@st.composite
def pairs(draw: Any) -> tuple[Small, Small]:
    """A policy, and the same with a module: types of its own, memberships, rules."""
    types = (*DOMAINS, *OBJECTS)
    many = frozenset(draw(st.lists(st.sampled_from(types), unique=True, max_size=3)))
    old_members = {"domain": frozenset(DOMAINS), "file_type": frozenset(OBJECTS), "many": many}
    old_names = (*types, "many", "file_type", "domain")
    old_rules = tuple(draw(st.lists(rules(old_names), max_size=5)))
    joined = {
        "domain": frozenset(draw(st.sampled_from(((), OWN[:1])))),
        "file_type": frozenset(draw(st.sampled_from(((), OWN[1:])))),
        "many": frozenset(draw(st.lists(st.sampled_from((*OWN, *types)), unique=True, max_size=2))),
    }
    members = {name: found | joined[name] for name, found in old_members.items()}
    new_rules = tuple(draw(st.lists(rules((*types, *OWN, *OWN, "many")), min_size=1, max_size=5)))
    return Small(types, old_members, old_rules), Small((*types, *OWN), members, old_rules + new_rules)


def edges(accesses: Any) -> set[tuple[str, str]]:
    """The flows of at least the least weight."""
    found: set[tuple[str, str]] = set()
    for source, target, _, perm in accesses:
        read, write = WEIGHTS.get(perm, (0, 0))
        if source != target:
            found.update({(target, source)} if read >= LEAST else ())
            found.update({(source, target)} if write >= LEAST else ())
    return found


def defined(
    old: Small, new: Small, exclude: frozenset[str] = frozenset()
) -> tuple[set[tuple[str, str]], set[tuple[str, str]], frozenset[str]]:
    """The flows before and after, and the types that nothing passes through: the words of the module's docstring."""
    gained = new.accesses(with_off=True) - old.accesses(with_off=True) | (new.accesses() - old.accesses())
    own = set(OWN)

    def by_attribute(access: Any, rules: Any, attributes: frozenset[str]) -> bool:
        source, _, tclass, perm = access
        return any(
            rule.tclass == tclass
            and perm in rule.perms
            and rule.target in attributes
            and rule.source in {source, *new.attributes(source)}
            for rule in rules
        )

    structural = {
        one
        for one in gained
        if one[1] in own and one[0] not in own and by_attribute(one, old.rules, new.attributes(one[1]) & {"file_type"})
    }
    stated = gained - structural
    moved = {name for name in old.types if old.attributes(name) != new.attributes(name)}
    concerned = {
        one[0]
        for one in stated
        if one[0] in own | moved or one[1] not in own or not by_attribute(one, new.rules, new.attributes(one[1]))
    }
    trusted = frozenset(set(DOMAINS) - concerned) | exclude
    return edges(old.accesses() | structural), edges(new.accesses() | stated), trusted


ZONES = {"high": Zone(2, ("o0", "n1_t", "d0")), "low": Zone(1, ("o1", "n0_t", "d1"))}


@settings(max_examples=40, deadline=None)
@given(pairs(), st.sampled_from(((), ("o2",), ("n0_t", "d2"))))
def test_flows_are_those_of_the_definition(both: tuple[Small, Small], exclude: tuple[str, ...]) -> None:
    old, new = both
    with tempfile.TemporaryDirectory() as place:
        found = new_flows(difference(old, new, Path(place)), ZONES, LEAST, exclude)
    before, after, trusted = defined(old, new, frozenset(exclude))
    expected = {
        (start, end): steps
        for start in ZONES["high"].types
        for end, steps in shortest(after, start, trusted).items()
        if end in ZONES["low"].types and end not in shortest(before, start, trusted)
    }
    assert [flow.pairs for flow in found] == ([len(expected)] if expected else [])
    for flow in found:
        assert (flow.from_zone, flow.to_zone) == ("high", "low")
        assert len(flow.steps) == min(expected.values())
        assert (flow.path[0], flow.path[-1]) in expected
        check(flow, before, after, trusted)


def check(flow: Flow, before: Any, after: Any, trusted: frozenset[str]) -> None:
    """Each step is one, with the permissions that carry it; a new one is new; nothing passes what is trusted."""
    assert trusted.isdisjoint(flow.path[1:-1])
    assert any(step.is_new for step in flow.steps)
    for step, one, other in zip(flow.steps, flow.path, flow.path[1:]):
        assert (step.source, step.target) == (one, other)
        assert (one, other) in after
        assert step.is_new == ((one, other) not in before)
        assert step.perms and {WEIGHTS[perm] for perm in step.perms} <= {(10, 0), (0, 10)}


BASE = Small(
    ("d0", "d1", "o0", "o1"),
    {"domain": frozenset(("d0", "d1")), "file_type": frozenset(("o0", "o1"))},
    (Rule("d1", "o1", "file", ("read",)),),
)


def with_module(*rules: Rule, **members: tuple[str, ...]) -> Small:
    joined = {name: found | frozenset(members.get(name, ())) for name, found in BASE.members.items()}
    return Small((*BASE.types, "n0_t"), joined, BASE.rules + rules)


def flows(tmp_path: Path, new: Small, zones: dict[str, Zone], **more: Any) -> tuple[Flow, ...]:
    return new_flows(difference(BASE, new, tmp_path), zones, more.get("least", LEAST), more.get("exclude", ()))


def test_a_flow_names_the_rule_of_each_step_and_what_is_new(tmp_path: Path) -> None:
    new = with_module(Rule("n0_t", "o0", "file", ("read", "getattr")), Rule("n0_t", "o1", "file", ("write",)))
    (flow,) = flows(tmp_path, new, {"high": Zone(2, ("o0",)), "low": Zone(0, ("d1",))})
    assert [step.text for step in flow.steps] == [
        "o0 -> n0_t: allow n0_t o0:file { read } (new)",
        "n0_t -> o1: allow n0_t o1:file { write } (new)",
        "o1 -> d1: allow d1 o1:file { read }",
    ]


def test_a_weight_leaves_out_what_carries_less(tmp_path: Path) -> None:
    new = with_module(Rule("n0_t", "o0", "file", ("getattr",)))
    zones = {"high": Zone(2, ("o0",)), "low": Zone(0, ("n0_t",))}
    assert flows(tmp_path, new, zones, least=8) == ()
    assert len(flows(tmp_path, new, zones, least=7)) == 1


def test_zones_of_one_level_and_upward_flows_are_none(tmp_path: Path) -> None:
    new = with_module(Rule("n0_t", "o0", "file", ("read",)))
    assert flows(tmp_path, new, {"one": Zone(1, ("o0",)), "other": Zone(1, ("n0_t",))}) == ()
    assert flows(tmp_path, new, {"low": Zone(1, ("o0",)), "high": Zone(2, ("n0_t",))}) == ()


def test_a_domain_that_gets_nothing_passes_nothing_on(tmp_path: Path) -> None:
    """d1 reads what the module writes, as before; it is in no zone."""
    new = with_module(Rule("n0_t", "o1", "file", ("write",)), Rule("d0", "o0", "file", ("read",)))
    zones = {"high": Zone(2, ("n0_t",)), "low": Zone(0, ("o0",))}
    assert flows(tmp_path, new, zones) == ()
    assert len(flows(tmp_path, new, {**zones, "low": Zone(0, ("d1",))})) == 1


def test_what_a_new_type_joins_to_exist_is_no_flow(tmp_path: Path) -> None:
    base = Small(BASE.types, BASE.members, (*BASE.rules, Rule("d1", "file_type", "file", ("read",))))
    members = {**base.members, "file_type": base.members["file_type"] | {"n0_t"}}
    new = Small((*base.types, "n0_t"), members, (*base.rules, Rule("d0", "n0_t", "file", ("read",))))
    found = new_flows(difference(base, new, tmp_path), {"high": Zone(1, ("n0_t",)), "low": Zone(0, ("domain",))}, LEAST)
    assert [(flow.path, flow.pairs) for flow in found] == [(("n0_t", "d0"), 1)]


def test_a_zone_between_two_is_named_once(tmp_path: Path) -> None:
    new = with_module(Rule("n0_t", "o0", "file", ("read",)), Rule("n0_t", "o1", "file", ("write",)))
    zones = {"top": Zone(3, ("o0",)), "middle": Zone(2, ("n0_t",)), "low": Zone(1, ("o1",))}
    assert {(flow.from_zone, flow.to_zone) for flow in flows(tmp_path, new, zones)} == {
        ("top", "middle"),
        ("middle", "low"),
    }


@pytest.mark.parametrize(
    "zones", [{}, {"one": Zone(1, ("o0",))}, {"a": Zone(2, ("no_such_t",)), "b": Zone(1, ("o0",))}]
)
def test_without_two_zones_of_the_policy_there_is_none(tmp_path: Path, zones: dict[str, Zone]) -> None:
    assert flows(tmp_path, with_module(Rule("n0_t", "o0", "file", ("read",))), zones) == ()
