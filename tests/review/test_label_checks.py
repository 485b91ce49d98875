"""What a review says of file contexts: on the container host's policy, and of patterns as such."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.review import Finding, ReviewRequest, review
from polkit.review.labels.path_patterns import is_path, path_pattern

TE = """\
module app 1.0;
require { attribute domain, file_type; type etc_t; class file { read open getattr write }; class chr_file read; }
type app_t, domain;
type app_data_t, file_type;
allow app_t app_data_t:file { read open getattr write };
allow app_t app_data_t:chr_file read;
"""
Labels = Callable[..., list[Finding]]
OURS = frozenset((*(f"PK03{one}" for one in range(7)), "PK043"))


@pytest.fixture
def labels(tmp_path: Path, policy_root: Path) -> Labels:
    """``labels("/srv(/.*)? app_data_t", ...)``: what is found of these lines, one finding or more each."""

    def run(*lines: str, policy: str = str(policy_root)) -> list[Finding]:
        words = (line.rsplit(" ", 1) for line in lines)
        text = "".join(f"{start} system_u:object_r:{type_}:s0\n" for start, type_ in words)
        (tmp_path / "app.te").write_text(TE)
        (tmp_path / "app.fc").write_text(text)
        found = review(ReviewRequest(str(tmp_path), policy, build=False)).findings
        return sorted((one for one in found if one.id in OURS), key=lambda one: (one.place.line, one.id))

    return run


def said(found: list[Finding]) -> list[tuple[str, str, int]]:
    return [(one.id, one.severity, one.place.line) for one in found]


def test_whose_reach_a_new_label_widens_is_named(labels: Labels) -> None:
    shadow, engine, mysql = labels(
        "/etc/shadow -- etc_t", "/usr/bin/dockerd -- app_data_t", "/var/lib/mysql/files(/.*)? app_data_t"
    )
    assert said([shadow, engine, mysql]) == [("PK030", "high", 1), ("PK030", "high", 2), ("PK030", "low", 3)]
    assert "newly be read by" in shadow.why and "changed by" in shadow.why
    assert "the program of dockerd_t" in engine.title
    assert "read by app_t and changed by app_t" in mysql.why
    assert shadow.evidence == ("/etc/shadow: shadow_t, with the module etc_t",)


def test_files_of_its_own_are_nobodys_concern(labels: Labels) -> None:
    assert (
        labels(
            "/srv/app/data(/.*)? app_data_t",
            "/etc/app(/.*)? app_data_t",
            "/var/lib/app(/.*)? app_data_t",
            "/dev/app[0-9]+ -c app_data_t",
            "/opt/app/bin/server -- app_data_t",
            "/usr/lib/app(/.*)? app_data_t",
            "/data(/.*)? app_data_t",
        )
        == []
    )


BROAD = {
    "/srv(/.*)?": "high",
    "/srv.*": "high",
    "/(.*)?": "high",
    "/opt/.*": "high",
    "/home/.*": "high",
    "HOME_DIR(/.*)?": "high",
    "/(srv|opt)/.*": "high",
    "/var/lib(/.*)?": "high",
    "/var/lib/containers(/.*)?": "medium",
    "/.*\\.gguf": "high",
    "/opt/.*\\.gguf": "medium",
}


@pytest.mark.heavy
def test_what_many_share_is_too_much(labels: Labels) -> None:
    found = [one for one in labels(*(f"{line} app_data_t" for line in BROAD)) if one.id in ("PK031", "PK035")]
    assert said(found) == [("PK031", severity, line) for line, severity in enumerate(BROAD.values(), 1)]


def test_what_the_policy_says_itself_changes_nothing(labels: Labels) -> None:
    assert labels("/var/lib(/.*)? var_lib_t", "/etc/shadow.* -- shadow_t", "/srv/.* var_t") == []


def test_what_a_wide_entry_takes_over_is_counted(labels: Labels) -> None:
    (found,) = labels("/opt/.* app_data_t")
    assert "entries for paths inside, and loses 1 of them" in found.why
    assert found.evidence[0] == "/opt/x: usr_t, with the module app_data_t"


def test_without_a_policy_the_known_paths_count(labels: Labels) -> None:
    found = labels("/etc/shadow -- app_data_t", "/srv(/.*)? app_data_t", "/srv/app(/.*)? app_data_t", policy="none")
    assert said(found) == [("PK030", "high", 1), ("PK031", "high", 2)]


def test_the_order_of_the_module_store_counts_not_that_of_the_lines(labels: Labels) -> None:
    found = labels(
        "/srv/app/data(/.*)? app_data_t",
        "/srv/app(/.*)? -- etc_t",
        "/srv/app/.* app_data_t",
        "/srv/app/run(/.*)? app_data_t",
        "/srv/app/run(/.*)? etc_t",
    )
    assert said(found) == [("PK033", "low", 2), ("PK033", "medium", 4)]
    assert "app.fc:3" in found[0].why


def test_who_decides_instead_is_named(labels: Labels) -> None:
    local, taken = labels("/usr/(local/)?bin/app -- app_data_t", "/etc/httpd(/.*)? app_data_t")[:2]
    assert (local.id, local.severity) == ("PK035", "medium")
    assert "/usr/bin(/.*)? of the policy's file_contexts decides" in local.title
    assert local.fix.commands == ("semanage fcontext -a -f f -t app_data_t '/usr/(local/)?bin/app'",)
    assert taken.place.line == 2


def test_names_that_nobody_declares(labels: Labels) -> None:
    unknown, attribute = labels("/srv/app/a nosuch_t", "/srv/app/b file_type")
    assert said([unknown, attribute]) == [("PK034", "high", 1), ("PK034", "high", 2)]
    assert "is an attribute" in attribute.fix.text


def test_patterns_that_match_nothing_are_mended_where_that_is_certain(labels: Labels) -> None:
    found = labels(
        "srv/app app_data_t",
        "/srv/app/ app_data_t",
        "/usr/lib64/app(/.*)? app_data_t",
        "/srv//app app_data_t",
        "/usr/bin/dockerd -d app_data_t",
    )
    assert [one.id for one in found] == ["PK032"] * 5
    added = [[line for line in one.fix.patch.split("\n") if line.startswith("+/")] for one in found]
    context = "system_u:object_r:app_data_t:s0"
    assert added[:4] == [
        [f"+/srv/app {context}"],
        [f"+/srv/app(/.*)? {context}"],
        [f"+/usr/lib/app(/.*)? {context}"],
        [],
    ]


def test_patterns_that_mean_something_else(labels: Labels) -> None:
    found = labels(
        "/srv/app/(a app_data_t",
        "/srv/app/* app_data_t",
        "/srv/app/lib*/*.so app_data_t",
        "/srv/app/g++ app_data_t",
        "/srv/app/a|/srv/app/b app_data_t",
        "/srv/app/libx.so app_data_t",
        "/srv/ok(/.*)? app_data_t",
    )
    assert [one.id for one in found] == ["PK036"] * 6
    assert [one.severity for one in found] == ["high", "medium", "medium", "medium", "medium", "low"]
    assert "missing closing parenthesis" in found[0].title
    assert "+/srv/app/.* system_u" in found[1].fix.patch and "+/srv/app/lib*/[^/]*.so system_u" in found[2].fix.patch
    assert "+/srv/app/libx\\.so system_u" in found[5].fix.patch


def test_a_stranger_s_pattern_is_not_tried_for_ever(labels: Labels) -> None:
    begun = time.monotonic()
    found = labels("/(.*a)*(.*b)*c app_data_t", f"/srv/{'(a*)*' * 40}b app_data_t", f"/{'[^/]*' * 30} app_data_t")
    assert {one.id for one in found} == {"PK036"}
    assert time.monotonic() - begun < 30


def test_a_line_that_is_none_takes_nothing_from_the_others(labels: Labels) -> None:
    found = labels("srv/app app_data_t", "/srv(/.*)? app_data_t", "%%% ((( app_data_t")
    assert ("PK031", "high", 2) in said(found)


pieces = st.lists(
    st.sampled_from(["/", "srv", "a", r"\.", "(/.*)?", "[^/]*", "[0-9]+", "(b|cd)", ".*", "x?", "-", "{2}", "[a-c]"]),
    max_size=8,
)


@given(pieces)
def test_examples_are_paths_that_match(parts: list[str]) -> None:
    pattern = path_pattern("/" + "".join(parts))
    for one in pattern.examples:
        assert is_path(one)
        assert pattern.matches(one)
        assert one.startswith(pattern.start)


@given(st.text("/ab.*+?()[]{}|\\^$-0", max_size=12))
def test_any_text_has_an_answer(text: str) -> None:
    pattern = path_pattern("/" + text)
    assert all(pattern.matches(one) and one.startswith(pattern.start) for one in pattern.examples)
