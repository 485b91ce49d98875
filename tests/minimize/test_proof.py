"""The proof of a module, on a small policy whose every rule is known."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from polkit.errors import CompileError, SourceError, UsageError
from polkit.minimize import Proof, Request, proof_object, prove
from tests.minimize.proof_worlds import Prover, build_root, ioctl, prover, read, te

EXACT = te("allow container_t data_t:file read;", file="read")


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_root(tmp_path_factory.mktemp("small"))


@pytest.fixture
def proven(small_root: Path, tmp_path: Path) -> Prover:
    return prover(small_root, tmp_path)


def verdict(proof: Proof) -> tuple[object, ...]:
    return (proof.covered, proof.minimal, proof.contained, proof.safe, proof.exit_code)


def kinds(proof: Proof) -> set[str]:
    return {one.kind for one in proof.extra}


ALL_TRUE = (True, True, True, True, 0)


def test_exactly_what_was_asked_is_proven(proven: Prover) -> None:
    proof = proven(EXACT, read())
    assert verdict(proof) == ALL_TRUE
    assert proof.build == "store"
    assert (proof.figures.completeness, proof.figures.over_permission_rate, proof.figures.granted) == (1.0, 0.0, 1)
    assert [(one.domain, one.accesses) for one in proof.gained_domains] == [("container_t", 1)]
    assert not (proof.extra or proof.uncovered or proof.lost or proof.violations)


def test_one_permission_too_many(proven: Prover) -> None:
    proof = proven(te("allow container_t data_t:file { read write };", file="read write"), read())
    assert verdict(proof) == (True, False, True, True, 1)
    (extra,) = proof.extra
    assert (extra.kind, extra.source, extra.target, extra.perms) == ("unasked", "container_t", "data_t", ("write",))
    assert proof.figures.over_permission_rate == 0.5


def test_one_permission_too_few(proven: Prover) -> None:
    proof = proven(EXACT, read() + read(perms="read write"))
    assert verdict(proof) == (False, True, True, True, 1)
    assert [(one.target, one.perm, one.reason) for one in proof.uncovered] == [("data_t", "write", "no rule allows it")]
    assert (proof.figures.needed, proof.figures.allowed) == (3, 2)
    assert proof.figures.completeness == pytest.approx(2 / 3, abs=1e-6)


def test_an_empty_module_proves_nothing(proven: Prover) -> None:
    empty = te("", process="fork").replace("require {", "require {\n    type container_t;")
    assert verdict(proven(empty, read())) == (False, True, True, True, 1)
    idle = proven(empty, "")
    assert any("no evidence" in note for note in idle.notes)
    assert (idle.figures.completeness, idle.figures.over_permission_rate) == (None, None)


@pytest.mark.parametrize(
    ("body", "perms", "kind"),
    [
        ("allow container_t data_t:file { read getattr };", "read getattr", "base"),
        ("allow container_t data_t:file read;\ndontaudit container_t shadow_t:file read;", "read", "silent"),
        ("type spare_t;\nallow container_t data_t:file read;", "read", "type"),
        ("allow sandbox_t data_t:file read;\nallow container_t data_t:file read;", "read", "unasked"),
        (
            "attribute both;\ntypeattribute container_t both;\ntypeattribute sandbox_t both;\n"
            "allow both data_t:file read;",
            "read",
            "unasked",
        ),
    ],
)
def test_what_nobody_asks_for_is_not_minimal(proven: Prover, body: str, perms: str, kind: str) -> None:
    proof = proven(te(body, file=perms), read())
    assert proof.covered
    assert proof.minimal is False
    assert kind in kinds(proof)
    assert proof.exit_code == 1


def test_two_rules_for_one_thing(proven: Prover) -> None:
    twice = (
        "(typeattribute mine)(typeattributeset mine (container_t))"
        "(allow container_t data_t (file (read)))(allow mine data_t (file (read)))"
    )
    proof = proven(twice, read(), suffix=".cil")
    assert kinds(proof) == {"repeated"}


def test_a_neverallow_violation_that_the_policy_did_not_have(proven: Prover) -> None:
    body = "allow container_t { shadow_t secret_t }:file { read write };"
    log = read("shadow_t", "read write") + read("secret_t", "read write")
    proof = proven(te(body, file="read write"), log, accept=("all",))
    assert proof.safe is False
    broken = {(one.kind, one.source, one.target, one.perms) for one in proof.violations}
    assert broken == {
        ("neverallow", "container_t", "shadow_t", ("read",)),
        ("neverallow", "container_t", "secret_t", ("write",)),
    }
    assert proof.exit_code == 1


def test_a_violation_of_the_policy_itself_is_not_the_modules(proven: Prover) -> None:
    """The store breaks one of its neverallow rules already; the compiler lists that as well."""
    proof = proven(te("allow sandbox_t data_t:file read;", file="read"), "")
    assert proof.safe is True
    assert proof.violations == ()


def test_a_violation_that_only_the_compiler_sees(proven: Prover) -> None:
    """Neverallow rules on ioctl commands are not read by polkit."""
    cil = (
        "(neverallowx container_t wide_device_t (ioctl chr_file (0x1234)))"
        "(allowx container_t wide_device_t (ioctl chr_file (0x1234)))"
    )
    proof = proven(cil, "", suffix=".cil")
    assert proof.safe is False
    (one,) = proof.violations
    assert one.kind == "neverallow"
    assert "neverallowx" in one.text


def test_a_neverallow_rule_of_the_modules_own_that_the_policy_breaks(proven: Prover) -> None:
    proof = proven("(neverallow container_t container_file_t (file (read)))", "", suffix=".cil")
    assert proof.safe is False
    assert [(one.source, one.target, one.perms) for one in proof.violations] == [
        ("container_t", "container_file_t", ("read",))
    ]


@pytest.mark.parametrize(
    "cil",
    [
        "(typeattributeset can_read_shadow_passwords (container_t))(allow container_t shadow_t (file (read)))",
        "(typeattributeset can_read_shadow_passwords (container_t))",
        "(type own_t)(roletype system_r own_t)(typeattributeset can_read_shadow_passwords (own_t))",
        "(typeattributeset can_read_shadow_passwords (container_domain))",
    ],
)
def test_an_exemption_gained_launders_a_violation(proven: Prover, cil: str) -> None:
    proof = proven(cil, "", suffix=".cil")
    assert proof.safe is False
    assert any(one.kind == "exemption" and "can_read_shadow_passwords" in one.text for one in proof.violations)
    if "own_t" not in cil:
        assert proof.contained is False
        assert ("container_t", "can_read_shadow_passwords") in proof.joined
    assert all(one["severity"] == "high" for one in proof_object(proof)["violations"])


def test_joining_the_processes_is_no_exemption_for_a_new_domain(proven: Prover) -> None:
    cil = "(neverallow base_typeattr_2 data_t (file (write)))(typeattribute base_typeattr_2)"
    cil += "(typeattributeset base_typeattr_2 (not (domain)))"
    cil += "(type own_t)(roletype system_r own_t)(typeattributeset domain (own_t))"
    proof = proven(cil, "", suffix=".cil")
    assert not [one for one in proof.violations if one.kind == "exemption"]


def test_type_bounds(proven: Prover) -> None:
    log = read(source="child_t")
    proof = proven(te("allow child_t data_t:file read;", file="read"), log)
    assert proof.safe is False
    assert [(one.kind, one.source, one.perms) for one in proof.violations] == [("bounds", "child_t", ("read",))]
    assert not proof.covered
    assert {one.reason for one in proof.uncovered} == {"its bounding type parent_t may not do it"}


def test_an_allowxperm_takes_commands_away(proven: Prover) -> None:
    rule = "allowxperm container_t wide_device_t:chr_file ioctl 0x1234;"
    proof = proven(te(rule, chr_file="ioctl"), read())
    assert proof.contained is False
    (lost,) = proof.lost_xperms
    assert (lost.source, lost.target, lost.numbers) == (
        "container_t", "wide_device_t", ((0, 0x1233), (0x1235, 0xFFFF)),
    )  # fmt: skip
    assert proof_object(proof)["lost"][0]["xperms"] == ["0x0000-0x1233", "0x1235-0xffff"]


def test_exactly_the_command_that_was_refused(proven: Prover) -> None:
    log = ioctl("narrow_device_t", 0x4602)
    good = proven(te("allowxperm container_t narrow_device_t:chr_file ioctl 0x4602;", chr_file="ioctl"), log)
    assert verdict(good) == ALL_TRUE, good.extra
    wide = proven(te("allowxperm container_t narrow_device_t:chr_file ioctl { 0x4602 0x4603 };", chr_file="ioctl"), log)
    assert verdict(wide) == (True, False, True, True, 1)
    assert {(one.kind, one.xperms) for one in wide.extra} == {("commands", ((0x4603, 0x4603),))}
    other = proven(te("allowxperm container_t narrow_device_t:chr_file ioctl 0x4603;", chr_file="ioctl"), log)
    assert other.covered is False
    assert other.uncovered[0].xperm == "0x4602"
    assert other.uncovered[0].reason == "an allowxperm rule leaves this command out"


def test_all_commands_where_one_was_asked_for(proven: Prover) -> None:
    log = ioctl("data_t", 0x4602)
    rule = "allow container_t data_t:chr_file ioctl;"
    whole = proven(te(rule, chr_file="ioctl"), log)
    assert verdict(whole) == (True, False, True, True, 1)
    assert {one.kind for one in whole.extra} == {"commands"}
    exact = proven(te(rule + "\nallowxperm container_t data_t:chr_file ioctl 0x4602;", chr_file="ioctl"), log)
    assert verdict(exact) == ALL_TRUE


def test_an_ioctl_without_its_command_needs_all(proven: Prover) -> None:
    log = read("data_t", "ioctl", "chr_file")
    rule = "allow container_t data_t:chr_file ioctl;"
    assert verdict(proven(te(rule, chr_file="ioctl"), log)) == ALL_TRUE
    narrowed = proven(te(rule + "\nallowxperm container_t data_t:chr_file ioctl 0x4602;", chr_file="ioctl"), log)
    assert narrowed.covered is False


@pytest.mark.parametrize(
    ("cil", "text"),
    [
        ("(typepermissive container_t)", "permissive container_t;"),
        ("(typetransition container_t data_t process sandbox_t)", "type_transition"),
        ("(typeattributeset container_domain (init_t))", "init_t joins container_domain"),
        ("(userrange system_u ((s0) (s0 (c0))))", ""),
        ("(booleanif container_use_data (false (typetransition container_t data_t file data_t)))", "type_transition"),
    ],
)
def test_what_is_no_rule_is_not_contained(proven: Prover, cil: str, text: str) -> None:
    if not text:
        with pytest.raises(CompileError):  # the compiler takes one range a user
            proven(cil, "", suffix=".cil")
        return
    proof = proven(cil, "", suffix=".cil")
    assert proof.contained is False
    assert any(text in one.text for one in proof.extra if one.kind == "unexplained")
    assert proof.exit_code == 1


def test_conditional_rules_count_in_every_state(proven: Prover) -> None:
    cil = "(booleanif container_use_data (true (allow container_t data_t (file (write)))))"
    proof = proven(cil, "", suffix=".cil")
    assert proof.contained
    assert [(one.kind, one.perms, one.text) for one in proof.extra] == [
        ("unasked", ("write",), "if container_use_data")
    ]


def test_new_types_get_what_their_attributes_have(proven: Prover) -> None:
    log = read("own_t") + read()
    own = "(type own_t)(roletype object_r own_t)(typeattributeset file_type (own_t))"
    proof = proven(own + "(allow container_t data_t (file (read)))", log, suffix=".cil")
    # init_t may look at every file, every file type may be associated with itself.
    assert (proof.figures.structural, proof.contained) == (2, True)
    assert {(one.domain, one.structural) for one in proof.gained_domains} == {
        ("container_t", 0), ("init_t", 1), ("own_t", 1),
    }  # fmt: skip


def test_remedies_elsewhere_are_counted(proven: Prover) -> None:
    proof = proven(EXACT, read() + read("data_t", "append") + read("nosuch_t"))
    assert proof.covered
    assert proof.figures.remedied_elsewhere == {"boolean": 1, "none": 1}
    assert proof.figures.boolean_grants == 1
    assert proof.figures.needed == 1


def test_held_out_evidence(proven: Prover) -> None:
    other = read() * 3 + read(perms="write")
    proof = proven(EXACT, read(), held_out=other)
    assert verdict(proof) == ALL_TRUE
    assert proof.figures.held_out == (1, 4)
    assert proof.figures.held_out_under_permission == 0.25
    assert proof_object(proof)["held_out_under_permission"] == 0.25


def test_gates(proven: Prover, tmp_path: Path) -> None:
    config = tmp_path / "polkit.toml"
    config.write_text('[gates]\nforbid_rules_on = ["data_t"]\n')
    proof = proven(EXACT, read(), config=config)
    assert verdict(proof) == (True, True, True, False, 1)
    assert "data_t" in proof.gates[0]


def test_a_boolean_of_the_host_counts(proven: Prover, tmp_path: Path) -> None:
    (tmp_path / "booleans").write_text("container_use_data --> on\n")
    log = read(perms="append")
    assert proven(EXACT, log).figures.remedied_elsewhere == {"boolean": 1}
    assert proven(EXACT, log, booleans=tmp_path / "booleans").figures.remedied_elsewhere == {"none": 1}


def test_an_estimate_from_the_binary_alone(proven: Prover, small_root: Path, tmp_path: Path) -> None:
    (binary,) = small_root.glob("etc/selinux/small/policy/policy.*")
    alone = tmp_path / "alone"
    alone.write_bytes(binary.read_bytes())
    proof = proven(EXACT, read(), policy=alone)
    assert verdict(proof) == (True, True, None, None, 0)
    assert proof.build == "binary"
    assert any("estimate" in note for note in proof.notes)
    bad = proven(te("allow container_t data_t:file { read write };", file="read write"), read(), policy=alone)
    assert verdict(bad) == (True, False, None, None, 1)


def test_an_earlier_version_is_taken_out_first(small_root: Path, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(small_root, root)
    (tmp_path / "mine.cil").write_text("(allow container_t data_t (file (read write)))")
    command = ["semodule", "-p", root, "-s", "small", "-N", "-n", "-X", "200", "-i", tmp_path / "mine.cil"]
    subprocess.run(command, check=True, capture_output=True)
    proof = prover(root, tmp_path)(EXACT, read())
    assert verdict(proof) == ALL_TRUE
    assert any("earlier version" in note for note in proof.notes)


def test_a_module_that_would_hide_another(small_root: Path, tmp_path: Path) -> None:
    (tmp_path / "base.cil").write_text("(allow container_t data_t (file (read)))")
    with pytest.raises(CompileError, match="already has a module base"):
        prove(tmp_path / "base.cil", Request(logs=("/dev/null",), policy=str(small_root)))


def test_a_module_that_does_not_link(proven: Prover) -> None:
    with pytest.raises(CompileError, match="does not link"):
        proven("(allow container_t nosuch_t (file (read)))", "", suffix=".cil")


HOSTILE = {
    "m4": "module mine 1.0;\nsyscmd(`touch {place}/ran')\n",
    "include": "module mine 1.0;\ninclude(`{place}/log')\n",
    "policy_module": "policy_module(mine, 1.0)\ngen_require(`type container_t;')\n",
    "no module": "allow a b:file read;\n",
    "bad name": "module ../../mine 1.0;\n",
    "nested": "module mine 1.0;\n" + "optional { " * 20000,
    "zero bytes": "module mine 1.0;\n\0\0\0",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_te_runs_nothing(proven: Prover, tmp_path: Path, text: str) -> None:
    with pytest.raises((CompileError, UsageError)):
        proven(text.replace("{place}", str(tmp_path)), read())
    assert not (tmp_path / "ran").exists()


HOSTILE_CIL = {
    "unbalanced": "(allow container_t data_t (file (read)))) (typepermissive container_t)",
    "block": "(block x (type t)) (allow x.t data_t (file (read)))",
    "macro": "(macro m ((type x)) (allow x data_t (file (read)))) (call m (container_t))",
    "deep": "(" * 100000,
}


@pytest.mark.parametrize("text", HOSTILE_CIL.values(), ids=HOSTILE_CIL.keys())
def test_hostile_cil_is_refused(proven: Prover, text: str) -> None:
    with pytest.raises(CompileError):
        proven(text, "", suffix=".cil")


def test_everything_to_everything(proven: Prover) -> None:
    everything = "(typeattribute e)(typeattributeset e (all))(allow e e (file (all)))"
    proof = proven(everything, "", suffix=".cil")
    assert proof.exit_code == 1
    assert proof.safe is False
    assert proof.minimal is False


def test_a_giant(small_root: Path, tmp_path: Path) -> None:
    giant = tmp_path / "giant.te"
    with giant.open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(SourceError, match="larger than"):
        prove(giant, Request(logs=("/dev/null",), policy=str(small_root)))


def test_of_a_project_its_own_module_is_proven(small_root: Path, tmp_path: Path) -> None:
    """And not an optional one that lies beside its source."""
    (tmp_path / "polkit.toml").write_text('[module]\nname = "own"\n')
    (tmp_path / "own.te").write_text(
        "module own 1.0;\nrequire { type container_t; type data_t; class file read; }\n"
        "allow container_t data_t:file read;\n"
    )
    (tmp_path / "more.cil").write_text("(allow container_t data_t (file (write)))\n")
    log = tmp_path / "audit.log"
    log.write_text(read() + "\n")
    found = prove(tmp_path, Request((str(log),), str(small_root), extend=True))
    assert (found.module, found.covered, found.extra) == ("own", True, ())


def test_what_is_no_module(small_root: Path, tmp_path: Path) -> None:
    request = Request(logs=("/dev/null",), policy=str(small_root))
    with pytest.raises(SourceError, match="no module"):
        prove(tmp_path / "nosuch.te", request)
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(UsageError):
        prove(tmp_path / "x.txt", request)
    (tmp_path / "x.pp").write_text("no package")
    with pytest.raises(CompileError):
        prove(tmp_path / "x.pp", request)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="holds no module"):
        prove(tmp_path / "empty", request)
    (tmp_path / "empty/plan.json").write_text("[1]")
    with pytest.raises(SourceError, match="not a plan"):
        prove(tmp_path / "empty", request)
    with pytest.raises(UsageError, match="target policy"):
        prove(tmp_path / "x.pp", Request(policy="none"))


def test_same_input_same_proof(proven: Prover) -> None:
    text = te("allow container_t { data_t shadow_t secret_t }:file { read write };", file="read write")
    log = read() + read("shadow_t")
    assert proof_object(proven(text, log)) == proof_object(proven(text, log))
