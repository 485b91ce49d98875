"""Real machines: what a real kernel says of each step."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from polkit.errors import PolkitError
from polkit.minimize import Request, generate
from polkit.rehearse import Rehearsal, RehearsalRequest, rehearsal_object, rehearse
from tests.rehearse.conftest import HEAD, WriteScenario

Run = Callable[..., Rehearsal]

THINGS = """
[[thing]]
path = "/srv/models/mine"
label = "container_file_t"
level = "s0:c1,c2"
content = "weights"

[[thing]]
path = "/srv/models/theirs"
label = "container_file_t"
level = "s0:c3,c4"
content = "weights"

[[thing]]
path = "/etc/shadow"
content = "root"

[[thing]]
path = "/dev/nvidia0"
device = "c 1 5"
stand-in = true
"""


def step(name: str, do: str, expect: str, rest: str) -> str:
    return f'\n[[step]]\nname = "{name}"\ndo = "{do}"\nexpect = "{expect}"\nwhy = "test"\n{rest}\n'


STEPS = "".join(
    (
        step("mine", "read", "allowed", 'path = "/srv/models/mine"'),
        step("theirs", "read", "denied", 'path = "/srv/models/theirs"'),
        step("shadow", "read", "denied", 'path = "/etc/shadow"'),
        step("gpu", "ioctl", "denied", 'path = "/dev/nvidia0"\ncommand = 0x46d6'),
        step("missing", "read", "allowed", 'path = "/srv/models/none"'),
    )
)


@pytest.fixture
def run(policy_root: Path, kernel: Path) -> Run:
    def go(scenario: Path, **asked: object) -> Rehearsal:
        return rehearse(RehearsalRequest(scenario, policy=str(policy_root), kernel=kernel, **asked))

    return go


def denials(rehearsal: Rehearsal) -> list[str]:
    """Every denial but for what differs from boot to boot: times, serials, process and inode numbers."""
    lines = [line for line in rehearsal.audit.splitlines() if line.startswith("type=AVC ")]
    return [re.sub(r"audit\([^)]*\)|\b(pid|ino)=\d+|\[\d+\]", "", line) for line in lines]


def outcome(rehearsal: Rehearsal) -> dict[str, str]:
    return {judged.step.name: judged.got for judged in rehearsal.judged}


def test_a_machine_tells_refusals_from_failures(repository: Path, run: Run, scenario_file: WriteScenario) -> None:
    rehearsal = run(scenario_file(THINGS, step=STEPS))
    assert outcome(rehearsal) == {
        "mine": "allowed",
        "theirs": "denied",
        "shadow": "denied",
        "gpu": "denied",
        "missing": "error",
    }
    assert [judged.step.name for judged in rehearsal.judged if not judged.ok] == ["missing"]
    assert (rehearsal.lost, rehearsal.elsewhere, rehearsal.denials, rehearsal.ok) == (0, 0, 3, False)
    told = {judged.step.name: judged for judged in rehearsal.judged}
    assert "tcontext=system_u:object_r:container_file_t:s0:c3,c4" in told["theirs"].avc[0]
    assert "tcontext=system_u:object_r:shadow_t:s0" in told["shadow"].avc[0], "as file_contexts say"
    assert 'comm="gpu"' in told["gpu"].avc[0]
    assert 'name="/etc/shadow"' in rehearsal.audit, "with PATH records"
    assert "SELinux" in rehearsal.dmesg
    schema = json.loads((repository / "docs/schemas/polkit.rehearsal-1.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(rehearsal_object(rehearsal))))


@pytest.mark.heavy
def test_a_permissive_machine_logs_and_refuses_nothing(run: Run, scenario_file: WriteScenario) -> None:
    rehearsal = run(scenario_file(THINGS, step=STEPS), permissive=True)
    got = outcome(rehearsal)
    assert got.pop("missing") == "error"
    assert got == dict.fromkeys(("mine", "theirs", "shadow", "gpu"), "allowed")
    gpu = next(judged for judged in rehearsal.judged if judged.step.name == "gpu")
    assert any("ioctlcmd=0x46d6" in line and "permissive=1" in line for line in gpu.avc)


@pytest.mark.heavy
def test_learning_in_an_empty_domain_shows_every_need(run: Run, scenario_file: WriteScenario) -> None:
    """What container_t may do anyway reaches no log; of a domain that may do nothing, everything does."""
    steps = step("mine", "read", "allowed", 'path = "/srv/models/mine"') + step(
        "shadow", "read", "denied", 'path = "/etc/shadow"'
    )
    rehearsal = run(scenario_file(THINGS, step=steps), learn=True, empty=True, domain="probe_t")
    assert outcome(rehearsal) == {"mine": "allowed"}, "an attack is no evidence of a need"
    assert rehearsal.lost == 0
    (mine,) = rehearsal.judged
    asked = [line.partition("{ ")[2].partition(" }")[0] for line in mine.avc if ":container_file_t:" in line]
    assert {perm for perms in asked for perm in perms.split()} == {"open", "read"}
    assert all("scontext=system_u:system_r:probe_t:s0:c1,c2" in line for line in mine.avc)


@pytest.mark.heavy
def test_a_root_of_its_own_hides_the_host(run: Run, scenario_file: WriteScenario) -> None:
    head = HEAD + 'root = "/var/lib/containers/storage/overlay/x/merged"\nbinds = ["/srv/models:/models:ro"]\n'
    steps = (
        step("bound", "read", "allowed", 'path = "/models/mine"')
        + step("host-path", "read", "allowed", 'path = "/srv/models/mine"')
        + step("theirs", "read", "denied", 'path = "/models/theirs"')
    )
    rehearsal = run(scenario_file(THINGS, head=head, step=steps))
    assert outcome(rehearsal) == {"bound": "allowed", "host-path": "error", "theirs": "denied"}
    assert 'name="/models/theirs"' in rehearsal.audit, "paths in the log are the container's"


@pytest.mark.heavy
@pytest.mark.parametrize("permissive", [True, False])
def test_the_attacks_succeed_without_selinux_and_are_refused_with_it(
    run: Run, fixtures_dir: Path, permissive: bool
) -> None:
    rehearsal = run(fixtures_dir / "scenarios" / "attacks.toml", permissive=permissive)
    assert set(outcome(rehearsal).values()) == {"allowed" if permissive else "denied"}
    assert len(rehearsal.judged) >= 12
    assert rehearsal.ok


@pytest.mark.heavy
def test_learning_a_whole_service_loses_nothing(run: Run, fixtures_dir: Path) -> None:
    """Each step that the base is refused has its own records, and each record is some step's."""
    rehearsal = run(fixtures_dir / "scenarios" / "serving.toml", learn=True)
    assert (rehearsal.ok, rehearsal.lost, rehearsal.elsewhere) == (True, 0, 0)
    refused = {judged.step.name for judged in rehearsal.judged if judged.avc}
    assert {"gpu-open", "gpu-ioctl", "model-read", "model-mmap", "cache-create", "cache-rename"} <= refused
    ioctl = next(judged for judged in rehearsal.judged if judged.step.name == "gpu-ioctl")
    assert any("ioctlcmd=0x462a" in line for line in ioctl.avc)
    again = run(fixtures_dir / "scenarios" / "serving.toml", learn=True)
    assert denials(again) == denials(rehearsal), "every boot says the same"


@pytest.mark.heavy
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_the_machine_ends_with_the_command(
    policy_root: Path, kernel: Path, scenario_file: WriteScenario, sent: signal.Signals
) -> None:
    """Interrupted, or killed without a chance to clean up, it leaves no qemu behind."""
    path = scenario_file(THINGS, step=STEPS)
    command = [sys.executable, "-m", "polkit", "rehearse", str(path), "--policy-root", str(policy_root)]
    polkit = subprocess.Popen(
        [*command, "--kernel", str(kernel), "--accelerator", "tcg"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        machine = _child_called(polkit.pid, "qemu", 120)
        place = Path(f"/proc/{machine}/cwd").readlink()
        polkit.send_signal(sent)
        polkit.wait()
        assert polkit.returncode == (130 if sent == signal.SIGINT else -signal.SIGKILL)
        for _ in range(100):
            if not Path(f"/proc/{machine}").exists() or _state(machine) == "Z":
                break
            time.sleep(0.1)
        else:
            os.kill(machine, signal.SIGKILL)
            pytest.fail("qemu outlived the command")
        assert sent == signal.SIGKILL or not place.exists()
        shutil.rmtree(place, ignore_errors=True)  # what is killed cleans nothing up
    finally:
        polkit.kill()
        polkit.wait()


@pytest.mark.heavy
def test_a_machine_that_takes_too_long_is_ended(run: Run, scenario_file: WriteScenario) -> None:
    with pytest.raises(PolkitError, match="did not end within 1 seconds"):
        run(scenario_file(THINGS, step=STEPS), seconds=1.0)


@pytest.mark.heavy
def test_fail_fast_shows_how_an_app_would_stop(run: Run, scenario_file: WriteScenario) -> None:
    head = HEAD.replace('name = "small"', 'name = "small"\nfail-fast = true')
    rehearsal = run(scenario_file(THINGS, head=head, step=STEPS))
    assert list(outcome(rehearsal).values()) == ["allowed", "denied", "error", "error", "error"]
    assert [judged.detail for judged in rehearsal.judged[2:]] == ["not reached: it stopped at theirs"] * 3


def _child_called(parent: int, name: str, seconds: float) -> int:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for child in children:
            if name in Path(f"/proc/{child}/comm").read_text():
                return int(child)
        time.sleep(0.05)
    raise AssertionError(f"{name} never started")


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.heavy
def test_the_loop_closes(run: Run, fixtures_dir: Path, policy_root: Path, tmp_path: Path) -> None:
    """What one boot learned, generate makes a module of; with it the service runs enforced without a denial, the
    attacks are still refused, and the kernel's verdicts are those that the plan foretold."""
    serving = fixtures_dir / "scenarios" / "serving.toml"
    learned = run(serving, learn=True)
    (tmp_path / "audit.log").write_text(learned.audit)
    workload = learned.scenario.workload
    request = Request(
        logs=(str(tmp_path / "audit.log"),),
        policy=str(policy_root),
        name="vllm",
        mounts=tuple(f"{host}:{inside}" for host, inside, _ in workload.binds),
    )
    outcome_ = generate(request, tmp_path / "vllm")
    assert outcome_.exit_code == 0
    module = tmp_path / "vllm" / "vllm.pp"
    served = run(serving, modules=(module,), domain="vllm_t")
    assert [(one.step.name, one.got, one.avc) for one in served.judged if not one.ok] == []
    assert (served.denials, served.lost) == (0, 0)
    attacked = run(fixtures_dir / "scenarios" / "attacks.toml", modules=(module,), domain="vllm_t")
    assert [(one.step.name, one.got) for one in attacked.judged if one.got != "denied"] == []
