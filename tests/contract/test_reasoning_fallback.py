"""Thinking that leaves no answer is followed by the entry's fallback: at the service's edge, over real HTTP."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

import aiohttp
import orjson
import pytest
from starlette.types import ASGIApp

from services.generation.app import create
from services.generation.settings import Settings

Serve = Callable[[ASGIApp], str]

QUESTION = "Passages:\n\n[1] Bees\nBees make honey. They dance.\n\nQuestion: What do bees make?"
ANSWER = "Bees make honey. [1]"
THOUGHTS = 6
"""Tokens of thinking, each time that the thinker is asked: at first, and again without thinking."""


def thinker(name: str, *fallback: str, **fields: object) -> dict[str, object]:
    return {"name": name, "engine": "fake", "model_id": name, "fallback": fallback, **fields}


def elsewhere(name: str, url: str, **fields: object) -> dict[str, object]:
    return {"name": name, "engine": "openai", "model_id": name, "endpoint": url, **fields}


@pytest.fixture(scope="module")
def url(serve: Serve) -> Iterator[str]:
    """Entries that think and never answer, each with another chain."""
    plain = serve(create(Settings(engine="fake", backend="plain")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_REASONING_TOKENS", "3")
        reasoner = serve(create(Settings(engine="fake", backend="reasoner")))
    entries = [
        thinker("alone"),
        thinker("backed", "plain"),
        thinker("twice", "again", "reasoner"),
        thinker("again"),
        thinker("never", "again"),
        thinker("unlucky", "dead", "narrow"),
        elsewhere("plain", plain),
        elsewhere("reasoner", reasoner),
        elsewhere("dead", "http://127.0.0.1:9"),
        thinker("narrow", max_context=256),
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_REASONING_TOKENS", str(THOUGHTS))
        patch.setenv("FAKE_REASONING_FORMAT", "stubborn")
        yield serve(create(Settings(backends=orjson.dumps(entries).decode(), max_tokens=60)))


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


class Reply:
    """A reply, or a stream put together."""

    def __init__(self, headers: Mapping[str, str], body: bytes, *, stream: bool) -> None:
        self.headers = headers
        self.chunks: list[dict[str, Any]] = []
        if not stream:
            whole = orjson.loads(body)
            [choice] = whole["choices"]
            self.reasoning, self.content = (
                choice["message"]["reasoning_content"],
                choice["message"]["content"],
            )
            self.finish_reason, self.usage = choice["finish_reason"], whole["usage"]
            self.model, self.degraded, self.outcome = whole["model"], whole["degraded"], whole["outcome"]
            return
        self.chunks = [orjson.loads(line[6:]) for line in body.split(b"\n\n") if line.startswith(b"data: {")]
        deltas = [choice["delta"] for chunk in self.chunks for choice in chunk["choices"]]
        self.reasoning = "".join(delta.get("reasoning_content") or "" for delta in deltas)
        self.content = "".join(delta.get("content") or "" for delta in deltas)
        *_, last, usage = self.chunks
        self.finish_reason, self.usage = last["choices"][0]["finish_reason"], usage["usage"]
        self.model, self.degraded, self.outcome = last["model"], last.get("degraded", []), last["outcome"]


async def ask(session: aiohttp.ClientSession, url: str, model: str, *, stream: bool = False) -> Reply:
    body = {
        "messages": [{"role": "user", "content": QUESTION}],
        "model": model,
        "stream": stream,
        "stream_options": {"include_usage": True},
    }
    async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
        assert reply.status == 200, await reply.text()
        return Reply(reply.headers, await reply.read(), stream=stream)


async def counters(session: aiohttp.ClientSession, url: str) -> dict[str, float]:
    async with session.get(f"{url}/metrics") as reply:
        text = await reply.text()
    return {name: float(value) for name, value in re.findall(r"^ragline_generation_(\S+) (\S+)", text, re.M)}


@pytest.mark.parametrize("stream", [False, True])
async def test_the_fallback_answers_and_says_so(
    session: aiohttp.ClientSession, url: str, stream: bool
) -> None:
    alone = await ask(session, url, "alone")
    reply = await ask(session, url, "backed", stream=stream)
    assert (reply.content, reply.finish_reason) == (ANSWER, "stop")
    assert reply.reasoning == alone.reasoning
    assert (reply.model, reply.degraded) == ("plain", ["generation:backed"])
    if not stream:
        assert reply.headers["x-ragline-fallback"] == "backed -> plain"
        return
    assert "x-ragline-fallback" not in reply.headers
    marked = [chunk for chunk in reply.chunks if "degraded" in chunk]
    first = next(
        chunk for chunk in reply.chunks if chunk["choices"] and chunk["choices"][0]["delta"].get("content")
    )
    assert marked == [first, reply.chunks[-2]]
    assert [chunk["model"] for chunk in reply.chunks[: reply.chunks.index(first)]] == ["backed"] * (
        reply.chunks.index(first)
    )
    assert {chunk["model"] for chunk in reply.chunks[reply.chunks.index(first) :]} == {"plain"}


@pytest.mark.parametrize("stream", [False, True])
async def test_without_a_fallback_it_is_its_own_outcome(
    session: aiohttp.ClientSession, url: str, stream: bool
) -> None:
    reply = await ask(session, url, "alone", stream=stream)
    assert (reply.content, reply.finish_reason, reply.degraded) == ("", "length", [])
    assert reply.outcome == "reasoning_truncated"
    assert reply.reasoning.startswith("Thinking on")
    assert "x-ragline-fallback" not in reply.headers


async def test_where_every_entry_thinks_in_vain_it_is_so_too(
    session: aiohttp.ClientSession, url: str
) -> None:
    reply = await ask(session, url, "never")
    assert (reply.content, reply.finish_reason, reply.outcome) == ("", "length", "reasoning_truncated")
    assert (reply.model, reply.degraded) == ("again", ["generation:never"])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_fallback_that_fails_changes_nothing(
    session: aiohttp.ClientSession, url: str, stream: bool
) -> None:
    reply = await ask(session, url, "unlucky", stream=stream)
    assert (reply.content, reply.finish_reason, reply.outcome) == ("", "length", "reasoning_truncated")


async def test_each_entrys_thinking_is_kept_and_all_tokens_are_told(
    session: aiohttp.ClientSession, url: str
) -> None:
    alone, backed = await ask(session, url, "alone"), await ask(session, url, "backed")
    direct, answering = await ask(session, url, "plain"), await ask(session, url, "reasoner")
    for name in ("prompt_tokens", "completion_tokens", "total_tokens"):
        assert backed.usage[name] == alone.usage[name] + direct.usage[name]
    twice = await ask(session, url, "twice")
    assert twice.content == ANSWER
    assert twice.reasoning == "\n".join([alone.reasoning, alone.reasoning, answering.reasoning])
    assert twice.usage["completion_tokens"] == (
        2 * alone.usage["completion_tokens"] + answering.usage["completion_tokens"]
    )
    assert twice.degraded == ["generation:twice", "generation:again"]


async def test_it_is_counted_by_entry_and_outcome(session: aiohttp.ClientSession, url: str) -> None:
    before = await counters(session, url)
    reply = await ask(session, url, "backed")
    after = await counters(session, url)
    changed = {name: after[name] - before.get(name, 0.0) for name in after if after[name] != before.get(name)}
    service = 'service="generation"'
    assert changed[f'thinking_total{{model="backed",outcome="truncated",{service}}}'] == 1
    assert changed[f'requests_total{{model="backed",outcome="reasoning_truncated",{service}}}'] == 1
    assert changed[f'requests_total{{model="plain",outcome="stop",{service}}}'] == 1
    assert changed[f'fallbacks_total{{model="backed",reason="unanswered",{service},used="plain"}}'] == 1
    spent = [changed[f'generation_tokens_total{{model="{name}",{service}}}'] for name in ("backed", "plain")]
    assert sum(spent) == reply.usage["completion_tokens"]
    # the fallback's time to its first token is its own, not that of the thinking before it
    for name in ("backed", "plain"):
        assert changed[f'e2e_request_latency_seconds_count{{model="{name}",{service}}}'] == 1
    assert f'think_time_seconds_count{{model="plain",{service}}}' not in changed


async def test_the_timings_are_those_of_the_whole_request(session: aiohttp.ClientSession, url: str) -> None:
    reply = await ask(session, url, "backed")
    timings = {
        name: float(duration)
        for name, duration in re.findall(r"(\w+);dur=([\d.]+)", reply.headers["server-timing"])
    }
    assert timings["ttft"] + timings["think"] == pytest.approx(timings["ttfo"], abs=0.2)
    assert timings["ttfo"] <= timings["e2el"]
    assert timings["think"] > 0


@pytest.mark.parametrize(
    ("kind", "continuation", "outcome"),
    [("field", False, "finished"), ("tags", True, "closed"), ("unanswered", False, "reasked")],
)
async def test_every_outcome_of_thinking_is_counted(
    session: aiohttp.ClientSession, serve: Serve, kind: str, continuation: bool, outcome: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FAKE_REASONING_TOKENS", str(THOUGHTS))
        patch.setenv("FAKE_REASONING_FORMAT", kind)
        patch.setenv("FAKE_CONTINUATION", str(continuation))
        settings = Settings(engine="fake", backend="m", profile="tags", max_reasoning_tokens=THOUGHTS - 2)
        url = serve(create(settings))
    reply = await ask(session, url, "m")
    assert (reply.content, reply.finish_reason) == (ANSWER, "stop")
    assert reply.reasoning.startswith("Thinking")
    counted = await counters(session, url)
    assert counted[f'thinking_total{{model="m",outcome="{outcome}",service="generation"}}'] == 1
