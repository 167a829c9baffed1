"""An engine that nobody has seen, behind the real generation service: no wrong answer looks right.

Whatever it sends, whatever the profile: no thinking in the answer, no cut answer called `stop`, no empty
answer called `stop`, no waiting past the limits; an answer that is there is kept.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
import pytest
import pytest_asyncio
from rich.console import Console
from starlette.types import ASGIApp

from services.cli.commands.ask import Question
from services.cli.commands.ask import ask as ask_and_print
from services.cli.console import Output
from services.core.client import HttpClient
from services.core.errors import RaglineError
from services.core.sse import SseParser
from services.embedding.app import create as create_embedding
from services.embedding.settings import Settings as EmbeddingSettings
from services.gateway.app import create as create_gateway
from services.gateway.settings import Settings as GatewaySettings
from services.generation.app import create
from services.generation.settings import Settings
from services.reranking.app import create as create_reranking
from services.reranking.settings import Settings as RerankingSettings
from services.retrieval.app import create as create_retrieval
from services.retrieval.settings import Settings as RetrievalSettings
from tests.contract.engine_scenarios import (
    ANSWERED,
    BROKEN,
    HM,
    MISPLACED,
    NO_ANSWER,
    PROFILES,
    SCENARIOS,
    TAGGED,
    YES,
    Scenario,
)
from tests.contract.misbehaving import Misbehaving
from tests.contract.unnamed_scenarios import CUT_OFF, DRESSED, ODD, UNANSWERED
from tests.soak import SOAK

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.soak]

KEPT = ANSWERED | TAGGED | DRESSED | ODD
GIVEN_UP = NO_ANSWER | UNANSWERED
BROKEN_OFF = BROKEN | CUT_OFF
ALL = SCENARIOS | DRESSED | ODD | UNANSWERED | CUT_OFF

PATIENT: dict[str, object] = {"first_token_seconds": 60, "between_tokens_seconds": 60}
HASTY: dict[str, object] = {"first_token_seconds": 0.4, "between_tokens_seconds": 0.4}
"""For scenarios that hang: any other would fail on a machine that is busy."""

HELD = ("unknown", "qwen3")
"""Profiles whose text may be thinking without an opener, so that it is held back."""
FALLBACK = "Bees make honey. [1]"
PASSAGES = "Passages:\n\n[1] Bees\nBees make honey. They dance.\n\nQuestion: row="


async def each_profile(row: str, check: Callable[[str, Scenario], Awaitable[None]]) -> None:
    """Check the row with the profiles that it is for, all at once: the first and the last of them differ most."""
    scenario = ALL[row]
    suffix = "-hasty" if scenario.hangs else ""
    profiles = scenario.profiles if SOAK else {scenario.profiles[0], scenario.profiles[-1]}
    await asyncio.gather(*(check(f"{profile}{suffix}", scenario) for profile in profiles))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(serve: Callable[[ASGIApp], str]) -> AsyncIterator[str]:
    """One entry for each profile, with a fallback and without one."""
    server = Misbehaving({name: scenario.reply for name, scenario in (ALL | MISPLACED).items()}, {}, pause=0)
    engine = await server.start()
    odd = {"engine": "openai", "endpoint": engine, "model_id": "odd"}
    entries: list[dict[str, object]] = [{"name": "plain", "engine": "fake", "model_id": "plain"}]
    for profile in (*PROFILES, "instruct"):
        for name, limits in (("", PATIENT), ("-hasty", HASTY)):
            entry: dict[str, object] = {"profile": profile, **odd, **limits}
            if profile == "instruct":  # the name alone says that it does not think
                entry |= {"profile": "", "model_id": "odd-instruct"}
            entries.append({"name": f"{profile}{name}", **entry})
            entries.append({"name": f"{profile}{name}-backed", "fallback": ["plain"], **entry})
    names = ("service", "gateway", "asked", "nothing-True", "nothing-False")
    bounded = {"look_ahead": 4000}  # a user's choice: more than that is shown before its closer comes
    entries += [{"name": f"unknown-{name}", **odd, **PATIENT, **bounded} for name in names]
    entries.append({"name": "instruct-lacking", **odd, **PATIENT, "model_id": "odd-instruct"})
    settings = Settings(backends=orjson.dumps(entries).decode(), backend="plain", down_seconds=0)
    yield await asyncio.to_thread(serve, create(settings))
    await server.stop()


@pytest.fixture(scope="module")
def chain(url: str, serve: Callable[[ASGIApp], str]) -> str:
    """The gateway over that service; the other services are fakes."""
    embedding = serve(create_embedding(EmbeddingSettings(backend="fake")))
    retrieval = serve(create_retrieval(RetrievalSettings(vector_url="memory://")))
    reranking = serve(create_reranking(RerankingSettings(backend="fake")))
    return serve(
        create_gateway(
            GatewaySettings(
                floor=0,
                embedding_url=embedding,
                retrieval_url=retrieval,
                reranking_url=reranking,
                generation_url=url,
            )
        )
    )


_sessions: list[aiohttp.ClientSession] = []


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def one_session() -> AsyncIterator[None]:
    """All requests of this file, thousands, are one client's: `ask` finds it here."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        _sessions.append(session)
        yield
        _sessions.clear()


@dataclass(slots=True)
class Outcome:
    """What a client of the service sees."""

    status: int
    content: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    outcome: str = ""
    error: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    model: str = ""
    misplaced: int = 0
    timings: dict[str, Any] = field(default_factory=dict)


async def ask(
    url: str, model: str, row: str, *, stream: bool, rag: dict[str, object] | None = None
) -> Outcome:
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": "user", "content": PASSAGES + row}],
        "stream": stream,
        "stream_options": {"include_usage": True},
    }
    if rag is not None:
        body |= {"rag": rag, "messages": [{"role": "user", "content": f"row={row}"}]}
    address = f"{url}/v1/chat/completions"
    async with _sessions[0].post(address, json=body) as reply:
        outcome, raw = Outcome(reply.status), await reply.read()
    if outcome.status != 200 or not stream:
        parsed = orjson.loads(raw)
        outcome.error = parsed.get("error") or {}
        if outcome.status == 200:
            [choice] = parsed["choices"]
            outcome.content = choice["message"]["content"] or ""
            outcome.reasoning = choice["message"].get("reasoning_content") or ""
            outcome.finish_reason, outcome.usage = choice["finish_reason"], parsed["usage"]
            outcome.model, outcome.outcome = parsed["model"], parsed["outcome"]
            outcome.timings = parsed.get("timings") or {}
        return outcome
    for event in SseParser().feed(raw):
        if event.data == b"[DONE]":
            continue
        parsed = orjson.loads(event.data)
        if event.event == "error":
            outcome.error = parsed["error"]
            continue
        outcome.usage = parsed.get("usage") or outcome.usage
        outcome.model = parsed["model"]
        outcome.timings = parsed.get("timings") or outcome.timings
        outcome.misplaced = parsed.get("misplaced") or outcome.misplaced
        outcome.outcome = parsed.get("outcome") or outcome.outcome
        for choice in parsed["choices"]:
            outcome.content += choice["delta"].get("content") or ""
            outcome.reasoning += choice["delta"].get("reasoning_content") or ""
            outcome.finish_reason = choice["finish_reason"] or outcome.finish_reason
    return outcome


@pytest.mark.parametrize("row", KEPT)
async def test_an_answer_is_kept(url: str, row: str) -> None:
    async def check(profile: str, scenario: Scenario) -> None:
        for outcome in (
            await ask(url, profile, row, stream=True),
            await ask(url, f"{profile}-backed", row, stream=False),
        ):
            assert not outcome.error, profile
            assert (outcome.content, outcome.finish_reason) == (scenario.content, scenario.finish_reason), (
                profile
            )
            assert outcome.usage["estimated"] == scenario.estimated
            assert outcome.usage["completion_tokens"] > 0
            assert outcome.usage["prompt_tokens"] > 0
            assert scenario.reasoning in {None, outcome.reasoning}, profile

    await each_profile(row, check)


@pytest.mark.parametrize("row", GIVEN_UP)
async def test_no_answer_is_followed_by_the_fallback(url: str, row: str) -> None:
    async def check(profile: str, _: Scenario) -> None:
        backed, whole, alone = await asyncio.gather(
            ask(url, f"{profile}-backed", row, stream=True),
            ask(url, f"{profile}-backed", row, stream=False),
            ask(url, profile, row, stream=False),
        )
        for outcome in (backed, whole):
            assert not outcome.error, profile
            assert (outcome.content, outcome.finish_reason, outcome.model) == (FALLBACK, "stop", "plain"), (
                profile
            )
        assert HM not in alone.content, profile
        assert alone.error or alone.outcome == "reasoning_truncated", profile
        assert alone.finish_reason != "stop", profile
        assert alone.status != 504 or profile in alone.error["message"]

    await each_profile(row, check)


@pytest.mark.parametrize("row", BROKEN_OFF)
async def test_what_breaks_off_is_an_error(url: str, row: str) -> None:
    async def check(profile: str, _: Scenario) -> None:
        streamed, whole = await asyncio.gather(
            ask(url, f"{profile}-backed", row, stream=True), ask(url, profile, row, stream=False)
        )
        assert whole.error, profile
        if profile.startswith(HELD):  # nothing was shown yet, so that another may answer
            assert (streamed.content, streamed.model, streamed.error) == (FALLBACK, "plain", {})
            return
        assert streamed.error, profile
        assert streamed.finish_reason == "", profile

    await each_profile(row, check)


@pytest.mark.parametrize("row", ALL if SOAK else SCENARIOS | UNANSWERED)
async def test_through_the_gateway(chain: str, row: str) -> None:
    """The whole chain with the last of the scenario's profiles: what the user gets."""
    scenario = ALL[row]
    model = f"{scenario.profiles[-1]}{'-hasty' if scenario.hangs else ''}"
    rag: dict[str, object] = {"context": [{"title": "Bees", "text": "Bees make honey. They dance."}]}
    backed, alone = await asyncio.gather(
        ask(chain, f"{model}-backed", row, stream=True, rag=rag),
        ask(chain, model, row, stream=False, rag=rag),
    )
    if row in BROKEN_OFF:
        assert alone.error
        is_fallback = (backed.content, backed.model) == (FALLBACK, "plain")
        assert backed.error or (model.startswith(HELD) and is_fallback)
    elif row in GIVEN_UP:
        assert (backed.content, backed.finish_reason, backed.error) == (FALLBACK, "stop", {})
        assert HM not in alone.content
        assert alone.error or (alone.finish_reason, alone.outcome) == ("length", "reasoning_truncated")
    else:
        for outcome in (backed, alone):
            assert (outcome.content, outcome.finish_reason) == (scenario.content, scenario.finish_reason)
            assert not outcome.error
            assert outcome.usage["estimated"] == scenario.estimated
            assert not (scenario.estimated and "tpot" in outcome.timings), "a time by a guess"


@pytest.mark.parametrize("through", ["service", "gateway"])
async def test_thinking_without_an_opener_is_put_right_or_told(url: str, chain: str, through: str) -> None:
    """A stream that has shown more than is held back does not end as a good one; after it the entry is known."""
    scenario = MISPLACED["misplaced"]
    address = url if through == "service" else chain
    rag: dict[str, object] | None = (
        None if through == "service" else {"context": [{"text": "Bees make honey."}]}
    )
    entry = f"unknown-{through}"
    streamed = await ask(address, entry, "misplaced", stream=True, rag=rag)
    assert streamed.content[streamed.misplaced :].strip() == YES
    assert HM in streamed.content[: streamed.misplaced]
    assert (streamed.finish_reason, streamed.outcome) == ("length", "reasoning_misplaced")
    whole = await ask(address, entry, "misplaced", stream=False, rag=rag)
    assert (whole.content, whole.reasoning, whole.finish_reason) == (YES, scenario.reasoning, "stop")
    again = await ask(address, entry, "misplaced", stream=True, rag=rag)
    assert (again.content, again.reasoning, again.finish_reason) == (YES, scenario.reasoning, "stop")
    assert again.misplaced == 0


async def test_a_closer_on_a_line_of_its_own_counts_of_a_model_that_is_guessed_not_to_think(url: str) -> None:
    """Its first words are not held back; whoever says `profile: none` in words gets the text as it is."""
    scenario = ALL["opener-missing"]
    streamed = await ask(url, "instruct-lacking", "opener-missing", stream=True)
    assert (streamed.finish_reason, streamed.outcome) == ("length", "reasoning_misplaced")
    assert streamed.content[streamed.misplaced :].strip() == YES
    for stream in (True, False):
        again = await ask(url, "instruct-lacking", "opener-missing", stream=stream)
        assert (again.content, again.reasoning, again.outcome) == (YES, scenario.reasoning, "answered")
    verbatim = await ask(url, "none", "opener-missing", stream=True)
    assert "</think>" in verbatim.content


@pytest.mark.parametrize("stream", [True, False])
async def test_thinking_that_was_shown_and_no_answer_after_it(url: str, stream: bool) -> None:
    entry = f"unknown-nothing-{stream}"
    outcome = await ask(url, entry, "misplaced-then-nothing", stream=stream)
    assert (outcome.finish_reason, outcome.outcome) == ("length", "reasoning_truncated")
    assert not outcome.content[outcome.misplaced :].strip()


class Asked(Question):
    """A question of `ragline ask` that names a scenario, about a passage that comes with it."""

    def __init__(self, row: str, model: str) -> None:
        super().__init__(f"row={row}", model=model, collection="default", top_k=None, top_n=None)
        self._body["rag"] = {"context": [{"title": "Bees", "text": "Bees make honey. They dance."}]}


async def show(chain: str, row: str, model: str) -> tuple[str, str]:
    """Ask as `ragline ask` does; give the answer, empty where it fails, and all that is shown."""
    screen = io.StringIO()
    console = Console(file=screen, highlight=False)
    async with HttpClient("gateway", chain) as client:
        try:
            answer = await ask_and_print(Asked(row, model), client, Output(console, console))
        except RaglineError as error:
            return "", f"{screen.getvalue()}{error.message}"
    return answer.content, screen.getvalue()


@pytest.mark.parametrize(
    "row", [row for row, scenario in (DRESSED | UNANSWERED | CUT_OFF).items() if not scenario.hangs]
)
async def test_ragline_ask_shows_the_answer_alone(chain: str, row: str) -> None:
    scenario = ALL[row]
    content, shown = await show(chain, row, scenario.profiles[-1])
    if row in KEPT:
        assert content.strip() == (scenario.content or "").strip()
        return
    thoughts, _, answer = shown.partition("Answer\n")
    assert HM not in (answer or thoughts.partition("Reasoning")[0])
    assert not content or row in BROKEN_OFF
    assert any(word in shown for word in ("No answer", "openai", "odd", "model "))


async def test_ragline_ask_tells_thinking_that_it_has_shown(chain: str) -> None:
    content, shown = await show(chain, "misplaced", "unknown-asked")
    assert content == YES
    assert "begins with the model's thinking" in shown
    assert shown.partition("The answer is:")[2].strip().startswith(YES)
    again, shown = await show(chain, "misplaced", "unknown-asked")
    assert again == YES
    assert "begins with the model's thinking" not in shown


async def test_there_are_enough_scenarios() -> None:
    assert len(ALL) > 200
