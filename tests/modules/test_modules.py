"""The shipped modules: they are what their evidence gives, they hold what their READMEs say, and the kernel agrees."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from polkit.audit import read_logs, totals
from polkit.config import load_config
from polkit.minimize import Request, generate
from polkit.module import definitions
from polkit.rehearse import Rehearsal, RehearsalRequest, Scenario, read_scenario, rehearse
from tests.fixture_plans import REVIEWED_ON, packages

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = REPOSITORY / "modules"
NAMES = sorted(path.parent.name for path in MODULES.glob("*/polkit.toml"))
SERVERS = [name for name in NAMES if name != "gpu-device-plugin"]
LEDGER = "evidence/learning.ledger"
FILES = ("README.md", "CHANGELOG.md", "polkit.toml", "scenario.toml", "attacks.toml", "proof.json", LEDGER)
# What every attack file must try: the operation, and a word of its object.
ATTACKS = {
    "model modification": ("write", "model"),
    "unauthorised execution": ("exec", "/home/"),
    "file theft": ("read", "/.ssh/"),
    "directory tampering": ("create", "/"),
    "another container's model": ("read", "/srv/other/"),
    "the runtime's executable": ("write", "/usr/bin/runc"),
    "setenforce 0": ("setenforce", ""),
    "shadow": ("read", "/etc/shadow"),
    "raw memory": ("open", "/dev/mem"),
    "another domain's process": ("ptrace", ""),
    "a kernel module": ("load-module", ""),
    "the runtime's socket": ("unix-connect", "containerd.sock"),
}


def schema(name: str) -> Any:
    return json.loads((REPOSITORY / f"docs/schemas/{name}.schema.json").read_text())


def script(*arguments: str, folder: Path = MODULES) -> subprocess.CompletedProcess[str]:
    command = [str(REPOSITORY / "script/modules"), *arguments]
    environment = {**os.environ, "POLKIT_MODULES": str(folder)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def reviewed(policy_root: Path) -> None:
    if packages(policy_root) != REVIEWED_ON.read_text():
        pytest.skip("the modules were built for the policy named in fixtures/avc/POLICY; this host has another release")


@pytest.fixture(scope="session")
def plain_root(reviewed: None) -> Path:
    """The policy that the modules are for: without what the tests' own modules add."""
    done = script("--policy")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.splitlines()[-1])


def test_there_are_the_four() -> None:
    assert NAMES == ["embedding-cpu", "gpu-device-plugin", "vllm-cuda", "vllm-rocm"]


def test_what_is_committed_is_what_the_evidence_gives(reviewed: None) -> None:
    done = script("--check", "--quick")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_a_proof_is_what_the_evidence_gives(reviewed: None) -> None:
    done = script("--check", "embedding-cpu")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.heavy
def test_every_proof_is_what_the_evidence_gives(reviewed: None) -> None:
    done = script("--check")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_a_file_that_is_not_what_the_evidence_gives_is_shown(reviewed: None, tmp_path: Path) -> None:
    subprocess.run(["cp", "-a", MODULES / "embedding-cpu", tmp_path], check=True)
    te = tmp_path / "embedding-cpu/embedding-cpu.te"
    te.write_text(te.read_text().replace("{ getattr map open read }", "{ getattr map open read write }", 1))
    done = script("--check", "--quick", folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "-allow embedding_cpu_t embedding_cpu_model_t:file { getattr map open read write };" in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_module_has_all_its_files(name: str) -> None:
    module = MODULES / name
    for file in (*FILES, f"{name}.te", f"{name}.fc", f"{name}.if"):
        assert (module / file).is_file(), file
        assert (module / file).stat().st_mode & 0o777 == 0o644, file
    version = load_config(module / "polkit.toml").module.version
    assert f"module {name} {version};" in (module / f"{name}.te").read_text()
    assert f"## {version}" in (module / "CHANGELOG.md").read_text()
    texts = [path.read_text() for path in module.rglob("*") if path.is_file()]
    assert not [text for text in texts if str(MODULES.parent) in text or re.search(r"/(?:dev/shm|tmp)/polkit", text)]


@pytest.mark.parametrize("name", NAMES)
def test_a_proof_meets_the_bars(name: str) -> None:
    proof = json.loads((MODULES / name / "proof.json").read_text())
    jsonschema.Draft202012Validator(schema("polkit.proof-1")).validate(proof)
    assert (proof["covered"], proof["minimal"], proof["contained"], proof["safe"]) == (True, True, True, True)
    assert (proof["completeness"], proof["over_permission"], proof["over_permission_rate"]) == (1.0, 0, 0.0)
    assert proof["build"] == "store"


@pytest.mark.parametrize("name", NAMES)
def test_a_scenario_is_rich_and_every_attack_is_there(name: str) -> None:
    serving, attacks = scenarios(name)
    pairs = {(step.operation, step.object) for step in serving.steps}
    assert len(pairs) >= 20
    assert len({pair for pair in pairs if pair[0] != "ioctl"}) >= 15, "not by ioctl commands alone"
    assert {step.expect for step in serving.steps} == {"allowed"}
    assert serving.workload.root is not None and serving.workload.binds
    assert len(attacks.steps) >= 12
    assert {step.expect for step in attacks.steps} == {"denied"}
    for attack, (operation, word) in ATTACKS.items():
        assert any(step.operation == operation and word in step.object for step in attacks.steps), attack
    if name in SERVERS:
        assert any(step.operation == "connect" and step.object == "tcp/443" for step in attacks.steps)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_kernel_said_was_as_expected(name: str) -> None:
    serving, attacks = scenarios(name)
    for scenario, file in ((serving, "serving"), (attacks, "attacks")):
        told = json.loads((MODULES / name / f"evidence/{file}.json").read_text())
        jsonschema.Draft202012Validator(schema("polkit.rehearsal-1")).validate(told)
        assert (told["ok"], told["mode"], told["lost"]) == (True, "enforcing", 0)
        assert [step["name"] for step in told["steps"]] == [step.name for step in scenario.steps], "recorded before"
        domain = f"{name.replace('-', '_')}_t"
        assert {step["domain"] for step in told["steps"]} == {domain}
        assert all(step["avc"] for step in told["steps"] if step["got"] == "denied")
    assert json.loads((MODULES / name / "evidence/serving.json").read_text())["denials"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_what_stood_in_for_a_driver_is_marked(name: str) -> None:
    serving, _ = scenarios(name)
    commands = {step.arguments["command"] for step in serving.steps if step.operation == "ioctl"}
    low = {f"0x{int(str(command)) & 0xFFFF:04x}" for command in commands}
    te, readme = ((MODULES / name / file).read_text() for file in (f"{name}.te", "README.md"))
    marked = {word for line in te.splitlines() if line.startswith("# unmeasured:") for word in line.split()}
    assert low <= {word.strip(",;") for word in marked}
    told = readme.partition("### What was not measured")[2].partition("###")[0]
    assert all(f"`{command}`" in told for command in low)
    for thing in serving.things:
        if thing.stand_in:
            assert f"`{thing.path}`" in told
    assert bool(low) == (name != "embedding-cpu")


@pytest.mark.parametrize("name", NAMES)
def test_no_rule_of_a_module_lets_it_write_what_it_reads_only(name: str) -> None:
    """The model directory is read only, and the module's own rules reach nothing of the base's by name."""
    own = (MODULES / name / f"{name}.te").read_text().partition("# Inherited by")[0]
    rules = [line for line in own.splitlines() if line.startswith("allow ")]
    domain = f"{name.replace('-', '_')}_t"
    assert rules and all(line.startswith(f"allow {domain} ") for line in rules)
    for line in rules:
        if "_model_t:" in line:
            assert not {"write", "append", "create", "unlink", "rename", "add_name", "execute"} & set(line.split())


@pytest.mark.parametrize("name", NAMES)
def test_the_readmes_commands_build_the_module(name: str, tmp_path: Path) -> None:
    for file in (f"{name}.te", f"{name}.fc"):
        (tmp_path / file).write_text((MODULES / name / file).read_text())
    readme = (MODULES / name / "README.md").read_text()
    commands = [line.split() for line in readme.splitlines() if re.match(r"checkmodule |semodule_package ", line)]
    assert [command[0] for command in commands] == ["checkmodule", "semodule_package"]
    for command in commands:
        path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/sbin"))
        done = subprocess.run(command, cwd=tmp_path, env={"PATH": path}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{name}.pp").stat().st_size > 1000
    found = definitions((MODULES / name / f"{name}.if").read_text(), f"{name}.if")
    assert f"{name.replace('-', '_')}_transition" in {one.name for one in found}


# With a machine.


@pytest.mark.heavy
@pytest.mark.parametrize("name", NAMES)
def test_the_kernel_agrees(name: str, plain_root: Path, kernel: Path, tmp_path: Path) -> None:
    """Recorded again, the same is refused; with the module of it, it serves, and every attack is one and is refused.

    Five machines, one after the other."""
    module = MODULES / name

    def run(file: str, **asked: object) -> Rehearsal:
        return rehearse(RehearsalRequest(module / file, policy=str(plain_root), kernel=kernel, **asked))  # type: ignore[arg-type]

    learned = run("scenario.toml", learn=True)
    assert learned.ok
    (tmp_path / "audit.log").write_text(learned.audit)
    assert refusals(tmp_path / "audit.log") == refusals(module / LEDGER)
    request = Request(logs=(str(module / LEDGER),), policy=str(plain_root), config=module / "polkit.toml")
    assert generate(request, tmp_path / "out").exit_code == 0
    modules = (tmp_path / f"out/{name}.pp", *sorted(module.glob("*.cil")))
    domain = f"{name.replace('-', '_')}_t"
    served = run("scenario.toml", modules=modules, domain=domain)
    assert [(one.step.name, one.got, one.detail, one.avc) for one in served.judged if not one.ok] == []
    assert (served.denials, served.lost) == (0, 0)
    for permissive in (True, False):
        attacked = run("attacks.toml", modules=modules, domain=domain, permissive=permissive)
        assert [(one.step.name, one.got, one.detail) for one in attacked.judged if not one.ok] == []
    alone = run("attacks.toml", modules=modules[:1], domain=domain)
    let_through = {one.step.name for one in alone.judged if one.got != "denied"}
    assert let_through == ({"hub-download"} if name in SERVERS else set()), "the second module alone holds it back"


def refusals(path: Path) -> frozenset[Any]:
    """Every distinct denial: what a run says but for times, process and inode numbers, and how often it tried."""
    return frozenset(one.key for one in totals(read_logs([str(path)])).counted)


def scenarios(name: str) -> tuple[Scenario, Scenario]:
    return read_scenario(MODULES / name / "scenario.toml"), read_scenario(MODULES / name / "attacks.toml")
