"""Write docs/images/page-*.png: the page over real answers of the `small` model on the sample documents.

Starts six services of its own with a store that is thrown away, as `ragline demo` does, and needs an installed Chromium
and the model. `--all FOLDER` writes every view at both widths, light and dark, to be looked at.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from services.cli.commands.demo import UNHURRIED
from services.cli.commands.up import wait_for_services
from services.cli.console import Output
from services.cli.local.addresses import ROSTER
from services.cli.local.models import fetch_needed
from services.cli.local.probe import free_ports
from services.cli.local.stack import Stack
from services.cli.settings import Settings
from services.core.settings import copy_environment
from tests.e2e.browser import Opened, launch_browser

IMAGES = Path("docs/images")
SAMPLES = Path("docs/examples/knowledge-base")
QUESTION = "How many grams are in one pound?"
MOST_BYTES = 150_000
PATIENCE = 600_000
"""Milliseconds; a real model on a busy machine."""


def show_answer(page: Page) -> None:
    page.evaluate("location.hash = '#/ask'")
    expect(page.locator("#model option").first).to_be_attached()
    page.fill("#question", QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator(".turn").first.get_by_role("button", name="Copy as curl")).to_be_visible(
        timeout=PATIENCE
    )
    page.locator(".turn .pill").first.focus()
    expect(page.locator(".turn .pill .tip").first).to_be_visible()


def show_citation(page: Page) -> None:
    show_answer(page)
    page.keyboard.press("Enter")
    expect(page.locator("dialog mark")).to_be_visible()


def show_comparison(page: Page) -> None:
    arms = "small, small%2Bsteps"
    page.evaluate(f"location.hash = '#/compare?q={QUESTION}&arms={arms}'")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("table tbody tr")).to_have_count(2, timeout=PATIENCE)
    page.get_by_role("heading", name="Race").scroll_into_view_if_needed()


def show_documents(page: Page) -> None:
    page.evaluate("location.hash = '#/documents'")
    expect(page.locator("#documents li").first).to_be_visible()


def show_search(page: Page) -> None:
    page.evaluate(f"location.hash = '#/search?q={QUESTION}'")
    expect(page.locator(".list li").first).to_be_visible(timeout=PATIENCE)


def show_models(page: Page) -> None:
    page.evaluate("location.hash = '#/models'")
    expect(page.locator("section.turn").first).to_be_visible()


@dataclass(frozen=True)
class Picture:
    """A picture of the documentation: what is shown, in a window of which size and in which colours."""

    name: str
    show: Callable[[Page], None]
    width: int
    height: int
    scheme: str


PICTURES = (
    Picture("page-ask", show_answer, 1100, 720, "light"),
    Picture("page-citation", show_citation, 390, 720, "dark"),
    Picture("page-compare", show_comparison, 1100, 860, "light"),
)
VIEWS = (show_answer, show_citation, show_comparison, show_documents, show_search, show_models)


def take(browser: Browser, url: str, picture: Picture) -> bytes:
    """Take a picture, in 256 colours: text and lines need no more."""
    window = Opened(browser, f"{url}/", picture.width, color_scheme=picture.scheme)
    window.page.set_viewport_size({"width": picture.width, "height": picture.height})
    picture.show(window.page)
    window.page.mouse.move(0, 0)
    shot = Image.open(io.BytesIO(window.page.screenshot()))
    window.context.close()
    packed = io.BytesIO()
    shot.convert("RGB").quantize(256).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, help="write every view there instead")
    folder = parser.parse_args().all
    output = Output.standard()
    home = Settings.load().root
    kept = {name: value for name, value in copy_environment().items() if not name.endswith(("_URL", "_PORT"))}
    with tempfile.TemporaryDirectory() as stores:
        env = (
            kept
            | UNHURRIED
            | {
                "VECTOR_URL": f"edge://{stores}/vectors",
                "JOBS_URL": f"sqlite://{stores}/jobs",
                "FEEDBACK_URL": f"sqlite://{stores}/votes",
            }
        )
        fetch_needed(list(ROSTER), env, home, output)
        with (
            Stack(home, env, free_ports(list(ROSTER)), run=Path(stores) / "run") as stack,
            launch_browser() as browser,
        ):
            for name in ROSTER:
                stack.start(name)
            wait_for_services(stack, list(ROSTER), output, timeout=None)
            url = stack.url("gateway")
            for path in sorted(SAMPLES.iterdir()):
                files = {"files": (path.name, path.read_bytes())}
                httpx.post(f"{url}/v1/documents", files=files, timeout=PATIENCE).raise_for_status()
            if folder is not None:
                pictures = [
                    Picture(f"{show.__name__}-{width}-{scheme}", show, width, 900, scheme)
                    for show in VIEWS
                    for width, scheme in ((1280, "light"), (390, "dark"), (1280, "dark"), (390, "light"))
                ]
                folder.mkdir(parents=True, exist_ok=True)
            else:
                pictures = list(PICTURES)
            for picture in pictures:
                content = take(browser, url, picture)
                path = (folder or IMAGES) / f"{picture.name}.png"
                path.write_bytes(content)
                output.line(f"{path}: {len(content):,} bytes")
                if len(content) > MOST_BYTES:
                    output.problem(f"{path} is larger than {MOST_BYTES:,} bytes")


if __name__ == "__main__":
    main()
