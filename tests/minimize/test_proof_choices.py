"""The proof of a module with a person's choices: what its plan claims is held against the policy, never believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from polkit.errors import SourceError
from polkit.minimize import Proof, Request, generate, prove, save_choices
from tests.minimize.choosing import Picking, as_choices
from tests.minimize.proof_worlds import build_root, read

LOG = read() + read("data_t", "append", serial=2) + read("sandbox_t", "execheap", "process", serial=3)
WRITE = ("file", "read")
APPEND = ("file", "append")


@pytest.fixture(scope="session")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_root(tmp_path_factory.mktemp("chosen"))


@pytest.fixture
def request_of(small_root: Path, tmp_path: Path) -> Request:
    (tmp_path / "log").write_text(LOG)
    return Request(logs=(str(tmp_path / "log"),), policy=str(small_root), name="mine")


def made(request: Request, directory: Path, wanted: dict[tuple[str, str], str]) -> Picking:
    chooser = Picking(wanted)
    outcome = generate(request, directory, chooser=chooser)
    assert {one.chosen for one in outcome.plan.decisions if one.chosen_by == "person"} == set(wanted.values())
    return chooser


def verdict(proof: Proof) -> tuple[object, ...]:
    return (proof.covered, proof.minimal, proof.contained, proof.safe, proof.exit_code)


ALL_TRUE = (True, True, True, True, 0)
NO_FURTHER = [
    {},
    {APPEND: "boolean:container_use_data=on"},
    {APPEND: "leave"},
    {WRITE: "leave", APPEND: "rule:mine_t"},
    {WRITE: "rule:mine_t"},
]
FURTHER = [
    {WRITE: "rule:container_t"},
    {WRITE: "rule:container_t", APPEND: "rule:container_t"},
    {WRITE: "silence"},
    {APPEND: "silence", WRITE: "leave"},
]


@pytest.mark.parametrize("wanted", NO_FURTHER, ids=lambda one: " ".join(one.values()) or "the tool's")
def test_what_goes_no_further_is_taken_on_the_word_of_the_plan(
    wanted: dict[tuple[str, str], str], request_of: Request, tmp_path: Path
) -> None:
    made(request_of, tmp_path / "out", wanted)
    proof = prove(tmp_path / "out", request_of)
    assert verdict(proof) == ALL_TRUE, (proof.extra, proof.uncovered, proof.violations)
    assert any("a person chose" in note for note in proof.notes) == bool(wanted)
    left = sum(one == "leave" for one in wanted.values())
    assert proof.figures.remedied_elsewhere.get("none", 0) == left
    turned = sum(one.startswith("boolean") for one in wanted.values())
    assert (proof.figures.boolean_grants > 0) == bool(turned)


@pytest.mark.parametrize("wanted", FURTHER, ids=lambda one: " ".join(one.values()))
def test_what_goes_further_is_taken_from_whoever_proves(
    wanted: dict[tuple[str, str], str], request_of: Request, tmp_path: Path
) -> None:
    chooser = made(request_of, tmp_path / "out", wanted)
    proof = prove(tmp_path / "out", request_of)
    assert proof.minimal is False
    assert any("--choices" in note for note in proof.notes)
    save_choices(tmp_path / "choices.json", as_choices(chooser(chooser.offers), chooser.offers))
    agreed = prove(tmp_path / "out", request_of, choices=tmp_path / "choices.json")
    assert verdict(agreed) == ALL_TRUE, (agreed.extra, agreed.uncovered, agreed.violations)


def claim(directory: Path, **changes: Any) -> None:
    path = directory / "plan.json"
    plan = json.loads(path.read_text())
    for decision in plan["decisions"]:
        decision.update(changes)
    path.write_text(json.dumps(plan))


def test_a_false_claim_helps_nobody(request_of: Request, tmp_path: Path) -> None:
    """The module has rules for what the plan says was left; or lacks them for what it says was granted."""
    made(request_of, tmp_path / "out", {})
    claim(tmp_path / "out", chosen="leave", chosen_by="person")
    proof = prove(tmp_path / "out", request_of)
    assert (proof.covered, proof.minimal) == (True, False)
    made(request_of, tmp_path / "left", {WRITE: "leave"})
    claim(tmp_path / "left", chosen="rule:mine_t")
    assert prove(tmp_path / "left", request_of).covered is False


def test_what_is_not_possible_is_not_taken(request_of: Request, tmp_path: Path) -> None:
    made(request_of, tmp_path / "out", {})
    claim(tmp_path / "out", chosen="rule:everything", chosen_by="person")
    proof = prove(tmp_path / "out", request_of)
    assert verdict(proof) == ALL_TRUE
    assert any("not possible here" in note for note in proof.notes)
    assert not any("rule:everything" in note for note in proof.notes)


@pytest.mark.parametrize("decisions", [3, [3], [{"chosen_by": "person", "key": [], "chosen": {}}], {"a": 1}])
def test_a_plan_that_is_none(decisions: object, request_of: Request, tmp_path: Path) -> None:
    made(request_of, tmp_path / "out", {})
    path = tmp_path / "out" / "plan.json"
    plan = json.loads(path.read_text())
    path.write_text(json.dumps({**plan, "decisions": decisions}))
    try:
        proof = prove(tmp_path / "out", request_of)
    except SourceError as error:
        assert "not a plan" in str(error)
    else:
        assert verdict(proof) == ALL_TRUE
