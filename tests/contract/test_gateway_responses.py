"""OpenAI's Responses API at the gateway, checked with the types of OpenAI's own package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest
from openai import NotFoundError, OpenAI
from openai.types import responses as types
from openai.types.responses import Response
from pydantic import BaseModel
from starlette.types import ASGIApp

from tests.contract.gateway_chain import QUESTION, ScriptedEngine, start_gateway

TOOL = {"type": "function", "name": "weigh", "parameters": {"type": "object"}, "strict": False}
EVENTS: dict[str, type[BaseModel]] = {  # the union of all kinds takes half a minute to build
    "response.created": types.ResponseCreatedEvent,
    "response.in_progress": types.ResponseInProgressEvent,
    "response.completed": types.ResponseCompletedEvent,
    "response.incomplete": types.ResponseIncompleteEvent,
    "response.output_item.added": types.ResponseOutputItemAddedEvent,
    "response.output_item.done": types.ResponseOutputItemDoneEvent,
    "response.content_part.added": types.ResponseContentPartAddedEvent,
    "response.content_part.done": types.ResponseContentPartDoneEvent,
    "response.output_text.delta": types.ResponseTextDeltaEvent,
    "response.output_text.done": types.ResponseTextDoneEvent,
    "response.output_text.annotation.added": types.ResponseOutputTextAnnotationAddedEvent,
    "response.reasoning_text.delta": types.ResponseReasoningTextDeltaEvent,
    "response.reasoning_text.done": types.ResponseReasoningTextDoneEvent,
    "response.function_call_arguments.delta": types.ResponseFunctionCallArgumentsDeltaEvent,
    "response.function_call_arguments.done": types.ResponseFunctionCallArgumentsDoneEvent,
}


@pytest.fixture(scope="module")
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="module")
def url(serve: Callable[[ASGIApp], str], engine: ScriptedEngine) -> str:
    return start_gateway(serve, engine, ["talker", "caller", "thinker"])


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def post(url: str, **fields: Any) -> httpx.Response:
    return httpx.post(f"{url}/v1/responses", json={"input": QUESTION, **fields}, timeout=60)


def stream(url: str, **fields: Any) -> list[dict[str, Any]]:
    reply = post(url, stream=True, **fields)
    assert reply.status_code == 200, reply.text
    events = []
    for block in reply.text.strip().split("\n\n"):
        name, data = block.split("\n")
        event = orjson.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        events.append(event)
    return events


CASES: dict[str, dict[str, Any]] = {
    "cited": {"model": "small", "rag": {"top_n": 1}},
    "abstained": {"model": "small", "rag": {"floor": 1}},
    "thinking alone": {"model": "thinker"},
    "a call": {"model": "caller", "tools": [TOOL]},
    "logprobs": {"model": "talker", "include": ["message.output_text.logprobs"], "top_logprobs": 1},
    "a form": {"model": "talker", "text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}},
}


@pytest.mark.parametrize("fields", CASES.values(), ids=CASES)
def test_replies_and_events_are_valid_by_openais_own_types(url: str, fields: dict[str, Any]) -> None:
    whole = post(url, **fields)
    assert whole.status_code == 200, whole.text
    Response.model_validate(whole.json())
    events = stream(url, **fields)
    for event in events:
        EVENTS[event["type"]].model_validate(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[0]["type"] == "response.created"
    last = events[-1]["response"]
    assert events[-1]["type"] == f"response.{last['status']}"
    for name in ("status", "model", "outcome", "usage", "citations", "context"):
        assert last[name] == whole.json()[name]
    assert [item["type"] for item in last["output"]] == [item["type"] for item in whole.json()["output"]]


def test_items_are_opened_filled_and_closed_in_order(url: str) -> None:
    names = [event["type"].removeprefix("response.") for event in stream(url, **CASES["cited"])]
    assert list(dict.fromkeys(names)) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.annotation.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]


def test_an_answer_is_cited(client: OpenAI) -> None:
    reply = client.responses.create(model="small", input=QUESTION, extra_body={"rag": {"top_n": 1}})
    part = reply.output[0].content[0]
    [link] = part.annotations
    assert reply.output_text[link.start_index : link.end_index].strip()
    assert httpx.get(link.url).json()["text"]
    assert reply.citations[0]["passage_id"] == httpx.get(link.url).json()["id"]
    assert (reply.status, reply.outcome, reply.store) == ("completed", "answered", False)


def test_the_sdk_puts_a_stream_together(client: OpenAI) -> None:
    whole = client.responses.create(model="talker", input=QUESTION).output_text
    with client.responses.stream(model="talker", input=QUESTION) as events:
        texts = [event.delta for event in events if event.type == "response.output_text.delta"]
        final = events.get_final_response()
    assert "".join(texts) == final.output_text == whole == "Honey it is."


def test_thinking_alone_is_incomplete_and_says_why(url: str) -> None:
    reply = post(url, model="thinker").json()
    assert (reply["status"], reply["outcome"]) == ("incomplete", "reasoning_truncated")
    assert reply["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["type"] for item in reply["output"]] == ["reasoning"]
    assert reply["usage"]["output_tokens_details"]["known"] is False


def test_a_call_is_answered_and_the_conversation_goes_on(client: OpenAI, engine: ScriptedEngine) -> None:
    asked: list[Any] = [{"role": "user", "content": "Weigh a bee."}]
    [call] = client.responses.create(model="caller", input=asked, tools=[TOOL]).output  # type: ignore[list-item]
    assert (call.type, call.name, orjson.loads(call.arguments)) == ("function_call", "weigh", {"what": "bee"})
    asked += [call.model_dump(exclude_none=True)]
    asked += [{"type": "function_call_output", "call_id": call.call_id, "output": "0.1 g"}]
    asked.insert(1, {"type": "reasoning", "id": "rs_1", "summary": []})
    reply = client.responses.create(model="talker", input=asked, instructions="Be brief.")
    assert reply.output_text == "Honey it is."
    system, question, made, result = engine.bodies[-1]["messages"]
    assert "Be brief." in system["content"]
    assert [message["role"] for message in (question, made, result)] == ["user", "assistant", "tool"]
    assert made["tool_calls"][0]["id"] == result["tool_call_id"] == call.call_id


def test_what_is_asked_reaches_the_engine(url: str, engine: ScriptedEngine) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    form = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    choice = {"type": "function", "name": "weigh"}
    fields = {"text": {"format": form}, "tools": [TOOL], "tool_choice": choice, "max_output_tokens": 99}
    assert post(url, model="talker", temperature=0.5, **fields).status_code == 200
    sent = engine.bodies[-1]
    assert (sent["temperature"], sent["max_tokens"]) == (0.5, 99)
    assert sent["response_format"]["json_schema"] == {"name": "n", "schema": schema, "strict": True}
    assert sent["tools"][0]["function"]["name"] == sent["tool_choice"]["function"]["name"] == "weigh"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "c"}, "conversation"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"include": ["file_search_call.results"]}, "include"),
        ({"reasoning": {"summary": "detailed"}}, "summary"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input_image",
        ),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "item_reference"),
        ({"input": []}, "input"),
        ({"input": [{"role": "assistant", "content": "Hi"}]}, "messages"),
        ({"model": "small", "tools": [TOOL]}, "`tools`"),
        ({"tool_choice": {"type": "function", "name": "weigh"}}, "`tool_choice` needs `tools`"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_done_is_refused_by_name(url: str, fields: dict[str, Any], named: str) -> None:
    reply = post(url, **{"model": "talker", **fields})
    assert reply.status_code == 422, reply.text
    assert named in reply.json()["error"]["message"]


def test_an_unknown_model_is_a_404(client: OpenAI) -> None:
    with pytest.raises(NotFoundError):
        client.responses.create(model="nobody", input=QUESTION)
