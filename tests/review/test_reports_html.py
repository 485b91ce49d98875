"""A review as an HTML page: whole without a script, closed to everything else, and names in it stay text."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polkit.review import Review, grants_of, html, markdown
from tests.review.report_cases import HOSTILE, LABELS, beside_older, hostile, reviewed, with_rules

VOID = {"meta", "link", "input", "br"}
WORDS = """
html head title style body a header p h1 nav main section h2 h3 strong ul li dl div dt dd small article span code pre
details summary table caption thead tbody tr th td figure figcaption svg g path circle rect text form label select
option output footer script button
"""
OURS = VOID | set(WORDS.split())


class Page(HTMLParser):
    """The elements and the text of a page; fails where they do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.words = ""
        self.inside: dict[str, list[str]] = {}
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.inside.setdefault(self.open[-1] if self.open else "", []).append(data)
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words += data

    def every(self, tag: str) -> list[dict[str, str]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def plain(host: Path, tmp_path_factory: pytest.TempPathFactory) -> Review:
    return reviewed(tmp_path_factory.mktemp("plain"), host, labels=LABELS)


def _is_closed(page: Page) -> None:
    """Nothing but our elements; nothing loads, runs or leads anywhere but within the page."""
    assert {name for name, _ in page.elements} <= OURS
    for name, attrs in page.elements:
        assert not any(key.startswith("on") or key in ("style", "src", "srcset", "action") for key in attrs), name
        assert attrs.get("href", "#").startswith("#") or (name, attrs["href"]) == ("link", "data:,")
    assert [len(page.every(name)) for name in ("script", "style", "title")][:2] == [1, 1]


def test_it_says_what_the_review_says(plain: Review) -> None:
    page = Page(html(plain))
    _is_closed(page)
    for one in plain.findings:
        assert one.title in page.words
        assert one.why in page.words
        assert one.place.text in page.words
    rows = [attrs for attrs in page.every("tr") if "data-risk" in attrs]
    assert len(rows) == len(grants_of(plain))
    assert {"/srv/models(/.*)?", "system_u:object_r:data_t"} <= set(page.inside["code"])


def test_what_differs_from_an_older_form_stands_beside_it(host: Path, tmp_path: Path) -> None:
    found = beside_older(tmp_path, host)
    page = Page(html(found))
    _is_closed(page)
    assert "+ is allowed by the module alone, - by its older form alone" in page.words
    assert [page.inside["span"].count(sign) for sign in "+-"] == [1, 1]
    assert [one for one in page.inside["code"] if one in ("shadow_t", "data_t")][-2:] == ["shadow_t", "data_t"]
    text = markdown(found)
    assert "Rules that differ from the older form: 2" in text
    assert "| `container_t` | `data_t` | `file` | `read write` |" in text


def test_its_policy_lets_through_its_own_style_and_script_alone(plain: Review) -> None:
    text = html(plain)
    page = Page(text)
    (policy,) = (one["content"] for one in page.every("meta") if one.get("http-equiv") == "Content-Security-Policy")
    allowed = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert (allowed["default-src"], allowed["img-src"]) == ("'none'", "data:")
    for name in ("style", "script"):
        body = re.search(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
        assert body is not None
        digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
        assert allowed[f"{name}-src"] == f"'sha256-{digest}'"


def test_hostile_names_stay_text(plain: Review) -> None:
    page = Page(html(hostile(plain)))
    _is_closed(page)
    for text in HOSTILE:
        if text.isprintable():
            assert text in page.words
    assert "\\x1b[31mred" in page.words
    assert "\\u202egnp.exe" in page.words


@settings(max_examples=40)
@given(text=st.one_of(st.text(max_size=40), st.lists(st.sampled_from(HOSTILE)).map("".join)))
def test_no_text_breaks_out(plain: Review, text: str) -> None:
    _is_closed(Page(html(hostile(plain, (text,)))))


def test_the_same_review_makes_the_same_page(plain: Review) -> None:
    assert html(plain) == html(plain)


@pytest.mark.parametrize("number", [10, 300])
def test_the_graph_has_room_for_few_and_for_many(host: Path, tmp_path: Path, number: int) -> None:
    page = Page(html(with_rules(tmp_path, host, number)))
    (picture,) = page.every("svg")
    width, height = map(int, picture["viewbox"].split()[2:])
    boxes = [attrs for attrs in page.every("rect") if attrs.get("class") != "bar"]
    assert len(boxes) <= 30
    edges = [tuple(float(one[key]) for key in ("x", "y", "width", "height")) for one in boxes]
    for place, (x, y, wide, high) in enumerate(edges):
        assert x + wide <= width and y + high <= height
        for x2, y2, wide2, high2 in edges[:place]:
            assert x + wide <= x2 or x2 + wide2 <= x or y + high <= y2 or y2 + high2 <= y
    hidden = number - 30
    assert hidden < 0 or any(
        re.search(r"\d+ more (devices|files) of the module", words) for words in page.inside["text"]
    )
    assert any(words == "shadow_t" for words in page.inside["text"])  # the one of high risk stands alone
    pairs = re.search(r"The same as a table: (\d+) pairs", page.words)
    assert pairs is not None and int(pairs[1]) >= number


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here; script/validators chromium installs it")
def test_the_script_offers_filters_in_chromium(plain: Review, tmp_path: Path) -> None:
    place = tmp_path / "review.html"
    place.write_text(html(hostile(plain)))
    command = [str(BROWSER), "--headless", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={tmp_path}/p"]
    command += ["--no-sandbox"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*command, "--dump-dom", place.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    page = Page(done.stdout)
    assert "CONSOLE" not in done.stderr
    form = next(attrs for attrs in page.every("form"))
    assert "hidden" not in form
    assert page.inside["output"] == [f"{len(grants_of(plain))} rules"]
    assert len(page.every("button")) == 7
    assert page.inside["title"][0].startswith(HOSTILE[0])
