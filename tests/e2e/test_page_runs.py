"""The page's Runs in a real browser, over a gateway that wants keys: verdict, questions, report, a run that grows."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from pipelines.evaluation.bundle.files import ANSWERS, encode_line
from pipelines.evaluation.bundle.store import BundleStore
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings
from tests.contract.conftest import running
from tests.contract.tenants_chain import write_key_file
from tests.e2e.browser import Opened
from tests.evaluation_run import ARMS, HOSTILE, run, write_run

expect.set_options(timeout=30_000)

REPORT = """<!doctype html><meta charset="utf-8"><h1>A report</h1>
<script>document.body.append("SCRIPT RAN"); parent.document.title = "TOUCHED"; fetch("/v1/models");</script>
<img src=x onerror="document.body.append('SCRIPT RAN')"><a href="https://example.org/" id="out">out</a>
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    write_run(folder / "first", questions=12, arms=ARMS[:2])
    (folder / "first" / "report.html").write_text(REPORT)
    (folder / "<b>broken").mkdir()
    (folder / "<b>broken" / "manifest.json").write_text("<img src=x onerror=alert(1)>")
    return folder


@pytest.fixture(scope="module")
def served(runs: Path) -> Iterator[tuple[str, str]]:
    key = write_key_file(runs / "keys.json", operator={"roles": ["admin"]})["operator"]
    settings = Settings(keys_file=runs / "keys.json", runs_dir=str(runs))
    with running(create_gateway(settings)) as url:
        yield url, key


def open_page(browser: Browser, served: tuple[str, str], width: int = 1280, scheme: str = "light") -> Opened:
    """Open the page's runs, with the key that its reader would have given."""
    window = Opened(browser, "about:blank", width, color_scheme=scheme)
    keep = f"sessionStorage.setItem('ragline-key', '{served[1]}')"
    window.context.add_init_script(f"if (self === top) {keep}")  # a frame of no origin has no storage
    window.page.goto(f"{served[0]}/#/runs")
    return window


@pytest.fixture
def opened(browser: Browser, served: tuple[str, str]) -> Iterator[Opened]:
    """The runs; at the end the page must have written nothing to the console, and asked no other origin."""
    window = open_page(browser, served)
    yield window
    assert window.said == []
    origins = {url.split("/", 3)[2] for url in window.requests if url.startswith("http")}
    assert origins == {served[0].removeprefix("http://")}
    window.context.close()


def go(page: Page, query: str) -> None:
    page.evaluate("query => { location.hash = `#/runs?${query}`; }", query)


def test_a_run_its_verdict_and_the_questions_that_differ_by_keyboard(opened: Opened) -> None:
    page = opened.page
    page.get_by_role("link", name="first").click()
    expect(page.locator(".verdict-first")).to_contain_text("large")
    expect(page.locator("details.case")).to_have_count(12)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    first = page.locator("details.case").first
    expect(first.locator(".column")).to_have_count(2)
    right, wrong = first.locator("summary .tag.good"), first.locator("summary .tag.bad")
    assert (right.count(), wrong.count()) == (1, 1)
    page.keyboard.press("j")  # the open one closes, the next opens
    expect(page.locator("details.case").nth(1).locator(".column")).to_have_count(2)
    expect(page.locator("details.case[open]")).to_have_count(1)
    page.keyboard.press("k")
    expect(first).to_have_attribute("open", "")
    page.keyboard.press("/")
    page.keyboard.type("pallet")
    expect(page.locator("details.case")).to_have_count(4)
    page.select_option("#show", "same")
    page.reload()
    expect(page.locator("#show")).to_have_value("same")
    expect(page.locator("#case-text")).to_have_value("pallet")
    assert "run=first" in page.url
    page.get_by_text("Figures", exact=True).click()
    expect(page.locator("table tbody th", has_text="correct").first).to_be_visible()


def test_a_report_can_touch_neither_the_page_nor_the_network(opened: Opened) -> None:
    page = opened.page
    go(page, "run=first&report=1")
    frame = page.frame_locator("iframe.report")
    expect(frame.locator("h1")).to_have_text("A report")
    expect(page.get_by_role("link", name="Save the report as a file")).to_be_visible()
    assert "SCRIPT RAN" not in frame.locator("body").inner_text()
    assert page.title() == "Runs · Ragline"
    asked = len(opened.requests)
    with page.expect_console_message(lambda message: "example.org" in message.text):
        frame.locator("#out").click()
    assert [url for url in opened.requests[asked:] if "example.org" in url] == []
    assert opened.said  # the browser says what it refused: scripts, a picture, another address
    assert all("Content Security Policy" in line or "frame" in line.lower() for line in opened.said)
    opened.said.clear()


def test_a_run_that_grows_is_followed_to_its_end(opened: Opened, runs: Path) -> None:
    page, folder = opened.page, runs / "growing"
    made = run(questions=6, arms=ARMS[:2])
    store = BundleStore(folder)
    store.begin(made.manifest, made.questions)
    (folder / "contexts.jsonl").write_bytes(b"".join(map(encode_line, made.contexts)))
    with store.lock(), store.open_answers() as answers:
        for answer in made.answers[:3]:
            answers.append(answer)
        go(page, "run=growing")
        expect(page.locator("main")).to_contain_text("3 of 12, the last")
        answers.append(made.answers[3])
        expect(page.locator("main")).to_contain_text("4 of 12, the last")
        expect(page.locator("table tbody tr")).to_have_count(2)
        expect(page.locator("#show option", has_text="not answered yet (4)")).to_be_attached()
    expect(page.locator("main")).to_contain_text("the same command goes on where it was stopped")
    assert (folder / ANSWERS).exists()


def test_hostile_names_and_answers_are_text(opened: Opened) -> None:
    page = opened.page
    damaged = page.locator("#runs li", has_text="broken")
    expect(damaged).to_contain_text("<b>broken")
    expect(damaged.locator(".tag.bad")).to_have_text("damaged")
    go(page, "run=%3Cb%3Ebroken")
    expect(page.locator(".note.error")).to_contain_text("is not JSON")
    go(page, "run=first&q=alert")
    expect(page.locator("details.case").first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("details.case[open] .column").first).to_contain_text(HOSTILE[:20])
    assert page.evaluate("document.querySelectorAll('main img, main script, main b').length") == 0
    go(page, "run=..%2Fother")
    expect(page.locator(".note.error")).to_be_visible()
    opened.said.clear()  # the browser's own line about the refused request


def test_runs_fit_a_phone_and_have_no_serious_fault_of_access(
    browser: Browser, served: tuple[str, str]
) -> None:
    found = find_spec("axe_playwright_python")
    assert found is not None
    assert found.origin is not None
    window = open_page(browser, served, 390, "dark")
    page = window.page
    expect(page.locator("#runs li").first).to_be_visible()
    page.evaluate((Path(found.origin).parent / "axe.min.js").read_text())
    go(page, "run=first")
    page.locator("details.case > summary").first.click()
    expect(page.locator("details.case .column").first).to_be_visible()
    page.get_by_text("Figures", exact=True).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    serious = [
        (violation["id"], [node["target"] for node in violation["nodes"][:3]])
        for violation in page.evaluate("axe.run()")["violations"]
        if violation["impact"] in {"serious", "critical"}
    ]
    assert serious == []
    window.context.close()
