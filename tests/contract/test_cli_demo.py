"""The demo on a slow machine: no wait of it has a deadline of its own, and every long one is told."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from services.cli.commands import ask
from services.cli.commands.demo import AGAIN_WHEN_DOWN, NO_DEADLINE, UNHURRIED, Demo, open_browser
from services.cli.console import Output
from services.cli.errors import DemoFailed, ServiceDied
from services.cli.local import activity, models, probe
from services.cli.local.stack import Stack
from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import DeadlineExceeded, RaglineError, ServiceError, ServiceUnavailable
from services.core.models.fetch import Progress, ProgressCallback
from services.core.wire.passages import DEFAULT_COLLECTION, Passage
from services.core.wire.retrieval import StoredPassage
from tests.ports import free_ports
from tests.run_guard import bare_environment

SERVICES = ("embedding", "retrieval", "generation", "gateway")
HURRIED = {
    "DEADLINE_SECONDS": "1",
    "EMBEDDING_BACKEND": "fake",
    "LLM_ENGINE": "fake",
    "FAKE_TTFT_SECONDS": "3",
    "RELEVANCE_FLOOR": "0",
    "VECTOR_URL": "memory://",
}
"""The engine takes three times as long as the user's own deadline."""


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with (tmp_path / "printed").open("w") as file:
        yield Console(file=file, width=200)


@pytest.fixture
def demo(tmp_path: Path, console: Console) -> Demo:
    user = {
        **bare_environment(),
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "DEADLINE_SECONDS": "1",
    }
    return Demo(tmp_path / "home", user, Path.cwd(), Output(console, console))


def slow_stack(demo: Demo, folder: Path) -> Stack:
    """The demo's services, with fakes that are slower than a hurried user's deadline."""
    fakes = {name: value for name, value in HURRIED.items() if name not in UNHURRIED}
    return Stack(folder / "home", demo.environment(folder) | fakes, free_ports(SERVICES), run=folder / "run")


async def fill(stack: Stack) -> None:
    passage = Passage(id="p", document_id="d.md", text="A pound is 453.59 grams.", revision="1")
    async with (
        HttpClient("retrieval", stack.url("retrieval")) as store,
        HttpClient("embedding", stack.url("embedding")) as model,
    ):
        encoded = await EmbeddingClient(model).encode([passage.text], token_vectors=False)
        stored = [StoredPassage(passage=passage, vector=encoded.embeddings[0])]
        await RetrievalClient(store).upsert(DEFAULT_COLLECTION, encoded.model, stored)


def test_an_answer_that_comes_after_every_usual_deadline_is_waited_for(
    demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(activity, "TELL_SECONDS", 1.0)
    with slow_stack(demo, tmp_path) as stack:
        for name in SERVICES:
            stack.start(name)
        stack.wait_ready(60, ["embedding", "retrieval", "generation"])
        asyncio.run(fill(stack))
        answer = demo.ask(stack, "How many grams are in one pound?", "small")
        assert "453.59" in answer.content
        assert answer.timings is not None
        assert answer.timings.e2el > 3000

        pid = stack.pid("generation")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ServiceDied, match=r"generation was ended by SIGKILL while it was waited for"):
            demo.ask(stack, "How many grams are in one pound?", "small")
    printed = (tmp_path / "printed").read_text()
    assert re.search(r"still waiting after \d+ s for the answer of small", printed)


def test_the_services_stay_for_their_page_until_ctrl_c(demo: Demo, tmp_path: Path) -> None:
    shown: list[str] = []

    def look(url: str, _: Mapping[str, str]) -> bool:
        shown.append(httpx.get(url, timeout=60).text)
        signal.raise_signal(signal.SIGINT)
        return False

    with slow_stack(demo, tmp_path) as stack:
        stack.start("gateway")
        stack.wait_ready(300, ["gateway"], probed=probe.awaits_answer)
        demo.stay(stack, look)
        assert "<title>Ragline</title>" in shown[0]
        printed = (tmp_path / "printed").read_text()
        assert f"The page: {stack.url('gateway')}/" in printed
        assert printed.endswith("stopping\n")

        pid = stack.pid("gateway")
        assert pid is not None
        with pytest.raises(DemoFailed, match=r"gateway was ended by SIGKILL"):
            demo.stay(stack, lambda *_: bool(os.kill(pid, signal.SIGKILL)))
    assert "No browser opens here" in (tmp_path / "printed").read_text()


@pytest.mark.parametrize(("env", "asked"), [({}, False), ({"DISPLAY": ":0"}, True)])
def test_no_browser_opens_in_the_terminal(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], *, asked: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("webbrowser.open", lambda url: bool(opened.append(url)) or True)
    assert open_browser("http://127.0.0.1:8888/", env) is asked
    assert bool(opened) is asked


def test_the_services_of_the_demo_have_no_deadline_of_the_users(demo: Demo, tmp_path: Path) -> None:
    environment = demo.environment(tmp_path)
    assert {name: float(environment[name]) for name in UNHURRIED} == dict.fromkeys(UNHURRIED, NO_DEADLINE)


@pytest.mark.parametrize(
    ("error", "tries"),
    [(ServiceUnavailable("busy"), 12), (DeadlineExceeded("late"), 12), (ServiceError("broken"), 5)],
)
async def test_what_is_too_busy_is_asked_until_nothing_moves_and_what_fails_a_few_times(
    error: RaglineError, tries: int
) -> None:
    made = 0

    async def pause(_: float) -> None:
        return

    async def work() -> str:
        nonlocal made
        made += 1
        if made < 12:
            raise error
        return "done"

    policy = replace(AGAIN_WHEN_DOWN, sleep=pause)
    if tries < 12:
        with pytest.raises(type(error)):
            await policy.call(work)
    else:
        assert await policy.call(work) == "done"
    assert made == tries


def test_a_fetch_that_reports_nothing_is_told_of(
    tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    class SlowFetcher:
        def __init__(self, home: Path) -> None:
            pass

        def present(self, name: str) -> bool:
            return False

        def fetch(self, name: str, *, progress: ProgressCallback) -> None:
            time.sleep(0.3)
            progress(Progress(name, "file", 420, 1000, "from the package index, part 3 of 6"))
            time.sleep(0.3)

    monkeypatch.setattr(models, "TELL_SECONDS", 0.1)
    monkeypatch.setattr(models, "Fetcher", SlowFetcher)
    models.fetch_models([next(iter(models.CATALOGUE))], tmp_path, Output(console, console))
    console.file.flush()
    printed = (tmp_path / "printed").read_text()
    assert "still fetching after 0 s: looking for it" in printed
    assert "still fetching after 0 s: 42 %, from the package index, part 3 of 6" in printed
