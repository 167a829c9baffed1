"""Every recorded format, under every profile that fits it and every chunking: the same two channels.

Through the real generation service and the engine's own backend, over HTTP on both sides. A usual run takes
every chunking under the recording's first profile, and the finest and the coarsest text under the others;
`make test-soak` takes all of them, and whole replies of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import httpx
import orjson
import pytest

from tests.conformance.conftest import Service, entry_name
from tests.conformance.recordings import CHUNKINGS, Recording, recordings
from tests.conformance.standin import PROMPT_TOKENS
from tests.soak import SOAK

FINEST_AND_COARSEST = ("characters", "merged")


def is_usual(recording: Recording, profile: str, chunking: str, stream: bool) -> bool:
    """Whether a usual run has this case: what a chunking does to the text depends on the profile only at its ends."""
    first = profile == recording.profiles[0]
    return (first or chunking in FINEST_AND_COARSEST) if stream else (first and chunking == "recorded")


CASES = [
    pytest.param(
        *case, id="-".join([case[0].name, case[1] or "own", case[2], "stream" if case[3] else "reply"])
    )
    for recording in recordings()
    for case in product([recording], recording.profiles, CHUNKINGS, [True, False])
    if SOAK or is_usual(*case)
]
QUESTION = "Does water boil at 90 °C?"


@dataclass(frozen=True)
class Got:
    reasoning: str
    content: str
    finish_reason: str
    usage: dict[str, object]


def request(name: str, *, stream: bool) -> dict[str, object]:
    messages = [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": QUESTION}]
    return {"model": name, "messages": messages, "stream": stream, "stream_options": {"include_usage": True}}


def streamed(raw: bytes) -> Got:
    """The channels of a stream; asserts its order: one role, thinking, answer, end, usage, [DONE]."""
    *events, done, end = raw.split(b"\n\n")
    assert (done, end) == (b"data: [DONE]", b""), raw[-400:]
    chunks = [orjson.loads(event.removeprefix(b"data: ")) for event in events]
    usage = chunks.pop()
    assert usage["choices"] == []
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert [delta.get("role") for delta in deltas if "role" in delta] == ["assistant"]
    assert "role" in deltas[0]
    reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
    assert not any(reasons[:-1])
    channels = [channel for delta in deltas for channel in _channels(delta)]
    assert channels == sorted(channels, reverse=True), "the thinking comes before the answer"
    return Got(
        reasoning="".join(delta.get("reasoning_content") or "" for delta in deltas),
        content="".join(delta.get("content") or "" for delta in deltas),
        finish_reason=reasons[-1],
        usage=usage["usage"],
    )


def _channels(delta: dict[str, object]) -> Iterator[str]:
    for name in ("reasoning_content", "content"):
        if delta.get(name):
            yield name


def whole(raw: bytes) -> Got:
    reply = orjson.loads(raw)
    [choice] = reply["choices"]
    message = choice["message"]
    return Got(
        reasoning=message["reasoning_content"] or "",
        content=message["content"],
        finish_reason=choice["finish_reason"],
        usage=reply["usage"],
    )


@pytest.mark.soak
@pytest.mark.parametrize(("recording", "profile", "chunking", "stream"), CASES)
def test_two_channels(
    service: Service, recording: Recording, profile: str, chunking: str, stream: bool
) -> None:
    service.standin.forget()
    body = request(entry_name(recording, profile, chunking), stream=stream) | dict(recording.request)
    reply = httpx.post(f"{service.url(recording)}/v1/chat/completions", json=body, timeout=30)
    assert reply.status_code == 200, reply.text
    got = streamed(reply.content) if stream else whole(reply.content)
    wanted = recording.delivers
    assert got.reasoning == wanted.reasoning
    assert got.content == wanted.content
    assert got.finish_reason == wanted.finish_reason
    assert got.content or got.finish_reason != "stop"
    assert got.usage["completion_tokens"] == service.standin.tokens, "the engine's own count"
    assert got.usage["prompt_tokens"] == PROMPT_TOKENS
    if recording.reasoning_tokens is not None:
        assert got.usage["completion_tokens_details"] == {"reasoning_tokens": recording.reasoning_tokens}


@pytest.mark.parametrize("recording", recordings(), ids=lambda recording: recording.name)
def test_a_recording_says_where_it_is_from(recording: Recording) -> None:
    assert len(recording.source) > 20
    assert recording.emits
    assert len(str(recording.events)) < 8000, "keep it small"


def test_the_formats_that_were_promised_are_there() -> None:
    names = {recording.name for recording in recordings()}
    engines = {recording.engine for recording in recordings()}
    assert {"vllm", "tgi", "ollama", "llama-server", "sglang", "ovms", "openai"} <= engines
    assert {"vllm-reasoning", "vllm-reasoning-content", "deepseek-api", "tgi-native", "tgi-openai"} <= names
    assert {"gpt-oss-harmony", "granite-3.2", "qwen3-on", "qwen3-off", "nested", "unclosed"} <= names
