"""``polkit rehearse --loop``: learned, made, proven, enforced, attacked; and the same by audit2allow."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from polkit.cli.loop_text import print_loop
from polkit.rehearse import (
    Attacks,
    Judged,
    Loop,
    Peer,
    Phase,
    Rehearsal,
    RehearsalRequest,
    loop_object,
    loop_text,
    read_scenario,
    rehearse,
    write_loop,
)
from tests.rehearse.conftest import WriteScenario

Polkit = Callable[..., "subprocess.CompletedProcess[str]"]

THINGS = """
[[thing]]
path = "/srv/models/weights"
content = "weights"

[[thing]]
path = "/dev/nvidia0"
device = "c 1 5"
stand-in = true

[[thing]]
path = "/etc/shadow"
content = "root"
"""


def step(name: str, do: str, rest: str, expect: str = "allowed") -> str:
    return f'\n[[step]]\nname = "{name}"\ndo = "{do}"\nexpect = "{expect}"\nwhy = "test"\n{rest}\n'


NEEDS = step("weights", "read", 'path = "/srv/models/weights"') + step(
    "gpu", "ioctl", 'path = "/dev/nvidia0"\ncommand = 0x46d6'
)


@pytest.fixture
def polkit(policy_root: Path, tmp_path: Path) -> Polkit:
    """``polkit("rehearse", ...)``, in an empty directory."""

    def run(*words: object, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "polkit", *map(str, words)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
            timeout=900,
            env={**os.environ, "COLUMNS": "100", **env},
        )

    return run


@pytest.fixture
def loop_schema(repository: Path) -> jsonschema.Draft202012Validator:
    text = (repository / "docs/schemas/polkit.loop-1.schema.json").read_text()
    return jsonschema.Draft202012Validator(json.loads(text))


def without_tool(place: Path) -> str:
    """A PATH with everything but audit2allow."""
    place.mkdir()
    for folder in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for tool in Path(folder).iterdir():
            link = place / tool.name
            if tool.name != "audit2allow" and not link.is_symlink():
                link.symlink_to(tool)
    return str(place)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--loop", "--permissive"), "--loop and --permissive exclude each other"),
        (("--loop", "--learn"), "--loop and --learn exclude each other"),
        (("--loop", "--module", "x.pp"), "--loop and --module exclude each other"),
        (("--attacks", "x.toml"), "--attacks is for --loop"),
        (("--beside", "none"), "--beside is for --loop"),
        (("--loop", "-n", "No Name"), "can't name a module"),
        (("--loop", "--attacks", "small.toml"), "no step is expected to be denied"),
    ],
)
def test_wrong_usage(polkit: Polkit, scenario_file: WriteScenario, words: tuple[str, ...], said: str) -> None:
    done = polkit("rehearse", scenario_file(), *words)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr


def test_a_loop_that_was_kept_is_not_overwritten(polkit: Polkit, scenario_file: WriteScenario, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/loop.json").write_text("another day")
    done = polkit("rehearse", scenario_file(), "--loop", "-o", tmp_path / "kept")
    assert (done.returncode, "holds loop.json already" in done.stderr) == (2, True)
    assert (tmp_path / "kept/loop.json").read_text() == "another day"
    (tmp_path / "here/small").mkdir(parents=True)
    module = polkit("rehearse", scenario_file(), "--loop", "-o", tmp_path / "here")
    assert (module.returncode, "here/small exists" in module.stderr) == (2, True)
    (tmp_path / "file").write_text("")
    assert polkit("rehearse", scenario_file(), "--loop", "-o", tmp_path / "file").returncode == 2


def rehearsal(path: Path, *got: str) -> Rehearsal:
    scenario = read_scenario(path)
    judged = tuple(
        Judged(
            one, "small_t", one.expect, found, None, ("type=AVC msg=audit(1.0:1): avc:  denied",) * (found != "allowed")
        )
        for one, found in zip(scenario.steps, got)
    )
    return Rehearsal(scenario, "enforcing", "raw", judged, "log\n", "", 0, 0, 0, 9.0, 7.0)


def loop(path: Path, served: tuple[str, ...], stopped: str, **more: Any) -> Loop:
    known: dict[str, Any] = {
        "scenario": read_scenario(path),
        "name": "small",
        "rounds": 1,
        "stopped": stopped,
        "learned": rehearsal(path, *("allowed",) * len(served)),
        "outcome": None,
        "served": rehearsal(path, *served),
        "attacked": None,
        "proof": None,
        "phases": (Phase("learn", 1, 7.0, 1), Phase("generate", 1, 2.0), Phase("serve", 1, 8.0, 1)),
        "seconds": 20.0,
    }
    return Loop(**{**known, **more})


def test_what_did_not_close_is_told(
    scenario_file: WriteScenario,
    loop_schema: jsonschema.Draft202012Validator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = scenario_file(THINGS, step=NEEDS)
    peers = (
        Peer("carry-on", hint="install it"),
        Peer(
            "fail-fast",
            stopped="it has no other rule",
            note="no proof",
            rounds=3,
            statements=2,
            accesses=5,
            domains=("container_t",),
            over_permission=5,
            refused=("gpu",),
            denials_left=1,
            attacks=Attacks(2, 1, ("x",), ()),
        ),
    )
    found = loop(path, ("allowed", "denied"), "nothing new; refused: gpu", beside=peers)
    assert (found.ok, found.exit_code, found.refused, found.denials_left, found.boots) == (False, 1, ("gpu",), 1, 2)
    told = json.loads(loop_text(found))
    loop_schema.validate(told)
    assert told["beside"][1]["attacks"]["through"] == ["x"]
    print_loop(found, verbose=False)
    text = capsys.readouterr().out
    for said in ("did not close: nothing new; refused: gpu", "1 refused, 1 denial left: gpu", "lets through: x"):
        assert said in text
    write_loop(found, tmp_path)
    assert json.loads((tmp_path / "loop.json").read_text()) == told
    assert (tmp_path / "serving/audit.log").read_text() == "log\n"


def test_an_attack_that_gets_through_fails_a_loop_that_closed(
    scenario_file: WriteScenario, loop_schema: jsonschema.Draft202012Validator, capsys: pytest.CaptureFixture[str]
) -> None:
    path = scenario_file(THINGS, step=NEEDS + step("shadow", "read", 'path = "/etc/shadow"', "denied"))
    good = ("allowed", "allowed", "denied")
    assert loop(path, good, "").exit_code == 0
    assert loop(path, good, "", attacked=rehearsal(path, *good)).exit_code == 0
    for got, through, failed in (("allowed", ["shadow"], []), ("error", [], ["shadow"])):
        found = loop(path, good, "", attacked=rehearsal(path, "allowed", "allowed", got))
        told = loop_object(found)
        loop_schema.validate(json.loads(json.dumps(told)))
        assert (told["closed"], told["ok"], found.exit_code) == (True, False, 1)
        assert told["attacks"] == {"steps": 1, "refused": 0, "through": through, "failed": failed}
    print_loop(found, verbose=False)
    assert "failed without SELinux: shadow" in capsys.readouterr().out


def test_a_small_loop_closes(
    polkit: Polkit,
    scenario_file: WriteScenario,
    loop_schema: jsonschema.Draft202012Validator,
    policy_root: Path,
    kernel: Path,
    tmp_path: Path,
) -> None:
    """Two boots: one to learn, one to see. audit2allow is not there, which is said and no error."""
    words = ("--policy-root", policy_root, "--kernel", kernel, "--format", "json", "-o", tmp_path / "kept")
    done = polkit("rehearse", scenario_file(THINGS, step=NEEDS), "--loop", *words, PATH=without_tool(tmp_path / "bin"))
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    loop_schema.validate(told)
    assert (told["ok"], told["rounds"], told["boots"], told["denials_left"]) == (True, 1, 2, 0)
    assert (told["module"]["domain"], told["module"]["over_permission"]) == ("small_t", 0)
    assert [told["proof"][name] for name in ("covered", "minimal", "contained", "safe")] == [True] * 4
    (peer,) = told["beside"]
    assert (peer["available"], "policycoreutils-python-utils" in peer["hint"]) == (False, True)
    assert json.loads((tmp_path / "kept/loop.json").read_text()) == told
    kept = {str(path.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    assert {"evidence/audit.log", "proof.json", "serving/results.json", "small/small.pp", "small/plan.json"} <= kept


@pytest.mark.heavy
def test_a_driver_that_is_not_there_stops_no_run(scenario_file: WriteScenario, policy_root: Path, kernel: Path) -> None:
    """What fails behind SELinux's checks was let through, for a run that ends at its first failure too."""
    steps = step("null", "ioctl", 'path = "/dev/null"\ncommand = 0x46d6') + step("passwd", "stat", 'path = "/dev/null"')
    request = RehearsalRequest(scenario_file(THINGS, step=steps), policy=str(policy_root), kernel=kernel)
    done = rehearse(replace(request, fail_fast=True, needs=True))
    assert [(one.step.name, one.got) for one in done.judged] == [("null", "allowed"), ("passwd", "allowed")]


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("audit2allow") is None, reason="audit2allow is not installed")
def test_the_whole_loop_beside_audit2allow(
    polkit: Polkit,
    fixtures_dir: Path,
    loop_schema: jsonschema.Draft202012Validator,
    policy_root: Path,
    kernel: Path,
    tmp_path: Path,
) -> None:
    """One round, a proven module and no attack that gets through; audit2allow takes more, and opens what all share."""
    serving, attacks = fixtures_dir / "scenarios/serving.toml", fixtures_dir / "scenarios/attacks.toml"
    words = ("--loop", "--attacks", attacks, "--policy-root", policy_root, "--kernel", kernel, "-n", "vllm")
    done = polkit("rehearse", serving, *words, "--explain", "-o", tmp_path / "kept")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads((tmp_path / "kept/loop.json").read_text())
    loop_schema.validate(told)
    assert (told["ok"], told["rounds"], told["boots"], told["refused"], told["denials_left"]) == (True, 1, 3, [], 0)
    assert [told["proof"][name] for name in ("covered", "minimal", "contained", "safe")] == [True] * 4
    assert (told["proof"]["completeness"], told["module"]["over_permission"]) == (1, 0)
    assert (told["module"]["domain"], told["module"]["widened"]) == ("vllm_t", [])
    assert told["attacks"]["refused"] == told["attacks"]["steps"] >= 12
    assert all(remedy["applied"] for remedy in told["remedies"])
    (peer,) = told["beside"]
    assert (peer["closed"], peer["domains"]) == (True, ["container_t"])
    assert peer["rounds"] > told["rounds"]
    assert peer["over_permission"] > 0
    assert peer["attacks"]["through"], "a rule for a label that the model shares with half the host"
    assert set(peer["attacks"]["through"]).isdisjoint(told["attacks"]["through"])
    assert "the loop closed: 1 learning round, 3 boots" in done.stdout
    assert "audit2allow, carry-on, lets through: " in done.stdout
    results = json.loads((tmp_path / "kept/attacks/results.json").read_text())
    assert all(one["causes"] for one in results["steps"])


@pytest.mark.heavy
def test_what_nothing_can_grant_does_not_close(
    polkit: Polkit,
    scenario_file: WriteScenario,
    loop_schema: jsonschema.Draft202012Validator,
    policy_root: Path,
    kernel: Path,
) -> None:
    """A service that needs the password hashes gets no module that reads them; a second round teaches nothing new."""
    path = scenario_file(THINGS, step=NEEDS + step("shadow", "read", 'path = "/etc/shadow"'))
    words = ("--loop", "--policy-root", policy_root, "--kernel", kernel, "--beside", "none", "--format", "json")
    done = polkit("rehearse", path, *words)
    told = json.loads(done.stdout)
    loop_schema.validate(told)
    assert (done.returncode, told["closed"], told["refused"]) == (1, False, ["shadow"])
    assert (told["rounds"], told["boots"]) == (2, 3)
    assert "taught nothing new" in told["stopped"]
    assert told["notes"]


@pytest.mark.heavy
def test_an_empty_domain_is_learned_in_and_proven(
    polkit: Polkit, fixtures_dir: Path, policy_root: Path, kernel: Path
) -> None:
    """The strict module works, although what every domain may do on the old labels was in no log."""
    words = ("--loop", "--base", "none", "--policy-root", policy_root, "--kernel", kernel, "--beside", "none")
    done = polkit("rehearse", fixtures_dir / "scenarios/serving.toml", *words, "--format", "json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["rounds"]) == (0, True, 1), done.stdout + done.stderr
    assert (told["module"]["domain"], told["module"]["base"]) == ("serving_t", None)
    assert told["module"]["over_permission"] == 0


@pytest.mark.heavy
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_no_machine_outlives_the_loop(
    policy_root: Path, kernel: Path, fixtures_dir: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    """Ended while two machines and a proof run in processes of their own, it leaves none of them."""
    serving, attacks = fixtures_dir / "scenarios/serving.toml", fixtures_dir / "scenarios/attacks.toml"
    words = ("--loop", "--attacks", attacks, "--policy-root", policy_root, "--kernel", kernel, "--beside", "none")
    process = subprocess.Popen(
        [sys.executable, "-m", "polkit", "rehearse", str(serving), *map(str, words)],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        machines = _await_machines(process.pid, 2)
        places = [Path(f"/proc/{pid}/cwd").readlink() for pid in machines]
        below = _below(process.pid)
        process.send_signal(sent)
        process.wait(60)
        assert process.returncode == (130 if sent == signal.SIGINT else -signal.SIGKILL)
        for _ in range(300):
            left = [pid for pid in below if _runs(pid)]
            if not left:
                break
            time.sleep(0.1)
        assert left == []
        assert sent == signal.SIGKILL or not any(place.exists() for place in places)
        for place in places:  # what is killed cleans nothing up
            shutil.rmtree(place, ignore_errors=True)
    finally:
        process.kill()
        process.wait()


def _await_machines(root: int, count: int) -> list[int]:
    for _ in range(4000):
        found = [pid for pid in _below(root) if _name(pid).startswith("qemu")]
        if len(found) == count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{count} machines never ran at once")


def _below(root: int) -> list[int]:
    """Every process that descends from this one."""
    found: list[int] = []
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            continue
        waiting += map(int, children)
        found += map(int, children)
    return found


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
