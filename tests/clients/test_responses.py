"""OpenAI's Responses API by OpenAI's own SDK, whole and streamed; every event is valid by its published types."""

from __future__ import annotations

import pytest

pytest.importorskip("openai", reason="needs the clients' environment: make test-clients")

import openai
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from tests.clients.expected import ANSWER, KEY, QUESTION

EVENT = TypeAdapter(ResponseStreamEvent)
ENTRIES = ("plain", "thinking", "tagged", "uncounted", "cut", "filtered", "unknown", "tooled")


@pytest.fixture(scope="module")
def client(gateway: str):
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key=KEY, max_retries=0) as client:
        yield client


class Product(BaseModel):
    name: str
    count: int


def test_a_response_is_valid_and_cited(client):
    raw = client.responses.with_raw_response.create(model="plain", input=QUESTION)
    reply = Response.model_validate_json(raw.text, strict=True)
    assert (reply.output_text, reply.status) == (ANSWER, "completed")
    text = next(part for item in reply.output if item.type == "message" for part in item.content)
    assert [annotation.type for annotation in text.annotations][:1] == ["url_citation"]
    assert reply.usage.total_tokens > 0


def test_a_streamed_response_adds_up_to_the_answer(client):
    with client.responses.stream(model="plain", input=QUESTION) as stream:
        events = list(stream)
        reply = stream.get_final_response()
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(pieces) > 3
    assert "".join(pieces) == reply.output_text == ANSWER
    assert [event.type for event in events][-1] == "response.completed"


def test_thinking_is_an_item_of_its_own(client):
    reply = client.responses.create(model="thinking", input=[{"role": "user", "content": QUESTION}])
    assert [item.type for item in reply.output] == ["reasoning", "message"]
    assert reply.output_text == ANSWER


def test_a_response_that_was_cut_is_incomplete(client):
    reply = client.responses.create(model="cut", input=QUESTION)
    assert (reply.status, reply.incomplete_details.reason) == ("incomplete", "max_output_tokens")


def test_a_response_has_the_form_that_is_asked_for(client):
    reply = client.responses.parse(model="tooled", input=QUESTION, text_format=Product)
    assert reply.output_parsed == Product(name="honey", count=1)


@pytest.mark.parametrize(
    ("model", "error"), [("nobody", openai.NotFoundError), ("down", openai.InternalServerError)]
)
def test_errors_are_the_sdks_own(client, model, error):
    with pytest.raises(error):
        client.responses.create(model=model, input=QUESTION)


@pytest.mark.parametrize("model", ["fake", *ENTRIES])
def test_every_event_is_one_of_openais(client, model):
    tools = [{"type": "function", "name": "count_hives", "parameters": {"type": "object"}}]
    options = {"tools": tools} if model == "tooled" else {}
    with client.responses.with_streaming_response.create(
        model=model, input=QUESTION, stream=True, **options
    ) as reply:
        lines = [line.removeprefix("data: ") for line in reply.iter_lines() if line.startswith("data: ")]
    events = [EVENT.validate_json(line, strict=True) for line in lines if line != "[DONE]"]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type in {"response.completed", "response.incomplete"}
