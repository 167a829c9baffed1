"""What OpenAI's requests may ask for besides text: done where the engine can, else refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest
from openai import OpenAI, UnprocessableEntityError
from openai.types.chat import ChatCompletion
from starlette.types import ASGIApp

from tests.contract.gateway_chain import QUESTION, ScriptedEngine, start_gateway

TOOL = {
    "type": "function",
    "function": {
        "name": "weigh",
        "parameters": {"type": "object", "properties": {"what": {"type": "string"}}},
    },
}
FORM = {
    "type": "json_schema",
    "json_schema": {"name": "what", "strict": True, "schema": {"type": "object", "properties": {}}},
}
CALL = {"id": "call-1", "type": "function", "function": {"name": "weigh", "arguments": "{}"}}
LOOP = [
    {"role": "user", "content": "Weigh a bee."},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call-1", "content": "0.1 g"},
]


@pytest.fixture(scope="module")
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="module")
def url(serve: Callable[[ASGIApp], str], engine: ScriptedEngine) -> str:
    return start_gateway(serve, engine, ["caller", "talker"])


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def post(url: str, **fields: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": QUESTION}], **fields}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [TOOL]},
        {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": True},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "weigh"}}},
        {"response_format": FORM},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True, "top_logprobs": 2},
        {"logit_bias": {"50256": -100}},
        {"presence_penalty": 0.5, "frequency_penalty": -0.5},
    ],
    ids="+".join,
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_an_engine_can_do_reaches_it_as_it_was_asked_and_others_refuse_it_by_name(
    url: str, engine: ScriptedEngine, fields: dict[str, Any], stream: bool
) -> None:
    assert post(url, model="talker", stream=stream, **fields).status_code == 200
    sent = engine.bodies[-1]
    assert {name: sent.get(name) for name in fields} == fields
    refused = post(url, model="small", stream=stream, **fields)
    assert refused.status_code == 422
    for name in fields:
        assert f"`{name}`" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": []},
        {"tool_choice": "none"},
        {"response_format": {"type": "text"}},
        {"logprobs": False},
        {"logit_bias": {}},
        {"presence_penalty": 0, "frequency_penalty": 0.0},
        {"stream": None, "stop": None, "tools": None, "n": 1, "seed": None},
        {"user": "u", "metadata": {"a": "b"}, "store": False, "modalities": ["text"]},
    ],
    ids="+".join,
)
def test_what_asks_for_nothing_is_no_reason_to_refuse(url: str, fields: dict[str, Any]) -> None:
    assert post(url, model="small", **fields).status_code == 200


IMAGE = {"type": "image_url", "image_url": {"url": "x"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"n": 2}, "n"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"verbosity": "low"}, "verbosity"),
        ({"top_k": 5}, "top_k"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools"),
        ({"tool_choice": "required"}, "`tool_choice` needs `tools`"),
        (
            {"tool_choice": {"type": "function", "function": {"name": "weigh"}}, "tools": []},
            "`tool_choice` needs `tools`",
        ),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"think": True, "tools": [TOOL]}, "think"),
        ({"messages": [{"role": "user", "content": [IMAGE]}]}, "image_url"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, SOUND]}]}, "input_audio"),
        ({"messages": LOOP[:2]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, "messages"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_nobody_can_do_is_refused_by_name(url: str, fields: dict[str, Any], named: str) -> None:
    reply = post(url, model="talker", **fields)
    assert reply.status_code == 422, reply.text
    assert named in reply.json()["error"]["message"]


def test_calls_of_tools_come_through(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "caller", "messages": LOOP[:1], "tools": [TOOL]}
    reply = client.chat.completions.create(**asked)
    choice = reply.choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    [call] = choice.message.tool_calls
    assert (call.id, call.type) == ("call-1", "function")
    assert orjson.loads(call.function.arguments) == {"what": "bee"}
    ChatCompletion.model_validate(reply.model_dump(by_alias=True))
    with client.chat.completions.stream(**asked) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls[0].function.arguments == call.function.arguments


def test_a_conversation_about_tools_reaches_the_engine_whole(url: str, engine: ScriptedEngine) -> None:
    more = [{"role": "assistant", "content": "It weighs 0.1 g."}, {"role": "user", "content": QUESTION}]
    for conversation in (LOOP, [*LOOP, *more]):
        reply = post(url, model="talker", messages=conversation)
        assert reply.status_code == 200, reply.text
        _, *sent = engine.bodies[-1]["messages"]
        assert [message["role"] for message in sent] == [message["role"] for message in conversation]
        assert (sent[1]["content"], sent[1]["tool_calls"]) == (None, [CALL])
        assert (sent[2]["tool_call_id"], sent[2]["content"]) == ("call-1", "0.1 g")
    refused = post(url, model="small", messages=LOOP)
    assert refused.status_code == 422
    assert "tools" in refused.json()["error"]["message"]


def test_log_probabilities_come_through(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "talker", "messages": LOOP[:1], "logprobs": True}
    reply = client.chat.completions.create(**asked)
    assert [one.token for one in reply.choices[0].logprobs.content] == ["Honey"]
    with client.chat.completions.create(stream=True, **asked) as stream:
        streamed = [chunk.choices[0].logprobs for chunk in stream if chunk.choices]
    assert [[one.token for one in found.content] for found in streamed if found] == [["Honey"]]


def test_an_sdk_gets_an_error_of_its_own(client: OpenAI) -> None:
    with pytest.raises(UnprocessableEntityError, match="`response_format`"):
        client.chat.completions.create(
            model="small",
            messages=[{"role": "user", "content": QUESTION}],
            response_format={"type": "json_object"},
        )


def test_the_list_of_models_says_what_each_can(url: str) -> None:
    post(url, model="talker")
    post(url, model="small")
    entries = {one["id"]: one for one in httpx.get(f"{url}/v1/models").json()["data"]}
    assert entries["talker"]["capabilities"]["tools"]
    assert not entries["small"]["capabilities"]["tools"]
