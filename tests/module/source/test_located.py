"""Statements with their places: the same as of the whole source after m4, each where its author says it."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from debian_sources import sources
from hypothesis import HealthCheck, given, settings
from source_worlds import SOURCES

from polkit.errors import SourceError
from polkit.module import Definition, Headers, NameSet, find_headers, read_headers
from polkit.module.source import (
    Call,
    Head,
    Label,
    Located,
    Requirement,
    Rule,
    Statement,
    Transition,
    expand_te,
    locate_te,
    read_te,
    reading_te,
    render_source,
)

MODULES = Path(__file__).resolve().parents[3] / "modules"
SAMPLE = ("services/postgrey", "apps/wireshark", "services/tftp")
LABELLING = ("genfscon", "portcon", "netifcon", "fs_use_", "sid ")
"""A label is read before m4: after it a context has no macro around it any more."""
EXAMPLE = """policy_module(example, 1.2)
type a_t; type a_exec_t;
gen_require(`type b_t;')
optional_policy(`
	tunable_policy(`one && !two',`
		allow a_t b_t:file
			{ read_file_perms append };
	',`
		dev_read_urand(a_t)
	')
')
ifdef(`distro_debian',`allow a_t b_t:dir search;',`allow a_t b_t:dir write;')
if (one || two) { dontaudit a_t { b_t -a_t }:file_class_set ~{ getattr }; }
unheard_of(a_t, b_t)
type_transition a_t b_t:process a_t;
genfscon proc /a gen_context(system_u:object_r:a_t,s0)
"""


@pytest.fixture(scope="module")
def headers(policy_root: Path) -> Headers:
    return read_headers(find_headers(roots=(policy_root,)))


def unplaced(located: Iterable[Located]) -> Counter[tuple[str, str, bool]]:
    return Counter((without_place(one.statement), one.condition, one.optional) for one in located)


def without_place(one: Statement) -> str:
    return repr(replace(one, line=0, column=0))


def test_a_statement_stands_where_its_author_says_it(headers: Headers) -> None:
    reading = reading_te(read_te(EXAMPLE, "example.te"), headers)
    rules = [one for one in reading.statements if isinstance(one.statement, (Rule, Transition))]

    assert [(one.line, one.via, one.condition, one.optional) for one in rules if not one.via.startswith("dev_")] == [
        (6, "", "one && !two", True),
        (12, "", "", False),
        (13, "", "one || two", False),
        (15, "", "", False),
    ]
    assert rules[0].statement == Rule(
        "allow",
        NameSet(("a_t",)),
        NameSet(("b_t",)),
        NameSet(("file",)),
        NameSet(("getattr", "open", "read", "lock", "ioctl", "append")),
    )
    assert (rules[0].column, rules[0].file) == (3, "example.te")
    assert rules[0].written == "allow a_t b_t : file { read_file_perms append };"
    called = [one for one in rules if one.via == "dev_read_urand"]
    assert called
    assert {(one.line, one.column, one.condition, one.optional, one.written) for one in called} == {
        (9, 3, "!(one && !two)", True, "dev_read_urand(a_t)")
    }
    (classes,) = [one.statement.classes for one in rules if one.line == 13 and isinstance(one.statement, Rule)]
    assert {"file", "lnk_file", "chr_file"} <= set(classes.names)
    assert reading.unknown == (Call("unheard_of", ("a_t", "b_t")),)
    assert reading.unknown[0].line == 14
    (label,) = [one for one in reading.statements if isinstance(one.statement, Label)]
    assert (label.line, label.statement) == (16, Label("genfscon", "proc /a", (("system_u:object_r:a_t", "s0"),)))
    (head,) = [one for one in reading.statements if isinstance(one.statement, Head)]
    assert (head.line, head.via, head.statement) == (1, "policy_module", Head("example", "1.2"))


def test_without_headers_what_is_written_out_is_located() -> None:
    reading = reading_te(read_te(EXAMPLE, "example.te"), None)

    assert [one.line for one in reading.statements if isinstance(one.statement, Rule)] == [6, 12, 13]
    assert [one.statement.perms.names for one in reading.statements if isinstance(one.statement, Rule)][1] == ("write",)
    assert [one.name for one in reading.unknown] == ["policy_module", "dev_read_urand", "unheard_of"]
    needed = [one for one in reading.statements if one.via == "tunable_policy"]
    assert [one.statement for one in needed] == [Requirement("bool", NameSet((name,))) for name in ("one", "two")]


def test_what_an_interface_defines_is_no_statement(headers: Headers) -> None:
    text = "interface(`a_read',`\n\tgen_require(`type a_t;')\n\tallow $1 a_t:file read;\n')\n"

    assert locate_te(read_te(text, "a.if"), headers) == ()


def test_a_macro_among_requirements_is_expanded(headers: Headers) -> None:
    text = "module m 1.0;\nrequire {\n\ttype a_t;\n\tall_kernel_class_perms\n}\nallow a_t self:file read;\n"
    found = locate_te(read_te(text, "bare.te"), headers)

    classes = [one for one in found if one.via == "all_kernel_class_perms"]
    assert len(classes) > 90
    assert {one.line for one in classes} == {4}


def test_our_own_modules_are_located_without_m4(headers: Headers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    texts = [path.read_text(encoding="utf-8") for path in MODULES.glob("*/*.te")]
    read = [read_te(text, "module.te") for text in texts]
    begun = time.process_time()
    found = [locate_te(one, headers) for one in read]
    assert time.process_time() - begun < 0.5
    for text, located in zip(texts, found):
        assert (
            sum(isinstance(one.statement, Rule) for one in located)
            == len(re.findall(r"^\s*(?:allow|dontaudit) ", text, re.M))
            > 0
        )
        lines = text.splitlines()
        for one in located:
            assert lines[one.line - 1][one.column - 1 :].split()[0].startswith(one.written.split()[0].rstrip("{"))


def test_a_macro_that_goes_wrong_is_told_with_its_place(headers: Headers) -> None:
    text = "type a_t;\noptional_policy(`\n\tread_files_pattern(a_t)\n')\nallow a_t self:file getattr;\n"
    reading = reading_te(read_te(text, "wrong.te"), headers)

    assert [(one.line, one.column) for one in reading.misread] == [(3, 2)]
    assert [one.line for one in reading.statements] == [1, 5]
    bomb = Definition("bomb", "interface", "bomb(bomb($1))", 1, "bomb.if", False)
    worse = replace(headers, definitions=(*headers.definitions, bomb))
    begun = time.monotonic()
    with pytest.raises(SourceError, match=r"^bomb\.te:\d+: m4"):
        locate_te(read_te("type a_t;\nbomb(a_t)\ntype b_t;\n", "bomb.te"), worse)
    assert time.monotonic() - begun < 40


def compared(name: str, text: str, headers: Headers) -> int:
    expanded = read_te(expand_te(text, name, headers), name, largest=1 << 24)
    located = locate_te(read_te(text, name), headers)
    assert unplaced(located) == unplaced(locate_te(expanded, None)), name
    return len(located)


def test_what_is_located_is_what_the_source_says_after_m4(headers: Headers) -> None:
    found = {name[:-3]: text for name, text in sources(".te")}
    if not found:
        pytest.skip("the source of Debian's policy can't be had here")
    for name in SAMPLE:
        assert compared(name, found[name], headers) > 1000


@pytest.mark.heavy
def test_all_of_debians_sources_are_located_as_they_are_after_m4(headers: Headers) -> None:
    found = sources(".te")
    if not found:
        pytest.skip("the source of Debian's policy can't be had here")
    wanted = [(name, text) for name, text in found if not any(word in text for word in LABELLING)][::5]
    assert len(wanted) > 70
    assert sum(compared(name, text, headers) for name, text in wanted) > 100_000


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SOURCES)
def test_what_no_macro_stands_in_is_the_same_with_m4_and_without(
    headers: Headers, statements: tuple[Statement, ...]
) -> None:
    source = read_te(render_source((*statements, Call("of_no_one", ("x",)))), "drawn.te")
    with_m4, without = reading_te(source, headers), reading_te(source, None)

    assert with_m4.misread == ()
    assert [(place(one), one.statement) for one in with_m4.statements] == [
        (place(one), one.statement) for one in without.statements
    ]


def place(one: Located) -> tuple[int, int, str, str, str, bool]:
    return one.line, one.column, one.written, one.via, one.condition, one.optional
