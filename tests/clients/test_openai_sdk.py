"""OpenAI's own SDK: answers with citations, whole and streamed, abstention, thinking, errors."""

from __future__ import annotations

import httpx
import pytest

pytest.importorskip("openai", reason="needs the clients' environment: make test-clients")

import openai
import orjson
from openai.types import Completion
from pydantic import BaseModel

from tests.clients.expected import ANSWER, KEY, NOTHING, QUESTION, THOUGHT

TOOL = {
    "type": "function",
    "function": {
        "name": "count_hives",
        "description": "Counts hives.",
        "parameters": {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]},
    },
}
MESSAGES = [{"role": "user", "content": QUESTION}]


MODEL = "any"
"""The embedding service has one model, whatever a request calls it."""


class Product(BaseModel):
    name: str
    count: int


@pytest.fixture(scope="module")
def client(gateway: str):
    with openai.OpenAI(base_url=f"{gateway}/v1", api_key=KEY, max_retries=0) as client:
        yield client


def test_an_answer_is_cited_by_links_that_open_the_passage(client):
    reply = client.chat.completions.create(model="plain", messages=MESSAGES)
    choice = reply.choices[0]
    assert (choice.message.content, choice.finish_reason, reply.model) == (ANSWER, "stop", "plain")
    assert choice.message.annotations
    cited = choice.message.annotations[0].url_citation
    assert choice.message.content[cited.start_index : cited.end_index].startswith("Bees make honey")
    page = httpx.get(cited.url)
    assert page.status_code == 200
    assert "Bees make honey out of nectar" in page.text


def test_a_stream_adds_up_to_the_answer(client):
    with client.chat.completions.stream(model="plain", messages=MESSAGES) as stream:
        pieces = [event.delta for event in stream if event.type == "content.delta"]
        reply = stream.get_final_completion()
    assert len(pieces) > 3
    assert "".join(pieces) == reply.choices[0].message.content == ANSWER
    assert reply.choices[0].finish_reason == "stop"


async def test_the_asynchronous_client_gets_the_same(gateway):
    async with openai.AsyncOpenAI(base_url=f"{gateway}/v1", api_key=KEY, max_retries=0) as client:
        reply = await client.chat.completions.create(model="plain", messages=MESSAGES)
        chunks = [
            chunk
            async for chunk in await client.chat.completions.create(
                model="plain", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
            )
        ]
    assert reply.choices[0].message.content == ANSWER
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == ANSWER
    assert chunks[-1].usage.total_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
def test_an_abstention_is_an_answer(client, stream):
    reply = client.chat.completions.create(
        model="plain", messages=MESSAGES, extra_body=NOTHING, stream=stream
    )
    if stream:
        chunks = list(reply)
        content = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        reasons = [
            choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason
        ]
        outcomes = {chunk.outcome for chunk in chunks if "outcome" in chunk.model_extra}
        assert (reasons, outcomes) == (["stop"], {"abstained"})
    else:
        content = reply.choices[0].message.content
        assert (reply.choices[0].finish_reason, reply.outcome) == ("stop", "abstained")
    assert content


@pytest.mark.parametrize("model", ["thinking", "tagged"])
def test_thinking_is_no_part_of_the_answer(client, model):
    reply = client.chat.completions.create(model=model, messages=MESSAGES)
    message = reply.choices[0].message
    assert message.content == ANSWER
    assert message.reasoning_content.strip() == THOUGHT
    assert "reasoning_tokens" in reply.usage.completion_tokens_details.model_fields_set


@pytest.mark.parametrize(("model", "reason"), [("cut", "length"), ("filtered", "content_filter")])
def test_an_answer_that_is_not_whole_says_so(client, model, reason):
    reply = client.chat.completions.create(model=model, messages=MESSAGES)
    assert reply.choices[0].finish_reason == reason


@pytest.mark.parametrize(
    ("model", "error", "status"),
    [
        ("nobody", openai.NotFoundError, 404),
        ("down", openai.InternalServerError, 503),
        ("failing", openai.InternalServerError, 502),
        ("busy", openai.InternalServerError, 503),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_the_sdks_own(client, model, error, status, stream):
    with pytest.raises(error) as caught:
        client.chat.completions.create(model=model, messages=MESSAGES, stream=stream)
    assert caught.value.status_code == status
    assert caught.value.code
    if model == "busy":
        assert caught.value.code == "busy"
        assert int(caught.value.response.headers["retry-after"]) >= 1


def test_messages_without_content_and_calls_of_tools_are_history(client):
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Look it up."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Nothing."},
        {"role": "assistant", "content": "There is nothing."},
        *MESSAGES,
    ]
    assert (
        client.chat.completions.create(model="plain", messages=messages).choices[0].message.content == ANSWER
    )


def test_the_models_are_listed(client):
    assert {"plain", "thinking", "down"} <= {model.id for model in client.models.list()}


def test_an_answer_has_the_form_that_is_asked_for(client):
    reply = client.chat.completions.parse(model="tooled", messages=MESSAGES, response_format=Product)
    assert reply.choices[0].message.parsed == Product(name="honey", count=1)


@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_its_reply_is_answered_from(client, stream):
    if stream:
        with client.chat.completions.stream(model="tooled", messages=MESSAGES, tools=[TOOL]) as events:
            choice = events.until_done().get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(model="tooled", messages=MESSAGES, tools=[TOOL]).choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert (call.function.name, call.function.arguments) == ("count_hives", '{"place":"honey"}')
    asked = choice.message.model_dump(include={"role", "content", "tool_calls"}, exclude_none=True)
    messages = [*MESSAGES, asked, {"role": "tool", "tool_call_id": call.id, "content": "12"}]
    reply = client.chat.completions.create(model="tooled", messages=messages, tools=[TOOL])
    assert (reply.choices[0].message.content, reply.choices[0].finish_reason) == (ANSWER, "stop")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tools", [TOOL]),
        ("response_format", {"type": "json_object"}),
        ("logprobs", True),
        ("logit_bias", {"1": 5}),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_an_engine_cannot_do_is_refused_by_name(client, name, value, stream):
    with pytest.raises(openai.APIStatusError, match=name) as caught:
        client.chat.completions.create(model="fake", messages=MESSAGES, stream=stream, **{name: value})
    assert 400 <= caught.value.status_code < 500 or caught.value.status_code == 501


def test_one_model_and_embeddings_are_as_openai_has_them(client):
    assert client.models.retrieve("plain").id == "plain"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nobody")
    reply = client.embeddings.create(model=MODEL, input=["bees", "wax"], encoding_format="float")
    assert [item.index for item in reply.data] == [0, 1]
    assert len(reply.data[0].embedding) == len(reply.data[1].embedding) > 0
    assert client.embeddings.create(model=MODEL, input="bees").data[0].embedding == pytest.approx(
        reply.data[0].embedding, abs=1e-6
    )


def test_an_entry_without_retrieval_is_a_model_of_its_own(client):
    assert "plain:direct" in {model.id for model in client.models.list()}
    reply = client.chat.completions.create(
        model="plain:direct", messages=[{"role": "user", "content": "Hello"}]
    )
    assert (reply.choices[0].message.content, reply.outcome) == (ANSWER, "answered_without_passages")
    assert not reply.choices[0].message.annotations


@pytest.mark.parametrize(
    "model", ["plain", "thinking", "uncounted", "cut", "filtered", "unknown", "plain:direct"]
)
def test_older_completions_are_valid(client, model):
    raw = client.completions.with_raw_response.create(model=model, prompt=QUESTION)
    whole = Completion.model_validate_json(raw.text, strict=True)
    assert ANSWER.startswith(whole.choices[0].text)
    assert whole.choices[0].finish_reason == {"cut": "length", "filtered": "content_filter"}.get(
        model, "stop"
    )
    with client.completions.with_streaming_response.create(
        model=model, prompt=QUESTION, stream=True
    ) as reply:
        events = [line.removeprefix("data: ") for line in reply.iter_lines() if line]
    assert events.pop() == "[DONE]"
    choices = [choice for event in events for choice in orjson.loads(event)["choices"]]
    text = "".join(choice["text"] for choice in choices)
    assert [choice["finish_reason"] for choice in choices][-1] == whole.choices[0].finish_reason
    assert text == whole.choices[0].text
    with pytest.raises(openai.NotFoundError):
        client.completions.create(model="nobody", prompt=QUESTION)
