"""What the documentation shows is what runs: a page per verb, every cause explained, links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from polkit.cli.app import VERBS
from polkit.model import CAUSES
from polkit.rehearse import OPERATIONS
from tests.verb_pages import PAGES, page


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_verb_pages_are_as_help_says(verb: str) -> None:
    assert (PAGES / f"{verb}.md").read_text() == page(verb), "script/docs writes them anew"


def test_every_cause_has_its_section(repository: Path) -> None:
    sections = re.findall(r"^### `(.+?)`", (repository / "docs" / "causes.md").read_text(), re.MULTILINE)
    assert tuple(sections) == CAUSES


def test_links_lead_somewhere(repository: Path) -> None:
    for text in [repository / "README.md", *(repository / "docs").rglob("*.md"), repository / "CONTRIBUTING.md"]:
        for link in re.findall(r"\]\(([^)#:]+)\)", text.read_text()):
            assert (text.parent / link).exists(), f"{text.name}: {link}"


def test_every_operation_of_a_step_is_documented(repository: Path) -> None:
    text = (repository / "docs" / "scenarios.md").read_text()
    for name, operation in OPERATIONS.items():
        (row,) = re.findall(rf"^\| `{re.escape(name)}` \|.*", text, re.MULTILINE)
        assert operation.meaning in row
        assert all(f"`{argument}`" in row for argument in (*operation.needs, *operation.takes))
