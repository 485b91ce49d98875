"""The HTML page of a review in a real Chromium: seen, filtered, sorted, printed, read by a screen reader's rules."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from polkit.review import Review, grants_of, html
from tests.conftest import validator
from tests.review.report_cases import HOSTILE, LABELS, hostile, reviewed, with_rules

pytestmark = pytest.mark.heavy


@dataclass
class Seen:
    """A page, and what the browser said and asked for while it was shown."""

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Shown = Callable[..., Seen]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's, Fedora's or Ubuntu's Chromium, driven by playwright."""
    modules = str(validator("chromium"))
    sys.path.append(modules)
    try:
        from playwright.sync_api import sync_playwright  # type: ignore[import-not-found, unused-ignore]

        command = shutil.which("chromium") or shutil.which("chromium-browser")
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        with sync_playwright() as started:
            one = started.chromium.launch(executable_path=command, args=flags)
            yield one
            one.close()
    finally:
        sys.path.remove(modules)


@pytest.fixture
def shown(browser: Any, tmp_path: Path) -> Iterator[Shown]:
    """``shown(review, **context)``: the review's page in a window of its own."""
    contexts = []

    def show(found: Review, **settings: object) -> Seen:
        place = tmp_path / "review.html"
        place.write_text(html(found))
        context = browser.new_context(reduced_motion="reduce", **settings)
        contexts.append(context)
        seen = Seen(context.new_page())
        seen.page.on("console", lambda message: seen.messages.append(message.text))
        seen.page.on("pageerror", lambda error: seen.messages.append(str(error)))
        seen.page.on("dialog", lambda dialog: seen.messages.append(dialog.message))
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.goto(place.as_uri())
        return seen

    yield show
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def plain(host: Path, tmp_path_factory: pytest.TempPathFactory) -> Review:
    return reviewed(tmp_path_factory.mktemp("plain"), host, labels=LABELS)


@pytest.fixture(scope="module")
def large(host: Path, tmp_path_factory: pytest.TempPathFactory) -> Review:
    return with_rules(tmp_path_factory.mktemp("large"), host, 300)


def _is_quiet(seen: Seen) -> None:
    """Nothing on the console, and nothing asked for but the page and the icon in it."""
    assert seen.messages == []
    assert [url for url in seen.requests[1:] if not url.startswith("data:")] == []


def _visible(seen: Seen) -> list[str]:
    """The types of the rules that are seen."""
    every = "rows => rows.filter(one => one.checkVisibility()).map(one => one.querySelectorAll('code')[1].innerText)"
    return list(seen.page.locator("#rule-table tbody tr").evaluate_all(every))


def test_the_table_is_filtered_and_sorted(shown: Shown, large: Review) -> None:
    seen = shown(large)
    number = len(grants_of(large))
    assert len(_visible(seen)) == number
    seen.page.locator("#filter-words").fill("thing_00 chr_file")
    assert _visible(seen) == ["thing_000_t", "thing_005_t"]
    assert seen.page.locator("#filter-count").inner_text() == f"2 of {number} rules"
    seen.page.locator("#filter-words").fill("")
    seen.page.locator("#filter-risk").select_option("high")
    assert _visible(seen) == ["shadow_t"]
    seen.page.locator("#filter-risk").select_option("any")
    kind = seen.page.get_by_role("button", name="Type", exact=True)
    kind.press("Enter")
    header = seen.page.get_by_role("columnheader", name="Type", exact=True)
    assert header.get_attribute("aria-sort") == "ascending"
    kinds = seen.page.locator("#rule-table tbody tr td:nth-child(3) code").all_inner_texts()
    assert kinds == sorted(kinds)
    kind.press("Enter")
    assert header.get_attribute("aria-sort") == "descending"
    again = seen.page.locator("#rule-table tbody tr td:nth-child(3) code").all_inner_texts()
    assert again == sorted(kinds, reverse=True)
    seen.page.get_by_role("button", name="Accesses").click()
    accesses = seen.page.locator("#rule-table tbody tr td:nth-child(6)").all_inner_texts()
    figures = [int(one.replace(",", "")) for one in accesses]
    assert figures == sorted(figures, reverse=True)
    _is_quiet(seen)


def test_without_a_script_everything_is_there(shown: Shown, plain: Review) -> None:
    seen = shown(plain, java_script_enabled=False)
    assert len(_visible(seen)) == len(grants_of(plain))
    assert not seen.page.locator("form").is_visible()
    assert seen.page.locator("svg text.name").count() > 1
    for one in plain.findings:
        assert seen.page.get_by_role("heading", name=one.title, exact=True).first.is_visible()
    _is_quiet(seen)


def test_hostile_names_stay_text(shown: Shown, plain: Review) -> None:
    seen = shown(hostile(plain))
    seen.page.wait_for_timeout(300)
    assert seen.page.title().startswith(HOSTILE[0])
    titles = seen.page.locator("article h3").all_inner_texts()
    assert len(titles) == len(HOSTILE)
    assert HOSTILE[0] in titles
    assert seen.page.locator("img, iframe, article svg, main h1").count() == 0
    _is_quiet(seen)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_nobody_is_barred(shown: Shown, plain: Review, large: Review, scheme: str, width: int) -> None:
    from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-not-found, unused-ignore]

    largest = [large] if (scheme, width) == ("light", 1200) else []
    for found in (plain, hostile(plain), *largest):
        seen = shown(found, color_scheme=scheme, viewport={"width": width, "height": 900})
        seen.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        violations = Axe().run(seen.page).response["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in violations] == []
        wide = seen.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide[0] <= wide[1]
        _is_quiet(seen)


def test_the_keyboard_reaches_the_findings_first(shown: Shown, plain: Review) -> None:
    seen = shown(plain)
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.textContent") == "Skip to the findings"
    assert seen.page.locator(".skip").bounding_box()["x"] >= 0
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.activeElement.id") == "findings"


def test_light_and_dark_differ_and_paper_is_light(shown: Shown, plain: Review) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light, dark = (shown(plain, color_scheme=one).page for one in ("light", "dark"))
    assert light.evaluate(background) == "rgb(255, 255, 255)" != dark.evaluate(background)
    dark.emulate_media(media="print")
    assert dark.evaluate(background) == "rgb(255, 255, 255)"
    assert not dark.locator("nav").is_visible()
    assert not dark.locator("form").is_visible()
    assert dark.locator("#rule-table tbody tr").first.is_visible()
    assert dark.pdf().startswith(b"%PDF")
    assert dark.evaluate("[...document.querySelectorAll('details')].every(one => one.open)")


def test_the_graph_is_readable(shown: Shown, plain: Review, large: Review) -> None:
    for found in (plain, large):
        page = shown(found, viewport={"width": 1200, "height": 900}).page
        sizes = page.evaluate(
            "[...document.querySelectorAll('svg .node')].map(one => [one.querySelector('rect').getBBox().width, "
            "...[...one.querySelectorAll('text')].map(text => text.getBBox().width)])"
        )
        assert len(sizes) >= 3
        for room, *texts in sizes:
            assert all(text + 12 <= room for text in texts)
        letters = page.evaluate("document.querySelector('svg .name').getBoundingClientRect().height")
        assert letters >= 11
