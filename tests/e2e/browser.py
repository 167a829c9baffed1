"""A window of a real browser, with all that the browser had to say about what it was shown."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

DEBIAN = Path("/etc/debian_version")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def launch_browser() -> Iterator[Browser]:
    """Launch an installed Chromium; skip the test without one, or fail it where `.ci/run` should have installed
    it: in CI, on Debian, by root."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        missing = f"no Chromium among {', '.join(NAMES)}: install one, such as Debian's 'chromium'"
        installable = DEBIAN.exists() and os.geteuid() == 0
        (pytest.fail if os.environ.get("CI") and installable else pytest.skip)(missing)
    # its sandbox refuses to run for root, which containers and CI often are
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=found, args=arguments)
        yield launched
        launched.close()


class Opened:
    """An address in a window of that width; `said` is what the browser wrote, `requests` what it asked for."""

    def __init__(self, browser: Browser, url: str, width: int, **options: object) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        self.page: Page = self.context.new_page()
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.url = url
        self.page.goto(url)
