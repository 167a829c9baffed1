"""OpenAI's older completions at the gateway, checked with the types of OpenAI's own package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest
from openai import OpenAI
from openai.types import Completion
from starlette.types import ASGIApp

from tests.contract.gateway_chain import QUESTION, ScriptedEngine, start_gateway


@pytest.fixture(scope="module")
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="module")
def url(serve: Callable[[ASGIApp], str], engine: ScriptedEngine) -> str:
    return start_gateway(serve, engine, ["talker", "thinker"])


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def post(url: str, **fields: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/completions", json={"prompt": QUESTION, **fields}, timeout=60)


@pytest.mark.parametrize(
    "fields",
    [{"model": "small"}, {"model": "small", "rag": {"floor": 1}}, {"model": "thinker"}, {"model": "talker"}],
    ids=["cited", "abstained", "thinking alone", "plain"],
)
def test_replies_are_valid_and_streams_are_the_same_in_parts(url: str, fields: dict[str, Any]) -> None:
    reply = post(url, **fields)
    assert reply.status_code == 200, reply.text
    whole = reply.json()
    Completion.model_validate(whole)
    for options in (None, {"include_usage": True}):
        text = post(url, stream=True, stream_options=options, **fields).text
        *events, done = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
        assert done == "[DONE]"
        parts = [orjson.loads(event) for event in events]
        for part in parts:
            Completion.model_validate({**part, "choices": []})
        choices = [choice for part in parts for choice in part["choices"]]
        assert "".join(choice["text"] for choice in choices) == whole["choices"][0]["text"]
        assert choices[-1]["finish_reason"] == whole["choices"][0]["finish_reason"]
        assert parts[-1]["usage"] == whole["usage"]
        thoughts = "".join(part.get("reasoning_content", "") for part in parts)
        assert thoughts == whole.get("reasoning_content", "")
    assert {"context", "citations", "timings", "degraded", "outcome"} <= whole.keys()


def test_the_sdk_reads_it(client: OpenAI, engine: ScriptedEngine) -> None:
    reply = client.completions.create(
        model="talker", prompt=[QUESTION], stop=["x"], temperature=0.25, max_tokens=7
    )
    assert reply.choices[0].text == "Honey it is."
    sent = engine.bodies[-1]
    assert QUESTION in sent["messages"][-1]["content"]
    assert (sent["temperature"], sent["max_tokens"]) == (0.25, 7)
    with client.completions.create(model="talker:direct", prompt=QUESTION, stream=True) as stream:
        assert "".join(part.choices[0].text for part in stream) == "Honey it is."
    assert engine.bodies[-1]["messages"] == [{"role": "user", "content": QUESTION}]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"n": 2}, "n"),
        ({"best_of": 3}, "best_of"),
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
        ({"logprobs": 1}, "logprobs"),
        ({"model": "small", "presence_penalty": 1}, "presence_penalty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_refused_by_name(url: str, fields: dict[str, Any], named: str) -> None:
    reply = post(url, **{"model": "talker", **fields})
    assert reply.status_code == 422, reply.text
    assert named in reply.json()["error"]["message"]


def test_an_unknown_model_is_a_404(url: str) -> None:
    assert post(url, model="nobody", rag={"floor": 1}).status_code == 404
