"""Killed at any step, the scripts leave what the next one finishes or undoes: compared file by file, labels too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from polkit.bundle import Packaged
from tests.bundle.killing import ODD, Stage, label_of
from tests.bundle.making import with_lists

RUNS = {
    # script, of the second version, from which state, to which
    "install": ("install.sh", False, 0, 1),
    "upgrade": ("install.sh", True, 1, 2),
    "rollback": ("rollback.sh", True, 2, 1),
    "uninstall": ("uninstall.sh", True, 2, 0),
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, host: Path, host_bundle: Packaged) -> Iterator[Stage]:
    """The first version has a port and a boolean, the second neither."""
    place = tmp_path_factory.mktemp("stage")
    first = with_lists(
        host_bundle.directory, place / "first", "tcp 9099 spare_port_t\n", "container_use_data 1\nother_flag 0\n"
    )
    yield Stage(place, host, first)


def bundle_of(stage: Stage, name: str) -> Path:
    return stage.second if RUNS[name][1] else stage.first


def killed(stage: Stage, name: str, step: int) -> list[str]:
    """The root after a run that was killed before that step; which it was."""
    script, _, begin, _ = RUNS[name]
    stage.go_to(begin)
    done = stage.run(bundle_of(stage, name), script, kill_at=step)
    assert done.returncode == (-9 if step else 0), done.stderr
    return stage.steps


def check_again(stage: Stage, name: str, what: str) -> None:
    """The same script ends as if nothing had been."""
    script, _, _, end = RUNS[name]
    done = stage.run(bundle_of(stage, name), script)
    # Killed after its last step, a rollback has nothing left to go back to.
    over = name == "rollback" and "no version before this one was kept" in done.stderr
    assert done.returncode == 0 or over, f"{name}, killed before {what}: {done.stderr}"
    assert stage.differences(end) == [], f"{name}, killed before {what}"


def check_removed(stage: Stage, name: str, what: str) -> None:
    """uninstall.sh leaves nothing, whatever was cut short."""
    done = stage.run(bundle_of(stage, name), "uninstall.sh")
    assert done.returncode == 0, f"{name}, killed before {what}: {done.stderr}"
    assert stage.differences(0) == [], f"{name}, killed before {what}"


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_nobody_kills(stage: Stage, name: str) -> None:
    killed(stage, name, 0)
    assert stage.differences(RUNS[name][3]) == []
    check_removed(stage, name, "nothing")
    assert label_of(stage.root / "srv/models/sub/odd") == ODD.encode() + b"\0"


@pytest.mark.parametrize("name", ["install", "uninstall"])
def test_killed_around_the_transaction(stage: Stage, name: str) -> None:
    """Before it, and right after it: the first is undone, the second finished."""
    steps = killed(stage, name, 0)
    at = max(number for number, step in enumerate(steps, 1) if step.startswith("told="))
    for step in (at, at + 1):
        killed(stage, name, step)
        seen = stage.run(bundle_of(stage, name), "verify.sh")
        assert (seen.returncode, "a run was cut short" in seen.stdout) == (1, True), seen.stderr
        check_again(stage, name, steps[step - 1])


@pytest.mark.heavy
@pytest.mark.parametrize("name", RUNS)
def test_killed_at_every_step(stage: Stage, name: str) -> None:
    """Each step in turn; then the same again, or the removal."""
    steps = killed(stage, name, 0)
    assert len(steps) > 12
    for number, step in enumerate(steps, 1):
        for check in (check_again, check_removed):
            killed(stage, name, number)
            check(stage, name, f"step {number}, {step}")


@pytest.mark.heavy
@pytest.mark.parametrize("name", RUNS)
def test_killed_at_any_time(stage: Stage, name: str) -> None:
    """With the tools that it runs, a store half written among them."""
    script, _, begin, _ = RUNS[name]
    stage.go_to(begin)
    began = time.monotonic()
    stage.run(bundle_of(stage, name), script)
    seconds = time.monotonic() - began
    for number in range(40):
        stage.go_to(begin)
        stage.run_until(bundle_of(stage, name), script, seconds * (number + 0.5) / 40)
        (check_again if number % 2 else check_removed)(stage, name, f"{number + 0.5:g} fortieths of its time")
