"""Changes of file contexts go the way that they go for who may use the paths."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from polkit.review import diff
from tests.review.conftest import Differ

OWN = "(type own_t) (roletype object_r own_t) (typeattributeset file_type (own_t))"
WORLD = (
    f"{OWN} (type quiet_t) (roletype object_r quiet_t) (type open_t) (roletype object_r open_t)"
    "(allow sandbox_t open_t (file (write)))"
    "(allow container_t open_t (file (read))) (allow sandbox_t quiet_t (file (write)))"
    "(boolean sharing false) (booleanif sharing (true (allow container_t quiet_t (file (read)))))"
)


def label(path: str, type_: str, kind: str = "file", level: str = "s0") -> str:
    return f'(filecon "{path}" {kind} (system_u object_r {type_} (({level}) ({level}))))'


@pytest.mark.parametrize(
    ("a", "b", "verdict", "says"),
    [
        # the same entry, with another type
        (
            label("/opt/x", "quiet_t"),
            label("/opt/x", "open_t"),
            "more-permissive",
            "label /opt/x --: quiet_t -> open_t; 1 domain more may read it",
        ),
        (
            label("/opt/x", "open_t"),
            label("/opt/x", "quiet_t"),
            "less-permissive",
            "label /opt/x --: open_t -> quiet_t; 1 domain fewer may read it",
        ),
        # a new entry below another one's paths
        (
            label("/opt(/.*)?", "quiet_t"),
            label("/opt(/.*)?", "quiet_t") + label("/opt/deep/x.*", "open_t"),
            "more-permissive",
            "label /opt/deep/x.* --: quiet_t -> open_t; 1 domain more may read it",
        ),
        # what an entry said that went is said by another
        (
            label("/opt(/.*)?", "open_t") + label("/opt/x", "open_t"),
            label("/opt(/.*)?", "open_t"),
            "equivalent",
            "label /opt/x --: open_t, as it is without this entry",
        ),
        # two entries with other words for the same
        (label("/opt/(a|b)", "open_t"), label("/opt/a", "open_t") + label("/opt/b", "open_t"), "equivalent", None),
        # an entry that takes in more
        (
            label("/opt/x", "open_t") + label("/opt/y.*", "quiet_t"),
            label("/opt/x", "open_t") + label("/opt/y.*", "quiet_t") + label("/opt/y/z", "open_t"),
            "more-permissive",
            None,
        ),
        (label("/opt/x", "open_t"), label("/opt/x", "open_t", level="s0 (c1)"), "incomparable", None),
        (label("HOME_DIR/x", "open_t"), label("HOME_DIR/x", "quiet_t"), "incomparable", None),
    ],
)
def test_the_way_of_a_label(differ: Differ, a: str, b: str, verdict: str, says: str | None) -> None:
    found = differ(WORLD + a, WORLD + b)
    texts = [*found.relation.more, *found.relation.less, *found.relation.silent]
    assert found.verdict == verdict, texts
    assert says is None or says in texts


def test_a_label_with_a_new_type_is_compared_with_what_its_paths_had(differ: Differ) -> None:
    base = "(allow container_t data_t (file (read)))"
    plain = base + label("/opt/models(/.*)?", "data_t", "any")
    own = f"{base}{OWN}(allow container_t own_t (file (write)))" + label("/opt/models(/.*)?", "own_t", "any")
    found = differ(plain, own)
    assert found.labels is not None
    (one,) = found.labels
    assert (one.old, one.new, one.way) == ("data_t", "own_t", "both")
    assert one.effect is not None
    assert (one.effect.more["write"], one.effect.less["read"]) == (1, 1)


def test_who_executes_a_file_enters_another_domain(differ: Differ) -> None:
    world = (
        "(type a_t) (roletype object_r a_t) (type b_t) (roletype object_r b_t)"
        "(allow init_t a_t (file (read))) (allow init_t b_t (file (read)))"
        "(typetransition init_t b_t process container_t)"
    )
    found = differ(world + label("/opt/run", "a_t"), world + label("/opt/run", "b_t"))
    assert found.verdict == "incomparable"
    assert found.witness is not None
    assert "enters another domain" in found.witness.text


@pytest.mark.parametrize("with_contexts", [True, False])
def test_without_a_store_labels_are_looked_up_where_there_are_any(
    host: Path, tmp_path: Path, with_contexts: bool
) -> None:
    (binary,) = host.glob("etc/selinux/*/policy/policy.*")
    place = tmp_path / "root" / binary.parent.relative_to(host)
    place.mkdir(parents=True)
    shutil.copy(binary, place)
    if with_contexts:
        contexts = next(host.glob("etc/selinux/*/contexts/files/file_contexts"))
        beside = tmp_path / "root" / contexts.parent.relative_to(host)
        beside.mkdir(parents=True)
        shutil.copy(contexts, beside)
    for side, type_ in (("a", "default_t"), ("b", "data_t")):
        (tmp_path / side).mkdir()
        (tmp_path / side / "mine.cil").write_text("(allow container_t data_t (file (read)))" + label("/opt/x", type_))
    found = diff(tmp_path / "a/mine.cil", tmp_path / "b/mine.cil", str(tmp_path / "root"))
    assert found.build == "binary"
    assert found.labels is not None
    assert {one.way for one in found.labels} == {"more" if with_contexts else "both"}
    assert found.verdict == ("more-permissive" if with_contexts else "incomparable")


ENTRIES = [
    label(path, type_)
    for path in ("/opt(/.*)?", "/opt/a", "/opt/a/.*", "/opt/[ab]", "/opt/(a|c)/x", r"/opt/a\.so")
    for type_ in ("open_t", "quiet_t")
]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    a=st.dictionaries(st.integers(0, 5), st.integers(0, 1), max_size=4),
    b=st.dictionaries(st.integers(0, 5), st.integers(0, 1), max_size=4),
)
def test_labels_both_ways_round_say_the_same(differ: Differ, a: dict[int, int], b: dict[int, int]) -> None:
    texts = [WORLD + "".join(ENTRIES[2 * place + type_] for place, type_ in one.items()) for one in (a, b)]
    forth, back = differ(*texts), differ(*reversed(texts))
    mirrored = {"more-permissive": "less-permissive", "less-permissive": "more-permissive"}
    assert back.verdict == mirrored.get(forth.verdict, forth.verdict)
    assert (a == b) <= (forth.verdict == "equivalent")
