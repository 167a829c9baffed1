"""`rag.grounding`: an ordinary answer with a verdict for each sentence."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from openai import OpenAI

from tests.contract.conftest import Serve
from tests.contract.gateway_chain import QUESTION, ScriptedEngine, start_gateway

PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def url(serve: Serve) -> str:
    return start_gateway(serve, ScriptedEngine(), ["talker"])


def body(**rag: Any) -> dict[str, Any]:
    return {"model": "small", "messages": [{"role": "user", "content": QUESTION}], "rag": rag}


def test_a_reply_in_one_piece(url: str) -> None:
    reply = httpx.post(url + PATH, json=body(grounding=True), timeout=60).json()
    content = reply["choices"][0]["message"]["content"]
    answer = reply["groundedness"]["answer"]
    assert answer["sentences"]
    for sentence in answer["sentences"]:
        assert content[sentence["start"] : sentence["end"]] == sentence["text"]
        assert sentence["verdict"] in {"supported", "unsupported", "contradicted", "not a claim"}
    assert "groundedness_missing" not in reply
    plain = httpx.post(url + PATH, json=body(), timeout=60).json()
    assert "groundedness" not in plain
    assert "groundedness_missing" not in plain


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_has_it_after_the_finish_reason_and_clients_read_it_through(
    url: str, include_usage: bool
) -> None:
    request = {**body(grounding=True), "stream": True, "stream_options": {"include_usage": include_usage}}
    lines = httpx.post(url + PATH, json=request, timeout=60).text.split("\n\n")
    *chunks, done, _ = [line.removeprefix("data: ") for line in lines]
    assert done == "[DONE]"
    read = [json.loads(chunk) for chunk in chunks]
    places = [place for place, chunk in enumerate(read) if "groundedness" in chunk]
    assert places == [len(read) - (2 if include_usage else 1)]
    assert read[places[0]]["choices"] == []
    assert read[places[0] - 1]["choices"][0]["finish_reason"] == "stop"
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="small",
            messages=[{"role": "user", "content": QUESTION}],
            stream=True,
            extra_body={"rag": {"grounding": True}},
        )
        assert sum(bool(chunk.choices) for chunk in stream) > 1


def test_without_passages_it_says_so(url: str) -> None:
    reply = httpx.post(url + PATH, json=body(grounding=True, context=[]), timeout=60).json()
    assert reply["groundedness_missing"] == "no passage was in the prompt"


def test_what_cannot_be_judged_is_said_and_the_answer_stands(serve: Serve) -> None:
    url = start_gateway(serve, ScriptedEngine(), [], grounding_detector_url="http://127.0.0.1:9")
    reply = httpx.post(url + PATH, json=body(grounding=True), timeout=60)
    assert reply.status_code == 200
    assert reply.json()["choices"][0]["message"]["content"]
    assert "detector" in reply.json()["groundedness_missing"]


@pytest.mark.parametrize(
    ("path", "request_body"),
    [
        ("/v1/search", {"question": QUESTION}),
        ("/v1/responses", {"input": QUESTION}),
        ("/v1/completions", {"prompt": QUESTION}),
        ("/v1/compare", {"question": QUESTION, "arms": ["small"]}),
    ],
)
def test_other_routes_refuse_it_by_name(url: str, path: str, request_body: dict[str, Any]) -> None:
    reply = httpx.post(url + path, json={**request_body, "rag": {"grounding": True}}, timeout=60)
    assert reply.status_code == 422
    assert "rag.grounding" in reply.json()["error"]["message"]
