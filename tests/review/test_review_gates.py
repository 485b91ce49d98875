"""The gates of polkit.toml, held against a module under review, with the policy that it makes and without."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from polkit.minimize import Request, generate
from polkit.review import GateResult, Review, ReviewRequest, review
from tests.bundle.making import evidence

Holder = Callable[..., Review]
WITH_AND_WITHOUT = pytest.mark.parametrize("build", [True, False], ids=["built", "stated"])


@pytest.fixture
def held(host: Path, tmp_path: Path) -> Holder:
    """``held(gates, module, suffix=".cil", build=True)``: the review of a module where these gates are settled."""

    def run(
        gates: str, text: str, suffix: str = ".cil", labels: str = "", build: bool = True, policy: str = ""
    ) -> Review:
        module, config = tmp_path / f"mine{suffix}", tmp_path / "gates.toml"
        module.write_text(text)
        config.write_text(gates)
        if labels:
            module.with_suffix(".fc").write_text(labels)
        return review(ReviewRequest(str(module), policy or str(host), config=config, build=build))

    return run


def only(found: Review) -> GateResult:
    """The one gate there is."""
    assert len(found.gates) == 1
    return found.gates[0]


SHADOW = "(allow container_t shadow_t (file (read open)))\n"
JOINED = "; one\n(typeattributeset container_domain (mine_t))\n(type mine_t)\n(typeattributeset domain (mine_t))\n"


@WITH_AND_WITHOUT
def test_a_forbidden_access_is_named_with_its_place(held: Holder, build: bool) -> None:
    gate = "[[gates.forbid]]\nname = 'passwords'\ntarget = ['shadow_t']\nexcept = ['init_t']\n"
    found = held(gate, f"; a comment\n{SHADOW}", build=build)
    broken = only(found)
    assert (broken.name, broken.kind, broken.ok) == ("passwords", "forbid", False)
    assert broken.accesses == ("allow container_t shadow_t:file { open read }",)
    assert broken.place is not None and broken.place.text.endswith("mine.cil:2")
    assert broken.accesses[0] in broken.why
    assert found.exit_code == 1


@WITH_AND_WITHOUT
@pytest.mark.parametrize(
    ("gate", "broken"),
    [
        ("source = ['container_domain']\nperms = ['read']", True),
        ("target = ['file_type']\nclass = ['file']", True),
        ("class = ['dir']", False),
        ("target = ['shadow_t']\nexcept = ['container_domain']", False),
        ("source = ['init_t']\ntarget = ['shadow_t']", False),
    ],
)
def test_it_goes_by_types_attributes_classes_and_permissions(
    held: Holder, gate: str, broken: bool, build: bool
) -> None:
    assert only(held(f"[[gates.forbid]]\n{gate}\n", SHADOW, build=build)).ok is not broken


@pytest.mark.heavy
def test_a_rule_between_large_attributes_is_looked_at_whole(policy_root: Path, tmp_path: Path) -> None:
    """Half a million pairs of types, and one of them counts."""
    (tmp_path / "mine.cil").write_text("(allow domain file_type (file (read)))")
    (tmp_path / "gates.toml").write_text("[[gates.forbid]]\nsource = ['chronyd_t']\ntarget = ['shadow_t']\n")
    request = ReviewRequest(str(tmp_path / "mine.cil"), str(policy_root), config=tmp_path / "gates.toml", build=False)
    assert only(review(request)).accesses == ("allow chronyd_t shadow_t:file { read }",)


@WITH_AND_WITHOUT
def test_what_the_policy_allows_already_is_no_grant(held: Holder, build: bool) -> None:
    text = "(allow container_t data_t (file (getattr)))(allow container_t data_t (file (read)))"
    assert only(held("[[gates.forbid]]\nperms = ['getattr']\n", text, build=build)).ok is True
    assert only(held("[[gates.forbid]]\nperms = ['read']\n", text, build=build)).ok is False


def test_what_comes_with_an_attribute_is_a_grant(held: Holder) -> None:
    """The rule is the policy's; the module puts its type where it counts."""
    broken = only(held("[[gates.forbid]]\nsource = ['mine_t']\nclass = ['process']\n", JOINED))
    assert broken.accesses == ("allow mine_t mine_t:process { fork }",)
    assert broken.place is not None and broken.place.line in (2, 3, 4)


@pytest.mark.heavy
def test_what_a_domain_inherits_counts_where_the_domain_is_named(
    repository: Path, policy_root: Path, tmp_path: Path
) -> None:
    """container_t may open disks while container_use_devices is on, and so may what inherits from it."""
    config, module = tmp_path / "gates.toml", repository / "modules/vllm-cuda"
    gate = "[[gates.forbid]]\ntarget = ['fixed_disk_device_t']\n"
    config.write_text(f"{gate}{gate}source = ['vllm_cuda_t']\n")
    anyone, named = review(ReviewRequest(str(module), str(policy_root), config=config)).gates
    assert (anyone.ok, named.ok) == (True, False)
    assert "while container_use_devices" in named.accesses[0]


def test_what_every_file_is_open_to_counts_where_the_type_is_named(held: Holder) -> None:
    text = "(type own_t)(typeattributeset file_type (own_t))"
    assert only(held("[[gates.forbid]]\ntarget = ['file_type']\n", text)).ok is True
    assert only(held("[[gates.forbid]]\ntarget = ['own_t']\nsource = ['init_t']\n", text)).ok is False


@WITH_AND_WITHOUT
def test_names_that_nothing_has_are_told(held: Holder, build: bool) -> None:
    gate = only(held("[[gates.forbid]]\ntarget = ['shadwo_t']\n", SHADOW, build=build))
    assert gate.ok is None
    assert "shadwo_t (nearest: shadow_t" in gate.why
    some = only(held("[[gates.forbid]]\ntarget = ['shadwo_t', 'shadow_t']\n", SHADOW, build=build))
    assert some.ok is False and "shadwo_t" in some.why
    own = only(held("[[gates.forbid]]\ntarget = ['own_t']\n", "(type own_t)", build=build))
    assert own.ok is True


DENIED = "[[gates.denied]]\nname = 'still'\nsource = ['{source}']\n{on}\nclass = 'file'\nperms = ['{perm}']\n"


def denied(source: str = "container_t", on: str = "target = ['shadow_t']", perm: str = "read") -> str:
    return DENIED.format(source=source, on=on, perm=perm)


@WITH_AND_WITHOUT
def test_what_must_be_denied_is_asked_of_the_policy_with_the_module(held: Holder, build: bool) -> None:
    assert only(held(denied(), "(type own_t)", build=build)).ok is True
    broken = only(held(denied(), SHADOW, build=build))
    assert (broken.name, broken.kind, broken.ok) == ("still", "denied", False)
    assert broken.accesses == ("allow container_t shadow_t:file { read }",)
    assert broken.place is not None and broken.place.line == 1
    wide = only(held(denied("container_domain", "target = ['file_type']", "write"), SHADOW, build=build))
    assert wide.accesses == ("allow sandbox_t secret_t:file { write }",)


@WITH_AND_WITHOUT
def test_who_may_all_the_same_is_left_out(held: Holder, build: bool) -> None:
    gate = denied("container_domain", "target = ['file_type']", "write") + "except = ['sandbox_t']\n"
    assert only(held(gate, "(type own_t)", build=build)).ok is True
    assert only(held(gate, "(allow container_t secret_t (file (write)))", build=build)).ok is False


@WITH_AND_WITHOUT
def test_what_a_boolean_gives_is_no_reason_to_give_it_always(held: Holder, build: bool) -> None:
    text = "(allow container_t data_t (file (append)))"
    assert only(held("[[gates.forbid]]\ntarget = ['data_t']\n", text, build=build)).ok is False


def test_an_attribute_that_the_binary_policy_has_lost_is_no_type(held: Holder) -> None:
    gate = only(held(denied("domain"), SHADOW))
    assert gate.ok is None and "no type of the policy or the module is domain" in gate.why


def test_what_the_policy_allows_anyway_is_said_so(held: Holder) -> None:
    broken = only(held(denied("init_t"), "(type own_t)"))
    assert broken.ok is False and "without the module, too" in broken.why


@WITH_AND_WITHOUT
def test_a_rule_under_a_boolean_that_is_off_breaks_it_too(held: Holder, build: bool) -> None:
    text = "(boolean mine_read false)(booleanif mine_read (true (allow container_t shadow_t (file (read)))))"
    broken = only(held(denied(), text, build=build))
    assert broken.ok is False
    assert broken.accesses == ("allow container_t shadow_t:file { read } while mine_read",)


@WITH_AND_WITHOUT
def test_a_path_is_what_the_file_contexts_say_with_the_module(held: Holder, build: bool) -> None:
    te = "module mine 1.0;\nrequire { type data_t; }\n"
    path = denied(on="path = '/etc/passwd'", perm="getattr")
    assert only(held(path, te, ".te", build=build)).ok is True
    relabelled = held(path, te, ".te", "# mine\n/etc/passwd -- system_u:object_r:data_t:s0\n", build=build)
    broken = next(one for one in relabelled.gates)
    assert broken.ok is False and "/etc/passwd is data_t" in broken.why
    assert broken.place is not None and broken.place.text.endswith("mine.fc:2")


def test_without_a_policy_names_are_all_there_is(held: Holder) -> None:
    both = "[[gates.forbid]]\ntarget = ['shadow_t']\n[gates]\nno_new_grants_to_shared = true\n"
    gates = {one.kind: one for one in held(both, SHADOW, policy="none").gates}
    assert gates["forbid"].ok is False
    assert gates["no_new_grants_to_shared"].ok is None
    assert only(held(denied(), "(type own_t)", policy="none")).ok is None
    assert only(held(denied(), SHADOW, policy="none")).ok is False


@WITH_AND_WITHOUT
@pytest.mark.parametrize(
    ("gate", "kind", "broken"),
    [
        ("max_risk = 'low'", "max_risk", True),
        ("max_risk = 'high'", "max_risk", False),
        ("forbid_rules_on = ['shadow_t']", "forbid_rules_on", True),
        ("forbid_rules_on = ['data_t']", "forbid_rules_on", False),
        ("no_new_grants_to_shared = true", "no_new_grants_to_shared", True),
        ("no_new_grants_to_shared = false", "", False),
    ],
)
def test_the_gates_of_generate_hold_in_review(held: Holder, gate: str, kind: str, broken: bool, build: bool) -> None:
    gates = held(f"[gates]\n{gate}\n", SHADOW, build=build).gates
    assert [(one.kind, one.ok) for one in gates] == ([(kind, not broken)] if kind else [])


@WITH_AND_WITHOUT
def test_a_domain_of_the_modules_own_is_not_shared(held: Holder, build: bool) -> None:
    text = JOINED + "(allow mine_t shadow_t (file (read)))"
    assert only(held("[gates]\nno_new_grants_to_shared = true\n", text, build=build)).ok is True


def test_over_permission_is_unknown_without_evidence(held: Holder) -> None:
    gate = only(held("[gates]\nmax_over_permission = 0\n", SHADOW))
    assert gate.ok is None and "not known" in gate.why


def test_over_permission_goes_by_the_plan_beside_the_module(host: Path, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(evidence())
    generate(Request((str(tmp_path / "log"),), str(host), name="vllm", extend=True), tmp_path / "vllm")
    config = tmp_path / "gates.toml"
    config.write_text("[gates]\nmax_over_permission = 0\n")
    for text in tmp_path.glob("vllm/*.pp"):
        text.unlink()
    request = ReviewRequest(str(tmp_path / "vllm"), str(host), config=config)
    assert only(review(request)).ok is True
    te = tmp_path / "vllm/vllm.te"
    te.write_text(te.read_text().replace("chr_file { ", "chr_file { execute "))
    broken = only(review(request))
    assert broken.ok is False
    assert broken.accesses == ("allow container_t xserver_misc_device_t:chr_file { execute }",)


NO_PAPERS = ("", "[]", "null", '{"module": 3}', '{"module": {"name": "mine"}, "granted": "x"}', "[" * 9999)


@pytest.mark.parametrize("paper", NO_PAPERS, ids=["empty", "list", "null", "no module", "no numbers", "deep"])
def test_a_paper_that_is_none_tells_nothing(held: Holder, tmp_path: Path, paper: str) -> None:
    for name in ("plan.json", "proof.json"):
        (tmp_path / name).write_text(paper)
    assert only(held("[gates]\nmax_over_permission = 0\n", SHADOW)).ok is None


def test_a_proof_counts_for_so_many_accesses(held: Holder, tmp_path: Path) -> None:
    def proof(granted: int, over: int) -> None:
        found = {"module": {"name": "mine"}, "granted": granted, "over_permission": over}
        (tmp_path / "proof.json").write_text(json.dumps(found))

    proof(2, 0)
    assert only(held("[gates]\nmax_over_permission = 0\n", SHADOW)).ok is True
    proof(1, 0)
    assert only(held("[gates]\nmax_over_permission = 0\n", SHADOW)).ok is False
    assert only(held("[gates]\nmax_over_permission = 1\n", SHADOW)).ok is True
    proof(2, 2)
    assert only(held("[gates]\nmax_over_permission = 1\n", SHADOW)).ok is False


def test_many_accesses_are_cut_with_their_number(held: Holder) -> None:
    rules = "".join(f"(type t{n}_t)(allow container_t t{n}_t (file (read)))" for n in range(30))
    broken = only(held("[[gates.forbid]]\nperms = ['read']\n", rules))
    assert len(broken.accesses) == 21 and broken.accesses[-1] == "and 10 more"


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["vllm-cuda", "vllm-rocm", "embedding-cpu", "gpu-device-plugin"])
def test_our_modules_keep_to_their_gates(repository: Path, policy_root: Path, name: str) -> None:
    module = repository / "modules" / name
    found = review(ReviewRequest(str(module), str(policy_root), config=module / "polkit.toml"))
    assert found.gates and all(gate.ok for gate in found.gates)
