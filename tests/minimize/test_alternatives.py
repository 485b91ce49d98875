"""What else could be done about a decision: offered where the policy says it works, with its cost; and taken whole."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.minimize import assemble, describe_module, join_rules, plan_object, without_remedy
from polkit.model import SELF, AvRule, Plan
from polkit.policy import TargetPolicy
from tests.minimize.choosing import Picking, offered, only, plan_by
from tests.records import avc

NFS = avc("read", "nfs_t")
GPU = avc("ioctl", "xserver_misc_device_t", "chr_file", fields='comm="x" ioctlcmd=0x4611')
HEAP = avc("execheap", "container_t", "process", levels=("s0:c1,c2", "s0:c1,c2"))
SILENT = avc("getattr", "tmpfs_t", fields='comm="x" path="/dev/x"')
PORT = avc("name_bind", "unreserved_port_t", "tcp_socket", "httpd_t", fields="src=8123")
MEMORY = avc("use", "container_runtime_t", "fd") + avc("read", "proc_kcore_t")
MODELS = (
    avc("read open", "default_t", fields='comm="x" path="/models/a"')
    + avc("getattr", "default_t", fields='comm="x" path="/models/a"', serial=2)
    + avc("read", "default_t", "dir", fields='comm="x" path="/models"', serial=3)
)
CACHE = avc("write", "default_t", fields='comm="x" path="/cache/a"') + avc(
    "add_name write", "default_t", "dir", fields='comm="x" path="/cache"', serial=2
)
MOUNTS = {"/srv/models": "/models", "/srv/cache": "/cache"}
EVERYTHING = NFS + GPU + HEAP + SILENT + PORT + MODELS + CACHE


def rules_of(plan: Plan) -> set[tuple[str, str, str, str, str]]:
    """(kind, source, target, class, permission) of every rule in the plan's module."""
    remedies = [remedy for one in plan.decisions for remedy in (one.remedy, *one.also_remedies)]
    rules = join_rules(rule for remedy in remedies for rule in remedy.rules)
    return {
        (rule.kind, rule.source, rule.target, rule.tclass, perm)
        for rule in rules
        if isinstance(rule, AvRule)
        for perm in rule.perms
    }


def test_nobody_asked_nothing_is_looked_for(policy: TargetPolicy) -> None:
    assert only(plan_by(None, policy, NFS)).alternatives == ()


def test_the_tools_own_choice_is_first_and_in_the_plan(policy: TargetPolicy) -> None:
    plan = plan_by(Picking(), policy, EVERYTHING, MOUNTS)
    plain = plan_by(None, policy, EVERYTHING, MOUNTS)
    assert [one.remedy for one in plan.decisions] == [one.remedy for one in plain.decisions]
    for decision in plan.decisions:
        first = decision.alternatives[0]
        assert (decision.chosen, decision.chosen_by) == (first.id, "tool")
        assert (first.remedy, first.also_remedies) == (decision.remedy, decision.also_remedies)
        assert len({one.id for one in decision.alternatives}) == len(decision.alternatives) <= 9


def test_a_rule_in_the_own_domain_a_boolean_the_shared_domain_hidden_or_left(policy: TargetPolicy) -> None:
    found = offered(only(plan_by(Picking(), policy, NFS)))
    assert list(found) == ["rule:vllm_t", "boolean:container_use_nfs=on", "rule:container_t", "silence", "leave"]
    costs = [(one.cost.accesses, one.cost.domains) for one in found.values()]
    assert costs == [(1, 1), (331, 6), (1, 1), (0, 0), (0, 0)]
    assert [name for name, one in found.items() if one.widens] == ["rule:container_t", "silence"]
    assert "every container on the host" in found["rule:container_t"].cost.text


def test_what_opens_what_is_refused_elsewhere_comes_after_what_does_not(policy: TargetPolicy) -> None:
    found = offered(only(plan_by(Picking(), policy, GPU)))
    names = list(found)
    assert names.index("boolean:container_use_xserver_devices=on") < names.index("boolean:container_use_devices=on")
    assert names.index("rule:container_t") < names.index("boolean:container_use_devices=on")
    assert "memory" in found["boolean:container_use_devices=on"].cost.text


def test_a_boolean_gives_nothing_to_a_domain_that_starts_from_nothing(policy: TargetPolicy) -> None:
    found = offered(only(plan_by(Picking(), policy, NFS, base="none")))
    assert not [name for name in found if name.startswith("boolean:")]


def test_widening_a_shared_domain_says_who_shares_it(policy: TargetPolicy) -> None:
    found = offered(only(plan_by(Picking(), policy, NFS, extend=True)))
    assert list(found) == ["boolean:container_use_nfs=on", "rule:container_t", "silence", "leave"]
    assert "every container on the host" in found["rule:container_t"].cost.text


def test_no_rule_that_a_neverallow_forbids_is_offered(policy: TargetPolicy) -> None:
    assert list(offered(only(plan_by(Picking(), policy, avc("read", "shadow_t"))))) == ["refuse"]


def test_a_refused_risk_can_be_accepted_and_nothing_else_grants_it(policy: TargetPolicy) -> None:
    text = avc("write", "container_runtime_t", "unix_stream_socket") + avc("ptrace", "init_t", "process")
    plan = plan_by(Picking(), policy, text)
    for decision in plan.decisions:
        if decision.remedy.kind == "refuse" and decision.risk_id:
            found = offered(decision)
            assert f"accept:{decision.risk_id}" in found
            granting = [one.id for one in found.values() if one.remedy.kind in ("allow", "boolean")]
            assert granting == [f"accept:{decision.risk_id}"]
    picks = {
        (one.tclass, one.perms[0]): f"accept:{one.risk_id}" for one in plan.decisions if one.remedy.kind == "refuse"
    }
    assert picks
    accepted = plan_by(Picking(picks), policy, text)
    assert without_remedy(plan)
    assert not without_remedy(accepted)
    assert {one.remedy.kind for one in accepted.decisions if one.chosen_by == "person"} == {"allow"}


def test_a_refusal_that_a_person_chose_is_an_answer(policy: TargetPolicy) -> None:
    log = avc("read", "shadow_t")
    assert without_remedy(plan_by(Picking(), policy, log))
    assert not without_remedy(plan_by(Picking({("file", "read"): "refuse"}), policy, log))


def test_models_may_have_a_type_that_containers_only_read(policy: TargetPolicy) -> None:
    plan = plan_by(Picking(), policy, MODELS, MOUNTS)
    (step,) = plan_offers(policy, MODELS).steps
    assert [one.id for one in step.options] == ["fcontext:own", "fcontext:container_ro_file_t", "leave"]
    assert len(step.decisions) == len(plan.decisions) > 1
    wanted = {(one.tclass, one.perms[0]): "fcontext:container_ro_file_t" for one in plan.decisions}
    chosen = plan_by(Picking(wanted), policy, MODELS, MOUNTS)
    source = assemble(chosen, "vllm", "1.0.0")
    assert source is not None
    assert rules_of(chosen) == set()
    assert [(one.pattern, one.type) for one in source.access.contexts] == [("/srv/models(/.*)?", "container_ro_file_t")]
    assert source.access.types == ()


def test_what_is_written_may_be_the_engines_to_label(policy: TargetPolicy) -> None:
    (step,) = plan_offers(policy, CACHE).steps
    names = [one.id for one in step.options]
    assert names == ["fcontext:own", "volume:Z", "volume:z", "leave"]
    plan = plan_by(Picking({("file", "write"): "volume:Z", ("dir", "add_name"): "volume:Z"}), policy, CACHE, MOUNTS)
    assert {one.remedy.commands for one in plan.decisions} == {("podman run -v /srv/cache:/cache:Z ...",)}
    assert assemble(plan, "vllm", "1.0.0") is None


def plan_offers(policy: TargetPolicy, text: str) -> object:
    chooser = Picking()
    plan_by(chooser, policy, text, MOUNTS)
    return chooser.offers


def test_a_port_may_have_the_narrowest_type_that_the_domain_may_use(policy: TargetPolicy) -> None:
    found = offered(only(plan_by(Picking(), policy, PORT)))
    (other,) = [one for name, one in found.items() if name.startswith("port:") and name != "port:own"]
    assert other.remedy.type is not None
    assert "name_bind" in policy.allowed("httpd_t", other.remedy.type, "tcp_socket")
    assert f"-t {other.remedy.type} -p tcp 8123" in other.remedy.commands[0]
    assert other.cost.domains > 1


def test_what_was_left_is_no_rule_and_no_lack(policy: TargetPolicy) -> None:
    plan = plan_by(Picking({("process", "execheap"): "leave"}), policy, HEAP)
    decision = only(plan)
    assert (decision.remedy.kind, decision.chosen, decision.chosen_by) == ("none", "leave", "person")
    assert decision.risk == "none"
    assert assemble(plan, "vllm", "1.0.0") is None
    assert without_remedy(plan) == ()
    assert plan.domain is None


def test_hiding_grants_nothing(policy: TargetPolicy) -> None:
    plan = plan_by(Picking({("process", "execheap"): "silence"}), policy, HEAP)
    assert rules_of(plan) == {("dontaudit", "vllm_t", SELF, "process", "execheap")}
    source = assemble(plan, "vllm", "1.0.0")
    assert source is not None
    info = describe_module(source, plan, policy, frozenset(), ())
    assert (info.over_permission, info.blast_radius) == (0, 0)


def test_harmless_to_refuse_may_be_granted(policy: TargetPolicy) -> None:
    found = offered(only(plan_by(Picking(), policy, SILENT)))
    assert list(found) == ["leave", "rule:vllm_t"]
    plan = plan_by(Picking({("file", "getattr"): "rule:vllm_t"}), policy, SILENT)
    assert rules_of(plan) == {("allow", "vllm_t", "tmpfs_t", "file", "getattr")}


def test_what_a_person_gives_the_shared_domain_the_own_one_has_too(policy: TargetPolicy) -> None:
    """The own domain inherits what the target policy gives its base, and nothing that this module gives it."""
    alone = plan_by(Picking({("file", "read"): "rule:container_t"}), policy, NFS)
    assert rules_of(alone) == {("allow", "container_t", "nfs_t", "file", "read")}
    assert alone.domain is None
    both = plan_by(Picking({("file", "read"): "rule:container_t"}), policy, NFS + HEAP)
    assert rules_of(both) == {
        ("allow", "container_t", "nfs_t", "file", "read"),
        ("allow", "vllm_t", "nfs_t", "file", "read"),
        ("allow", "vllm_t", SELF, "process", "execheap"),
    }


def test_commands_are_listed_again_where_what_told_none_is_left(policy: TargetPolicy) -> None:
    """An ioctl without its command keeps others from listing theirs, but only while it is to be granted."""
    bare = avc("ioctl", "xserver_misc_device_t", "chr_file", levels=("s0:c1,c2", "s0:c3,c4"), serial=2)
    together = plan_by(Picking(), policy, GPU + bare)
    assert len(together.decisions) == 2
    assert all(one.remedy.any_command for one in together.decisions)
    left = together.decisions[[bool(one.also) for one in together.decisions].index(True)].key

    def leaving(offers: object) -> dict[str, str]:
        return {left: "leave"}

    plan = plan_by(leaving, policy, GPU + bare)
    kept = next(one for one in plan.decisions if one.key != left)
    assert [rule.numbers for rule in kept.remedy.rules if hasattr(rule, "numbers")] == [(0x4611,)]


def test_without_a_policy_nothing_is_said_to_work_that_was_not_asked() -> None:
    from polkit.policy import load_policy

    found = offered(only(plan_by(Picking(), load_policy("none"), HEAP)))
    assert list(found) == ["rule:container_t", "leave"]


@given(st.data())
@settings(max_examples=10)
def test_the_plan_is_what_was_chosen(policy: TargetPolicy, data: st.DataObject) -> None:
    """Whatever is chosen: it is in the plan, everything else stays the tool's, and the books balance."""
    plain = plan_by(Picking(), policy, EVERYTHING, MOUNTS)
    picks: dict[str, str] = {}

    def drawing(offers: object) -> dict[str, str]:
        for step in offers.steps:  # type: ignore[attr-defined]
            option = data.draw(st.sampled_from([None, *(one.id for one in step.options)]))
            picks.update({decision.key: option for decision in step.decisions} if option is not None else {})
        return picks

    plan = plan_by(drawing, policy, EVERYTHING, MOUNTS)
    assert [one.key for one in plan.decisions] == [one.key for one in plain.decisions]
    assert sum(one.evidence.accesses for one in plan.decisions) == plan.input.accesses
    for before, after in zip(plain.decisions, plan.decisions):
        assert after.chosen_by == ("person" if after.key in picks else "tool")
        assert after.chosen == picks.get(after.key, before.chosen)
        assert (after.id, after.evidence, after.alternatives) == (before.id, before.evidence, before.alternatives)
        expected = next(one for one in after.alternatives if one.id == after.chosen)
        assert after.remedy.kind == expected.remedy.kind
        assert after.remedy.commands == expected.remedy.commands
        allowed = {rule for rule in expected.remedy.rules if isinstance(rule, AvRule)}
        own = {rule for rule in after.remedy.rules if isinstance(rule, AvRule)}
        assert allowed <= own
        if after.chosen != "rule:container_t":
            assert allowed == own
    source = assemble(plan, "vllm", "1.0.0")
    granted = source is not None and any(rule.kind == "allow" for rule in source.access.rules)
    if source is not None:
        assert describe_module(source, plan, policy, frozenset(), ()).over_permission == 0
    assert granted == any(rule[0] == "allow" for rule in rules_of(plan))


@pytest.mark.parametrize("extend", [False, True])
def test_a_key_stays_the_same_on_a_longer_log_and_on_another_host(policy: TargetPolicy, extend: bool) -> None:
    short = {one.key for one in plan_by(Picking(), policy, NFS + GPU).decisions}
    longer = {one.key for one in plan_by(Picking(), policy, EVERYTHING + NFS, MOUNTS, extend=extend).decisions}
    assert len(short) == 2
    assert short <= longer
    other = {one.key for one in plan_by(Picking(), policy, avc("read write", "nfs_t")).decisions}
    assert short.isdisjoint(other)


@pytest.mark.parametrize("wanted", [{}, {("process", "execheap"): "leave", ("chr_file", "ioctl"): "silence"}])
def test_alternatives_and_choices_hold_to_the_schema(
    wanted: dict[tuple[str, str], str], policy: TargetPolicy, repository: Path
) -> None:
    found = json.loads(json.dumps(plan_object(plan_by(Picking(wanted), policy, EVERYTHING, MOUNTS))))
    schema = json.loads((repository / "docs" / "schemas" / "polkit.plan-1.schema.json").read_text())
    checker = jsonschema.Draft202012Validator(schema)
    checker.validate(found)
    assert sorted(one["chosen"] for one in found["decisions"] if one["chosen_by"] == "person") == sorted(
        wanted.values()
    )
    for decision in found["decisions"]:
        assert decision["chosen"] in [one["id"] for one in decision["alternatives"]]
    found["decisions"][0]["alternatives"][0]["domains"] = "many"
    assert not checker.is_valid(found)
