"""What a hostile log must not get out of ``make_plan``: someone else's files, roles, types, or the end of the run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from polkit.minimize import assemble
from polkit.model import AvRule, FileContext, Plan, RoleAllow, RoleTypes, Rule
from polkit.module import needs_cil
from polkit.policy import TargetPolicy, load_policy
from tests.minimize.conftest import Planner
from tests.records import avc


def contexts(plan: Plan) -> list[FileContext]:
    return [one for decision in plan.decisions for one in decision.remedy.contexts]


def rules(plan: Plan) -> Iterator[Rule]:
    for decision in plan.decisions:
        for remedy in (decision.remedy, *decision.also_remedies):
            yield from remedy.rules


def hexed(path: str) -> str:
    return f"path={path.encode().hex().upper()} dev=devtmpfs"


def refused_context(role: str, type_: str) -> str:
    """A SELINUX_ERR record: the kernel computed ``user_u:ROLE:TYPE`` and found that the role may not have the type."""
    return (
        "type=SELINUX_ERR msg=audit(1700000000.123:9): op=security_compute_sid "
        f"invalid_context=user_u:{role}:{type_}:s0 "
        "scontext=user_u:user_r:user_t:s0 tcontext=system_u:object_r:bin_t:s0 tclass=process\n"
    )


@pytest.mark.parametrize(
    ("path", "target", "tclass", "source"),
    [
        ("/dev/x/../mem", "device_t", "chr_file", "container_t"),
        ("/dev/./mem", "device_t", "chr_file", "container_t"),
        ("/data/../etc/x", "default_t", "file", "httpd_t"),
    ],
)
def test_a_path_that_is_not_normal_takes_nothing_along(
    path: str, target: str, tclass: str, source: str, plan_of: Planner
) -> None:
    good = avc("execheap", "container_t", "process", serial=1)
    bad = avc("read", target, tclass, source, fields=hexed(path), serial=2)
    plan = plan_of(good + bad)
    assert any(decision.perms == ("execheap",) for decision in plan.decisions)
    assert not any(".." in one.pattern for one in contexts(plan))


@pytest.mark.parametrize(("path", "target"), [(".ssh/id_rsa", "ssh_home_t"), (".ssh/id_rsa", "user_home_t")])
def test_keys_below_a_mounted_home_get_no_label_for_containers(path: str, target: str, plan_of: Planner) -> None:
    """file_contexts has a type for them, and the catalogue refuses that type (private-keys)."""
    record = avc("read open", target, fields=f'path="/me/{path}" dev="dm-0"')
    assert contexts(plan_of(record, mounts={"/home/alice": "/me"})) == []


def test_what_file_contexts_leaves_alone_is_left_alone(plan_of: Planner) -> None:
    """``<<none>>`` means that another program labels it: cron its tables, which root runs."""
    record = avc("write", "var_t", fields='path="/v/spool/cron/crontabs/root" dev="dm-0"')
    assert contexts(plan_of(record, mounts={"/var": "/v"})) == []


@pytest.mark.parametrize(
    "record",
    [
        refused_context("bogus_r", "sysadm_t"),
        avc("transition", "ping_t", "process").replace("system_u:system_r:ping_t", "system_u:bogus_r:ping_t"),
    ],
    ids=["role types", "role allow"],
)
def test_a_role_that_the_policy_lacks_gets_no_rule(record: str, plan_of: Planner, policy: TargetPolicy) -> None:
    """With it the module would not link, so one record would take all others along."""
    for rule in rules(plan_of(record)):
        if isinstance(rule, RoleTypes):
            assert policy.has_role(rule.role)
        if isinstance(rule, RoleAllow):
            assert policy.has_role(rule.source)
            assert policy.has_role(rule.target)


def test_a_role_gets_no_type_unasked(plan_of: Planner) -> None:
    plan = plan_of(refused_context("user_r", "sysadm_t"))
    assert not any(isinstance(rule, RoleTypes) for rule in rules(plan))
    assert plan.decisions[0].risk == "high"


def test_no_new_privs_is_no_way_round_the_catalogue(plan_of: Planner) -> None:
    plan = plan_of(
        "type=SELINUX_ERR msg=audit(1700000000.123:9): op=security_bounded_transition seresult=denied "
        "oldcontext=system_u:system_r:container_t:s0 newcontext=system_u:system_r:spc_t:s0\n"
    )
    assert plan.decisions[0].risk_id == "unconfined-transition"
    assert not list(rules(plan))


def test_two_domains_do_not_get_each_others_directories(plan_of: Planner) -> None:
    one = avc("read", "default_t", fields='path="/models/a" dev="dm-0"', serial=1)
    other = avc("read", "default_t", source="httpd_t", fields='path="/data/secret" dev="dm-0"', serial=2)
    plan = plan_of(one + other, mounts={"/srv/models": "/models"})
    domains = {rule.target: set() for rule in rules(plan) if isinstance(rule, AvRule)}
    for rule in rules(plan):
        if isinstance(rule, AvRule):
            domains[rule.target].add(rule.source)
    assert {frozenset(found) for found in domains.values()} == {frozenset({"vllm_t"}), frozenset({"httpd_t"})}


def test_two_ports_of_two_domains_are_two_types(plan_of: Planner) -> None:
    one = avc("name_bind", "unreserved_port_t", "tcp_socket", "httpd_t", fields="src=8123", serial=1)
    other = avc("name_bind", "unreserved_port_t", "tcp_socket", "named_t", fields="src=8124", serial=2)
    plan = plan_of(one + other)
    targets = [rule.target for rule in rules(plan) if isinstance(rule, AvRule)]
    assert len(targets) == len(set(targets)) == 2


def test_without_a_policy_an_odd_permission_takes_nothing_along(plan_of: Planner) -> None:
    records = avc("read", "etc_t", serial=1) + avc("re$ad", "etc_t", serial=2)
    plan = plan_of(records, on=load_policy("none"))
    source = assemble(plan, "vllm", "1.0.0")
    assert source is not None
    assert needs_cil(source) is None


def test_a_port_is_not_taken_from_its_service_unasked(plan_of: Planner) -> None:
    """``semanage port -m`` on port 22 locks the administrator out; sshd_t is none of the four domains it names."""
    (decision,) = plan_of(avc("name_bind", "ssh_port_t", "tcp_socket", "httpd_t", fields="src=22")).decisions
    assert decision.risk == "high"
    assert "semanage port -m" not in " ".join(decision.remedy.commands)


def test_every_directory_that_gets_a_label_gets_its_command(plan_of: Planner) -> None:
    """``.fc`` alone relabels nothing that exists."""
    records = "".join(
        avc("read", "default_t", source="httpd_t", fields=f'path="/data{number}/x" dev="dm-0"', serial=number)
        for number in range(40)
    )
    (decision,) = plan_of(records).decisions
    assert len(decision.remedy.contexts) == 40
    assert all(any(f"/data{number}" in command for command in decision.remedy.commands) for number in range(40))
