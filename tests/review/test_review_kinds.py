"""Each kind of change that a policy can hold is listed as what it is, in the text and in the JSON."""

from __future__ import annotations

from typing import Any

import pytest

from polkit.cli.diff_text import diff_lines
from polkit.review import diff_object
from tests.review.conftest import Differ

BASE = "(allow container_t shadow_t (file (getattr)))"
STEP = (
    "(type other_t) (roletype system_r other_t) (type run_t) (roletype object_r run_t)"
    "(allow init_t run_t (file (execute))) (allow other_t run_t (file (entrypoint)))"
)
COMMANDS = "(allow container_t narrow_device_t (chr_file (ioctl)))"
CONSTRAINED = "(mlsconstrain (file (read)) (or (eq l1 l2) (eq t1 can_read_shadow_passwords)))"
SWITCH = "(booleanif sharing (true (allow container_t shadow_t (file (read)))))"


def at(found: Any, *path: str) -> Any:
    for one in path:
        found = found[one]
    return found


@pytest.mark.parametrize(
    ("a", "b", "title", "line", "path", "item", "verdict"),
    [
        (
            STEP + "(typetransition init_t run_t process other_t)",
            STEP + "(typetransition init_t run_t process other_t) (allow init_t other_t (process (transition)))",
            "Domain transitions of B alone:",
            "  init_t -> other_t: executes run_t (type_transition)",
            ("transitions", "added"),
            {"source": "init_t", "target": "other_t", "entry": "run_t", "how": "type_transition"},
            "more-permissive",
        ),
        (
            "(role r_r) (roletype r_r init_t)",
            "(role r_r) (roletype r_r init_t) (roletype r_r container_t)",
            "B allows more for:",
            "  role r_r types container_t;",
            ("statements", "added"),
            "role r_r types container_t;",
            "more-permissive",
        ),
        (
            "(role r_r) (roletype r_r init_t)",
            "(role r_r) (roletype r_r init_t) (roleallow r_r system_r)",
            "B allows more for:",
            "  allow r_r system_r;",
            ("statements", "added"),
            "allow r_r system_r;",
            "more-permissive",
        ),
        (
            f"{COMMANDS} (allowx container_t narrow_device_t (ioctl chr_file (0x4602)))",
            f"{COMMANDS} (allowx container_t narrow_device_t (ioctl chr_file (0x4602 0x4603)))",
            "Commands let through by B alone:",
            "  allowxperm container_t narrow_device_t:chr_file ioctl { 0x4603 }",
            ("added",),
            {
                "kind": "allowxperm",
                "source": "container_t",
                "target": "narrow_device_t",
                "class": "chr_file",
                "perms": ["ioctl"],
                "condition": None,
                "commands": [["0x4603", "0x4603"]],
            },
            "more-permissive",
        ),
        (
            CONSTRAINED,
            f"{CONSTRAINED} (typeattributeset can_read_shadow_passwords (container_t))",
            "Attributes joined:",
            "  container_t: can_read_shadow_passwords",
            ("attributes", "joined"),
            {"type": "container_t", "attribute": "can_read_shadow_passwords"},
            "more-permissive",
        ),
        (
            f"(boolean sharing true) {SWITCH}",
            f"(boolean sharing false) {SWITCH}",
            "B allows less for:",
            "  boolean sharing is off from the start",
            ("booleans",),
            {"name": "sharing", "was": True, "is": False, "accesses_more": 0, "accesses_less": 1},
            "less-permissive",
        ),
        (
            "",
            "(type new_t) (roletype object_r new_t)",
            "Types of B alone:",
            "  new_t",
            ("types", "added"),
            "new_t",
            "equivalent",
        ),
        (
            "",
            "(typepermissive sandbox_t)",
            "B allows more for:",
            "  permissive sandbox_t;",
            ("statements", "added"),
            "permissive sandbox_t;",
            "more-permissive",
        ),
    ],
    ids=("transition", "role-type", "role-allow", "commands", "exemption", "boolean", "type", "permissive"),
)
def test_a_change_is_listed_as_what_it_is(
    differ: Differ, a: str, b: str, title: str, line: str, path: tuple[str, ...], item: Any, verdict: str
) -> None:
    found = differ(BASE + a, BASE + b)
    lines = list(diff_lines(found, True))
    assert line in lines[lines.index(title) :]
    assert item in at(diff_object(found), *path)
    assert found.verdict == verdict


def test_a_constraint_that_is_passed_is_told_with_its_text(differ: Differ) -> None:
    found = differ(
        BASE + CONSTRAINED, f"{BASE}{CONSTRAINED} (typeattributeset can_read_shadow_passwords (container_t))"
    )
    (one,) = diff_object(found)["constraints"]["weaker"]
    assert (one["type"], one["class"]) == ("container_t", "file")
    assert "can_read_shadow_passwords" in one["text"]
    assert any("that refused container_t does not any more" in text for text in found.relation.more)


def test_a_step_that_is_gone_is_one_of_the_old_alone(differ: Differ) -> None:
    whole = f"{STEP}(typetransition init_t run_t process other_t) (allow init_t other_t (process (transition)))"
    found = differ(BASE + whole, f"{BASE}{STEP}(allow init_t other_t (process (transition)))")
    assert [one.text for one in found.transitions[1]] == ["init_t -> other_t: executes run_t (type_transition)"]
    assert found.transitions[0] == ()


PORTS = (
    "(class tcp_socket (name_bind name_connect)) (classorder (unordered tcp_socket))"
    "(allow container_t http_port_t (tcp_socket (name_bind))) (allow sandbox_t http_port_t (tcp_socket (name_connect)))"
    "(allow sandbox_t spare_port_t (tcp_socket (name_connect)))"
)


@pytest.mark.parametrize(
    ("a", "b", "verdict", "says"),
    [
        ("spare_port_t", "http_port_t", "more-permissive", "port tcp 8000: {} -> {}; 1 domain more may bind it"),
        ("http_port_t", "spare_port_t", "less-permissive", "port tcp 8000: {} -> {}; 1 domain fewer may bind it"),
    ],
)
def test_a_port_goes_the_way_of_who_may_use_it(differ: Differ, a: str, b: str, verdict: str, says: str) -> None:
    texts = [f"{PORTS}(portcon tcp 8000 (system_u object_r {type_} ((s0) (s0))))" for type_ in (a, b)]
    found = differ(*texts)
    assert found.verdict == verdict
    assert found.witness is not None
    assert found.witness.text == says.format(a, b)


def test_a_port_that_another_entry_labels_alike_is_no_difference(differ: Differ) -> None:
    wide = f"{PORTS}(portcon tcp (8000 8010) (system_u object_r spare_port_t ((s0) (s0))))"
    found = differ(wide, f"{wide}(portcon tcp 8000 (system_u object_r spare_port_t ((s0) (s0))))")
    assert (found.verdict, found.relation.silent) == (
        "equivalent",
        ("port tcp 8000: the type is the same without this entry",),
    )


def test_a_port_that_had_no_type_counts_both_ways(differ: Differ) -> None:
    assert (
        differ(PORTS, f"{PORTS}(portcon tcp 8000 (system_u object_r http_port_t ((s0) (s0))))").verdict
        == "incomparable"
    )
