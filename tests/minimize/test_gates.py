"""The gates of polkit.toml, held against what generate writes and what prove finds that a module does."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.config import Config, Forbid, Gates, load_config
from polkit.minimize import Forbidden, GateNames, breaches
from polkit.model import AccessSet, AvRule, InputSummary, ModuleSource, Plan, TypeDeclaration
from polkit.policy import TargetPolicy, load_policy
from tests.minimize.proof_worlds import build_root, prover, read, te

OWN = TypeDeclaration("vllm_t", ("domain", "container_domain"))
WEIGHTS = TypeDeclaration("vllm_model_t", ("file_type",))


def sentences(policy: TargetPolicy, text: str, place: Path, *rules: tuple[str, str, str, str]) -> tuple[str, ...]:
    """What is said of a module with these rules, where ``text`` stands in its polkit.toml."""
    config = place / "polkit.toml"
    config.write_text(text, encoding="utf-8")
    allowed = tuple(AvRule("allow", *rule[:3], tuple(sorted(rule[3].split()))) for rule in rules)
    source = ModuleSource("vllm", "1.0.0", AccessSet(types=(OWN, WEIGHTS), rules=allowed))
    plan = Plan(policy.info, InputSummary(), ())
    return breaches(plan, source, load_config(config), policy)


GPU = ("vllm_t", "xserver_misc_device_t", "chr_file", "read write")


@pytest.mark.parametrize(
    ("gate", "broken"),
    [
        ("target = ['xserver_misc_device_t']", "allow vllm_t xserver_misc_device_t:chr_file { read write }"),
        ("perms = ['write']", "allow vllm_t xserver_misc_device_t:chr_file { write }"),
        ("target = ['device_node']\nperms = ['read']", "allow vllm_t xserver_misc_device_t:chr_file { read }"),
        ("source = ['container_domain']\nclass = ['chr_file']", "chr_file { read write }"),
        ("source = ['vllm_t']", "allow vllm_t"),
        ("source = ['container_t']", ""),
        ("class = ['blk_file']", ""),
        ("perms = ['execute']", ""),
        ("target = ['xserver_misc_device_t']\nexcept = ['vllm_t']", ""),
        ("target = ['xserver_misc_device_t']\nexcept = ['container_domain']", ""),
        ("target = ['xserver_misc_device_t']\nexcept = ['container_t']", "allow vllm_t"),
    ],
)
def test_what_is_forbidden_is_named_with_its_gate(policy: TargetPolicy, tmp_path: Path, gate: str, broken: str) -> None:
    said = sentences(policy, f"[[gates.forbid]]\nname = 'no GPU'\n{gate}\n", tmp_path, GPU)
    assert len(said) == bool(broken)
    assert all(broken in one and one.endswith("(no GPU)") for one in said)


def test_what_must_be_denied_is_no_rule_of_the_module(policy: TargetPolicy, tmp_path: Path) -> None:
    gate = "[[gates.denied]]\nsource = ['domain']\ntarget = ['device_node']\nclass = 'chr_file'\nperms = ['write']\n"
    assert sentences(policy, gate, tmp_path, GPU) == (
        "allow vllm_t xserver_misc_device_t:chr_file { write } must be denied (denied 1)",
    )
    assert sentences(policy, f"{gate}except = ['vllm_t']\n", tmp_path, GPU) == ()


def test_a_rule_on_an_attribute_or_self_is_one_on_each_type(policy: TargetPolicy, tmp_path: Path) -> None:
    gate = "[[gates.forbid]]\ntarget = ['shadow_t']\nperms = ['read']\n[[gates.forbid]]\nperms = ['execheap']\n"
    rules = (("vllm_t", "file_type", "file", "open read"), ("vllm_t", "self", "process", "execheap"))
    assert sentences(policy, gate, tmp_path, *rules) == (
        "allow vllm_t file_type:file { read } is forbidden (forbid 1)",
        "allow vllm_t self:process { execheap } is forbidden (forbid 2)",
    )


def test_a_shared_domain_gets_no_rule_where_that_is_settled(policy: TargetPolicy, tmp_path: Path) -> None:
    gate = "[minimize]\nshared_domains = ['chronyd_t']\n[gates]\nno_new_grants_to_shared = true\n"
    rules = (GPU, *((source, *GPU[1:]) for source in ("container_t", "chronyd_t", "sshd_t")))
    said = sentences(policy, gate, tmp_path, *rules)
    assert [one.split(",")[0] for one in said] == [
        "the module has a rule for chronyd_t",
        "the module has a rule for container_t",
    ]
    assert sentences(policy, "", tmp_path, *rules) == ()


NAMES = ("shadow_t", "etc_t", "file_type", "container_t", "domain", "vllm_t", "no_such_t")
SOME = st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple)


@given(SOME, SOME, SOME, st.sampled_from(((), ("read",), ("read", "write"))))
def test_a_gate_forbids_what_its_four_lists_and_no_exception_hold(
    policy: TargetPolicy,
    source: tuple[str, ...],
    target: tuple[str, ...],
    besides: tuple[str, ...],
    perms: tuple[str, ...],
) -> None:
    names = GateNames(policy, {OWN.name: OWN.attributes})
    forbidden = Forbidden(Forbid("", source, target, (), perms, besides), names)

    def among(type_: str, listed: tuple[str, ...]) -> bool:
        attributes = {*policy.attributes(type_), *(OWN.attributes if type_ == OWN.name else ())}
        return not {type_, *attributes}.isdisjoint(listed)

    for one, other in itertools.product(("container_t", "vllm_t", "shadow_t"), ("etc_t", "shadow_t", "vllm_t")):
        fits = (not source or among(one, source)) and (not target or among(other, target)) and not among(one, besides)
        wanted = [perm for perm in ("read", "write") if not perms or perm in perms] if fits else []
        assert list(forbidden.perms(one, other, "file", ("read", "write"))) == wanted


def test_names_that_nothing_has_are_told(policy: TargetPolicy) -> None:
    names = GateNames(policy, {OWN.name: OWN.attributes})
    assert names.unknown(NAMES) == ("no_such_t",)


def test_without_a_policy_a_gate_goes_by_names_alone() -> None:
    config = Config(gates=Gates(forbid=(Forbid(source=("container_domain",)),)))
    rules = (
        AvRule("allow", "container_domain", "etc_t", "file", ("read",)),
        AvRule("allow", "a_t", "b_t", "file", ("read",)),
    )
    plan = Plan(None, InputSummary(), ())
    said = breaches(plan, ModuleSource("m", "1", AccessSet(rules=rules)), config, load_policy("none"))
    assert said == ("allow container_domain etc_t:file { read } is forbidden (forbid 1)",)
    assert breaches(plan, ModuleSource("m", "1", AccessSet(rules=rules)), config) == said


def test_prove_holds_what_is_forbidden_against_what_the_module_does(tmp_path: Path) -> None:
    """A rule on an attribute is one on each of its types, and the module's own type counts by what it joins."""
    root = build_root(tmp_path / "root")
    config = tmp_path / "gates.toml"
    config.write_text("[[gates.forbid]]\nname = 'data'\nsource = ['container_domain']\ntarget = ['data_t']\n")
    prove = prover(root, tmp_path)
    broken = prove(te("allow container_t data_t:file read;", file="read"), read(), config=config)
    assert broken.gates == ("allow container_t data_t:file { read } is forbidden (data)",)
    assert broken.safe is False
    config.write_text("[[gates.forbid]]\ntarget = ['data_t']\nexcept = ['container_t']\n")
    assert prove(te("allow container_t data_t:file read;", file="read"), read(), config=config).gates == ()
    config.write_text("[gates]\nno_new_grants_to_shared = true\n")
    shared = prove(te("allow container_t data_t:file read;", file="read"), read(), config=config)
    assert "container_t, a shared domain" in shared.gates[0]
