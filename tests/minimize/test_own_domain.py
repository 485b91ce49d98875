"""A domain of the module's own in place of a shared one: whose rules go to it, what it inherits, how it is confined."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polkit.errors import UsageError
from polkit.minimize import Outcome, Proof, Request, generate, how_to_run
from polkit.model import AvRule, OwnDomain, Plan
from polkit.policy import load_policy
from tests.minimize.conftest import Planner
from tests.minimize.proof_worlds import NAME, build_root, prover, read
from tests.records import avc

NVIDIA = 'comm="p" path="/dev/nvidia0" dev="devtmpfs"'
SAME, APART = ("s0:c1,c2", "s0:c1,c2"), ("s0:c1,c2", "s0:c3,c4")
SHAPES = Path(__file__).parent / "sources" / "own_domain_shapes.cil"


def sources(plan: Plan) -> set[str]:
    """The sources of all rules of a plan."""
    remedies = (one for decision in plan.decisions for one in (decision.remedy, *decision.also_remedies))
    return {rule.source for remedy in remedies for rule in remedy.rules if isinstance(rule, AvRule)}


def test_rules_for_a_shared_domain_go_to_the_own_one(plan_of: Planner) -> None:
    log = avc("read", "xserver_misc_device_t", "chr_file", fields=NVIDIA) + avc(
        "execheap", "container_t", "process", levels=SAME, serial=2
    )
    plan = plan_of(log)
    assert plan.domain == OwnDomain("vllm_t", "container_t", ("container_t",))
    assert sources(plan) == {"vllm_t"}
    assert {decision.source for decision in plan.decisions} == {"container_t"}
    assert sources(plan_of(log, extend=True)) == {"container_t"}
    assert plan_of(log, extend=True).domain is None


def test_what_needs_no_rule_needs_no_domain(plan_of: Planner) -> None:
    assert plan_of(avc("read", "container_file_t", levels=APART)).domain is None


def test_certificates_of_the_host(plan_of: Planner) -> None:
    """A boolean would open them to every container: the exact rule is the own domain's, the boolean stands beside."""
    log = avc("read open", "cert_t", fields='comm="p" path="/etc/ssl/cert.pem" dev="dm-0"')
    (decision,) = plan_of(log).decisions
    assert (decision.cause, decision.remedy.kind) == ("boolean", "allow")
    assert decision.remedy.rules == (AvRule("allow", "vllm_t", "cert_t", "file", ("open", "read")),)
    assert decision.remedy.options[0].settings == (("container_read_certs", True),)
    assert "container_read_certs" in decision.remedy.text
    (extended,) = plan_of(log, extend=True).decisions
    assert (extended.remedy.kind, extended.remedy.rules) == ("boolean", ())
    assert extended.remedy.commands == ("setsebool -P container_read_certs=on",)


def test_another_containers_process_is_not_the_own_domain(plan_of: Planner) -> None:
    for levels, target in ((SAME, "self"), (APART, "container_t")):
        plan = plan_of(avc("execheap", "container_t", "process", levels=levels))
        rules = [rule for one in plan.decisions for rule in one.remedy.rules]
        assert rules == [AvRule("allow", "vllm_t", target, "process", ("execheap",))]


def test_a_shared_domain_without_a_stand_in_gets_no_rule(plan_of: Planner) -> None:
    log = avc("execheap", "user_t", "process", source="user_t", levels=("s0", "s0"))
    (decision,) = plan_of(log).decisions
    assert (decision.cause, decision.remedy.kind, decision.remedy.rules) == ("missing-rule", "domain", ())
    assert "--extend" in decision.remedy.text
    assert sources(plan_of(log, extend=True)) == {"user_t"}
    assert sources(plan_of(log, base="none")) == {"vllm_t"}


def test_a_domain_of_one_service_is_extended(plan_of: Planner) -> None:
    log = avc("execheap", "chronyd_t", "process", source="chronyd_t", levels=("s0", "s0"))
    plan = plan_of(log)
    assert (sources(plan), plan.domain) == ({"chronyd_t"}, None)
    named = plan_of(log, shared=frozenset({"chronyd_t"}), base="none")
    assert sources(named) == {"vllm_t"}
    (refused,) = plan_of(log, shared=frozenset({"chronyd_t"})).decisions
    assert "shared_domains" in refused.remedy.text


def test_a_named_base_stands_in_for_the_same_as_the_one_that_is_found(plan_of: Planner) -> None:
    log = avc("execheap", "container_t", "process", levels=SAME) + avc(
        "read", "shadow_t", source="spc_t", levels=("s0", "s0"), serial=2
    )
    found, named = plan_of(log), plan_of(log, base="container_t")
    assert found == named
    assert found.domain is not None
    assert found.domain.sources == ("container_t",)


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("init_t", "init system"),
        ("kernel_t", "kernel"),
        ("unconfined_t", "unconfined"),
        ("dockerd_t", "engine"),
        ("shadow_t", "no domain"),
        ("no_such_t", "no such type"),
        ("chronyd_t", "not among the bases"),
    ],
)
def test_what_can_be_no_base(plan_of: Planner, base: str, reason: str) -> None:
    log = avc("execheap", "container_t", "process", levels=SAME)
    for bases in (("container_t",), ("container_t", base)):
        if reason.startswith("not among") and base in bases:
            assert plan_of(log, base=base, bases=bases).domain is not None
            continue
        with pytest.raises(UsageError, match=reason):
            plan_of(log, base=base, bases=bases)


def test_base_and_extend_exclude_each_other(plan_of: Planner) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        plan_of(avc("execheap", "container_t", "process", levels=SAME), extend=True, base="container_t")


def test_a_log_of_the_module_at_work_is_asked_as_its_base(plan_of: Planner) -> None:
    """The policy at hand has no vllm_t: the log is from a host where the module is installed."""
    log = avc("execheap", "vllm_t", "process", source="vllm_t", levels=SAME) + avc(
        "execheap", "container_t", "process", levels=SAME, serial=2
    )
    plan = plan_of(log)
    (decision,) = plan.decisions
    assert decision.evidence.records == 2
    assert decision.remedy.rules == (AvRule("allow", "vllm_t", "self", "process", ("execheap",)),)
    allowed = plan_of(avc("read", "container_file_t", source="vllm_t", levels=SAME))
    assert [one.cause for one in allowed.decisions] == ["already-allowed"]


def test_from_nothing_everything_is_missing(plan_of: Planner) -> None:
    log = avc("read", "container_file_t", source="vllm_t", levels=SAME)
    plan = plan_of(log, base="none")
    assert [one.cause for one in plan.decisions] == ["missing-rule"]
    assert plan.domain == OwnDomain("vllm_t", None, ("vllm_t",))
    assert not any("starts from nothing" in note for note in plan.notes)


def test_from_nothing_a_relabel_takes_along_what_every_domain_may(plan_of: Planner) -> None:
    """Every domain may search var_t, so one that was made to record in was never refused it; it loses nothing."""
    log = avc("read", "var_t", "dir", source="vllm_t", fields='comm="p" path="/models" dev="dm-0"', levels=SAME)
    (decision,) = plan_of(log, {"/srv/models": "/models"}, base="none").decisions
    assert (decision.cause, decision.remedy.kind) == ("mislabeled", "fcontext")
    perms = {perm for rule in decision.remedy.rules if isinstance(rule, AvRule) for perm in rule.perms}
    assert perms == {"getattr", "open", "read", "search"}


def test_from_nothing_with_a_log_of_a_domain_that_had_rules_says_so(plan_of: Planner) -> None:
    plan = plan_of(avc("execheap", "container_t", "process", levels=SAME), base="none")
    assert any("starts from nothing" in note and "container_t" in note for note in plan.notes)


def test_how_to_run() -> None:
    words = how_to_run(OwnDomain("vllm_t", "container_t", ()))
    assert "label=type:vllm_t" in words["podman"]
    assert "SecurityLabelType=vllm_t" in words["quadlet"]
    assert "type: vllm_t" in words["kubernetes"]
    assert "level:" in words["kubernetes"]


# -- on a small policy whose every rule is known


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = build_root(tmp_path_factory.mktemp("shapes"))
    command = ["semodule", "-p", place, "-s", NAME, "-N", "-n", "-X", "100", "-i", SHAPES]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return place


Maker = Callable[..., Outcome]


@pytest.fixture
def made(root: Path, tmp_path: Path) -> Maker:
    """``made(log, **request)``: a module ``mine`` in the directory ``mine``."""

    def make(log: str, **asked: Any) -> Outcome:
        (tmp_path / "log").write_text(log)
        request = Request(logs=(str(tmp_path / "log"),), policy=str(root), name="mine", **asked)
        return generate(request, tmp_path / "mine", force=True)

    return make


def proof_of(root: Path, tmp_path: Path, log: str, text: str | None = None, **asked: Any) -> Proof:
    te = (tmp_path / "mine" / "mine.te").read_text() if text is None else text
    return prover(root, tmp_path)(te, log, **asked)


def verdict(proof: Proof) -> tuple[object, ...]:
    return (proof.covered, proof.minimal, proof.contained, proof.safe)


def edited(tmp_path: Path, *pairs: tuple[str, str]) -> str:
    """The text of the module that was made, with some of it replaced."""
    text = (tmp_path / "mine" / "mine.te").read_text()
    for old, new in pairs:
        assert text.count(old) == 1, (old, text)
        text = text.replace(old, new)
    return text


def test_everything_of_the_base_is_inherited(root: Path, made: Maker, tmp_path: Path) -> None:
    outcome = made(read())
    module = outcome.plan.module
    assert module is not None
    assert (module.domain, module.base, module.over_permission) == ("mine_t", "container_t", 0)
    # A set expression leaves container_t out and so not mine_t: it may unlink made_t, whatever the module says.
    assert module.structural == 1
    text = (tmp_path / "mine" / "mine.te").read_text()
    for statement in (
        "role system_r types mine_t;",
        "role user_r types mine_t;",
        "type_transition mine_t default_t:file made_t;",
        'type_transition mine_t default_t:dir made_t "cache";',
        "type_transition other_t mine_t:process exec_t;",
        "range_transition mine_t exec_t:process s0;",
        "allow other_t mine_t:process { signal };",
        "allow engine_domain mine_t:process { signal transition };",
        "allow mine_t self:process { signal };",
        "allow mine_t made_t:file { write };",
        "dontaudit mine_t shadow_t:file { getattr };",
        "allowxperm mine_t narrow_device_t:chr_file ioctl { 0x4600 0x4601 };",
        "if (container_use_data) {",
    ):
        assert statement in text, statement
    assert "_typeattr_" not in text
    assert "spare_r" not in text
    assert "container_t" not in [line.split()[-1].strip(";") for line in text.splitlines() if " type " in line]
    proof = proof_of(root, tmp_path, read())
    assert proof.figures.inherited is not None
    assert (proof.figures.inherited.base, proof.figures.inherited.missing) == ("container_t", 0)
    assert proof.figures.inherited.accesses == module.inherited
    assert (proof.figures.granted, proof.figures.structural) == (1, 1)
    assert verdict(proof) == (True, True, True, True), (proof.extra, proof.violations)


def test_its_use_as_a_target_alone(root: Path, made: Maker, tmp_path: Path) -> None:
    """``--base none``: the engine may start it, and it may do nothing but what was observed."""
    log = avc("read", "data_t", source="mine_t", levels=("s0:c0", "s0:c0"))
    made(log, base="none")
    text = (tmp_path / "mine" / "mine.te").read_text()
    print(text)
    assert "type mine_t, domain, mcs_constrained_type;" in text
    assert "allow engine_domain mine_t:process { signal transition };" in text
    assert [line for line in text.splitlines() if line.strip().startswith(("allow mine_t", "dontaudit mine_t"))] == [
        "allow mine_t data_t:file { read };"
    ]
    proof = proof_of(root, tmp_path, log, base="none")
    assert verdict(proof) == (True, True, True, True), (proof.extra, proof.violations)
    assert proof.figures.inherited is not None
    assert (proof.figures.inherited.base, proof.figures.inherited.missing) == (None, 0)


def test_a_permission_too_many_for_the_own_domain(root: Path, made: Maker, tmp_path: Path) -> None:
    made(read())
    more = edited(
        tmp_path,
        ("allow mine_t data_t:file { read };", "allow mine_t data_t:file { read write };"),
        ("class file { ", "class file { write "),
    )
    proof = proof_of(root, tmp_path, read(), more.replace("write append", "append"))
    assert (proof.covered, proof.minimal) == (True, False)
    assert [(one.kind, one.source, one.perms) for one in proof.extra] == [("unasked", "mine_t", ("write",))]


def test_a_rule_that_is_inherited_under_a_boolean_only(root: Path, made: Maker, tmp_path: Path) -> None:
    """What the base has under a boolean and the module gives always is the module's own, and asked for or not."""
    made(read())
    more = "role user_r types mine_t;\nallow mine_t data_t:file append;"
    always = edited(tmp_path, ("role user_r types mine_t;", more))
    proof = proof_of(root, tmp_path, read(), always)
    assert [(one.kind, one.perms) for one in proof.extra] == [("unasked", ("append",))]


def test_a_rule_on_a_foreign_domain(root: Path, made: Maker, tmp_path: Path) -> None:
    made(read())
    foreign = edited(
        tmp_path,
        ("\n    type data_t;\n    role", "\n    type data_t;\n    type container_t;\n    role"),
        ("role user_r types mine_t;", "role user_r types mine_t;\nallow container_t data_t:file read;"),
    )
    proof = proof_of(root, tmp_path, read(), foreign)
    assert proof.minimal is False
    assert ("unasked", "container_t") in {(one.kind, one.source) for one in proof.extra}
    assert "container_t" in {one.domain for one in proof.gained_domains}


def test_without_parity_it_is_not_safe(root: Path, made: Maker, tmp_path: Path) -> None:
    made(read())
    bare = edited(tmp_path, (", mcs_constrained_type", ""), ("    attribute mcs_constrained_type;\n", ""))
    proof = proof_of(root, tmp_path, read(), bare)
    assert proof.safe is False
    assert {one.kind for one in proof.violations} == {"parity"}
    assert all("mcs_constrained_type" in one.text for one in proof.violations)


def test_an_inherited_base_that_is_not_allowed(root: Path, made: Maker, tmp_path: Path) -> None:
    made(read())
    (tmp_path / "polkit.toml").write_text('[minimize]\nbases = ["sandbox_t"]\n')
    refused = proof_of(root, tmp_path, read(), base="container_t", config=tmp_path / "polkit.toml")
    assert refused.safe is False
    assert ("base", "mine_t") in {(one.kind, one.source) for one in refused.violations}
    unconfined = proof_of(root, tmp_path, read(), base="unconfined_t")
    assert {one.kind for one in unconfined.violations} == {"base"}
    assert unconfined.minimal is False  # what container_t may do is nothing that unconfined_t gives it


def test_an_exempting_attribute_gained(root: Path, made: Maker, tmp_path: Path) -> None:
    made(read())
    exempt = edited(
        tmp_path,
        ("type mine_t, ", "type mine_t, can_read_shadow_passwords, "),
        ("    attribute domain;\n", "    attribute domain;\n    attribute can_read_shadow_passwords;\n"),
    )
    proof = proof_of(root, tmp_path, read(), exempt)
    assert proof.safe is False
    assert ("exemption", "mine_t") in {(one.kind, one.source) for one in proof.violations}


def test_commands_of_the_base_that_a_rule_takes_away(root: Path, made: Maker, tmp_path: Path) -> None:
    """container_t has every ioctl on wide_device_t; an allowxperm on the own domain would leave one."""
    made(read())
    narrowed = edited(
        tmp_path,
        ("\n    type data_t;\n    role", "\n    type data_t;\n    type wide_device_t;\n    role"),
        ("role user_r types mine_t;", "role user_r types mine_t;\nallowxperm mine_t wide_device_t:chr_file ioctl 0x1;"),
    )
    proof = proof_of(root, tmp_path, read(), narrowed)
    assert proof.contained is False
    assert [(one.source, one.target) for one in proof.lost_xperms] == [("mine_t", "wide_device_t")]


def test_an_inherited_part_that_was_cut_is_counted(root: Path, made: Maker, tmp_path: Path) -> None:
    made(read())
    cut = edited(tmp_path, ("    allow mine_t container_file_t:file { getattr lock open read };\n", ""))
    proof = proof_of(root, tmp_path, read(), cut)
    assert proof.figures.inherited is not None
    assert proof.figures.inherited.missing == 4
    assert verdict(proof) == (True, True, True, True)


def test_the_plan_beside_the_module_is_no_witness(root: Path, made: Maker, tmp_path: Path) -> None:
    """A plan that claims a base with more than the module's: what it lacks is unasked all the same."""
    made(read())
    policy = load_policy(str(root))
    assert policy.refused_as_base("other_t") is None
    plan = tmp_path / "mine" / "plan.json"
    plan.write_text(plan.read_text().replace('"base": "container_t"', '"base": "other_t"'))
    from polkit.minimize import prove

    proof = prove(tmp_path / "mine", Request(logs=(str(tmp_path / "log"),), policy=str(root)))
    assert (proof.minimal, proof.safe) == (False, False)
    assert {one.kind for one in proof.violations} >= {"base"}


def test_a_module_that_needs_no_domain_of_its_own(root: Path, made: Maker, tmp_path: Path) -> None:
    """container_t asks for nothing, sandbox_t for what nobody gives a shared domain: neither is extended, and neither
    is missing in the module of a third."""
    denied = avc("read", "data_t", source="other_t", levels=("s0", "s0"), serial=1)
    shared = avc("execheap", "sandbox_t", "process", source="sandbox_t", levels=("s0", "s0"), serial=2)
    allowed = avc("getattr", "data_t", levels=("s0:c0", "s0"), serial=3)
    outcome = made(denied + shared + allowed)
    assert outcome.plan.domain is None
    proof = proof_of(root, tmp_path, denied + shared + allowed)
    assert verdict(proof) == (True, True, True, True), proof.uncovered
    assert proof.figures.remedied_elsewhere == {"domain": 1, "none": 1}


def test_a_module_without_the_domain_that_evidence_asks_for_says_so(root: Path, made: Maker, tmp_path: Path) -> None:
    made(avc("read", "data_t", source="other_t", levels=("s0", "s0")))
    proof = proof_of(root, tmp_path, read() + avc("read", "data_t", source="other_t", levels=("s0", "s0"), serial=2))
    assert proof.covered is False
    assert any("--extend" in note for note in proof.notes)
