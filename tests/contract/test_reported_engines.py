"""What users of other servers and gateways report never makes a wrong answer look right, whoever asks.

`make test` plays each scenario once, through the gateway, in one stream. The whole product of scenarios, profiles,
ways to ask and cuts is `make test-soak`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

import aiohttp
import orjson
import pytest
import pytest_asyncio
from starlette.types import ASGIApp

from services.core.sse import SseParser
from services.core.wire.chat import ChatRequest
from services.embedding.app import create as create_embedding
from services.embedding.settings import Settings as EmbeddingSettings
from services.gateway import opea
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.generation.app import create
from services.generation.backend import Delta
from services.generation.backends.fake import FakeEngine
from services.generation.backends.fake import Settings as FakeSettings
from services.generation.entries import ModelEntry
from services.generation.reasoning import exchange
from services.generation.reasoning.thinking import Thinking
from services.generation.settings import Settings
from services.generation.task import make_task
from services.retrieval.app import create as create_retrieval
from services.retrieval.settings import Settings as RetrievalSettings
from tests.contract.engine_scenarios import HM, Scenario
from tests.contract.misbehaving import Misbehaving
from tests.contract.reported_scenarios import CUT_OFF, DRESSED, ODD, UNANSWERED
from tests.contract.test_any_engine import FALLBACK, HASTY, PASSAGES, PATIENT, Outcome, show
from tests.soak import SOAK

pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = DRESSED | ODD | UNANSWERED | CUT_OFF
GIVEN_UP = {name: scenario for name, scenario in ALL.items() if scenario.content is None}
CONTEXT = {"context": [{"title": "Bees", "text": "Bees make honey. They dance."}]}
AT_ONCE = 4
"""So many scenarios are played at once: the limits for silence of those that hang are real time."""

Serve = Callable[[ASGIApp], str]


def pairs(scenarios: Mapping[str, Scenario], *, all_profiles: bool) -> list[tuple[str, str]]:
    """List scenarios and profiles; an entry of its own for each, since an entry is remembered."""
    profiles = {name: one.profiles if all_profiles else one.profiles[-1:] for name, one in scenarios.items()}
    return [(name, profile) for name, wanted in profiles.items() for profile in wanted]


@asynccontextmanager
async def play(serve: Serve, wanted: Iterable[tuple[str, str]]) -> AsyncIterator[tuple[str, str]]:
    """Serve an entry for each scenario and profile, with a fallback and without; yields gateway and service."""
    server = Misbehaving({name: scenario.reply for name, scenario in ALL.items()}, {}, pause=0)
    engine = await server.start()
    entries: list[dict[str, object]] = [{"name": "plain", "engine": "fake", "model_id": "plain"}]
    for name, profile in wanted:
        entry: dict[str, object] = {
            "engine": "openai",
            "endpoint": engine,
            "profile": profile,
            "model_id": "odd",
        }
        entry |= HASTY if ALL[name].hangs else PATIENT
        if profile == "instruct":  # the name alone says that it does not think
            entry |= {"profile": "", "model_id": "odd-instruct"}
        if profile == "unknown":
            entry["profile"] = ""
        entries.append({"name": f"{name}.{profile}", **entry})
        entries.append({"name": f"{name}.{profile}.backed", "fallback": ["plain"], **entry})
    settings = Settings(backends=orjson.dumps(entries).decode(), backend="plain", down_seconds=0)
    generation = await asyncio.to_thread(serve, create(settings))
    embedding = await asyncio.to_thread(serve, create_embedding(EmbeddingSettings(backend="fake")))
    retrieval = await asyncio.to_thread(serve, create_retrieval(RetrievalSettings(vector_url="memory://")))
    gateway = create_gateway(
        GatewaySettings(
            floor=0,
            embedding_url=embedding,
            retrieval_url=retrieval,
            reranking_url="",
            generation_url=generation,
            max_in_flight=1000,
        )
    )
    yield await asyncio.to_thread(serve, gateway), generation
    await server.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(serve: Serve) -> AsyncIterator[tuple[str, str]]:
    """The gateway over one entry for each scenario."""
    async with play(serve, pairs(ALL, all_profiles=False)) as served:
        yield served


async def ask(
    session: aiohttp.ClientSession, url: str, row: str, model: str, *, stream: bool, rag: bool = True
) -> Outcome:
    """Ask, and ask again where this machine is too busy to open a connection: every loop here is in one process."""
    while True:
        outcome = await ask_once(session, url, row, model, stream=stream, rag=rag)
        if "accepted no connection" not in str(outcome.error.get("message")):
            return outcome


async def ask_once(
    session: aiohttp.ClientSession, url: str, row: str, model: str, *, stream: bool, rag: bool = True
) -> Outcome:
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": "user", "content": f"row={row}" if rag else f"{PASSAGES}{row}"}],
        "stream": stream,
    }
    if rag:
        body["rag"] = CONTEXT
    async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
        outcome, raw = Outcome(reply.status), await reply.read()
    if outcome.status != 200 or not stream:
        read_whole(outcome, raw)
        return outcome
    for event in SseParser().feed(raw):
        if event.data == b"[DONE]":
            continue
        chunk = orjson.loads(event.data)
        if event.event == "error":
            outcome.error = chunk["error"]
            continue
        outcome.model, outcome.outcome = chunk["model"], chunk.get("outcome") or outcome.outcome
        for choice in chunk["choices"]:
            outcome.content += choice["delta"].get("content") or ""
            outcome.reasoning += choice["delta"].get("reasoning_content") or ""
            outcome.finish_reason = choice["finish_reason"] or outcome.finish_reason
    return outcome


def read_whole(outcome: Outcome, raw: bytes) -> None:
    reply = orjson.loads(raw)
    outcome.error = reply.get("error") or {}
    if outcome.status == 200:
        [choice] = reply["choices"]
        outcome.content = choice["message"]["content"] or ""
        outcome.reasoning = choice["message"].get("reasoning_content") or ""
        outcome.finish_reason, outcome.model, outcome.outcome = (
            choice["finish_reason"],
            reply["model"],
            reply["outcome"],
        )


def find_fault(row: str, profile: str, alone: Outcome, backed: Outcome) -> str:
    """Say what is wrong with the outcomes, without a fallback and with one; empty where nothing is."""
    scenario, is_unknown = ALL[row], profile == "unknown"
    fallback = (backed.content, backed.finish_reason, backed.model, backed.error) == (
        FALLBACK,
        "stop",
        "plain",
        {},
    )
    if row in CUT_OFF:
        is_right = bool(alone.error) and alone.finish_reason == ""
    elif row in GIVEN_UP:
        truncated = alone.outcome == "reasoning_truncated" and alone.finish_reason == "length"
        is_right = fallback and HM not in alone.content and bool(alone.error or truncated)
    else:
        wanted = (scenario.content, scenario.finish_reason)
        is_right = all(
            (one.content, one.finish_reason) == wanted
            and not one.error
            and scenario.reasoning in {None, one.reasoning}
            for one in (alone, backed)
        )
    if is_right or (row in CUT_OFF and is_unknown and fallback):
        return ""
    return f"{row}, {profile}: alone {alone}, backed {backed}"


async def find_faults(
    url: str, wanted: Iterable[tuple[str, str]], *, streams: Iterable[bool], rag: bool = True
) -> list[str]:
    """Play scenarios; with `streams` alone and backed are asked each of these ways."""
    some = asyncio.Semaphore(AT_ONCE)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def check(row: str, profile: str, stream: bool) -> str:
            async with some:
                model = f"{row}.{profile}"
                alone = await ask(session, url, row, model, stream=stream, rag=rag)
                needs_both = row in GIVEN_UP
                backed = (
                    await ask(session, url, row, f"{model}.backed", stream=stream, rag=rag)
                    if needs_both
                    else alone
                )
            return find_fault(row, profile, alone, backed)

        checks = [check(row, profile, stream) for row, profile in wanted for stream in streams]
        return [fault for fault in await asyncio.gather(*checks) if fault]


GROUPS = {"dressed": DRESSED, "odd": ODD, "unanswered": UNANSWERED, "cut-off": CUT_OFF}


@pytest.mark.parametrize("group", GROUPS)
async def test_each_reported_kind_comes_out_right(doors: tuple[str, str], group: str) -> None:
    url, _ = doors
    faults = await find_faults(url, pairs(GROUPS[group], all_profiles=False), streams=[True])
    assert not faults, "\n".join(faults)


async def test_there_are_many() -> None:
    assert len(ALL) > 180


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="the whole product: make test-soak")
@pytest.mark.parametrize("group", GROUPS)
async def test_each_reported_kind_by_every_profile_and_every_way_to_ask(serve: Serve, group: str) -> None:
    wanted = pairs(GROUPS[group], all_profiles=True)
    async with play(serve, wanted) as (gateway, generation):
        faults = await find_faults(gateway, wanted, streams=[True, False])
        faults += await find_faults(generation, wanted, streams=[True, False], rag=False)
        assert not faults, "\n".join(faults)
        for row, profile in wanted:
            content, shown = await show(gateway, row, f"{row}.{profile}")
            if row in GIVEN_UP:
                answer = shown.partition("Answer\n")[2]
                assert not content, f"{row}, {profile}: {content}"
                assert HM not in answer, f"{row}, {profile}: {answer}"
            elif row not in CUT_OFF:
                assert content.strip() == (ALL[row].content or "").strip(), f"{row}, {profile}"


ROW = "row=missing-opener-qwen3"
MODEL = "missing-opener-qwen3.qwen3"
MESSAGES = [{"role": "user", "content": ROW}]
STREAMS: dict[str, tuple[str, dict[str, object], bytes]] = {
    "chat": (
        "/v1/chat/completions",
        {"messages": MESSAGES, "rag": CONTEXT},
        b'"delta":{},"finish_reason":null',
    ),
    "completions": ("/v1/completions", {"prompt": ROW, "rag": CONTEXT}, b'"text":""'),
    "responses": ("/v1/responses", {"input": ROW, "rag": CONTEXT}, b": still there"),
    "chatqna": ("/v1/chatqna", {"messages": ROW, "chat_template": "{question}"}, b": thinking"),
    "compare": (
        "/v1/compare",
        {"question": ROW, "rag": CONTEXT, "arms": [MODEL, f"{MODEL}.backed"]},
        b'data: {"arm":"missing-opener-qwen3.qwen3"}',
    ),
}


@pytest.mark.parametrize("route", STREAMS)
async def test_a_stream_says_that_it_is_at_work_while_its_text_is_held_back(
    doors: tuple[str, str], monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    """Clients and proxies cut what is silent; the thinking that was held back is never among the answer."""
    monkeypatch.setattr(exchange, "BEAT_SECONDS", 0.0)
    monkeypatch.setattr(opea, "SILENCE_SECONDS", 0.0)
    path, body, beat = STREAMS[route]
    asked = {"stream": True} | body | ({} if route == "compare" else {"model": MODEL})
    async with aiohttp.ClientSession() as session, session.post(f"{doors[0]}{path}", json=asked) as reply:
        raw = await reply.read()
    assert reply.status == 200, raw
    assert raw.count(beat) > 3, raw
    assert b"misplaced" not in raw


async def test_a_hold_ends_at_the_limit_of_tokens() -> None:
    """An engine that keeps to no limit is stopped: what is held back is bounded."""

    async def endless() -> AsyncGenerator[Delta]:
        while True:
            yield Delta(content="Wings fly and bees dance. " * 40)

    engine = FakeEngine(ModelEntry(name="endless"), FakeSettings())
    engine.generate = lambda prompt: endless()  # type: ignore[method-assign]
    request = ChatRequest.model_validate({"messages": MESSAGES, "max_tokens": 50})
    task = make_task(request, ModelEntry(name="endless"), answer=50, thinking=0)
    deltas = [delta async for delta in Thinking(engine, task).deltas()]
    assert deltas[-1].finish_reason == "length"
    assert sum(len(delta.content) for delta in deltas) < 200_000
