"""Answers of the real chain, asked with the SDKs that people use."""

from __future__ import annotations

import json

import httpx
import openai
import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI

from services.dataprep.parsing.registry import parse
from tests.integration.conftest import KNOWLEDGE, Running
from tests.soak import soak_only

QUESTION = "How many grams are in one pound?"
ENTRIES = ("openvino-entry", "llamacpp-entry")


def ask(running: Running, question: str = QUESTION, **fields: object) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": question}], **fields}
    return httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=120)


def sdk(running: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key="none", max_retries=0)


@pytest.mark.parametrize(
    "entry", ["openvino-entry", soak_only("llamacpp-entry", reason="test_compare asks it")]
)
def test_an_answer_carries_its_evidence(running: Running, entry: str) -> None:
    reply = ask(running, model=entry)
    answer = reply.json()
    assert reply.status_code == 200, answer
    message = answer["choices"][0]["message"]
    assert message["content"].strip()
    assert answer["choices"][0]["finish_reason"] in {"stop", "length"}
    assert answer["model"] == entry
    assert len(answer["context"]["context_id"]) == 64
    assert 1 <= len(answer["context"]["passages"]) <= 4
    assert answer["context"]["passages"][0]["title"] == "mass-and-weight.md"
    assert answer["degraded"] == []
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] > 100
    timings = answer["timings"]
    assert 0 < timings["embedding"] < timings["ttft"] <= timings["ttfo"] <= timings["e2el"]
    assert {"embedding", "retrieval", "reranking", "ttft", "generation", "tpot", "e2el"} <= timings.keys()
    assert "retrieval;dur=" in reply.headers["server-timing"]


def test_passages_and_citations_are_in_the_named_document_at_the_named_span(running: Running) -> None:
    cited = 0
    for question in (QUESTION, "Why does ice float?", "How hot should water for coffee be?", "What is UTC?"):
        answer = ask(running, question).json()
        for passage in answer["context"]["passages"]:
            text = document(passage["title"])
            assert text[passage["start"] : passage["end"]] == passage["text"]
        for citation in answer["choices"][0]["message"]["citations"]:
            cited += 1
            assert document(citation["filename"])[citation["start"] : citation["end"]] == citation["quote"]
    assert cited


def document(name: str) -> str:
    """The text that dataprep sees."""
    return parse(name, (KNOWLEDGE / name).read_bytes()).text


def test_a_question_outside_the_corpus_is_abstained_from(running: Running) -> None:
    answer = ask(running, "Which team won the football world cup of 1998?").json()
    assert answer["outcome"] == "abstained"
    assert answer["context"]["passages"] == []
    assert answer["choices"][0]["message"]["content"].startswith("I don't know")


def test_the_openai_sdk(running: Running) -> None:
    completion = sdk(running).chat.completions.create(
        model="openvino-entry", messages=[{"role": "user", "content": QUESTION}]
    )
    assert completion.choices[0].message.content
    assert completion.usage is not None
    assert completion.usage.completion_tokens > 0


@pytest.mark.parametrize("include_usage", [True, False])
def test_the_openai_sdk_streams(running: Running, include_usage: bool) -> None:
    stream = sdk(running).chat.completions.create(
        model="openvino-entry",
        messages=[{"role": "user", "content": QUESTION}],
        stream=True,
        stream_options={"include_usage": include_usage},
    )
    chunks = list(stream)
    content = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    reasons = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices]
    assert content.strip()
    assert reasons[-1] in {"stop", "length"}
    assert reasons.count(None) == len(reasons) - 1
    assert sum(chunk.usage is not None for chunk in chunks) == 1
    assert (chunks[-1].choices == []) is include_usage


def test_the_openai_sdk_lists_the_entries(running: Running) -> None:
    """Each of them also by the name under which it answers without passages."""
    names = {model.id for model in sdk(running).models.list()}
    assert names == {*ENTRIES, *(f"{entry}:direct" for entry in ENTRIES)}


def test_the_openai_sdk_sees_a_404_for_an_unknown_model(running: Running) -> None:
    with pytest.raises(openai.NotFoundError, match="openvino-entry"):
        sdk(running).chat.completions.create(model="gpt-9", messages=[{"role": "user", "content": QUESTION}])


def test_langchain_chat_openai(running: Running) -> None:
    chat = ChatOpenAI(base_url=f"{running.url}/v1", api_key="none", model="openvino-entry", max_retries=0)
    message = chat.invoke([HumanMessage(QUESTION)])
    assert message.text
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] > 0
    pieces = list(chat.stream([HumanMessage(QUESTION)]))
    assert "".join(piece.text for piece in pieces).strip()


def test_a_stream_ends_with_usage_and_done(running: Running) -> None:
    body = {
        "messages": [{"role": "user", "content": QUESTION}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    reply = httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=120)
    events = [line.removeprefix("data: ") for line in reply.text.splitlines() if line]
    chunks = [json.loads(event) for event in events[:-1]]
    assert events[-1] == "[DONE]"
    assert chunks[0]["context"]["passages"]
    assert chunks[-1]["usage"]["completion_tokens"] > 0
    final = chunks[-2]
    assert final["choices"][0]["finish_reason"]
    assert final["timings"]["e2el"] > 0
    assert isinstance(final["choices"][0]["delta"]["citations"], list)


def test_history_is_taken_into_account_and_only_the_last_turn_is_searched(running: Running) -> None:
    body = {
        "messages": [
            {"role": "system", "content": "Answer in English."},
            {"role": "user", "content": "Tell me about wind."},
            {"role": "assistant", "content": "Wind is moving air."},
            {"role": "user", "content": QUESTION},
        ]
    }
    answer = httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=120).json()
    assert answer["context"]["passages"][0]["title"] == "mass-and-weight.md"


def test_a_filter_bounds_the_search(running: Running) -> None:
    answer = ask(running, rag={"filter": {"title": "wind.md"}, "floor": 0}).json()
    assert {passage["title"] for passage in answer["context"]["passages"]} == {"wind.md"}


def test_neighbours_join_their_passage_and_citations_stay_exact(running: Running) -> None:
    alone = ask(running, rag={"top_n": 1}).json()["context"]["passages"][0]
    answer = ask(running, rag={"top_n": 1, "neighbours": 10, "mode": "sparse"}).json()
    (passage,) = answer["context"]["passages"]
    assert passage["id"] == alone["id"]
    assert passage["start"] <= alone["start"] < alone["end"] <= passage["end"]
    assert len(passage["text"]) == passage["end"] - passage["start"] > len(alone["text"])
    text = document(passage["title"])
    assert passage["text"].split() == text[passage["start"] : passage["end"]].split()
    for citation in answer["choices"][0]["message"]["citations"]:
        assert text[citation["start"] : citation["end"]] == citation["quote"]
    assert answer["timings"]["neighbours"] > 0


def test_a_follow_up_is_rewritten_by_a_real_model_or_marked(running: Running) -> None:
    body = {
        "messages": [
            {"role": "user", "content": QUESTION},
            {"role": "assistant", "content": "<think>easy</think>453.59237 grams."},
            {"role": "user", "content": "And how many is it for gold?"},
        ],
        "rag": {"rewrite": "openvino-entry", "floor": 0},
        "max_tokens": 8,
    }
    answer = httpx.post(f"{running.url}/v1/chat/completions", json=body, timeout=120).json()
    query = answer["context"].get("query")
    assert (query is None) == (answer["degraded"] == ["rewriting"])
    assert query is None or ("<think>" not in query and len(query) <= 400)
    assert answer["timings"]["rewriting"] > 0
