"""Every cause of the ladder on the real policy: what decides, what stands beside it, and the remedy's kind."""

from __future__ import annotations

from typing import Any

import pytest

from polkit.model import CAUSES, AvRule, XpermRule
from tests.minimize.conftest import Planner
from tests.records import avc

NVIDIA = 'comm="python3" path="/dev/nvidia0" dev="devtmpfs" ino=9'
SELF = ("s0:c12,c34", "s0:c12,c34")
OTHER = ("s0:c12,c34", "s0:c99,c100")


# name, record, settings, (cause, also, remedy kind)
TABLE: list[tuple[str, str, dict[str, Any], tuple[str, tuple[str, ...], str]]] = [
    (
        "unknown target type",
        avc("read", "nvidia_device_t", "chr_file", fields=NVIDIA),
        {},
        ("unknown-type", (), "none"),
    ),
    ("unknown source type", avc("read", "etc_t", source="vllm_container_t"), {}, ("unknown-type", (), "none")),
    ("unknown class", avc("quantum", "device_t", "nosuchclass"), {}, ("unknown-class", (), "none")),
    ("unknown type and class", avc("x", "no_such_t", "nosuchclass"), {}, ("unknown-type", ("unknown-class",), "none")),
    ("unknown permission", avc("levitate", "etc_t"), {}, ("unknown-permission", (), "none")),
    ("allowed today", avc("read", "container_file_t"), {}, ("already-allowed", (), "none")),
    (
        "boolean already on",
        avc("read write", "xserver_misc_device_t", "chr_file", fields=NVIDIA),
        {"booleans": {"container_use_xserver_devices": True}},
        ("already-allowed", (), "none"),
    ),
    (
        "boolean off on that host",
        avc("read", "dri_device_t", "chr_file", fields='path="/dev/dri/card0"'),
        {"booleans": {"container_use_dri_devices": False}, "extend": True},
        ("boolean", (), "boolean"),
    ),
    ("alias of a type", avc("read", "container_file_t", source="svirt_lxc_net_t"), {}, ("already-allowed", (), "none")),
    ("program left in kernel_t", avc("read", "etc_t", source="kernel_t"), {}, ("already-allowed", (), "none")),
    (
        "daemon left in kernel_t",
        avc("dyntransition", "initrc_t", "process", source="kernel_t", levels=("s0", "s0")),
        {},
        ("wrong-domain", (), "domain"),
    ),
    (
        "a type that is no domain",
        avc("read", "shadow_t", source="container_file_t"),
        {},
        ("wrong-domain", (), "domain"),
    ),
    (
        "GPU node without a label",
        avc("read write", "device_t", "chr_file", fields='comm="p" path="/dev/nvidia-uvm" dev="devtmpfs"'),
        {},
        ("mislabeled", ("boolean",), "relabel"),
    ),
    (
        "model directory, host path unknown",
        avc("read", "default_t", fields='comm="p" path="/models/w.bin" dev="dm-0"'),
        {},
        ("mislabeled", (), "fcontext"),
    ),
    (
        "model directory, mounted",
        avc("read", "default_t", fields='comm="p" path="/models/w.bin" dev="dm-0"'),
        {"mounts": {"/srv/models": "/models"}},
        ("mislabeled", (), "fcontext"),
    ),
    (
        "image layer",
        avc("read", "var_lib_t", fields='comm="date" path="/bin/busybox" dev="vda1"'),
        {},
        ("mislabeled", (), "relabel"),
    ),
    (
        "image layer below a moved graph root",
        avc("read", "var_lib_t", fields='path="/bin/busybox" dev="vda1"'),
        {"graph_roots": ("/data/storage",)},
        ("mislabeled", (), "equivalence"),
    ),
    (
        "host's shared memory",
        avc("create", "tmpfs_t", fields='comm="p" path="/dev/shm/ring" dev="tmpfs"'),
        {},
        ("mislabeled", (), "mount"),
    ),
    ("level of another container", avc("read", "container_file_t", levels=OTHER), {}, ("constraint", (), "level")),
    (
        "no rule and no level",
        avc("relabelto", "container_file_t", "dir", levels=OTHER),
        {"accepted": frozenset({"all"})},
        ("missing-rule", ("constraint",), "allow"),
    ),
    (
        "masked by the bounding type",
        avc("write", "container_file_t", source="child_t", levels=("s0", "s0")),
        {},
        ("bounds", (), "allow"),
    ),
    (
        "never allowed",
        avc("read", "memory_device_t", "chr_file", fields='comm="p" path="/dev/mem" dev="devtmpfs"'),
        {},
        ("neverallow", (), "refuse"),
    ),
    (
        "another ioctl command",
        avc("ioctl", "vhost_device_t", "chr_file", fields='path="/dev/vhost-net" ioctlcmd=0xaf02'),
        {},
        ("xperm", (), "allow"),
    ),
    (
        "the allowed ioctl command",
        avc("ioctl", "vhost_device_t", "chr_file", fields='path="/dev/x" ioctlcmd=0xaf01'),
        {},
        ("already-allowed", (), "none"),
    ),
    (
        "GPU behind booleans",
        avc("read write open", "xserver_misc_device_t", "chr_file", fields=NVIDIA),
        {"extend": True},
        ("boolean", (), "boolean"),
    ),
    (
        "GPU behind booleans, in a domain of its own",
        avc("read write open", "xserver_misc_device_t", "chr_file", fields=NVIDIA),
        {},
        ("boolean", (), "allow"),
    ),
    ("network file system behind a boolean", avc("read", "nfs_t"), {"extend": True}, ("boolean", (), "boolean")),
    (
        "two booleans at once",
        avc("read", "vhost_device_t", "blk_file"),
        {"extend": True},
        ("boolean", (), "boolean"),
    ),
    (
        "bind a generic port",
        avc(
            "name_bind",
            "unreserved_port_t",
            "tcp_socket",
            source="chronyd_t",
            levels=("s0", "s0"),
            fields='comm="v" src=18000',
        ),
        {},
        ("port-label", (), "port"),
    ),
    (
        "connect to a service's port",
        avc(
            "name_connect",
            "http_port_t",
            "tcp_socket",
            source="getty_t",
            levels=("s0", "s0"),
            fields='comm="v" dest=443',
        ),
        {},
        ("missing-rule", (), "allow"),
    ),
    ("nothing explains it", avc("execheap", "container_t", "process", levels=SELF), {}, ("missing-rule", (), "allow")),
]


@pytest.mark.parametrize(("record", "settings", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_cause(
    plan_of: Planner, record: str, settings: dict[str, Any], expected: tuple[str, tuple[str, ...], str]
) -> None:
    plan = plan_of(record, **settings)
    assert len(plan.decisions) == 1, plan.decisions
    decision = plan.decisions[0]
    found = (decision.cause, tuple(cause for cause in decision.also if cause != "dontaudited"), decision.remedy.kind)
    assert found == expected, decision
    assert decision.why
    assert decision.remedy.text


def test_every_cause_has_a_row() -> None:
    elsewhere = {"role", "dontaudited"}
    assert {row[3][0] for row in TABLE} | elsewhere == set(CAUSES)


def test_dontaudited_is_left_alone_unless_asked(plan_of: Planner) -> None:
    record = avc("setfscreate", "container_t", "process", levels=SELF)
    (decision,) = plan_of(record).decisions
    assert (decision.cause, decision.remedy.kind, decision.remedy.rules) == ("dontaudited", "none", ())
    (decision,) = plan_of(record, include_dontaudited=True).decisions
    assert (decision.cause, decision.also, decision.remedy.kind) == ("missing-rule", ("dontaudited",), "allow")


def test_role_change_without_a_role_rule(plan_of: Planner) -> None:
    record = (
        'type=AVC msg=audit(1700000000.1:9): avc:  denied  { transition } for  pid=1 comm="sudo" path="/bin/x" '
        "scontext=root:staff_r:staff_sudo_t:s0 tcontext=root:system_r:sysadm_t:s0 tclass=process permissive=0\n"
    )
    (decision,) = plan_of(record).decisions
    assert "role" in (decision.cause, *decision.also)


def test_invalid_computed_context_is_a_role_matter(plan_of: Planner) -> None:
    record = (
        "type=SELINUX_ERR msg=audit(1700000000.1:9): op=security_compute_sid "
        'invalid_context="system_u:system_r:shadow_t:s0" scontext=system_u:system_r:container_t:s0 '
        "tcontext=system_u:object_r:bin_t:s0 tclass=process\n"
    )
    (decision,) = plan_of(record).decisions
    assert (decision.cause, decision.remedy.kind, decision.perms) == ("role", "refuse", ("transition",))
    assert decision.target == "shadow_t"


def test_one_record_several_causes_is_spread(plan_of: Planner) -> None:
    plan = plan_of(avc("read write open relabelto", "xserver_misc_device_t", "chr_file", fields=NVIDIA))
    by_cause = {decision.cause: decision for decision in plan.decisions}
    assert by_cause["boolean"].perms == ("open", "read", "write")
    assert sum(decision.evidence.accesses for decision in plan.decisions) == plan.input.accesses == 4


def test_the_cheapest_boolean_comes_first_with_what_each_would_allow(plan_of: Planner) -> None:
    log = avc("read write", "xserver_misc_device_t", "chr_file", fields=NVIDIA)
    (decision,) = plan_of(log, extend=True).decisions
    options = decision.remedy.options
    assert [option.settings for option in options[:2]] == [
        (("container_use_xserver_devices", True),),
        (("container_use_devices", True),),
    ]
    assert options[0].grants.types == 1
    assert options[1].grants.accesses > 10 * options[0].grants.accesses
    assert decision.remedy.commands == ("setsebool -P container_use_xserver_devices=on",)
    (own,) = plan_of(log).decisions
    assert (own.remedy.options, own.remedy.commands) == (options, ())


def test_a_dear_boolean_of_one_tuple_is_not_another_ones_remedy(plan_of: Planner) -> None:
    log = avc("read", "xserver_misc_device_t", "chr_file", fields=NVIDIA) + avc(
        "read", "infiniband_device_t", "chr_file", fields='comm="p" path="/dev/infiniband/x" dev="devtmpfs"', serial=2
    )
    chosen = {decision.target: decision.remedy.options[0].settings for decision in plan_of(log).decisions}
    assert chosen == {
        "xserver_misc_device_t": (("container_use_xserver_devices", True),),
        "infiniband_device_t": (("container_use_devices", True),),
    }


def test_ioctl_is_granted_with_exactly_the_observed_commands(plan_of: Planner) -> None:
    fields = 'comm="p" path="/dev/infiniband/x" dev="devtmpfs" ioctlcmd=0x{:x}'
    log = "".join(
        avc("ioctl", "lvm_control_t", "chr_file", fields=fields.format(number), serial=number)
        for number in (0x4601, 0x46D6)
    )
    plan = plan_of(log, booleans={"container_use_devices": False}, accepted=frozenset({"all"}))
    (decision,) = plan.decisions
    assert decision.xperms == ("0x4601", "0x46d6")


def test_ioctl_without_a_command_is_not_cut_off_by_one_with_it(plan_of: Planner) -> None:
    """An allowxperm beside a bare ``allow ... ioctl`` would take away what the record without a command needs."""
    with_command = avc("ioctl", "proc_kmsg_t", fields='comm="p" path="/proc/kmsg" ioctlcmd=0x5401')
    without = avc("ioctl", "proc_kmsg_t", fields='comm="p" path="/proc/kmsg"', serial=2)
    for log, narrowed in ((with_command, True), (with_command + without, False)):
        rules = [
            rule for decision in plan_of(log, accepted=frozenset({"all"})).decisions for rule in decision.remedy.rules
        ]
        assert any(isinstance(rule, AvRule) for rule in rules)
        assert any(isinstance(rule, XpermRule) for rule in rules) is narrowed


def test_a_rule_on_the_process_itself_says_self(plan_of: Planner) -> None:
    record = avc("execheap", "container_t", "process", levels=SELF)
    for settings, source in (({}, "vllm_t"), ({"extend": True}, "container_t")):
        (decision,) = plan_of(record, **settings).decisions
        assert decision.remedy.rules == (AvRule("allow", source, "self", "process", ("execheap",)),)


def test_risky_access_is_refused_until_it_is_accepted(plan_of: Planner) -> None:
    record = avc("sys_admin", "initrc_t", "process", levels=("s0:c1,c2", "s0")).replace("sys_admin", "ptrace")
    (refused,) = plan_of(record).decisions
    assert (refused.remedy.kind, refused.remedy.rules) == ("refuse", ())
    for word in (refused.id, refused.risk_id, "all"):
        (accepted,) = plan_of(record, accepted=frozenset({word})).decisions
        assert accepted.id == refused.id
        assert accepted.remedy.kind == "allow"


def test_relabelling_does_not_smuggle_a_risky_rule_past_the_gate(plan_of: Planner) -> None:
    """/dev/mem as device_t: the relabel is right, but the rule on what it becomes must be refused."""
    record = avc("read", "device_t", "chr_file", fields='comm="p" path="/dev/mem" dev="devtmpfs"')
    (decision,) = plan_of(record).decisions
    assert decision.remedy.kind == "relabel"
    assert [remedy.kind for remedy in decision.also_remedies] == ["refuse"]
    assert not any(remedy.rules for remedy in (decision.remedy, *decision.also_remedies))


def test_a_boolean_that_opens_what_is_refused_elsewhere_says_so(plan_of: Planner) -> None:
    record = avc("read", "kvm_device_t", "chr_file", fields='comm="p" path="/dev/kvm" dev="devtmpfs"')
    (decision,) = plan_of(record).decisions
    assert decision.remedy.options[0].settings == (("container_use_devices", True),)
    assert {"memory", "raw-disk"} <= set(decision.remedy.options[0].grants.refused)
    assert "memory" in decision.remedy.text
    (extended,) = plan_of(record, extend=True).decisions
    assert (extended.risk, extended.remedy.kind) == ("high", "boolean")
    assert "memory" in extended.remedy.text
