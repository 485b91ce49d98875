"""Every seeded module is found out, by the right id at the right place; those that ship have nothing grave."""

from __future__ import annotations

from pathlib import Path

import pytest

from polkit.review import KINDS
from tests.review.seeded import Seeded, reviewed, seeded

SET = seeded()
QUICK = ("PK006", "PK026", "PK041", "PK042", "PK043")
"""Looked for in the default run; most others have tests of their own there."""


def test_there_are_sixty_and_every_id_has_one() -> None:
    assert len(SET) >= 60
    assert {one.id for one in SET} == set(KINDS)


@pytest.mark.parametrize("one", SET, ids=lambda one: one.path.name)
def test_the_form_is_kept(one: Seeded) -> None:
    lines = (one.path / one.file).read_text("utf-8").split("\n")
    assert one.path.name.startswith(f"{one.id}-")
    assert one.needs in ("", "build", "selint")
    assert 1 <= one.line <= len(lines)


@pytest.mark.parametrize(
    "one",
    [one for one in SET if one.id in QUICK and one.needs != "build" and one.testable],
    ids=lambda one: one.path.name,
)
def test_some_are_found_without_a_build(one: Seeded, policy_root: Path) -> None:
    assert one.found_in(reviewed(one.path, policy_root, build=False).findings)


@pytest.mark.heavy
@pytest.mark.parametrize("one", [one for one in SET if one.testable], ids=lambda one: one.path.name)
def test_all_are_found(one: Seeded, policy_root: Path) -> None:
    assert one.found_in(reviewed(one.path, policy_root, build=one.needs == "build").findings)


@pytest.mark.heavy
@pytest.mark.parametrize("id_", ["PK003", "PK012", "PK017", "PK030", "PK035", "PK042"])
def test_what_is_found_without_a_build_is_found_with_one(id_: str, policy_root: Path) -> None:
    one = next(one for one in SET if one.id == id_)
    assert one.found_in(reviewed(one.path, policy_root, build=True).findings)


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["embedding-cpu", "gpu-device-plugin", "vllm-cuda", "vllm-rocm"])
def test_the_shipped_modules_have_nothing_grave(name: str, repository: Path, policy_root: Path) -> None:
    found = reviewed(repository / "modules" / name, policy_root, build=True)
    assert [one for one in found.findings if one.severity in ("medium", "high")] == []
    assert found.build == "store"
