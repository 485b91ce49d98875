"""CIL as hll/pp writes it and as people do."""

from __future__ import annotations

import bz2
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.errors import SourceError
from polkit.module.source import CilBlock, CilEntry, CilItem, CilStatement, read_cil, render_cil_entries

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures" / "policy"
EXAMPLE = """; by hand (with brackets
(block gpu
    (blockinherit container)
    (type process) ; its own
    (allow process self (capability (all))))
(booleanif (and one (not two))
  (true (filecon "/srv(/.*)?" file (system_u object_r gpu.file ((s0) (s0 (c0 c1)))))))
(macro reads ((type ARG1) (type allow)) (allow ARG1 allow (file (read))))
(in after gpu (call reads (process types)))
"""
NAMES = st.sampled_from(["a_t", "gpu.process", "allow", "true", "block", "0x4601", "/x", "*"])
ITEMS: st.SearchStrategy[CilItem] = st.deferred(
    lambda: st.one_of(NAMES, NAMES, st.just('"/srv (/.*)?;"'), st.lists(ITEMS, max_size=3).map(tuple))
)
LISTS = st.lists(ITEMS, max_size=3).map(tuple)
STATEMENTS = st.builds(CilStatement, st.sampled_from(["allow", "typeattributeset", "call", "type"]), LISTS)
INSIDE = st.deferred(lambda: st.lists(ENTRIES, max_size=2).map(tuple))
BRANCHES = st.tuples(st.builds(CilBlock, st.sampled_from(["true", "false"]), st.just(()), INSIDE))
ENTRIES: st.SearchStrategy[CilEntry] = st.one_of(
    STATEMENTS,
    STATEMENTS,
    st.builds(CilBlock, st.sampled_from(["block", "optional", "in"]), st.tuples(st.sampled_from(["a", "b.c"])), INSIDE),
    st.builds(CilBlock, st.just("macro"), st.tuples(st.just("m"), LISTS), INSIDE),
    st.builds(
        CilBlock, st.sampled_from(["booleanif", "tunableif"]), st.tuples(st.one_of(st.just("one"), LISTS)), BRANCHES
    ),
)


def everything(entries: Iterable[CilEntry]) -> Iterator[CilEntry]:
    for one in entries:
        yield one
        if isinstance(one, CilBlock):
            yield from everything(one.statements)


def stored(policy_root: Path) -> list[tuple[str, str]]:
    """Name and CIL of the modules of a store, as hll/pp made them or as they were installed."""
    found = []
    for path in sorted((policy_root / "var/lib/selinux").glob("*/active/modules/*/*/cil")):
        content = path.read_bytes()
        found.append((path.parent.name, (bz2.decompress(content) if content[:3] == b"BZh" else content).decode()))
    return found


def test_each_statement_is_read_with_its_place() -> None:
    read = read_cil(EXAMPLE, "example.cil")
    found = {(one.line, one.column): one for one in everything(read)}

    assert [one.word for one in read] == ["block", "booleanif", "macro", "in"]
    assert found[5, 5] == CilStatement("allow", ("process", "self", ("capability", ("all",))))
    assert found[7, 9] == CilStatement(
        "filecon",
        ('"/srv(/.*)?"', "file", ("system_u", "object_r", "gpu.file", (("s0",), ("s0", ("c0", "c1"))))),
    )
    assert read[1].items == (("and", "one", ("not", "two")),)
    assert read[2].items == ("reads", (("type", "ARG1"), ("type", "allow")))
    assert read[3].items == ("after", "gpu")


@settings(max_examples=100, deadline=None)
@given(st.lists(ENTRIES, max_size=4).map(tuple))
def test_what_is_written_reads_back_the_same(entries: tuple[CilEntry, ...]) -> None:
    assert read_cil(render_cil_entries(entries), "drawn.cil") == entries


def test_the_cil_of_the_container_modules_is_read(policy_root: Path) -> None:
    wanted = [(name, text) for name, text in stored(policy_root) if name in ("podman", "docker")]
    wanted += [(path.name, path.read_text(encoding="ascii")) for path in FIXTURES.glob("*.cil")]
    assert len(wanted) > 2
    for name, text in wanted:
        read = read_cil(text, name)
        assert sum(one.word == "allow" for one in everything(read)) == text.count("(allow ")
        assert read_cil(render_cil_entries(read), name) == read


@pytest.mark.heavy
def test_the_cil_of_a_distributions_modules_is_read(policy_root: Path) -> None:
    modules = stored(policy_root)[::6]
    assert len(modules) > 30
    for name, text in modules:
        assert sum(one.word == "allow" for one in everything(read_cil(text, name))) == text.count("(allow ")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("(type a)\n(allow a b (file (read))", "2: the text ends"),
        ("(type a)\n(allowed a b)", "2:2: no statement"),
        ("(type a))", "1:9: no statement"),
        ("(type a)\n\n(optional one (true (type b)))", "3:16: no statement"),
        ("(booleanif one (type a))", "1:17: no statement"),
        ("(type\n" * 100_000, "201: lists are nested"),
    ],
)
def test_what_is_no_cil_is_told_with_its_place(text: str, place: str) -> None:
    with pytest.raises(SourceError, match=f"^bad.cil:{place}"):
        read_cil(text, "bad.cil")
