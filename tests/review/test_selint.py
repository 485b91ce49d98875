"""SELint's findings among ours: where it is installed, once, and never in the way."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from polkit.review import Finding, Fix, Place, ReviewRequest, review, review_json
from polkit.review.checks.selint import EQUIVALENTS, NOT_ASKED, without_doubles
from tests.conftest import validator

TE = """\
module rag 1.0.0;

require {
    attribute domain, file_type;
    class dir { getattr open read search };
    class file { getattr open read };
}

type rag_t, domain;
type rag_index_t, file_type;

allow rag_t rag_index_t:dir *;
allow rag_t rag_index_t:file { getattr open read read };
"""
FC = "/srv/rag/lib.so\tsystem_u:object_r:rag_index_t:s0\n"


def finding(id_: str, line: int, *evidence: str) -> Finding:
    return Finding(id_, "low", "high", Place("a.te", line), "", "", Fix(""), evidence)


def test_what_we_say_of_the_line_stands_alone() -> None:
    ours, theirs = finding("PK009", 3), finding("PK041", 3, "selint W-008")
    other_line, other_thing = finding("PK041", 4, "selint W-008"), finding("PK041", 3, "selint C-005")
    assert list(without_doubles([theirs, ours, other_line, other_thing])) == [ours, other_line, other_thing]


def test_the_page_lists_what_is_left_out(repository: Path) -> None:
    page = (repository / "docs/findings/PK041.md").read_text("utf-8")
    for id_, ours in EQUIVALENTS.items():
        assert f"| {id_} | {', '.join(ours)} |" in page
    for id_, why in NOT_ASKED.items():
        assert f"| {id_} | {why} |" in page


@pytest.mark.heavy
def test_it_is_asked_under_our_settings(tmp_path: Path, policy_root: Path) -> None:
    validator("selint")
    for name, text in (("rag.te", TE), ("rag.fc", FC), ("other.te", "module other 1.0;\nallow a b {;\n")):
        (tmp_path / name).write_text(text)
    found = review(ReviewRequest(str(tmp_path), str(policy_root), build=False))
    theirs = {
        (one.evidence[0], Path(one.place.file).name, one.place.line) for one in found.findings if one.id == "PK041"
    }
    assert ("selint C-005", "rag.te", 13) in theirs
    assert not any(one[0].removeprefix("selint ") in NOT_ASKED for one in theirs)
    assert ("selint W-008", "rag.te", 12) not in theirs and ("selint W-004", "rag.fc", 1) not in theirs
    assert {("PK009", 12), ("PK036", 1)} <= {(one.id, one.place.line) for one in found.findings}
    assert json.loads(review_json(found))["selint"]


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("selint") is not None, reason="it is installed here")
def test_nothing_is_said_where_it_is_not_installed(tmp_path: Path, policy_root: Path) -> None:
    (tmp_path / "rag.te").write_text(TE)
    found = review(ReviewRequest(str(tmp_path), str(policy_root), build=False))
    assert json.loads(review_json(found))["selint"] is None
    assert not any(one.id == "PK041" for one in found.findings)
