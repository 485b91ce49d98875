"""Policy sources before m4: all of Debian's are read, what is read is written back, and hostile ones end."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from debian_sources import sources
from hypothesis import given, settings
from source_worlds import SOURCES

from polkit.errors import SourceError
from polkit.grammars import grammar_text
from polkit.module import NameSet
from polkit.module.source import (
    Block,
    Call,
    Declaration,
    Remark,
    Requirement,
    Rule,
    Source,
    Statement,
    read_around,
    read_by_grammar,
    read_te,
    render_source,
)

MODULES = Path(__file__).resolve().parents[3] / "modules"
EXAMPLE = """policy_module(example, 1.2)
# polkit: ignore[PK012] the vendor asks for it
gen_require(`
	type b_t, c_t; class file { read open };
')
type a_t alias old_t, domain; # a comment's quote
optional_policy(``
	tunable_policy(`one && !two',`
		allow a_t { b_t -c_t }:file ~{ read_file_perms };
	',`
		dev_read(a_t, `b, c', { d })
	')
'')
ifelse(`$1',`true',`type d_t;',`$1',`false',`type e_t;',`attribute f;')
"""


def everything(statements: Iterable[Statement]) -> Iterator[Statement]:
    for one in statements:
        yield one
        if isinstance(one, Block):
            for branch in one.branches:
                yield from everything(branch)


def places(statements: Iterable[Statement]) -> list[tuple[str, int, int]]:
    return [(type(one).__name__, one.line, one.column) for one in everything(statements)]


@pytest.fixture(scope="module")
def debian_te() -> list[tuple[str, str]]:
    found = sources(".te")
    if not found:
        pytest.skip("the source of Debian's policy can't be had here")
    return found


def test_each_statement_is_read_with_its_place() -> None:
    read = read_te(EXAMPLE, "example.te")
    found = {(type(one), one.line, one.column): one for one in everything(read.statements)}

    assert found[Call, 1, 1] == Call("policy_module", ("example", "1.2"))
    assert found[Requirement, 4, 17].perms.names == ("read", "open")  # type: ignore[union-attr]
    declared = found[Declaration, 6, 1]
    assert isinstance(declared, Declaration)
    assert (declared.aliases.names, declared.values.names) == (("old_t",), ("domain",))
    conditional = found[Block, 8, 2]
    assert isinstance(conditional, Block)
    assert (conditional.arguments, len(conditional.branches)) == (("one && !two",), 2)
    rule = found[Rule, 9, 3]
    assert isinstance(rule, Rule)
    assert (rule.targets.names, rule.targets.without, rule.perms.others) == (("b_t",), ("c_t",), True)
    assert found[Call, 11, 3] == Call("dev_read", ("a_t", "b, c", "{ d }"))
    chosen = found[Block, 14, 1]
    assert isinstance(chosen, Block)
    assert (chosen.arguments, len(chosen.branches)) == (("$1", "true", "$1", "false"), 3)
    assert read.remarks == (Remark("ignore[PK012] the vendor asks for it", 2, 1),)


@settings(max_examples=150, deadline=None)
@given(SOURCES)
def test_what_is_written_reads_back_the_same_in_both_ways(statements: tuple[Statement, ...]) -> None:
    text = render_source(statements)
    read = read_te(text, "drawn.te").statements
    assert read == statements
    judged = read_by_grammar(text, "drawn.te")
    assert (judged, places(judged)) == (read, places(read))


def test_the_shipped_modules_are_read() -> None:
    paths = sorted(MODULES.glob("*/*.te"))
    assert len(paths) > 3
    for path in paths:
        read = read_te(path.read_text(encoding="ascii"), path.name)
        assert read_te(render_source(read.statements), path.name).statements == read.statements
        assert any(isinstance(one, Rule) for one in everything(read.statements))


def test_every_source_of_debians_policy_is_read(debian_te: list[tuple[str, str]]) -> None:
    assert len(debian_te) > 300
    for name, text in debian_te:
        read = read_te(text, name)
        assert isinstance(read.statements[0], Call)
        assert read.statements[0].name == "policy_module"


@pytest.mark.heavy
@pytest.mark.parametrize("suffix", [".te", ".if"])
def test_the_quick_way_agrees_with_the_grammar_on_all_of_debian(suffix: str) -> None:
    found = sources(suffix)
    if not found:
        pytest.skip("the source of Debian's policy can't be had here")
    for name, text in found:
        read = read_te(text, name).statements
        judged = read_by_grammar(text, name)
        assert (read, places(read)) == (judged, places(judged)), name
        assert read_te(render_source(read), name).statements == read, name


def test_all_interfaces_of_the_headers_are_read(policy_root: Path) -> None:
    paths = sorted((policy_root / "usr/share/selinux/devel/include").glob("*/*.if"))
    assert len(paths) > 100
    for path in paths:
        text = path.read_text(encoding="utf-8")
        read = read_te(text, path.name)
        named = [one.arguments[0] for one in read.statements if isinstance(one, Block)]
        assert len(named) == sum(line.startswith(("interface(", "template(")) for line in text.splitlines()), path


HOSTILE = {
    "allow a_t b_t:file read;\nsyscmd(`touch here')": "syscmd makes m4",
    "type a;\noptional_policy(`\n  include(`/etc/passwd')\n')": "include makes m4",
    "define(`x',`x(x)x(x)')\nx(`a')": "define makes m4",
    "type a;\nallow a_t b_t file read;": "no statement goes on",
    "type a;\noptional_policy(`\ntype b;": "ends inside",
    "type a;\noptional_policy(`\n# isn't\n')": "ends the macro's argument",
    "type a;\n" + "optional_policy(`\n" * 100_000: "nested too deep",
    "type a;\n" + "{ " * 100_000: "nested too deep",
    "type a;\nallow" + " " * 1_000_000 + "a!": "no statement goes on",
    "type a;\ngen_require(`type" + " " * 1_000_000 + "!": "no statement goes on",
    "type a;\nifdef(" + " " * 1_000_000 + "!": "ends inside",
    "type a;\n" + "# syscmd(" * 200_000 + "\nallow": "ends inside",
    "type a;\nallow " + "a" * 100_000: "a word of 100000",
    "type a;\nallow a_t { b_t" + " c_t" * 20_000: "ends inside",
    "#" * (100 << 20): "larger than",
}


@pytest.mark.parametrize("text", HOSTILE, ids=[f"hostile{number}" for number in range(len(HOSTILE))])
def test_a_hostile_source_ends_with_its_place(text: str) -> None:
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(SourceError, match=r"^hostile\.te:\d+:") as refused:
        read_te(text, "hostile.te")
    assert HOSTILE[text] in str(refused.value)
    assert time.monotonic() - begun < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10


def test_a_word_that_the_grammar_keeps_is_no_name() -> None:
    """The quick way must not take a keyword for a name where the grammar would not."""
    from lark import Lark

    grammar = Lark(grammar_text("te"), parser="lalr", lexer="basic", start=["source"])
    words = [term.pattern.value for term in grammar.terminals if term.pattern.type == "str"]
    keywords = [word for word in words if word.isidentifier()]
    assert len(keywords) > 40
    for word in keywords:
        with pytest.raises(SourceError):
            read_te(f"allow a_t {word}:file read;", "keyword.te")
        with pytest.raises(SourceError):
            read_te(f"type {word};", "keyword.te")


def test_keywords_in_capitals_are_those_in_small_letters() -> None:
    """checkmodule takes both, and nothing between (policy_scan.l)."""
    text = """MODULE m 1.0;
REQUIRE { TYPE a_t; CLASS file { read }; } # ALLOW in a comment
TYPE B_t, ALLOWED;
OPTIONAL { REQUIRE { ATTRIBUTE x; } ALLOW a_t SELF:file read; }
TYPE_TRANSITION a_t B_t:file a_t "ALLOW";
"""
    small = text.replace("SELF", "Other").lower().replace("other", "SELF").replace("b_t", "B_t")
    small = small.replace("allowed", "ALLOWED").replace('"allow"', '"ALLOW"')
    read = read_te(text, "capitals.te").statements
    assert read == read_te(small, "small.te").statements
    assert places(read) == places(read_te(small, "small.te").statements)
    for refused in ("Allow a_t b_t:file read;", "type ALLOW;"):
        with pytest.raises(SourceError):
            read_te(refused, "mixed.te")


def test_a_macro_may_stand_for_requirements() -> None:
    text = "require {\n\ttype a_t;\n\tall_kernel_class_perms\n}\n"
    (block,) = read_te(text, "bare.te").statements
    assert block == Block(
        "require", (), ((Requirement("type", NameSet(("a_t",))), Call("all_kernel_class_perms", ())),)
    )
    assert read_te(render_source((block,)), "again.te").statements == (block,)
    with pytest.raises(SourceError):
        read_te("all_kernel_class_perms\n", "outside.te")


def test_a_source_knows_its_name() -> None:
    assert read_te("", "empty.te") == Source("empty.te", ())


def test_what_stands_around_mistakes_is_read() -> None:
    text = "type a;\ntype b\ntype c;\nallow a b file read;\ntype d;\n"
    source, mistakes = read_around(text, "wrong.te")

    assert [(one.line, one.names.names) for one in source.statements if isinstance(one, Declaration)] == [
        (1, ("a",)),
        (2, ("b",)),
        (3, ("c",)),
        (5, ("d",)),
    ]
    assert [str(one).split(": ")[0] for one in mistakes] == ["wrong.te:3:1", "wrong.te:4:11"]
    assert read_around("type a;\n", "right.te") == (read_te("type a;\n", "right.te"), ())
    for hopeless in ("type a;\nsyscmd(`id')", "allow a b;;;;\nx!\n" * 20):
        with pytest.raises(SourceError):
            read_around(hopeless, "hopeless.te")
