"""Types of the module's own: which directory gets one, of which kind, and which directories never do."""

from __future__ import annotations

import pytest

from polkit.minimize import assemble
from polkit.model import AvRule
from polkit.policy import TargetPolicy, load_policy
from tests.minimize.conftest import Planner
from tests.records import avc


def read(path: str, target: str = "default_t", serial: int = 1) -> str:
    return avc("read", target, fields=f'comm="p" path="{path}" dev="dm-0"', serial=serial)


def test_read_only_evidence_gives_a_read_only_type_and_never_z(plan_of: Planner) -> None:
    plan = plan_of(read("/models/llama/w.bin"), mounts={"/srv/models": "/models"})
    (decision,) = plan.decisions
    remedy = decision.remedy
    assert (remedy.type, remedy.pattern) == ("vllm_model_t", "/srv/models(/.*)?")
    assert ":z" not in remedy.text
    source = assemble(plan, "vllm", "1.0.0")
    assert source is not None
    perms = {perm for rule in source.access.rules if rule.target == "vllm_model_t" for perm in rule.perms}
    assert "read" in perms
    assert not perms & {"write", "append", "create", "unlink", "execute", "setattr", "ioctl"}


def test_what_is_written_gets_a_type_of_its_own_and_what_is_read_stays_read_only(plan_of: Planner) -> None:
    log = read("/models/a") + avc("write", "default_t", "dir", fields='path="/models/.cache" dev="dm-0"', serial=2)
    plan = plan_of(log, mounts={"/srv/models": "/models"})
    assert {decision.remedy.pattern: decision.remedy.type for decision in plan.decisions} == {
        "/srv/models(/.*)?": "vllm_model_t",
        r"/srv/models/\.cache(/.*)?": "vllm_cache_t",
    }
    source = assemble(plan, "vllm", "1.0.0")
    assert source is not None
    given = {(rule.target, rule.tclass): set(rule.perms) for rule in source.access.rules}
    assert "write" in given["vllm_cache_t", "dir"]
    assert all(not perms & {"write", "append"} for (type_, _), perms in given.items() if type_ == "vllm_model_t")


def test_two_directories_two_types(plan_of: Planner) -> None:
    log = read("/models/a") + avc("write", "default_t", fields='path="/cache/b" dev="dm-0"', serial=2)
    plan = plan_of(log, mounts={"/srv/models": "/models", "/srv/cache": "/cache"})
    types = {decision.remedy.pattern: decision.remedy.type for decision in plan.decisions}
    assert types == {"/srv/models(/.*)?": "vllm_model_t", "/srv/cache(/.*)?": "vllm_cache_t"}


def test_without_a_mapping_there_is_no_label_and_no_restorecon(plan_of: Planner) -> None:
    plan = plan_of(read("/models/a"))
    (decision,) = plan.decisions
    assert not decision.remedy.contexts
    assert not decision.remedy.rules
    assert not any("restorecon" in command for command in decision.remedy.commands)
    assert "--mount" in decision.remedy.text
    assert assemble(plan, "vllm", "1.0.0") is None


SYSTEM = [
    "/",
    "/etc",
    "/usr",
    "/usr/lib",
    "/var",
    "/var/lib",
    "/home",
    "/home/bob",
    "/root",
    "/dev",
    "/proc",
    "/srv",
    "/opt",
]


@pytest.mark.parametrize("host", SYSTEM)
def test_a_directory_that_others_live_by_is_never_labelled(plan_of: Planner, host: str) -> None:
    plan = plan_of(read("/data/file"), mounts={host: "/data"})
    for context in plan.decisions[0].remedy.contexts:
        assert context.pattern != f"{host.rstrip('/')}(/.*)?"


@pytest.mark.parametrize(
    ("path", "host"),
    [("/data/../../etc/passwd", "/srv/data"), ("/data//x/./../../../usr/bin/y", "/srv/data")],
)
def test_dots_do_not_lead_out_of_the_mount(plan_of: Planner, path: str, host: str) -> None:
    (decision,) = plan_of(read(path), mounts={host: "/data"}).decisions
    assert not decision.remedy.contexts


def test_a_path_with_blanks_and_regex_characters_is_quoted(plan_of: Planner) -> None:
    record = "path=" + b"/models/a".hex().upper()
    plan = plan_of(
        avc("read", "default_t", fields=f'comm="p" {record} dev="dm-0"'), mounts={"/srv/my models (v1.0)*": "/models"}
    )
    (context,) = plan.decisions[0].remedy.contexts
    assert " " not in context.pattern
    assert context.pattern.endswith("(/.*)?")
    assert plan.decisions[0].remedy.commands == ("restorecon -RFv '/srv/my models (v1.0)*'",)


def test_a_label_that_file_contexts_knows_is_restored(plan_of: Planner) -> None:
    """A host daemon's file that was moved from a home directory, and a directory of the host that a container sees."""
    record = avc("read", "user_home_t", source="chronyd_t", levels=("s0", "s0"), fields='path="/etc/hosts" dev="dm-0"')
    (decision,) = plan_of(record).decisions
    assert (decision.cause, decision.remedy.kind, decision.remedy.commands) == (
        "mislabeled",
        "relabel",
        ("restorecon -v /etc/hosts",),
    )
    assert decision.remedy.type == "net_conf_t"


def test_a_host_daemons_unlabelled_directory_gets_a_type(plan_of: Planner) -> None:
    record = avc("read", "default_t", source="chronyd_t", levels=("s0", "s0"), fields='path="/models/a" dev="dm-0"')
    (decision,) = plan_of(record).decisions
    assert decision.remedy.pattern == "/models(/.*)?"


def test_what_a_dontaudit_rule_hid_comes_along_but_no_ioctl(plan_of: Planner, policy: TargetPolicy) -> None:
    """Asked of the policy, so that the test holds on any release: what is silent on the old type is on the new one."""
    (decision,) = plan_of(read("/models/a"), mounts={"/srv/models": "/models"}).decisions
    silent = policy.dontaudited("container_t", "default_t", "file") - policy.allowed("container_t", "default_t", "file")
    rules = [rule for rule in decision.remedy.rules if isinstance(rule, AvRule)]
    given = {perm for rule in rules for perm in rule.perms}
    assert given == {"read"} | (silent & {"getattr", "lock", "map", "open"})


def test_a_device_node_that_file_contexts_does_not_know_gets_a_type(plan_of: Planner) -> None:
    record = avc("ioctl", "device_t", "chr_file", fields='path="/dev/gdrdrv" dev="devtmpfs" ioctlcmd=0xc000')
    (decision,) = plan_of(record).decisions
    assert decision.remedy.type == "vllm_device_t"
    assert [(context.pattern, context.kind) for context in decision.remedy.contexts] == [("/dev/gdrdrv", "-c")]


def test_a_containers_private_dev_is_not_the_hosts(plan_of: Planner) -> None:
    record = avc("read", "device_t", "chr_file", fields='path="/dev/gdrdrv" dev="tmpfs"')
    (decision,) = plan_of(record).decisions
    assert not decision.remedy.contexts


def test_no_policy_still_tells_a_label_from_a_rule(plan_of: Planner) -> None:
    nothing = load_policy("none")
    assert plan_of(read("/models/a"), on=nothing).decisions[0].cause == "mislabeled"
    other = avc("read", "foo_t", source="httpd_t")
    assert plan_of(other, on=nothing).decisions[0].cause == "missing-rule"


def test_a_record_without_a_path_goes_where_all_others_lie(plan_of: Planner) -> None:
    """auditd without rules logs only the last name of a path for many accesses."""
    nameless = avc("write", "default_t", fields='comm="p" name="w.bin" dev="dm-0"', serial=2)
    plan = plan_of(read("/models/a") + nameless, mounts={"/srv/models": "/models"})
    assert {decision.remedy.type for decision in plan.decisions} == {"vllm_cache_t"}
    elsewhere = read("/data/b", serial=3)
    plan = plan_of(read("/models/a") + nameless + elsewhere, mounts={"/srv/models": "/models", "/srv/data": "/data"})
    (asked,) = [decision for decision in plan.decisions if decision.remedy.type is None]
    assert asked.perms == ("write",)
    assert "--mount" in asked.remedy.text
