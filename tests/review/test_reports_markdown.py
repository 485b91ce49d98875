"""A review as Markdown: it fits a comment, and nothing in it becomes a link, a mention or HTML."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from polkit.review import Review, markdown
from tests.review.report_cases import HOSTILE, finding, hostile, reviewed

OURS = re.compile(r"\s*(</?details>|<summary>[\w ,:'-]+</summary>)*\s*\Z")
MENTION = re.compile(r"(?:^|\W)@\w|#\d|GH-\d|\b[0-9a-f]{7,40}\b|https?:/|www\.\w|:\w+:")
"""What GitHub makes a link or a picture of in plain text; code is left alone."""


@pytest.fixture(scope="module")
def plain(host: Path, tmp_path_factory: pytest.TempPathFactory) -> Review:
    return reviewed(tmp_path_factory.mktemp("plain"), host)


def _tokens(text: str) -> list[Token]:
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    found = []
    for token in reader.parse(text):
        found.append(token)
        found += token.children or []
    return found


def _holds(text: str) -> list[Token]:
    """Nothing but our own structure, whatever the names are."""
    tokens = _tokens(text)
    kinds = {token.type for token in tokens}
    assert not kinds & {"link_open", "image", "html_inline", "s_open", "em_open", "ordered_list_open", "hr"}
    for token in tokens:
        if token.type == "html_block":
            assert all(OURS.match(line) for line in token.content.splitlines()), token.content
        if token.type == "text":
            assert not MENTION.search(token.content), token.content
    assert all(ord(letter) >= 32 or letter in "\n\t" for letter in text)
    return tokens


def test_a_finding_has_its_place_and_fix(plain: Review) -> None:
    text = markdown(plain)
    _holds(text)
    risk = next(one for one in plain.findings if one.id == "PK017")
    assert f"`{risk.place.text}`" in text
    assert "**high** `PK017 dangerous-access`" in text
    assert "`shadow_t`" in text


def test_hostile_names_stay_code(plain: Review) -> None:
    tokens = _holds(markdown(hostile(plain)))
    shown = {token.content for token in tokens if token.type in ("code_inline", "fence")}
    assert any("<script>" in one for one in shown)
    assert any("\\x1b[31mred" in one for one in shown)


@settings(max_examples=150)
@given(text=st.one_of(st.text(max_size=60), st.lists(st.sampled_from(HOSTILE)).map(" ".join)))
def test_no_text_breaks_out(plain: Review, text: str) -> None:
    _holds(markdown(hostile(plain, (text,))))


@settings(max_examples=60)
@given(text=st.text(st.sampled_from("|\\` ab"), min_size=1, max_size=12).filter(str.strip))
def test_a_bar_stays_in_its_cell(plain: Review, text: str) -> None:
    tokens = _tokens(markdown(replace(hostile(plain, (text,)), findings=())))
    rows = [place for place, token in enumerate(tokens) if token.type == "tr_open"]
    for start in rows:
        end = next(place for place in range(start, len(tokens)) if tokens[place].type == "tr_close")
        cells = [token.type for token in tokens[start:end]].count("td_open")
        assert cells in (0, 2, 3, 6)


def test_it_fits_a_comment_and_says_what_it_left_out(plain: Review) -> None:
    many = tuple(replace(finding("word " * 150), place=plain.findings[0].place) for _ in range(300))
    text = markdown(replace(plain, findings=many))
    assert len(text) <= 65_536
    left = re.search(r"Left out for want of room: (\d+) of 300 findings", text)
    assert left is not None
    assert text.count("<details><summary>Why") == 300 - int(left[1])
    _holds(text)
