"""langchain-openai: answers, whole and streamed, structured output, tools, errors."""

from __future__ import annotations

import pytest

pytest.importorskip("langchain_openai", reason="needs the clients' environment: make test-clients")

import openai
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from tests.clients.expected import ANSWER, KEY, NOTHING, QUESTION


class Product(BaseModel):
    """A product of bees."""

    name: str
    count: int


@pytest.fixture
def chat(gateway: str):
    def make(model: str = "plain", **options) -> ChatOpenAI:
        return ChatOpenAI(model=model, base_url=f"{gateway}/v1", api_key=KEY, max_retries=0, **options)

    return make


def test_an_answer_keeps_its_citations(chat):
    reply = chat().invoke(QUESTION)
    assert reply.text == ANSWER
    assert reply.response_metadata["finish_reason"] == "stop"
    assert reply.usage_metadata["total_tokens"] > 0


async def test_a_stream_adds_up_to_the_answer(chat):
    chunks = [chunk async for chunk in chat(stream_usage=True).astream(QUESTION)]
    assert len(chunks) > 3
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.text == ANSWER
    assert whole.response_metadata["finish_reason"] == "stop"
    assert whole.usage_metadata["total_tokens"] > 0


def test_an_abstention_and_thinking_are_answers(chat):
    assert chat(extra_body=NOTHING).invoke(QUESTION).text
    reply = chat("thinking").invoke(QUESTION)
    assert reply.text == ANSWER
    assert reply.usage_metadata["output_token_details"]["reasoning"] == 5


def test_errors_come_through(chat):
    with pytest.raises(openai.NotFoundError):
        chat("nobody").invoke(QUESTION)
    with pytest.raises(openai.APIStatusError):
        list(chat("down").stream(QUESTION))


@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_an_answer_has_the_form_that_is_asked_for(chat, method):
    made = chat("tooled").with_structured_output(Product, method=method).invoke(QUESTION)
    assert made == Product(name="honey", count=1)


def test_tools_are_called_in_a_stream_too(chat):
    bound = chat("tooled").bind_tools([Product])
    assert [call["args"] for call in bound.invoke(QUESTION).tool_calls] == [{"name": "honey", "count": 1}]
    chunks = list(bound.stream(QUESTION))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert [call["args"] for call in whole.tool_calls] == [{"name": "honey", "count": 1}]


def test_the_responses_api_gives_the_same(chat):
    assert chat(use_responses_api=True).invoke(QUESTION).text == ANSWER
    chunks = list(chat(use_responses_api=True).stream(QUESTION))
    assert "".join(chunk.text for chunk in chunks) == ANSWER
