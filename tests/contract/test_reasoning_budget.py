"""Thinking budgets on real models and real engines, over the generation service's HTTP."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import aiohttp
import orjson
import pytest
import pytest_asyncio
from starlette.types import ASGIApp

from services.generation.app import create
from services.generation.backend import Engine
from services.generation.backends import openvino
from services.generation.entries import ModelEntry
from services.generation.reasoning.profiles import PROFILES
from services.generation.settings import Settings

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

Serve = Callable[[ASGIApp], str]
MODEL = "smollm2-135m-instruct"
ENGINES = ("openvino", "llamacpp")
ENTRIES = [
    *({"name": name, "engine": name, "model_id": MODEL, "profile": "prompted"} for name in ENGINES),
    *({"name": f"as-{name}", "engine": "openvino", "model_id": MODEL, "profile": name} for name in PROFILES),
]
ANSWER_TOKENS = 40
LONG_ANSWER = {0: 160, 64: 320, 512: 768}
"""`max_tokens` by budget: answers long enough that 5 % of their time is more than a busy machine's noise."""
COUNT = "Count from 1 to 100, each number in words and on a line of its own."

QUESTION = (
    "Passages:\n\n[1] Weights\nOne pound is 453.6 grams.\n\n[2] Bricks\nA brick weighs five pounds.\n\n"
    "Question: How heavy is a brick?"
)
TAG = re.compile(r"</?think>|\[/?THINK\]|<\|")


@dataclass
class Answer:
    """A stream by the client's clock, in seconds from the request."""

    reasoning: str = ""
    content: str = ""
    finish_reason: str = ""
    usage: dict[str, object] = field(default_factory=dict)
    first: float = 0.0
    first_content: float = 0.0
    end: float = 0.0

    @property
    def reasoning_tokens(self) -> int | None:
        details = self.usage["completion_tokens_details"]
        assert isinstance(details, dict)
        count = details["reasoning_tokens"]
        assert count is None or isinstance(count, int)
        return count


class Shared:
    """One loaded model behind every entry that has it, closed with the last of them."""

    def __init__(self, engine: Engine, users: list[str], name: str) -> None:
        self._engine, self._users, self._name = engine, users, name
        self.capabilities, self.ready, self.generate = engine.capabilities, engine.ready, engine.generate

    async def close(self) -> None:
        self._users.remove(self._name)
        if not self._users:
            await self._engine.close()


def sharing(
    create_engine: Callable[[ModelEntry], Awaitable[Engine]],
) -> Callable[[ModelEntry], Awaitable[Engine]]:
    """Makes an engine once for all entries, because loading it for each would take minutes."""
    made: list[Engine] = []
    users: list[str] = []

    async def shared(entry: ModelEntry) -> Engine:
        users.append(entry.name)
        if not made:
            made.append(await create_engine(entry))
        return Shared(made[0], users, entry.name)

    return shared


@pytest.fixture(scope="module")
def url(serve: Serve, models_home: object) -> Iterator[str]:
    settings = Settings(
        backends=orjson.dumps(ENTRIES).decode(),
        max_tokens=ANSWER_TOKENS,
        home=str(models_home),
        max_context=2048,
        loaded_max=len(ENTRIES),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGLINE_HOME", str(models_home))
        patch.setattr(openvino, "create", sharing(openvino.create))
        yield serve(create(settings))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def ask(
    session: aiohttp.ClientSession, url: str, model: str, question: str = QUESTION, **fields: object
) -> Answer:
    body = {
        "messages": [{"role": "user", "content": question}],
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        **fields,
    }
    answer, start = Answer(), time.perf_counter()
    headers = {"x-ragline-deadline-ms": "300000"}
    async with session.post(f"{url}/v1/chat/completions", json=body, headers=headers) as reply:
        assert reply.status == 200, await reply.text()
        async for line in reply.content:
            if not line.startswith(b"data: {"):
                continue
            chunk = orjson.loads(line[6:])
            answer.usage = chunk.get("usage") or answer.usage
            for choice in chunk["choices"]:
                now = time.perf_counter() - start
                delta = choice["delta"]
                if delta.get("reasoning_content") or delta.get("content"):
                    answer.first = answer.first or now
                if delta.get("content"):
                    answer.first_content = answer.first_content or now
                answer.reasoning += delta.get("reasoning_content") or ""
                answer.content += delta.get("content") or ""
                answer.finish_reason = choice["finish_reason"] or answer.finish_reason
    answer.end = time.perf_counter() - start
    return answer


async def seconds(session: aiohttp.ClientSession, url: str, model: str) -> dict[str, float]:
    """The sums of the server's own histograms for that entry."""
    async with session.get(f"{url}/metrics") as reply:
        text = await reply.text()
    found = re.findall(rf'ragline_generation_(\w+)_seconds_sum{{model="{model}",.*}} (\S+)', text)
    return {name: float(value) for name, value in found}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("budget", [0, 64, 512])
async def test_budgets_of_a_real_model(
    session: aiohttp.ClientSession, url: str, engine: str, budget: int
) -> None:
    await ask(session, url, engine, max_tokens=2)  # loaded and warm
    before = await seconds(session, url, engine)
    answer = await ask(
        session, url, engine, COUNT, max_reasoning_tokens=budget, max_tokens=LONG_ANSWER[budget]
    )
    after = await seconds(session, url, engine)
    assert answer.content.strip()
    assert answer.finish_reason in {"stop", "length"}
    assert not TAG.search(answer.content)
    assert answer.reasoning_tokens is not None
    assert answer.reasoning_tokens <= budget + 1
    assert bool(answer.reasoning) == (budget > 0)

    server = {name: after[name] - before.get(name, 0.0) for name in after}
    allowed = 0.05 * answer.end
    think = server.get("think_time", 0.0) if budget else 0.0
    assert abs(think - (answer.first_content - answer.first)) < allowed
    written = answer.end - answer.first_content
    assert abs(server["time_to_first_token"] + think + written - answer.end) < allowed
    assert abs(server["e2e_request_latency"] - answer.end) < allowed


async def test_effort_none_does_not_think(session: aiohttp.ClientSession, url: str) -> None:
    answer = await ask(session, url, "openvino", reasoning_effort="none")
    assert answer.content.strip()
    assert (answer.reasoning, answer.reasoning_tokens) == ("", 0)


async def test_a_requests_limit_holds_thinking_and_answer(session: aiohttp.ClientSession, url: str) -> None:
    answer = await ask(session, url, "openvino", max_tokens=20)
    assert answer.content.strip()
    assert answer.usage["completion_tokens"] <= 20  # type: ignore[operator]


@pytest.mark.parametrize("budget", [0, 24])
@pytest.mark.parametrize("profile", PROFILES)
async def test_a_real_model_behind_every_profile(
    session: aiohttp.ClientSession, url: str, profile: str, budget: int
) -> None:
    answer = await ask(session, url, f"as-{profile}", max_reasoning_tokens=budget)
    assert answer.content.strip()
    assert answer.finish_reason in {"stop", "length"}
    assert not TAG.search(answer.content)
    assert (answer.reasoning_tokens or 0) <= budget + 1
