"""Varied replies, streams included, are valid by the types that OpenAI publishes; all else is named ours."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Mapping

import aiohttp
import orjson
import pytest

pytest.importorskip("openai", reason="needs OpenAI's package: make test-clients")

from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_message import Annotation
from pydantic import BaseModel, TypeAdapter

REPLIES = 1_000 if "RAGLINE_PYTHON" in os.environ else 300
"""In the clients' own environment all of them; in the usual run what is enough for every kind."""
AT_A_TIME = 8
OURS = {
    "ChatCompletion": {"context", "timings", "degraded", "outcome"},
    "ChatCompletionChunk": {"context", "timings", "degraded", "outcome"},
    "ChatCompletionMessage": {"reasoning_content", "reasoning", "citations"},
    # OpenAI streams annotations too, but its types do not say so
    "ChoiceDelta": {"reasoning_content", "reasoning", "citations", "annotations"},
    "CompletionUsage": {"estimated"},
}
"""The keys of ours beside OpenAI's, by the type that they stand in."""

REQUIRED = {
    "choice": {"finish_reason", "index", "logprobs", "message"},
    "message": {"content", "refusal", "role"},
    "chunk choice": {"delta", "finish_reason", "index"},
}
"""What OpenAI's API description requires to be there, if only as null; its Python types let it be absent."""

ANNOTATIONS = TypeAdapter(list[Annotation])
ENTRIES = (
    "fake",
    "plain",
    "plain:direct",
    "thinking",
    "tagged",
    "uncounted",
    "cut",
    "thoughts",
    "filtered",
    "unknown",
    "refusing",
    "tooled",
)
FAILING = ("failing", "busy", "down", "nobody")
QUESTIONS = (
    "What do bees make out of nectar?",
    "Of what are combs?",
    "Hello",
    "Qu'est-ce que le miel ?",
    "E-4711 🐝",
)


SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}}
FEATURES = {
    "tools": [{"type": "function", "function": {"name": "count_hives", "parameters": SCHEMA}}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "hive", "schema": SCHEMA}},
    "logprobs": True,
}


def find_unknown(value: object) -> set[str]:
    """List what stands in a type of OpenAI's and is neither OpenAI's nor named above, as `Type.key`."""
    if isinstance(value, BaseModel):
        name = type(value).__name__
        unknown = {f"{name}.{key}" for key in (value.model_extra or {}) if key not in OURS.get(name, set())}
        return unknown.union(*(find_unknown(getattr(value, field)) for field in type(value).model_fields))
    return set[str]().union(*map(find_unknown, value)) if isinstance(value, list) else set()


def make_request(generator: random.Random) -> dict[str, object]:
    """Make one of the requests that people send."""
    question = generator.choice(QUESTIONS)
    messages: list[dict[str, object]] = []
    if generator.random() < 0.3:
        messages.append({"role": generator.choice(["system", "developer"]), "content": "Be brief."})
    if generator.random() < 0.4:
        earlier = generator.choice(["Yes.", "", "<think>no</think> so"])
        messages += [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": earlier}]
    parts = [{"type": "text", "text": question}]
    messages.append({"role": "user", "content": generator.choice([question, parts])})
    options = [
        {},
        {},
        {"floor": 1.0},
        {"context": []},
        {"context": [{"text": "Honey is sweet."}]},
        {"top_n": 1},
    ]
    request: dict[str, object] = {
        "model": generator.choice(FAILING if generator.random() < 0.05 else ENTRIES),
        "messages": messages,
        "rag": generator.choice(options),
        "stream": generator.random() < 0.5,
    }
    if request["model"] == "plain:direct":
        request["rag"] = {}  # it takes no passages
    for name, values in {
        "max_tokens": (1, 3, 100),
        "max_completion_tokens": (2, 50),
        "temperature": (0, 1.5),
        "seed": (1, 7),
        "stop": ("honey", ["out", "[1]"]),
        "max_reasoning_tokens": (0, 2, 50),
        "reasoning_effort": ("low", "high"),
    }.items():
        if generator.random() < 0.2:
            request[name] = generator.choice(values)
    for name, value in FEATURES.items():
        if generator.random() < {"tooled": 0.5, "fake": 0}.get(str(request["model"]), 0.05):
            request[name] = value
    if request["stream"] and generator.random() < 0.5:
        request["stream_options"] = {"include_usage": generator.random() < 0.7}
    return request


async def post(session: aiohttp.ClientSession, url: str, request: Mapping[str, object]) -> tuple[int, bytes]:
    headers = {"content-type": "application/json"}
    async with session.post(
        f"{url}/v1/chat/completions", data=orjson.dumps(request), headers=headers
    ) as reply:
        return reply.status, await reply.read()


def check_completion(body: bytes) -> Counter[str]:
    """Check a whole reply, and say what was in it."""
    reply = ChatCompletion.model_validate_json(body, strict=True)
    assert find_unknown(reply) == set()
    raw = orjson.loads(body)["choices"][0]
    assert REQUIRED["choice"] <= raw.keys()
    assert REQUIRED["message"] <= raw["message"].keys()
    (choice,) = reply.choices
    assert choice.message.content or choice.finish_reason != "stop", "an empty answer that is called whole"
    assert reply.usage is not None
    assert reply.usage.total_tokens == reply.usage.prompt_tokens + reply.usage.completion_tokens
    details = orjson.loads(body)["usage"]["completion_tokens_details"]
    assert "reasoning_tokens" in details, "null where unknown, but there"
    for annotation in choice.message.annotations or []:
        check_annotation(annotation, choice.message.content or "")
    return Counter([choice.finish_reason, "annotations" if choice.message.annotations else "no annotations"])


def check_annotation(annotation: Annotation, content: str) -> None:
    """Check that an annotation is a link to open and names a place of the answer."""
    cited = annotation.url_citation
    assert cited.url.startswith(("http://", "https://"))
    assert cited.title
    assert 0 <= cited.start_index <= cited.end_index <= len(content)


def check_stream(body: bytes, request: Mapping[str, object]) -> Counter[str]:
    """Check a stream's chunks and that they end as OpenAI's do, and say what was in it."""
    *events, done, rest = body.split(b"\n\n")
    assert (done, rest) == (b"data: [DONE]", b"")
    chunks = [
        ChatCompletionChunk.model_validate_json(event.removeprefix(b"data: "), strict=True)
        for event in events
    ]
    for event in events:
        for raw in orjson.loads(event.removeprefix(b"data: "))["choices"]:
            assert REQUIRED["chunk choice"] <= raw.keys()
    assert len({chunk.id for chunk in chunks}) == 1
    assert set[str]().union(*map(find_unknown, chunks)) == set()
    choices = [choice for chunk in chunks for choice in chunk.choices]
    (last,) = (choice for choice in choices if choice.finish_reason)
    assert choices[-1] is last
    text = "".join(choice.delta.content or "" for choice in choices)
    assert text or last.finish_reason != "stop", "an empty answer that is called whole"
    assert choices[0].delta.role == "assistant"
    found = Counter([f"streamed {last.finish_reason}"])
    for choice in choices:
        for annotation in ANNOTATIONS.validate_python(
            (choice.delta.model_extra or {}).get("annotations") or []
        ):
            check_annotation(annotation, text)
            found["streamed annotations"] += 1
    options = request.get("stream_options")
    if isinstance(options, dict) and options["include_usage"]:
        assert chunks[-1].choices == []
        assert chunks[-1].usage is not None
        found["streamed usage"] += 1
    return found


@pytest.mark.timeout(600)  # on a machine that is busy with other things
async def test_varied_replies_are_valid_by_openais_types(gateway: str) -> None:
    generator = random.Random(7)
    requests = [make_request(generator) for _ in range(REPLIES)]
    seen: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    queue = iter(requests)

    async def work(session: aiohttp.ClientSession) -> None:
        for request in queue:
            status, body = await post(session, gateway, request)
            try:
                if status != 200:
                    error = orjson.loads(body)["error"]
                    assert {"message", "type", "code"} <= error.keys()
                    expected = request["model"] in {*FAILING, "thoughts", "refusing"}
                    assert expected, f"{status} {error['message']}"
                    seen[f"error {status}"] += 1
                else:
                    seen.update(check_stream(body, request) if request["stream"] else check_completion(body))
            except (AssertionError, ValueError) as failure:
                first = str(failure).strip().replace("\n", " ")[:300]
                wrong[f"{request['model']} {'stream' if request['stream'] else 'whole'}: {first}"] += 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(work(session) for _ in range(AT_A_TIME)))
    assert wrong == {}
    kinds = ("stop", "length", "content_filter", "annotations", "tool_calls")
    for kind in (*kinds, *(f"streamed {kind}" for kind in kinds)):
        assert seen[kind] > 3, seen
    assert seen["streamed usage"] > REPLIES // 20
    assert seen["error 404"] > 0
    assert seen["error 503"] + seen["error 502"] + seen["error 429"] > 0
