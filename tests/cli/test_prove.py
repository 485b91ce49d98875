"""``polkit prove`` as its users run it."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.cli.conftest import Polkit
from tests.minimize.proof_worlds import build_root, read, te

SERVING = "kernel/vllm-serving.audit.log"
MOUNTS = ("--mount", "/srv/models:/models", "--mount", "/srv/vllm/cache:/home/vllm/.cache")
MORE = ("capability { ipc_lock }", "capability { ipc_lock sys_tty_config }")


@pytest.fixture(scope="module")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_root(tmp_path_factory.mktemp("small"))


def schema(repository: Path) -> jsonschema.Draft202012Validator:
    path = repository / "docs" / "schemas" / "polkit.proof-1.schema.json"
    return jsonschema.Draft202012Validator(json.loads(path.read_text()))


def test_a_generated_module_is_proven(polkit: Polkit, fixtures_dir: Path, tmp_path: Path, repository: Path) -> None:
    log = fixtures_dir / "avc" / SERVING
    polkit("generate", log, *MOUNTS, "-n", "vllm", "-o", "vllm")
    done = polkit("prove", "vllm", log, *MOUNTS, "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    proof = json.loads(done.stdout)
    schema(repository).validate(proof)
    assert [proof[word] for word in ("covered", "minimal", "contained", "safe")] == [True] * 4
    assert proof["build"] == "store"
    assert proof["completeness"] == 1.0
    # What a dontaudit rule hid comes along with the label of the models' directory, and nothing else.
    assert (proof["over_permission"], proof["over_permission_rate"], proof["dontaudited"]) == (0, 0.0, 1)
    assert [(one["kind"], one["perms"]) for one in proof["extra"]] == [("dontaudited", ["lock"])]
    assert [one["domain"] for one in proof["gained_domains"] if one["accesses"]] == ["vllm_t"]
    assert (proof["inherited"]["base"], proof["inherited"]["missing"]) == ("container_t", 0)
    plan = json.loads((tmp_path / "vllm" / "plan.json").read_text())
    assert proof["inherited"]["accesses"] == plan["module"]["inherited"] > 10_000
    assert proof["structural"] > 1000
    assert (proof["lost"], proof["violations"], proof["joined"]) == ([], [], [])


@pytest.mark.heavy
def test_rules_taken_away_and_added_on_the_real_policy(
    polkit: Polkit, fixtures_dir: Path, tmp_path: Path, repository: Path
) -> None:
    log = fixtures_dir / "avc" / SERVING
    polkit("generate", log, *MOUNTS, "-n", "vllm", "-o", "vllm")
    text = (tmp_path / "vllm" / "vllm.te").read_text()
    proofs = {}
    text = text.replace("class capability { ", "class capability { sys_tty_config ")
    for name, old, new in (("few", "{ execute map read write }", "{ execute map read }"), ("many", *MORE)):
        assert text.count(old) == 1
        (tmp_path / name).mkdir()
        (tmp_path / name / "vllm.te").write_text(text.replace(old, new))
        done = polkit("prove", f"{name}/vllm.te", log, *MOUNTS, "--format", "json")
        assert done.returncode == 1, done.stderr
        proofs[name] = json.loads(done.stdout)
        schema(repository).validate(proofs[name])
    few, many = proofs["few"], proofs["many"]
    assert (few["covered"], few["minimal"], few["contained"], few["safe"]) == (False, True, True, True)
    assert {(one["target"], one["perm"]) for one in few["uncovered"]} == {("tmpfs_t", "write")}
    assert few["completeness"] < 1
    assert (many["covered"], many["minimal"], many["contained"], many["safe"]) == (True, False, True, True)
    assert [one["perms"] for one in many["extra"] if one["kind"] == "unasked"] == [["sys_tty_config"]]


@pytest.mark.heavy
@pytest.mark.parametrize("domain", ["container_t", "vllm_t"])
def test_an_allowxperm_that_takes_commands_away_on_the_real_policy(
    polkit: Polkit, fixtures_dir: Path, tmp_path: Path, repository: Path, domain: str
) -> None:
    """Every container may send /dev/null any command; one allowxperm, and it may send that one alone. An own domain
    that inherits from the base loses them as the base itself would."""
    log = fixtures_dir / "avc" / SERVING
    polkit("generate", log, *MOUNTS, "-n", "vllm", "-o", "vllm")
    text = (tmp_path / "vllm" / "vllm.te").read_text()
    assert "type null_device_t;" not in text
    required = "require {\n    type null_device_t;\n" + (
        "" if "type container_t;" in text else "    type container_t;\n"
    )
    text = text.replace("require {\n", required, 1)
    (tmp_path / "vllm.te").write_text(text + f"\nallowxperm {domain} null_device_t:chr_file ioctl 0x5401;\n")
    done = polkit("prove", "vllm.te", log, *MOUNTS, "--format", "json")
    proof = json.loads(done.stdout)
    schema(repository).validate(proof)
    assert (done.returncode, proof["contained"]) == (1, False), (proof["lost"], proof["extra"])
    lost = [(one["source"], one["target"], one["xperms"]) for one in proof["lost"]]
    assert lost == [(domain, "null_device_t", ["0x0000-0x5400", "0x5402-0xffff"])]


@pytest.mark.heavy
def test_an_estimate_of_the_real_policy(
    polkit: Polkit, fixtures_dir: Path, tmp_path: Path, policy_root: Path, repository: Path
) -> None:
    log = fixtures_dir / "avc" / SERVING
    polkit("generate", log, *MOUNTS, "-n", "vllm", "-o", "vllm")
    binary = sorted(policy_root.glob("etc/selinux/*/policy/policy.*"))[-1]
    (tmp_path / "policy").write_bytes(binary.read_bytes())
    done = polkit("prove", "vllm", log, *MOUNTS, "--format", "json", "--policy", "policy")
    proof = json.loads(done.stdout)
    schema(repository).validate(proof)
    assert (proof["build"], proof["contained"], proof["safe"]) == ("binary", None, None)
    assert proof["covered"] is True


def test_as_text(polkit: Polkit, small_root: Path, tmp_path: Path, repository: Path) -> None:
    (tmp_path / "log").write_text(read())
    (tmp_path / "mine.te").write_text(te("allow container_t data_t:file read;", file="read"))
    done = polkit("prove", "mine.te", "log", "--policy", small_root)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Proven." in done.stdout
    assert "container_t: 1 access by rules of the module" in done.stdout
    (tmp_path / "mine.te").write_text(
        te("allow container_t { data_t shadow_t }:file { read write };", file="read write")
    )
    done = polkit("prove", "mine.te", "log", "--policy", small_root)
    assert done.returncode == 1
    assert "Not proven." in done.stdout
    assert "HIGH neverallow: neverallow ~{ can_read_shadow_passwords } shadow_t:file" in " ".join(done.stdout.split())
    assert "container_t -> data_t:file { write }" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    verbose = polkit("prove", "mine.te", "log", "--policy", small_root, "-v")
    assert verbose.returncode == 1


def test_every_list_holds_to_the_schema(polkit: Polkit, small_root: Path, tmp_path: Path, repository: Path) -> None:
    (tmp_path / "log").write_text(read() + read("shadow_t", "write"))
    (tmp_path / "polkit.toml").write_text('[gates]\nforbid_rules_on = ["shadow_t"]\n')
    (tmp_path / "mine.cil").write_text(
        "(type own_t)(typepermissive sandbox_t)(typeattributeset can_read_shadow_passwords (container_t))"
        "(allow container_t shadow_t (file (read)))(allowx container_t wide_device_t (ioctl chr_file (0x1)))"
        "(allow child_t data_t (file (read)))(allow sandbox_t data_t (chr_file (ioctl)))"
        "(dontaudit container_t shadow_t (file (open)))"
    )
    done = polkit("prove", "mine.cil", "log", "--policy", small_root, "--format", "json", "--held-out", "log")
    assert (done.returncode, done.stderr) == (1, "")
    proof = json.loads(done.stdout)
    schema(repository).validate(proof)
    assert [proof[word] for word in ("covered", "minimal", "contained", "safe")] == [False] * 4
    for word in ("uncovered", "extra", "lost", "gained_domains", "joined", "violations"):
        assert proof[word], word
    assert {one["kind"] for one in proof["violations"]} == {"bounds", "exemption", "gate"}
    text = polkit("prove", "mine.cil", "log", "--policy", small_root, "-v")
    for title in ("Refused all the same", "Lost:", "Broken", "gate:", "permissive sandbox_t"):
        assert title in text.stdout, title


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("prove",), 2, "MODULE"),
        (("prove", "nosuch.te", "log"), 3, "no module"),
        (("prove", "mine.te", "nosuch.log"), 3, "nosuch.log"),
        (("prove", "mine.te", "log", "--policy", "none"), 2, "target policy"),
        (("prove", "mine.te", "log", "--store", "/nosuch"), 3, "module store"),
        (("prove", "mine.te", "log", "--held-out", "nosuch.log"), 3, "nosuch.log"),
        (("prove", "broken.te", "log"), 1, "checkmodule refuses"),
    ],
)
def test_errors_are_messages(
    polkit: Polkit, small_root: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    (tmp_path / "log").write_text(read())
    (tmp_path / "mine.te").write_text(te("allow container_t data_t:file read;", file="read"))
    (tmp_path / "broken.te").write_text("module broken 1.0;\nallow x y:z w;\n")
    given = () if "--policy" in arguments else ("--policy", str(small_root))
    done = polkit(*arguments, *given)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_hostile_names_do_no_harm_on_the_screen(polkit: Polkit, small_root: Path, tmp_path: Path) -> None:
    name = "log\x1b[2J\u202e"
    (tmp_path / name).write_text(read())
    (tmp_path / "mine.te").write_text(te("allow container_t data_t:file read;", file="read"))
    done = polkit("prove", "mine.te", name, "--policy", small_root)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout
