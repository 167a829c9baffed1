"""The report in a real browser, wide and narrow: whole, still, readable, and its filters filter.

Needs an installed Chromium (Debian: `apt-get install chromium`); elsewhere these tests are skipped. They
fail where `.ci/run` should have installed it: in CI, on Debian, by root.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser

from tests.e2e.browser import Opened
from tests.evaluation_run import HOSTILE

VISIBLE = "[...document.querySelectorAll('.case')].filter((each) => !each.hidden)"


def reported_url(folder: Path) -> str:
    return (folder / "report.html").as_uri()


@pytest.fixture(params=[1280, 390])
def opened(request: pytest.FixtureRequest, browser: Browser, reported: Path) -> Iterator[Opened]:
    found = Opened(browser, reported_url(reported), request.param)
    yield found
    found.context.close()


def test_it_loads_nothing_fits_the_window_and_draws_every_figure(opened: Opened) -> None:
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    for name in ("forest", "frontier", "waterfall", "ecdf", "thinking", "goodput"):
        drawing = page.locator(f"#{name} svg.plot:visible")
        assert drawing.count() == 1
        box = drawing.bounding_box()
        assert box is not None
        assert box["width"] > 0.8 * (page.viewport_size["width"] - 160)
        with Image.open(io.BytesIO(drawing.screenshot())) as image:
            colours = image.convert("RGB").getcolors(maxcolors=2**24)
        assert colours is not None
        assert len(colours) > 50, f"{name} is blank"
        # no text is smaller on the screen than it is drawn for
        sizes = drawing.locator("text").evaluate_all(
            "(all) => all.map((each) => each.getBoundingClientRect().height)"
        )
        assert min(size for size in sizes if size) >= 10
    assert opened.requests == [opened.url]
    assert opened.said == []


def test_filters_filter(opened: Opened) -> None:
    page = opened.page
    everything = page.evaluate(f"{VISIBLE}.length")
    assert page.locator("#shown").inner_text() == f"{everything} of {everything}"

    page.select_option("#filter-dataset", "champ")
    champ = page.evaluate(f"{VISIBLE}.map((each) => each.dataset.dataset)")
    assert 0 < len(champ) < everything
    assert set(champ) == {"champ"}

    page.select_option("#filter-move", label="lost by large")
    lost = page.evaluate(f"{VISIBLE}.map((each) => each.dataset.moves.split(' ').includes('lost:0'))")
    assert len(lost) < len(champ)
    assert all(lost)

    page.select_option("#filter-move", "")
    page.select_option("#filter-dataset", "")
    page.fill("#filter-text", "ALERT('x')")
    hostile = page.evaluate(f"{VISIBLE}.map((each) => each.textContent.includes({HOSTILE!r}))")
    assert 0 < len(hostile) < everything
    assert all(hostile)
    assert page.locator("#shown").inner_text() == f"{len(hostile)} of {everything}"
    page.fill("#filter-text", "")
    assert page.evaluate(f"{VISIBLE}.length") == everything
    assert opened.said == []


def test_without_scripts_everything_is_there_but_the_filters(browser: Browser, reported: Path) -> None:
    opened = Opened(browser, reported_url(reported), 390, java_script_enabled=False)
    assert not opened.page.locator("#filters").is_visible()
    cases = opened.page.locator(".case")
    assert cases.count() > 10
    assert cases.first.is_visible()
    assert opened.page.locator("noscript p").is_visible()
    opened.context.close()


def test_it_is_dark_where_the_reader_wants_it(browser: Browser, reported: Path) -> None:
    shades = {}
    for scheme in ("light", "dark"):
        opened = Opened(browser, reported_url(reported), 1280, color_scheme=scheme)
        background = "getComputedStyle(document.body).backgroundColor"
        ink = "getComputedStyle(document.querySelector('#forest .wide .fill-ink')).fill"
        shades[scheme] = [opened.page.evaluate(each) for each in (background, ink)]
        opened.context.close()
    assert shades["light"][0] != shades["dark"][0]
    assert shades["light"][1] != shades["dark"][1]
