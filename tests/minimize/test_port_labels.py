"""Ports: a type of the module's own, an existing one that fits exactly, or the one they have where none is narrower."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from polkit.model import AvRule, Plan
from polkit.policy import TargetPolicy
from tests.minimize.conftest import Planner
from tests.records import avc

Want = tuple[str, int, str]
"""(permission, port, present type)."""


def log(*wants: Want, source: str = "other_t", protocol: str = "tcp") -> str:
    words = {"name_bind": "src", "name_connect": "dest"}
    return "".join(
        avc(perm, target, f"{protocol}_socket", source, ("s0", "s0"), f'comm="p" {words[perm]}={port}', serial)
        for serial, (perm, port, target) in enumerate(wants, 1)
    )


def bind(*ports: int) -> list[Want]:
    return [("name_bind", port, "unreserved_port_t") for port in ports]


def connect(*ports: int) -> list[Want]:
    return [("name_connect", port, "unreserved_port_t") for port in ports]


def commands(plan: Plan) -> set[str]:
    return {command for decision in plan.decisions for command in decision.remedy.commands}


def rules(plan: Plan) -> set[tuple[str, str, str]]:
    """(source, target, permission) of every rule."""
    found: Iterable[AvRule] = (
        rule for decision in plan.decisions for rule in decision.remedy.rules if isinstance(rule, AvRule)
    )
    return {(rule.source, rule.target, perm) for rule in found for perm in rule.perms}


def test_ports_that_are_used_alike_share_a_type_and_neighbours_a_range(
    plan_of: Planner, exact_types: TargetPolicy
) -> None:
    plan = plan_of(log(*bind(8000, 8001, 8002, 8100)), on=exact_types)
    assert commands(plan) == {
        "semanage port -a -t vllm_port_t -p tcp 8000-8002",
        "semanage port -a -t vllm_port_t -p tcp 8100",
    }
    assert rules(plan) == {("other_t", "vllm_port_t", "name_bind")}
    assert sorted((one.remedy.port, one.evidence.accesses) for one in plan.decisions) == [(8000, 3), (8100, 1)]


def test_ports_that_are_used_in_different_ways_get_different_types(plan_of: Planner, exact_types: TargetPolicy) -> None:
    plan = plan_of(log(*bind(8000), *connect(8001)), on=exact_types)
    assert rules(plan) == {
        ("other_t", "vllm_tcp8000_port_t", "name_bind"),
        ("other_t", "vllm_tcp8001_port_t", "name_connect"),
    }
    both = plan_of(log(*bind(8000), *connect(8000)), on=exact_types)
    assert rules(both) == {("other_t", "vllm_port_t", perm) for perm in ("name_bind", "name_connect")}


def test_a_port_with_an_entry_of_its_own_stands_alone(plan_of: Planner, exact_types: TargetPolicy) -> None:
    """9200 and 9201 have entries of their own in the policy: each is modified, and the loser is named."""
    wants = [("name_bind", port, "multi_port_t") for port in (9200, 9201)]
    plan = plan_of(log(*wants, source="app_t"), on=exact_types)
    assert commands(plan) == {f"semanage port -m -t vllm_port_t -p tcp {port}" for port in (9200, 9201)}
    assert all("These lose name_bind on it: other_t." in one.remedy.text for one in plan.decisions)


@pytest.mark.parametrize(
    ("want", "reason"),
    [
        (("name_bind", 9100, "single_port_t"), "single_port_t is the label of port 9100 alone"),
        (("name_connect", 9100, "single_port_t"), "single_port_t is the label of port 9100 alone"),
        (("name_connect", 9200, "multi_port_t"), "the rule covers all of its ports (tcp/9200, tcp/9201)"),
    ],
)
def test_the_narrowest_existing_label_stays(
    plan_of: Planner, exact_types: TargetPolicy, want: Want, reason: str
) -> None:
    (decision,) = plan_of(log(want, source="app_t"), on=exact_types).decisions
    assert (decision.cause, decision.remedy.kind) == ("missing-rule", "allow")
    assert decision.remedy.rules == (AvRule("allow", "app_t", want[2], "tcp_socket", (want[0],)),)
    assert reason in decision.why


def test_what_is_bound_and_connected_to_keeps_together(plan_of: Planner, exact_types: TargetPolicy) -> None:
    """The connection would be refused on the port's old label once the port has its new one."""
    wants: list[Want] = [(perm, 9200, "multi_port_t") for perm in ("name_bind", "name_connect")]
    plan = plan_of(log(*wants, source="app_t"), on=exact_types)
    assert rules(plan) == {("app_t", "vllm_port_t", perm) for perm in ("name_bind", "name_connect")}


def test_numbers_that_differ_from_run_to_run_get_no_label(plan_of: Planner, exact_types: TargetPolicy) -> None:
    few = plan_of(log(*connect(*range(30000, 30016, 2))), on=exact_types)
    assert {decision.remedy.kind for decision in few.decisions} == {"port"}
    (many,) = plan_of(log(*connect(*range(30000, 30018, 2))), on=exact_types).decisions
    assert (many.cause, many.remedy.kind) == ("missing-rule", "allow")
    assert "differ from run to run" in many.why
    # A port that is bound has the number that its configuration says.
    bound = plan_of(log(*bind(*range(30000, 30018, 2))), on=exact_types)
    assert {decision.remedy.kind for decision in bound.decisions} == {"port"}


def test_an_existing_type_is_taken_only_where_it_fits_exactly(plan_of: Planner, exact_types: TargetPolicy) -> None:
    """app_port_t is for app_t alone; app_known_port_t gives other_t something too."""
    (decision,) = plan_of(log(*bind(8000), source="app_t"), on=exact_types).decisions
    assert decision.remedy.commands == ("semanage port -a -t app_port_t -p tcp 8000",)
    assert (decision.remedy.rules, decision.remedy.types) == ((), ())
    more = plan_of(log(*bind(8000), *connect(8000), source="app_t"), on=exact_types)
    assert commands(more) == {"semanage port -a -t vllm_port_t -p tcp 8000"}
    assert commands(plan_of(log(*bind(8000)), on=exact_types)) == {"semanage port -a -t vllm_port_t -p tcp 8000"}


@pytest.mark.parametrize("protocol", ["tcp", "udp", "sctp", "dccp"])
def test_every_protocol_is_named(plan_of: Planner, protocol: str) -> None:
    (decision,) = plan_of(log(*bind(18000), source="chronyd_t", protocol=protocol)).decisions
    assert decision.remedy.commands == (f"semanage port -a -t vllm_port_t -p {protocol} 18000",)
    assert {rule.tclass for rule in decision.remedy.rules if isinstance(rule, AvRule)} == {f"{protocol}_socket"}
