"""File contexts as targets call them, and what the scripts have to relabel for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polkit.bundle.paths import by_prefix, places, rewritten
from polkit.module import quote_path, tree_pattern

RUN = by_prefix(["/run:/var/run", "/run/lock:/var/lock"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("/run/vllm(/.*)?  system_u:object_r:a_t:s0\n", "/var/run/vllm(/.*)?  system_u:object_r:a_t:s0\n"),
        ("/run/vllm\\.sock -s system_u:object_r:a_t:s0\n", "/var/run/vllm\\.sock -s system_u:object_r:a_t:s0\n"),
        ("/run(/.*)? system_u:object_r:a_t:s0\n", "/var/run(/.*)? system_u:object_r:a_t:s0\n"),
        ("/run/lock/x system_u:object_r:a_t:s0\n", "/var/lock/x system_u:object_r:a_t:s0\n"),
        ("/runner/x system_u:object_r:a_t:s0\n", "/runner/x system_u:object_r:a_t:s0\n"),
        ("/run[a-z]*/x system_u:object_r:a_t:s0\n", "/run[a-z]*/x system_u:object_r:a_t:s0\n"),
        ("# /run/x\n\n", "# /run/x\n\n"),
    ],
)
def test_a_pattern_begins_where_the_target_looks(before: str, after: str) -> None:
    assert rewritten(before, RUN) == after
    assert rewritten(after, RUN) == after


NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="/"), min_size=1, max_size=12)


@given(st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3), st.booleans())
def test_a_path_comes_back_out_of_its_pattern(names: list[str], tree: bool) -> None:
    path = "/" + "/".join(names)
    pattern = tree_pattern(path) if tree else quote_path(path)
    (found,) = places(f"{pattern} system_u:object_r:a_t:s0\n")
    assert found == ("tree" if tree else "file", path, "")


def test_a_pattern_that_matches_several_paths_names_where_to_look() -> None:
    fc = "/dev/nvidia[0-9]+ -c system_u:object_r:a_t:s0\n/srv/.*/x system_u:object_r:a_t:s0\n"
    assert places(fc) == (("pattern", "/dev", "/dev/nvidia[0-9]+"), ("pattern", "/srv", "/srv/.*/x"))
