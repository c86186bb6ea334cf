"""The report in a browser: nothing goes wrong, nothing leaves the page, everything is drawn, and everybody can read it.

It needs a Chromium: `apt-get install chromium`, or its path in TUNDISH_CHROMIUM. Without one it is skipped, but not in CI.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from report_rows import DATA, EMPTY
from test_journey import DATA as JOURNEY

from jobs.report import render
from jobs.report.journey import to_page
from jobs.report.views import VIEWS

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
# It asks nobody anything by itself, as far as it can be told.
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
MISSING = "needs a Chromium: apt-get install chromium, or name one in TUNDISH_CHROMIUM; and pip install -e '.[dev]'"
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 800}
# How many pixels of a picture are not of its most frequent colour, as a share.
INKED = """async source => {
  const image = new Image(); image.src = source; await image.decode();
  const canvas = new OffscreenCanvas(image.width, image.height), pen = canvas.getContext('2d');
  pen.drawImage(image, 0, 0);
  const seen = new Map(), pixels = new Uint32Array(pen.getImageData(0, 0, image.width, image.height).data.buffer);
  for (const pixel of pixels) seen.set(pixel, (seen.get(pixel) || 0) + 1);
  return 1 - Math.max(...seen.values()) / pixels.length;
}"""
# Visible drawings: title of the figure, how many marks have an extent, and how far texts stand out of the figure.
DRAWN = """() => [...document.querySelectorAll('figure')].map(figure => {
  const svg = [...figure.querySelectorAll('.chart svg')].find(one => one.getBoundingClientRect().width > 0);
  const box = figure.getBoundingClientRect();
  const marks = svg ? [...svg.querySelectorAll('title')].map(title => title.parentNode.getBoundingClientRect()) : [];
  const texts = svg ? [...svg.querySelectorAll('text')].map(text => text.getBoundingClientRect()) : [];
  return {
    title: figure.querySelector('figcaption').textContent,
    marks: marks.filter(mark => mark.width + mark.height > 0).length,
    out: Math.max(0, ...texts.map(text => Math.max(text.right - box.right, box.left - text.left))),
    small: Math.min(99, ...texts.map(text => Math.min(text.width, text.height)).filter(size => size > 0)),
  };
})"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    found = os.environ.get("TUNDISH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        found = None
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with sync_playwright() as played:
        browser = played.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(render(DATA, "html"), encoding="utf-8")
    return path


class Opened:
    """A page with all that it said and asked for."""

    def __init__(self, browser: Any, path: Path, size: dict[str, int], scheme: str) -> None:
        self.page = browser.new_context(viewport=size, color_scheme=scheme, reduced_motion="reduce").new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())


@pytest.fixture(scope="module", params=[(DESK, "light"), (PHONE, "dark")], ids=["desk-light", "phone-dark"])
def opened(request: pytest.FixtureRequest, browser: Any, report: Path) -> Iterator[Opened]:
    opened = Opened(browser, report, *request.param)
    yield opened
    opened.page.context.close()


def test_nothing_goes_wrong_and_nothing_but_the_page_itself_is_asked_for(opened: Opened, report: Path) -> None:
    assert (opened.said, opened.asked) == ([], [report.as_uri()])


def test_every_chart_is_drawn_inside_its_figure(opened: Opened) -> None:
    figures = opened.page.evaluate(DRAWN)
    assert len(figures) == len(VIEWS)
    assert [f["title"] for f in figures if f["marks"] < 2] == []
    assert [(f["title"], f["out"]) for f in figures if f["out"] > 16] == []  # within the section's padding, whatever font stands in
    assert [(f["title"], f["small"]) for f in figures if f["small"] < 6] == []


def test_pictures_of_the_charts_are_not_empty(opened: Opened, browser: Any) -> None:
    easel = browser.new_page()
    for figure in opened.page.locator("figure").all():
        picture = base64.b64encode(figure.locator(".chart").screenshot()).decode()
        inked = easel.evaluate(INKED, f"data:image/png;base64,{picture}")
        assert inked > 0.01, figure.locator("figcaption").text_content()
    easel.close()


def test_the_page_is_not_wider_than_the_screen(opened: Opened) -> None:
    width = opened.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width[0] <= width[1]


def test_the_keyboard_gets_to_the_report_and_opens_a_charts_numbers(opened: Opened) -> None:
    page = opened.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    numbers = page.locator("figure details").first
    numbers.locator("summary").focus()
    page.keyboard.press("Enter")
    assert numbers.locator("table").is_visible()


def test_axe_finds_nothing_serious_even_with_everything_opened(opened: Opened) -> None:
    from axe_playwright_python.sync_playwright import Axe

    opened.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    found = Axe().run(opened.page).response["violations"]
    grave = {v["id"]: [n["html"][:120] for n in v["nodes"]][:3] for v in found if v["impact"] in ("serious", "critical")}
    assert grave == {}


def test_an_account_without_anything_makes_a_page_that_says_what_is_missing(browser: Any, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    path = tmp_path / "empty.html"
    path.write_text(render(EMPTY, "html"), encoding="utf-8")
    empty = Opened(browser, path, DESK, "dark")
    assert (empty.said, empty.asked) == ([], [path.as_uri()])
    assert empty.page.locator("figure").count() == 0
    text = empty.page.locator("main").inner_text()
    assert [view.title for view in VIEWS if f"{view.title}: nothing to draw yet. It needs {view.needs}." not in text] == []
    assert "tundish sync" in text
    assert [v["id"] for v in Axe().run(empty.page).response["violations"] if v["impact"] in ("serious", "critical")] == []
    empty.page.context.close()


def test_the_way_of_one_entity_is_a_page_like_the_others(browser: Any, tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    path = tmp_path / "way.html"
    path.write_text(to_page("Loom", "2026-06-30T00:00:00+00:00", JOURNEY), encoding="utf-8")
    way = Opened(browser, path, PHONE, "dark")
    assert (way.said, way.asked) == ([], [path.as_uri()])
    [figure] = way.page.evaluate(DRAWN)
    assert (figure["marks"], figure["out"] <= 16) == (2, True)
    assert [v["id"] for v in Axe().run(way.page).response["violations"] if v["impact"] in ("serious", "critical")] == []
    way.page.context.close()
