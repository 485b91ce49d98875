"""What a module's project says must be denied, asked of the policy that is booted and tried in the machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from polkit.errors import UsageError
from polkit.rehearse import Rehearsal, RehearsalRequest, rehearsal_object, rehearse
from tests.rehearse.conftest import WriteScenario

Run = Callable[..., Rehearsal]
GATES = """
[module]
name = "mine"

[[gates.denied]]
name = "passwords"
source = ["container_t"]
path = "/etc/shadow"
class = "file"
perms = ["read", "append"]

[[gates.denied]]
name = "opened"
source = ["container_t"]
target = ["user_home_t"]
class = "file"
perms = ["read"]

[[gates.denied]]
source = ["container_t"]
target = ["sshd_t"]
class = "process"
perms = ["ptrace", "sigkill"]

[[gates.denied]]
name = "clock"
source = ["container_t"]
target = ["container_t"]
class = "capability"
perms = ["sys_time"]

[[gates.denied]]
name = "own"
source = ["mine_t"]
target = ["user_home_t"]
class = "dir"
perms = ["read"]

[[gates.denied]]
name = "every container"
source = ["mcs_constrained_type"]
target = ["memory_device_t"]
class = "chr_file"
perms = ["write"]

[[gates.denied]]
name = "no process"
source = ["container_t"]
target = ["etc_t"]
class = "process"
perms = ["signal"]

[[gates.denied]]
name = "mistyped"
source = ["contianer_t"]
target = ["shadow_t"]
class = "file"
perms = ["write"]
"""
THING = '[[thing]]\npath = "/etc/passwd"\ncontent = "root:x"\n'
OPENING = """
(type mine_t)
(roletype system_r mine_t)
(typeattributeset domain (mine_t))
(allow container_t user_home_t (file (read open getattr)))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    place = tmp_path / "mine"
    place.mkdir()
    (place / "polkit.toml").write_text(GATES)
    (place / "mine.cil").write_text(OPENING)
    return place


@pytest.fixture
def run(policy_root: Path, kernel: Path) -> Run:
    def go(scenario: Path, **asked: Any) -> Rehearsal:
        return rehearse(RehearsalRequest(scenario, policy=str(policy_root), kernel=kernel, **asked))

    return go


def test_what_must_be_denied_is_asked_and_tried(
    run: Run, scenario_file: WriteScenario, project: Path, repository: Path
) -> None:
    told = run(scenario_file(THING), modules=(project,))
    held = {one.name: one for one in told.assertions}
    assert {name: one.ok for name, one in held.items()} == {
        "passwords": True,
        "opened": False,
        "denied 3": True,
        "clock": True,
        "own": True,
        "every container": True,
        "no process": True,
        "mistyped": None,
    }
    tried = {f"{name} {one.perm}": one.got for name in held for one in held[name].tried}
    assert tried == {
        "passwords read": "denied",
        "passwords append": "denied",
        "opened read": "allowed",
        "denied 3 ptrace": "denied",
        "denied 3 sigkill": "denied",
        "clock sys_time": "denied",
        "own read": "denied",
    }
    assert held["opened"].accesses == ("allow container_t user_home_t:file { read }",)
    assert held["passwords"].target == ("shadow_t",)
    assert [judged.step.name for judged in told.judged] == ["one"], "the scenario's own steps"
    assert all(judged.ok for judged in told.judged)
    assert (told.ok, told.exit_code) == (False, 1)
    schema = json.loads((repository / "docs/schemas/polkit.rehearsal-1.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(rehearsal_object(told))))


@pytest.mark.heavy
def test_a_policy_that_keeps_to_them_is_all_right(run: Run, scenario_file: WriteScenario, project: Path) -> None:
    (project / "mine.cil").write_text("(type mine_t)(roletype system_r mine_t)(typeattributeset domain (mine_t))")
    told = run(scenario_file(THING), modules=(project / "mine.cil",))
    assert told.ok
    assert {one.name: one.ok for one in told.assertions}["opened"] is True


@pytest.mark.heavy
@pytest.mark.parametrize("asked", [{"permissive": True}, {"learn": True}])
def test_where_nothing_is_enforced_nothing_is_asked(
    run: Run, scenario_file: WriteScenario, project: Path, asked: dict[str, bool]
) -> None:
    assert run(scenario_file(), modules=(project,), **asked).assertions == ()


def test_a_gate_that_is_wrong_is_told_before_anything_boots(scenario_file: WriteScenario, project: Path) -> None:
    (project / "polkit.toml").write_text('[module]\nname = "mine"\n[[gates.denied]]\nsource = ["x_t"]\n')
    with pytest.raises(UsageError, match="class is missing"):
        rehearse(RehearsalRequest(scenario_file(), modules=(project,)))
