"""The generation service as OPEA's LLM service is called: its README's curl lines, its tests, the orchestrator."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from services.generation.app import create
from services.generation.settings import Settings
from tests.contract.conftest import Serve

ENTRIES = [{"name": "quick", "engine": "fake", "model_id": "Intel/neural-chat-7b-v3-3"}]
QUESTION = "What is Deep Learning?"
MODEL = "Intel/neural-chat-7b-v3-3"


@pytest.fixture(scope="module")
def url(serve: Serve) -> str:
    return serve(create(Settings(backends=json.dumps(ENTRIES))))


def post(url: str, body: dict[str, Any]) -> httpx.Response:
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)


def read_chunks(reply: httpx.Response) -> list[dict[str, Any]]:
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    return [json.loads(event) for event in events[:-1]]


@pytest.mark.parametrize(
    "body",
    [
        # the curl lines of the README, whose variable a shell leaves as it is
        {"model": "${LLM_MODEL_ID}", "messages": QUESTION, "max_tokens": 17},
        # a reranker's parameters, older names and newer ones
        {
            "query": QUESTION,
            "max_new_tokens": 17,
            "top_k": 10,
            "top_p": 0.95,
            "typical_p": 0.95,
            "temperature": 0.01,
            "repetition_penalty": 1.03,
            "streaming": True,
        },
        {
            "query": QUESTION,
            "max_tokens": 17,
            "documents": [],
            "frequency_penalty": 0.0,
            "chat_template": None,
        },
        # what the reranking service replies, and the retrieval service
        {
            "id": "1",
            "initial_query": QUESTION,
            "retrieved_docs": [{"id": "2", "text": "It is a field."}],
            "top_n": 1,
        },
    ],
)
def test_a_text_is_answered_by_a_stream_of_texts(url: str, body: dict[str, Any]) -> None:
    chunks = read_chunks(post(url, body))
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert "".join(choice["text"] for choice in choices)
    assert choices[-1]["finish_reason"] in {"stop", "length"}
    assert all("delta" not in choice for choice in choices)


def test_a_text_without_a_stream(url: str) -> None:
    body = post(url, {"model": MODEL, "messages": QUESTION, "max_tokens": 17, "stream": False}).json()
    assert body["object"] == "text_completion"
    assert body["choices"][0]["text"]
    assert body["usage"]["completion_tokens"] <= 17


def test_messages_in_a_list_are_openais(url: str) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    asked = {"model": MODEL, "messages": messages, "max_tokens": 17}
    whole = post(url, {**asked, "stream": False}).json()
    assert whole["choices"][0]["message"]["content"]
    # what the orchestrator sends to the engine's place
    sent = {**asked, "top_p": 0.95, "stream": True, "frequency_penalty": 0.0, "temperature": 0.01}
    chunks = read_chunks(post(url, sent))
    assert any(choice["delta"].get("content") for chunk in chunks for choice in chunk["choices"])
    assert post(url, {"model": "unknown", "messages": messages}).status_code == 404


def prompt_of(url: str, **body: Any) -> str:
    """The fake engine answers from what it reads: ask for the whole of it by its count of tokens."""
    reply = post(url, {"stream": False, **body})
    assert reply.status_code == 200, reply.text
    return str(reply.json()["usage"]["prompt_tokens"])


def test_documents_and_templates_are_the_prompt(url: str) -> None:
    documents = ["One document of {question} and {more}.", "Another one."]
    plain = int(prompt_of(url, query=QUESTION))
    assert int(prompt_of(url, query=QUESTION, documents=documents)) > plain + 20
    template = "Context: {context} Question: {question}"
    filled = int(prompt_of(url, query=QUESTION, documents=documents, chat_template=template))
    assert filled > plain
    assert int(prompt_of(url, query=QUESTION, documents=documents, chat_template="{question}")) == plain


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"query": ""}, "no question"),
        ({"query": QUESTION, "chat_template": "{other}"}, "chat_template"),
        ({"query": QUESTION, "documents": [1]}, "documents"),
        ({"query": QUESTION, "max_tokens": -1}, "max_tokens"),
        ({"query": QUESTION, "temperature": 9}, "temperature"),
        ({"messages": ""}, "no question"),
    ],
)
def test_what_cannot_be_is_refused_by_name(url: str, fields: dict[str, Any], named: str) -> None:
    reply = post(url, fields)
    assert reply.status_code == 422
    assert named in reply.json()["error"]["message"]


def test_fields_that_change_nothing_are_named(url: str) -> None:
    reply = post(url, {"query": QUESTION, "top_k": 10, "best_of": None, "echo": False, "stream": False})
    assert reply.headers["x-ragline-ignored"] == "top_k"
