"""File contexts as people write them: all of Debian's are read, and what is read is written back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from debian_sources import sources
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.errors import SourceError
from polkit.module.source import FileBlock, FileEntry, FileLabel, read_fc, render_fc_entries

EXAMPLE = """# a comment's quote
/srv/`index'(/.*)?	gen_context(system_u:object_r:a_t,s0)
ifdef(`distro_debian',`
HOME_DIR/\\.x	-d	gen_context(system_u:object_r:b_t, s0 - mls_systemhigh, mcs_systemhigh)
',`
/dev/x#y	--	<<none>>
') dnl the end
/usr/[a-z]{2}\t-l   system_u:object_r:c_t:s0:c1,c2
"""

PATTERNS = st.sampled_from(["/srv(/.*)?", "HOME_DIR/\\.ssh", "/a#b", "/x/[^/]+", "/include(/.*)?", "/"])
CONTEXTS = st.tuples(st.just("system_u"), st.just("object_r"), st.sampled_from(["a_t", "x.process", "$1"]))
KINDS = st.sampled_from(["", "--", "-d", "-c", "-b", "-s", "-p", "-l"])
LEVELS = st.lists(st.sampled_from(["s0", "s0 - mls_systemhigh", "c0.c3"]), max_size=2).map(tuple)
LABELS: st.SearchStrategy[FileEntry] = st.one_of(
    st.builds(FileLabel, PATTERNS, KINDS, CONTEXTS, LEVELS),
    st.builds(
        FileLabel, PATTERNS, KINDS, CONTEXTS, st.sampled_from([(), ("s0",), ("s0:c1,c2",), ("s0-s1",)]), st.just(False)
    ),
    st.builds(FileLabel, PATTERNS, KINDS, st.none(), st.just(()), st.just(False)),
)
BRANCHES = st.deferred(lambda: st.lists(st.lists(ENTRIES, max_size=2).map(tuple), min_size=1, max_size=2).map(tuple))
ENTRIES: st.SearchStrategy[FileEntry] = st.one_of(
    LABELS, LABELS, st.builds(FileBlock, st.sampled_from(["ifdef", "ifndef"]), st.just("enable_mls"), BRANCHES)
)


def labels(entries: Iterable[FileEntry]) -> Iterator[FileLabel]:
    for one in entries:
        if isinstance(one, FileBlock):
            for branch in one.branches:
                yield from labels(branch)
        else:
            yield one


def test_each_entry_is_read_with_its_place() -> None:
    found = list(labels(read_fc(EXAMPLE, "example.fc")))

    assert found == [
        FileLabel("/srv/index(/.*)?", "", ("system_u", "object_r", "a_t"), ("s0",)),
        FileLabel("HOME_DIR/\\.x", "-d", ("system_u", "object_r", "b_t"), ("s0 - mls_systemhigh", "mcs_systemhigh")),
        FileLabel("/dev/x#y", "--", None, (), False),
        FileLabel("/usr/[a-z]{2}", "-l", ("system_u", "object_r", "c_t"), ("s0:c1,c2",), False),
    ]
    assert [(one.line, one.column) for one in found] == [(2, 1), (4, 1), (6, 1), (8, 1)]


@settings(max_examples=100, deadline=None)
@given(st.lists(ENTRIES, max_size=5).map(tuple))
def test_what_is_written_reads_back_the_same(entries: tuple[FileEntry, ...]) -> None:
    assert read_fc(render_fc_entries(entries), "drawn.fc") == entries


def test_the_file_contexts_of_a_host_are_read(policy_root: Path) -> None:
    path = policy_root / "etc/selinux/default/contexts/files/file_contexts"
    if not path.exists():
        pytest.skip("this policy's name is not Debian's")
    text = path.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(list(labels(read_fc(text, path.name)))) == len(lines) > 1000


def test_every_fc_of_debians_policy_is_read() -> None:
    found = sources(".fc")
    if not found:
        pytest.skip("the source of Debian's policy can't be had here")
    assert len(found) > 300
    for name, text in found:
        written = sum(line.startswith(("/", "HOME_")) for line in text.splitlines())
        read = read_fc(text, name)
        assert len(list(labels(read))) == written, name
        assert read_fc(render_fc_entries(read), name) == read


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("/srv\n", "2: the text ends"),
        ("/srv a_t\n", "1:6: no statement"),
        ("\n\nsyscmd(`touch here')\n", "3:1: no statement"),
        ("ifdef(`a',`\n" * 1000, "51: blocks are nested|151: blocks are nested"),
        ("ifdef(`a',`\n# isn't\n')", "2: a quote in this comment"),
        ("/srv " + "x" * 9000, "1: a word of 9000"),
        ("/srv -q system_u:object_r:a_t:s0\n", "1:6: no statement"),
    ],
)
def test_what_is_no_fc_is_told_with_its_place(text: str, place: str) -> None:
    with pytest.raises(SourceError, match=f"^bad.fc:(?:{place})"):
        read_fc(text, "bad.fc")
