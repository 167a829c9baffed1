"""What every engine that is a server makes of a server that misbehaves: never a success that hides it.

Each row is sent by a raw server in the engine's own wire format (vLLM's and OpenAI's chunks, TGI's steps;
the wordings are those of the servers' sources), and checked twice: at the engine, and through the
generation service's route, streamed and not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import cast

import aiohttp
import orjson
import pytest
import pytest_asyncio
from starlette.types import ASGIApp

from services.core.backends import load
from services.core.context import set_deadline
from services.core.errors import (
    ContextLengthExceeded,
    DeadlineExceeded,
    MalformedRequest,
    RaglineError,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
)
from services.core.sse import SseParser
from services.generation.app import create
from services.generation.backend import PACKAGE, EngineModule, Prompt, TokenCounts
from services.generation.configuration import find_backend
from services.generation.entries import ModelEntry
from services.generation.settings import Settings
from tests.contract.misbehaving import Misbehaving, Reply

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXT = "Käse 🐝 fliegt."
STALL = 30.0
DEADLINE = 0.6


@dataclass(frozen=True, slots=True)
class Wire:
    """A server's stream format."""

    say: Callable[[str], bytes]
    end: Callable[[str], bytes]
    usage: bytes
    done: bytes
    nothing: bytes
    """An event without a choice or a token."""


def event(body: object) -> bytes:
    return b"data: " + orjson.dumps(body) + b"\n\n"


def chunk(delta: dict[str, str], reason: str | None = None) -> bytes:
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def step(text: str, details: dict[str, object] | None = None, *, special: bool = False) -> bytes:
    token = {"id": 1, "text": text, "logprob": -0.1, "special": special}
    return event(
        {"index": 1, "token": token, "generated_text": TEXT if details else None, "details": details}
    )


OPENAI = Wire(
    say=lambda text: chunk({"content": text}),
    end=lambda reason: chunk({}, reason),
    usage=event({"choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}}),
    done=b"data: [DONE]\n\n",
    nothing=event({"choices": []}),
)


def tgi_end(reason: str, **more: object) -> bytes:
    details = {"finish_reason": reason, "generated_tokens": 5, "seed": None, **more}
    return step("</s>", details, special=True)


TGI = Wire(
    say=step,
    end=lambda reason: tgi_end("eos_token" if reason == "stop" else reason, input_length=9),
    usage=b"",
    done=b"",
    nothing=event({"index": 1, "token": None, "generated_text": None, "details": None}),
)

WORDINGS = {
    "vllm": "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4488 in "
    "the messages, 512 in the completion). Please reduce the length of the messages or completion.",
    "vllm-new": "'max_tokens' or 'max_completion_tokens' is too large: 512. This model's maximum context "
    "length is 4096 tokens and your request has 4000 input tokens (512 > 4096 - 4000).",
    "vllm-prompt": "The decoder prompt (length 5000) is longer than the maximum model length of 4096.",
    "tgi": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` "
    "tokens and 512 `max_new_tokens`",
    "tgi-inputs": "Input validation error: `inputs` must have less than 4095 tokens. Given: 5000",
    "openai": "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "llama": "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
    "sglang": "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
    "ovms": "Number of prompt tokens: 5000 exceeds model max length: 4096",
}


def error_body(message: str, code: int | str) -> bytes:
    return orjson.dumps(
        {"error": {"message": message, "type": "BadRequestError", "param": None, "code": code}}
    )


def rows(wire: Wire) -> dict[str, Reply]:
    """Every misbehaviour, by name."""
    good = [wire.say("Käse "), wire.say("🐝 "), wire.say("fliegt."), wire.end("stop"), wire.usage, wire.done]
    whole = b"".join(good)
    bee = whole.index("🐝".encode()) + 2
    without_usage = [*good[:3], wire.end("stop"), wire.done]
    if wire is TGI:
        without_usage = [*good[:3], tgi_end("eos_token")]
    pieces = [part for part in good if part]
    page = b"<html><head><title>504 Gateway Time-out</title></head><body><h1>504</h1>nginx</body></html>"
    sse_error = b'event: error\ndata: {"error": {"message": "CUDA out of memory", "code": 500}}\n\n'
    return {
        "good": Reply.stream(*pieces),
        "two-events": Reply.stream(whole),
        "split-character": Reply.stream(whole[:bee], whole[bee:]),
        "byte-by-byte": Reply.stream(*(bytes([byte]) for byte in whole[:120]), whole[120:]),
        "no-usage": Reply.stream(*(part for part in without_usage if part)),
        **{
            f"too-long-{name}": Reply.status("400 Bad Request", error_body(words, 400))
            for name, words in WORDINGS.items()
        },
        "too-long-code": Reply.status(
            "400 Bad Request", error_body("Please shorten it.", "context_length_exceeded")
        ),
        "too-long-422": Reply.status(
            "422 Unprocessable Entity",
            orjson.dumps({"error": WORDINGS["tgi"], "error_type": "validation"}),
        ),
        "too-long-inside": Reply.stream(event({"error": {"message": WORDINGS["vllm"], "code": 400}})),
        "bad-request": Reply.status("400 Bad Request", error_body("top_p must be in (0, 1]", 400)),
        "busy": Reply.status("429 Too Many Requests", error_body("slow down", 429), "retry-after: 7"),
        "broken": Reply.status("500 Internal Server Error", b"Internal Server Error", kind="text/plain"),
        "gateway-timeout": Reply.status("504 Gateway Time-out", page, kind="text/html"),
        "page": Reply.status("200 OK", page, kind="text/html"),
        "silent": Reply([STALL]),
        "stall": Reply.stream(wire.say("Käse "), STALL),
        "cut": Reply.stream(wire.say("Käse "), wire.say("🐝 ")[:-9]),
        "torn": Reply.torn(wire.say("Käse "), wire.say("🐝 ")[:-9]),
        "died": Reply.torn(wire.say("Käse "), wire.say("🐝 ")),
        "error-event": Reply.stream(wire.say("Käse "), sse_error),
        "error-data": Reply.stream(
            wire.say("Käse "), event({"error": {"message": "CUDA out of memory", "code": 500}}), wire.done
        ),
        "error-text": Reply.stream(
            wire.say("Käse "), event({"error": "CUDA out of memory", "error_type": "generation"})
        ),
        "error-object": Reply.stream(
            wire.say("Käse "), event({"object": "error", "message": "CUDA out of memory", "code": 500})
        ),
        "nothing": Reply.stream(wire.nothing, wire.nothing, wire.done or wire.nothing),
        "no-reason": Reply.stream(wire.say("Käse "), wire.done or wire.nothing),
        "abort": Reply.stream(wire.say("Käse "), wire.end("abort"), wire.done or wire.nothing),
    }


ANSWERED = ["good", "two-events", "split-character", "byte-by-byte"]

FAILED: list[tuple[str, type[RaglineError], str]] = [
    *((f"too-long-{name}", ContextLengthExceeded, "409[56]|context window") for name in WORDINGS),
    ("too-long-code", ContextLengthExceeded, "shorten"),
    ("too-long-422", ContextLengthExceeded, "4096"),
    ("too-long-inside", ContextLengthExceeded, "4096"),
    ("bad-request", MalformedRequest, "top_p"),
    ("busy", RateLimited, "slow down"),
    ("broken", ServiceError, "answered 500"),
    ("gateway-timeout", DeadlineExceeded, "504: 504 Gateway Time-out 504 nginx"),
    ("page", ServiceError, "no event stream: 504 Gateway Time-out"),
    ("silent", DeadlineExceeded, "deadline"),
    ("stall", DeadlineExceeded, "deadline"),
    ("cut", ServiceError, "middle of an event"),
    ("torn", ServiceError, "broke off"),
    ("died", ServiceError, "broke off"),
    ("error-event", ServiceError, "out of memory"),
    ("error-data", ServiceError, "out of memory"),
    ("error-text", ServiceError, "out of memory"),
    ("error-object", ServiceError, "out of memory|protocol|finish reason"),
    ("nothing", ServiceError, "finish reason"),
    ("no-reason", ServiceError, "finish reason"),
    ("abort", ServiceError, "'abort'"),
]


@dataclass(frozen=True, slots=True)
class Subject:
    """An engine with its misbehaving server, alone and behind the generation service."""

    name: str
    entry: ModelEntry
    service: str
    environment: dict[str, str]


def templated(body: dict[str, object]) -> object:
    """TGI's `/chat_tokenize`: a text with the model's BOS, and its tokens."""
    messages = cast(list[dict[str, str]], body["messages"])
    text = messages[-1]["content"]
    tokens = [{"id": 0, "text": "<s>", "start": 0, "stop": 3}, {"id": 7, "text": text, "start": 3, "stop": 9}]
    return {"templated_text": f"<s>{text}", "tokenize_response": tokens}


HELPERS: dict[str, Callable[[dict[str, object]], object]] = {
    "/chat_tokenize": templated,
    "/tokenize": lambda _: [{"id": 0, "text": "", "start": 0, "stop": 0}, {"id": 5, "text": "a", "start": 0}],
}

ENGINES = {
    "openai": ("ollama", OPENAI, {}),
    "vllm": ("vllm", OPENAI, {}),
    "llamaserver": ("llama-server", OPENAI, {}),
    "tgi-openai": ("tgi", OPENAI, {"LLM_TGI_ROUTE": "openai"}),
    "tgi-native": ("tgi", TGI, {"LLM_TGI_ROUTE": "native"}),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ENGINES)
async def subject(request: pytest.FixtureRequest, serve: Callable[[ASGIApp], str]) -> AsyncIterator[Subject]:
    engine, wire, environment = ENGINES[request.param]
    server = Misbehaving(rows(wire), HELPERS)
    url = await server.start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        app = create(Settings(engine=engine, endpoint=url, model_id="model", backend="bad"))
        service = await asyncio.to_thread(serve, app)
        yield Subject(
            request.param,
            ModelEntry(name="bad", engine=engine, endpoint=url, model_id="model"),
            service,
            environment,
        )
    await server.stop()


async def ask(subject: Subject, row: str) -> tuple[str, TokenCounts | None]:
    """The answer of the engine, without the service."""
    module = cast(EngineModule, load(PACKAGE, find_backend(subject.entry.engine)))
    engine = await module.create(subject.entry)
    prompt = Prompt((("user", f"row={row}"),), max_tokens=20, temperature=0.5, top_p=0.9)
    try:
        deltas = [delta async for delta in engine.generate(prompt)]
    finally:
        await engine.close()
    assert deltas[-1].finish_reason == "stop"
    return "".join(delta.content for delta in deltas), deltas[-1].tokens


@pytest.mark.parametrize("row", ANSWERED)
async def test_strange_chunks_are_the_same_answer(subject: Subject, row: str) -> None:
    assert await ask(subject, row) == (TEXT, TokenCounts(9, 5))


async def test_a_server_that_counts_nothing_still_answers(subject: Subject) -> None:
    assert await ask(subject, "no-usage") == (TEXT, None)


@pytest.mark.parametrize(("row", "kind", "words"), FAILED)
async def test_failures_are_errors(subject: Subject, row: str, kind: type[RaglineError], words: str) -> None:
    async def within() -> None:
        set_deadline(DEADLINE if row in {"silent", "stall"} else 20)
        await ask(subject, row)

    with pytest.raises(kind, match=words) as failure:
        await asyncio.create_task(within())
    assert failure.value.service == subject.entry.engine
    if row == "busy":
        assert failure.value.retry_after == 7


async def test_a_server_that_is_not_there(subject: Subject, unused_tcp_port: int) -> None:
    entry = subject.entry.model_copy(update={"endpoint": f"http://127.0.0.1:{unused_tcp_port}"})
    gone = Subject(subject.name, entry, "", subject.environment)
    with pytest.raises(ServiceUnavailable, match=f"{entry.engine} is down"):
        await ask(gone, "good")


@dataclass(slots=True)
class Outcome:
    """What a client of the service sees."""

    status: int
    error: dict[str, object]
    content: str = ""
    done: bool = False
    usage: object = None
    retry_after: str = ""


async def through_the_service(subject: Subject, row: str, *, stream: bool) -> Outcome:
    body = {
        "messages": [{"role": "user", "content": f"row={row}"}],
        "stream": stream,
        "stream_options": {"include_usage": True},
    }
    headers = {"x-ragline-deadline-ms": "600" if row in {"silent", "stall"} else "20000"}
    url = f"{subject.service}/v1/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=body, headers=headers) as reply:
        raw = await reply.read()
        outcome = Outcome(reply.status, {}, retry_after=reply.headers.get("retry-after", ""))
    if outcome.status != 200 or not stream:
        parsed = orjson.loads(raw)
        outcome.error = parsed.get("error") or {}
        if outcome.status == 200:
            outcome.content, outcome.done = parsed["choices"][0]["message"]["content"], True
            outcome.usage = parsed["usage"]
        return outcome
    for each in SseParser().feed(raw):
        if each.data == b"[DONE]":
            outcome.done = True
            continue
        parsed = orjson.loads(each.data)
        if each.event == "error":
            outcome.error = parsed["error"]
            continue
        outcome.usage = parsed.get("usage") or outcome.usage
        outcome.content += "".join(choice["delta"].get("content") or "" for choice in parsed["choices"])
    return outcome


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("row", [*ANSWERED, "no-usage"])
async def test_the_service_answers(subject: Subject, row: str, stream: bool) -> None:
    outcome = await through_the_service(subject, row, stream=stream)
    assert (outcome.status, outcome.content, outcome.done, outcome.error) == (200, TEXT, True, {})
    assert cast(dict[str, object], outcome.usage)["estimated"] == (row == "no-usage")


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(("row", "kind", "words"), FAILED)
async def test_the_service_hides_no_failure(
    subject: Subject, row: str, kind: type[RaglineError], words: str, stream: bool
) -> None:
    outcome = await through_the_service(subject, row, stream=stream)
    assert not outcome.done
    assert outcome.error, "a success that hides a failure"
    assert outcome.error["code"] in {leaf.code for leaf in (kind, *kind.__subclasses__())}
    assert outcome.status == (200 if stream and outcome.content else kind.status)
    assert outcome.error["message"]
    if row == "busy":
        assert outcome.retry_after == "7"
