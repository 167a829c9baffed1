"""What the page costs its reader: the first view, streamed tokens, a long list, as an installed Chromium measures.

Behind it are six services whose models compute nothing. Times are of two kinds. By the clock: what a reader sees, which
other work on the machine makes longer. By the processor: what the page's own thread computed, from the browser's trace
(`tdur` of each of its tasks, and `TaskDuration` in thread ticks), which other work hardly changes.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import structlog
from playwright.sync_api import Browser, CDPSession, Page, expect

from tests.e2e.browser import launch_browser
from tests.e2e.page_services import serve_page

LONG = 50.0
"""Milliseconds from which a task is long, as browsers have it."""
QUESTION = "What do bees make out of nectar?"
WATCH = """window.longTasks = [];
new PerformanceObserver((list) => longTasks.push(...list.getEntries().map((entry) => entry.duration)))
  .observe({ type: "longtask", buffered: true });"""
TRACED = ["disabled-by-default-devtools.timeline", "toplevel", "__metadata"]


def make_answer(tokens: int) -> list[str]:
    """An answer as models write them: paragraphs of 120 tokens, a list, a table and code now and then."""
    parts: list[str] = []
    while len(parts) < tokens:
        block = len(parts) // 120 % 8
        if block == 3:
            line = ["\n- ", "**honey**", *[" of", " nectar"] * 9]
            parts += line * 6 + ["\n\n"]
        elif block == 5:
            parts += ["\n```", "python\n", *["honey", " = ", "nectar", "\n"] * 28, "```", "\n\n"]
        elif block == 7:
            parts += ["| bee | ", "honey |", "\n|--|--|\n", *["| one", " | two", " |\n"] * 36, "\n\n"]
        else:
            parts += [" honey", " is", " made", " out", " of", " nectar", " by", " bees."] * 15 + ["\n\n"]
    return parts[:tokens]


@dataclass
class Work:
    """What the page's thread did: seconds of processor, and its tasks in ms, by the clock and by the processor."""

    seconds: float = 0.0
    script: float = 0.0
    by_clock: list[float] = field(default_factory=list)
    by_processor: list[float] = field(default_factory=list)

    def describe_tasks(self) -> str:
        """Say how many tasks were long, and how long the longest was."""
        kinds = (("processor", self.by_processor), ("clock", self.by_clock))
        return "; ".join(
            f"by the {name} {sum(value >= LONG for value in values)} of {LONG:.0f} ms and more, "
            f"the longest {max(values, default=0.0):.1f} ms"
            for name, values in kinds
        )


@contextmanager
def watch(browser: Browser, page: Page) -> Iterator[Work]:
    """Measure what the page's main thread does meanwhile."""
    work = Work()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.evaluate(WATCH)
    before = _read_metrics(session)
    browser.start_tracing(page=page, categories=TRACED)
    try:
        yield work
    finally:
        trace = orjson.loads(browser.stop_tracing())
        after = _read_metrics(session)
        work.seconds = after["TaskDuration"] - before["TaskDuration"]
        work.script = after["ScriptDuration"] - before["ScriptDuration"]
        work.by_clock = page.evaluate("longTasks")
        work.by_processor = _read_tasks(trace["traceEvents"])
        session.detach()


def _read_metrics(session: CDPSession) -> dict[str, float]:
    return {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}


def _read_tasks(events: list[dict[str, Any]]) -> list[float]:
    """The tasks of the renderers' main threads, in ms of processor."""
    main = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and event["args"].get("name") == "CrRendererMain"
    }
    return [
        event["tdur"] / 1e3
        for event in events
        if event.get("name") in {"RunTask", "ThreadControllerImpl::RunTask"}
        and (event["pid"], event["tid"]) in main
        and "tdur" in event
    ]


def measure_first_view(browser: Browser, url: str, n: int) -> None:
    """Load the page with nothing in the browser's cache, n times, and once more with what it keeps."""
    usable, painted, sent, asked, again = [], [], 0, 0, []
    for _ in range(n):
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        lengths: list[float] = []
        session.on(
            "Network.loadingFinished", lambda event, kept=lengths: kept.append(event["encodedDataLength"])
        )
        page.goto(url)
        expect(page.locator("#model option").first).to_be_attached()
        times = page.evaluate(
            """() => ({ usable: performance.getEntriesByType("navigation")[0].domContentLoadedEventEnd,
                 painted: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0 })"""
        )
        usable.append(times["usable"])
        painted.append(times["painted"])
        sent, asked = max(sent, int(sum(lengths))), max(asked, len(lengths))
        lengths.clear()
        page.reload()
        expect(page.locator("#model option").first).to_be_attached()
        again.append(sum(lengths))
        context.close()
    print(f"first view, n = {n}, by the clock, nothing cached:")
    for name, values in (("the form can be used", usable), ("first contentful paint", painted)):
        ordered = sorted(values)
        print(f"  {name:<24} median {statistics.median(values):6.0f} ms, the slowest {ordered[-1]:.0f} ms")
    print(
        f"  transferred              {sent:,} bytes with headers, {asked} requests; reloaded {int(max(again)):,}"
    )


def measure_stream(browser: Browser, url: str, model: str, tokens: int) -> None:
    """Stream an answer of so many tokens, one event each; what the gateway would check of it is left out."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(f"{url}#/ask?check=0")
    expect(page.locator("#model option").first).to_be_attached()
    page.select_option("#model", model)
    page.fill("#question", QUESTION)
    with watch(browser, page) as work:
        page.keyboard.press("Enter")
        # asked cheaply and seldom: looking for a button by its role would be the longest task itself
        while not page.evaluate("document.querySelector('.turn p.row') !== null"):
            page.wait_for_timeout(500)
        page.evaluate("() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")
    print(f"{model}, n = {tokens:,} streamed tokens:")
    print(
        f"  by the processor {1e3 * work.seconds / tokens:.3f} ms a token "
        f"({1e3 * work.script / tokens:.3f} ms of it scripts)"
    )
    print(f"  tasks: {work.describe_tasks()}")
    page.context.close()


def measure_list(browser: Browser, url: str, documents: int) -> None:
    """Open a list of so many documents, scroll through it, and filter it key by key."""
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    listed = [
        {"id": f"doc-{at}", "name": f"folder/{at % 40}/handbook of honey, part {at}.md", "passages": at % 90}
        for at in range(documents)
    ]
    page.route("**/v1/documents?*", lambda route: route.fulfill(json={"documents": listed}))
    page.goto(url)
    expect(page.locator("#model option").first).to_be_attached()
    page.evaluate("new Promise((resolve) => requestIdleCallback(resolve))")
    for name, act in (("opened", _open_list), ("scrolled", _scroll_list), ("filtered", _filter_list)):
        with watch(browser, page) as work:
            act(page, documents)
            page.evaluate("() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))")
        print(f"a list of {documents:,} documents, {name}: {work.seconds:.2f} s of processor")
        print(f"  tasks: {work.describe_tasks()}")
    page.context.close()


def _open_list(page: Page, documents: int) -> None:
    page.evaluate("location.hash = '#/documents'")
    expect(page.locator("#documents > li").first).to_be_visible()


def _scroll_list(page: Page, documents: int) -> None:
    page.mouse.move(600, 500)
    for _ in range(60):
        page.mouse.wheel(0, 1500)
        page.evaluate("() => new Promise((resolve) => requestAnimationFrame(resolve))")


def _filter_list(page: Page, documents: int) -> None:
    page.click("#filter")
    for key in "part 19":
        page.keyboard.press(key if key != " " else "Space")
        page.evaluate("() => new Promise((resolve) => requestAnimationFrame(resolve))")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--views", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--documents", type=int, default=2_000)
    wanted = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    words = make_answer(wanted.tokens)
    answers = {
        "answer": words,
        "block": [" honey"] * wanted.tokens,
        "tags": ["<think>", *words[: wanted.tokens - 3], "</think>", "Honey."],
    }
    with (
        tempfile.TemporaryDirectory() as folder,
        serve_page(Path(folder), answers) as (url, _),
        launch_browser() as browser,
    ):
        print(f"Chromium {browser.version}")
        measure_first_view(browser, f"{url}/", wanted.views)
        for model in answers:
            measure_stream(browser, f"{url}/", model, wanted.tokens)
        measure_list(browser, f"{url}/", wanted.documents)


if __name__ == "__main__":
    main()
