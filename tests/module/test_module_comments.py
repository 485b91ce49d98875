"""A log line as a comment: it never leaves its line, and neither the compiler nor m4 does anything about it."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from module_worlds import module

from polkit.errors import CompileError
from polkit.model import AccessSet, AvRule, FileContext, ModuleSource, TypeDeclaration
from polkit.module import compile_module, render_cil, render_fc, render_te, tree_pattern

RULE = AvRule("allow", "own_t", "b_t", "file", ("read",))
CONTEXT = FileContext(tree_pattern("/srv/x"), "", "own_t")
OWN = TypeDeclaration("own_t", ("domain",))
BARE = module(AccessSet(types=(OWN,), rules=(RULE,), contexts=(CONTEXT,)))

HOSTILE = [
    "a\nallow own_t shadow_t:file read;",
    "a\rb\vc\fd\x1ce\x1df\x1eg\x85h\u2028i\u2029j\x00k",
    "\x1b]0;title\x07\x1b[2Jgone",
    "\u202egnp.exe\u2066 \u200b\ufeff",
    "\ud800 lone \udcff",
    "*/ ') \" -- ; } ) \\",
    "`syscmd(touch ran)' syscmd(`touch ran') esyscmd(touch ran) include(/etc/passwd)",
    "' ` changecom changequote([,]) define(allow,dontaudit) dnl m4exit(1) undefine(`allow')",
    'line 1 "elsewhere.te"',
    ";;* lmx 1 x",
    "ends in a backslash \\",
    "x" * 20000,
]


def remarked(text: str) -> ModuleSource:
    return replace(BARE, comments={OWN: (text,), RULE: (text, text), CONTEXT: (text,)}, summary=(text,))


def code(text: str, leader: str) -> list[str]:
    return [line for line in text.split("\n") if line and not line.startswith(leader)]


ANY_TEXT = st.text(st.characters(exclude_categories=())) | st.lists(st.sampled_from(HOSTILE)).map(" ".join)


@given(ANY_TEXT)
@settings(max_examples=300)
@example("\n".join(HOSTILE))
def test_a_comment_stays_on_its_line(text: str) -> None:
    for render, leader in ((render_te, "#"), (render_fc, "#"), (render_cil, ";")):
        written, bare = render(remarked(text)), render(BARE)
        assert written.isascii()
        assert all(character.isprintable() or character == "\n" for character in written)
        assert code(written, leader) == code(bare, leader)
        assert written.splitlines() == written.split("\n")[:-1]
        comments = [line for line in written.split("\n") if line.startswith(leader)]
        assert not any(line.startswith(("#line", ";;")) or "`" in line or "'" in line for line in comments)
        assert max(map(len, comments)) < 300


@given(ANY_TEXT)
@settings(max_examples=25)
@example("\n".join(HOSTILE))
def test_comments_never_change_the_package(text: str) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        compile_module(BARE, Path(one), frozenset({"domain"}))
        compile_module(remarked(text), Path(two), frozenset({"domain"}))
        assert (Path(one) / "drawn.pp").read_bytes() == (Path(two) / "drawn.pp").read_bytes()


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("prelude", ["", "changecom"], ids=["comments on", "comments off"])
def test_m4_does_nothing_about_a_comment(text: str, prelude: str, tmp_path: Path) -> None:
    """The development Makefile of a distribution runs m4 over a .te: nothing may happen, were comments even off."""
    written = render_te(remarked(text))
    (tmp_path / "in.m4").write_text(f"{prelude}\n{written}", encoding="ascii")
    run = subprocess.run(["m4", "-s", "in.m4"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.m4"]
    if not prelude:
        assert code(run.stdout, "#") == code(written, "#")


def test_a_call_stands_as_it_is_to_be_copied() -> None:
    same_as = {
        RULE: (("dev_rw_xserver_misc(own_t)", ""), ("files_pair(own_t, b_t)", "rule 1 of 2; `syscmd(touch ran)'"))
    }
    lines = render_te(replace(BARE, same_as=same_as)).split("\n")
    assert lines[lines.index("allow own_t b_t:file { read };") - 2 :][:2] == [
        "# same as: dev_rw_xserver_misc(own_t)",
        "# same as: files_pair(own_t, b_t); rule 1 of 2; \\x60syscmd\\x28touch ran)\\x27",
    ]
    assert "; same as: dev_rw_xserver_misc(own_t)\n" in render_cil(replace(BARE, same_as=same_as))


@pytest.mark.parametrize(
    "call", ["f(a)\nallow a b:c d;", "f(a); g(b)", "f", "f()", "f(`a')", "f(a,b)", "syscmd (a)", "f(g(a))"]
)
def test_what_is_no_call_is_not_written_as_one(call: str) -> None:
    for render in (render_te, render_cil):
        with pytest.raises(CompileError, match="no call"):
            render(replace(BARE, same_as={RULE: ((call, ""),)}))
