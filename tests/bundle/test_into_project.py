"""generate into a module project: what was written by hand stays, whatever the generated part becomes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.errors import CompileError
from polkit.minimize import Request, generate
from polkit.module import hand_written, marked, parts, splice
from tests.records import avc

BY_HAND = """
require { type vllm_t; type null_device_t; class chr_file getattr; }
allow vllm_t null_device_t:chr_file getattr;
"""

LINES = st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20), max_size=6)


def text_of(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


@given(LINES, LINES, LINES, LINES)
def test_another_generated_part_leaves_what_is_around_it(
    before: list[str], old: list[str], after: list[str], new: list[str]
) -> None:
    text = text_of(before) + marked(text_of(old)) + text_of(after)
    changed = splice(text, text_of(new), "x.te")
    assert parts(changed, "x.te") == (text_of(before), text_of(new), text_of(after))
    assert hand_written(changed, "x.te") == text_of(before) + text_of(after)
    assert splice(changed, text_of(new), "x.te") == changed


@pytest.mark.parametrize(
    "text",
    [
        "type a_t;\n",
        marked("") + marked(""),
        marked("").replace("from here", "from there"),
        "".join(reversed(marked("type a_t;\n").splitlines(keepends=True))),
    ],
    ids=["none", "two", "half", "reversed"],
)
def test_a_file_whose_marks_are_not_one_pair_is_left_alone(text: str) -> None:
    with pytest.raises(CompileError):
        splice(text, "type b_t;\n", "x.te")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm/polkit.toml").write_text('[module]\nname = "vllm"\nversion = "1.2.0"\n', encoding="utf-8")
    return tmp_path / "vllm"


def log_of(project: Path, perms: str) -> str:
    path = project.parent / f"{perms.replace(' ', '-')}.log"
    path.write_text(
        avc(perms, "xserver_misc_device_t", "chr_file"),
        encoding="utf-8",
    )
    return str(path)


def test_generate_keeps_what_was_written_by_hand_and_says_what_changed(project: Path, policy_root: Path) -> None:
    generate(Request((log_of(project, "open read"),), str(policy_root)), project)
    te = project / "vllm.te"
    te.write_text(te.read_text(encoding="utf-8") + BY_HAND, encoding="utf-8")
    outcome = generate(Request((log_of(project, "open read write"),), str(policy_root)), project)
    text = te.read_text(encoding="utf-8")
    assert text.endswith(BY_HAND)
    assert "module vllm 1.2.0;" in text
    assert [(one.name, one.removed, one.added) for one in outcome.changes] == [
        (
            "vllm.te",
            ("allow vllm_t xserver_misc_device_t:chr_file { open read };",),
            ("allow vllm_t xserver_misc_device_t:chr_file { open read write };",),
        )
    ]
    assert "+    allow vllm_t xserver_misc_device_t:chr_file { open read write };" in outcome.changes[0].diff

    # A foreign type stands in an optional block, so that no update of the policy is blocked by it.
    before = text[: text.index("allow vllm_t xserver_misc_device_t")]
    assert before.endswith("optional {\n    require { type xserver_misc_device_t; }\n    ")

    te.write_text(text + "allow nonsense;\n", encoding="utf-8")
    package = (project / "vllm.pp").read_bytes()
    with pytest.raises(CompileError):
        generate(Request((log_of(project, "open read"),), str(policy_root)), project)
    assert (project / "vllm.pp").read_bytes() == package
    assert te.read_text(encoding="utf-8") == text + "allow nonsense;\n"
    assert sorted(path.name for path in project.iterdir()) == [
        "plan.json",
        "polkit.toml",
        "vllm.fc",
        "vllm.pp",
        "vllm.te",
    ]
