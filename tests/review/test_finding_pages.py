"""Every finding has a page, and what the page says is so: its bad module has the finding, its good one has not."""

from __future__ import annotations

from pathlib import Path

import pytest

from polkit.review import KINDS, Finding
from tests.finding_pages import INDEX, PAGES, example, index, sections
from tests.review.seeded import reviewed, seeded

SECTIONS = ["Why it matters", "Bad", "Good", "When it is right to ignore it"]
ON_BUILD = {one.id for one in seeded() if one.needs == "build"}
TESTABLE = {one.id for one in seeded() if one.testable}
QUICK = ("PK030", "PK031", "PK032", "PK033", "PK034", "PK035", "PK036")
"""Read in the default run: the others have tests of their own there."""


def test_every_id_has_a_page_and_every_page_an_id() -> None:
    assert sorted(path.stem for path in PAGES.glob("PK*.md")) == list(KINDS)


def test_the_index_is_what_the_catalogue_makes_of_it() -> None:
    assert INDEX.read_text("utf-8") == index(), "script/docs writes it anew"


@pytest.mark.parametrize("id_", KINDS)
def test_a_page_has_its_sections_under_its_name(id_: str) -> None:
    assert list(sections(id_)) == SECTIONS or list(sections(id_))[:4] == SECTIONS
    first = (PAGES / f"{id_}.md").read_text("utf-8").split("\n")[0]
    assert first.startswith(f"# {id_} {KINDS[id_].slug}: ")
    assert example(id_, "Bad").files


def found(id_: str, section: str, place: Path, policy_root: Path, build: bool) -> list[Finding]:
    example(id_, section).write(place)
    return [one for one in reviewed(place, policy_root, build).findings if one.id == id_]


def good_and_bad(id_: str, place: Path, policy_root: Path, build: bool) -> None:
    for section in ("Bad", "Good"):
        (place / section).mkdir()
    assert found(id_, "Bad", place / "Bad", policy_root, build)
    if example(id_, "Good").files:
        assert found(id_, "Good", place / "Good", policy_root, build) == []


@pytest.mark.parametrize("id_", QUICK)
def test_the_pages_modules_are_what_they_are_called(id_: str, tmp_path: Path, policy_root: Path) -> None:
    good_and_bad(id_, tmp_path, policy_root, build=False)


@pytest.mark.heavy
@pytest.mark.parametrize("id_", [one for one in KINDS if one in TESTABLE and one not in QUICK])
def test_the_other_pages_modules_are_what_they_are_called(id_: str, tmp_path: Path, policy_root: Path) -> None:
    good_and_bad(id_, tmp_path, policy_root, build=id_ in ON_BUILD)
