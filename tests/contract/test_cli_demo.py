"""The demo on a slow machine: no wait of it has a deadline of its own, and every long one is told."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from services.cli.commands import ask
from services.cli.commands.demo import NO_DEADLINE, UNHURRIED, Demo
from services.cli.console import Output
from services.cli.errors import ServiceDied
from services.cli.local import activity
from services.cli.local.ports import free
from services.cli.local.stack import Stack
from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.wire.passages import DEFAULT_COLLECTION, Passage
from services.core.wire.retrieval import StoredPassage

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
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "DEADLINE_SECONDS": "1",
    }
    return Demo(tmp_path / "home", user, Path.cwd(), Output(console, console))


def slow_stack(demo: Demo, folder: Path) -> Stack:
    """The demo's services, with fakes that are slower than a hurried user's deadline."""
    fakes = {name: value for name, value in HURRIED.items() if name not in UNHURRIED}
    return Stack(folder / "home", demo.environment(folder) | fakes, free(SERVICES), run=folder / "run")


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
    assert "still waiting after 1 s for the answer of small" in printed


def test_the_services_of_the_demo_have_no_deadline_of_the_users(demo: Demo, tmp_path: Path) -> None:
    environment = demo.environment(tmp_path)
    assert {name: float(environment[name]) for name in UNHURRIED} == dict.fromkeys(UNHURRIED, NO_DEADLINE)
