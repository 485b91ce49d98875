"""Processes and servers that run where they should not: the threads' answers were labels, never rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from polkit.policy import TargetPolicy
from tests.minimize.conftest import Planner
from tests.records import avc


def first_line(fixtures_dir: Path, name: str) -> str:
    return (fixtures_dir / "avc" / "threads" / name).read_text().splitlines()[0] + "\n"


@pytest.mark.parametrize(
    ("thread", "says"),
    [
        ("nvidia-docker-814-entrypoint-xserver_t.log", "entry point of container_runtime_t"),
        ("coco-operator-115-containerd-exec.log", "*_exec_t"),
        ("container-selinux-178-intel-sgx-device-plugin.log", "kubelet"),
    ],
)
def test_threads_that_ended_with_a_label(
    plan_of: Planner, fedora_shapes: TargetPolicy, fixtures_dir: Path, thread: str, says: str
) -> None:
    (decision,) = plan_of(first_line(fixtures_dir, thread), on=fedora_shapes).decisions
    assert (decision.cause, decision.remedy.kind) == ("wrong-domain", "domain")
    assert says in decision.remedy.text
    assert not decision.remedy.rules


def test_the_executable_to_relabel_is_named(plan_of: Planner, fedora_shapes: TargetPolicy) -> None:
    record = avc(
        "execute", "container_ro_file_t", source="init_t", levels=("s0", "s0"), fields='path="/opt/my bin/run"'
    )
    (decision,) = plan_of(record, on=fedora_shapes).decisions
    assert decision.remedy.commands == ("restorecon -v '/opt/my bin/run'",)


def test_a_container_connecting_to_another_domain_is_no_wrong_domain(
    plan_of: Planner, fedora_shapes: TargetPolicy
) -> None:
    record = avc("connectto", "container_runtime_t", "unix_stream_socket", fields='path="/run/own.sock"')
    (decision,) = plan_of(record, on=fedora_shapes).decisions
    assert decision.cause == "missing-rule"


def test_no_new_privs_transition_asks_for_nnp_transition(plan_of: Planner, fedora_shapes: TargetPolicy) -> None:
    record = (
        "type=SELINUX_ERR msg=audit(1.1:1): op=security_bounded_transition seresult=denied "
        "oldcontext=system_u:system_r:container_runtime_t:s0 newcontext=system_u:system_r:container_t:s0:c1,c2\n"
    )
    (decision,) = plan_of(record, on=fedora_shapes).decisions
    assert (decision.cause, decision.remedy.kind) == ("bounds", "allow")
    assert [(rule.tclass, rule.perms) for rule in decision.remedy.rules] == [("process2", ("nnp_transition",))]


def test_a_binary_policy_alone_says_what_it_can_not_tell(plan_of: Planner, fedora_shapes: TargetPolicy) -> None:
    record = avc("connectto", "container_runtime_t", "unix_stream_socket", fields='path="/run/own.sock"')
    assert any("neverallow" in note for note in plan_of(record, on=fedora_shapes).notes)
    assert not any("neverallow" in note for note in plan_of(record).notes)
