"""Two cases that a review was asked for by name: labels that grant more than rules, and builds that mean the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from polkit.review import Finding, ReviewRequest, diff, review

TE = """\
module reportd 1.0.0;

require {
    attribute domain, file_type;
    type etc_t;
    class dir { getattr open read search };
    class file { getattr open read };
}

type reportd_t, domain;
type reportd_data_t, file_type;

allow reportd_t reportd_data_t:dir { getattr open read search };
allow reportd_t reportd_data_t:file { getattr open read };
"""
AGAIN = """\
# Built anew, on another day.
module reportd 1.0.1;

require {
    class file { read getattr open };
    class dir { search open read getattr };
    type etc_t;
    attribute file_type, domain;
}

type reportd_data_t, file_type;    # what it reads
type reportd_t, domain;

allow reportd_t reportd_data_t:file { open getattr read };
allow reportd_t reportd_data_t:dir { read search };
allow reportd_t reportd_data_t:dir { open getattr };
"""
FC = "/srv/reportd(/.*)?\tsystem_u:object_r:reportd_data_t:s0\n/srv/reports\t-d\tsystem_u:object_r:reportd_data_t:s0\n"


def written(place: Path, te: str, fc: str) -> str:
    place.mkdir()
    (place / "reportd.te").write_text(te)
    (place / "reportd.fc").write_text(fc)
    return str(place)


@pytest.mark.parametrize(
    ("entry", "id_", "said"),
    [
        ("/etc/shadow\t--\tsystem_u:object_r:etc_t:s0", "PK030", "shadow_t"),
        ("/srv(/.*)?\tsystem_u:object_r:reportd_data_t:s0", "PK031", "all of /srv"),
    ],
)
def test_a_label_that_opens_the_shadow_file_or_a_whole_tree(
    entry: str, id_: str, said: str, tmp_path: Path, policy_root: Path
) -> None:
    place = written(tmp_path / "new", TE, f"{FC}{entry}\n")
    found = review(ReviewRequest(place, str(policy_root), build=False))
    (one,) = (one for one in found.findings if one.severity in ("medium", "high"))
    assert isinstance(one, Finding)
    assert (one.id, one.severity, Path(one.place.file).name, one.place.line) == (id_, "high", "reportd.fc", 3)
    assert said in one.title
    assert found.exit_code == 1


@pytest.mark.heavy
def test_builds_that_differ_by_comments_and_order_are_equivalent(tmp_path: Path, policy_root: Path) -> None:
    old = written(tmp_path / "old", TE, FC)
    new = written(tmp_path / "new", AGAIN, "# sorted\n" + "\n".join(reversed(FC.splitlines())) + "\n")
    found = diff(old, new, str(policy_root))
    assert (found.verdict, found.witness, found.added, found.removed) == ("equivalent", None, (), ())
    reviewed = review(ReviewRequest(new, str(policy_root), against=old))
    assert (reviewed.verdict, reviewed.exit_code) == ("equivalent", 0)


def test_comments_and_order_make_no_difference_on_a_small_host(tmp_path: Path, host: Path) -> None:
    """The same, on a store that builds in a tenth of a second."""
    cil = "(typeattributeset cil_gen_require domain)\n(type mine_t)\n(typeattributeset domain (mine_t))\n"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a/mine.cil").write_text(cil)
    lines = cil.splitlines()
    (tmp_path / "b/mine.cil").write_text("\n".join(["; again", lines[0], lines[2], lines[1], ""]))
    found = review(
        ReviewRequest(str(tmp_path / "b/mine.cil"), str(host), against=str(tmp_path / "a/mine.cil"), build=False)
    )
    assert found.verdict == "equivalent"
