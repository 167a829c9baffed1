"""The gateway's chat as a validating client of OpenAI's sees it: the services are fakes, the replies real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat.chat_completion_message import Annotation
from starlette.types import ASGIApp

from services.core.wire.answer import AnswerReply
from services.core.wire.compare import ArmReply
from tests.contract.gateway_chain import QUESTION, ScriptedEngine, start_gateway


@pytest.fixture(scope="module")
def url(serve: Callable[[ASGIApp], str]) -> str:
    """The entry `thinker` never comes to an answer."""
    return start_gateway(serve, ScriptedEngine(), ["thinker"])


@pytest.fixture
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        yield client


def post(url: str, **fields: Any) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": QUESTION}], **fields}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)


def chunks(url: str, **fields: Any) -> list[dict[str, Any]]:
    reply = post(url, stream=True, **fields)
    assert reply.status_code == 200, reply.text
    events = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    return [orjson.loads(event) for event in events[:-1]]


def check_reply(reply: dict[str, Any]) -> None:
    """What OpenAI's schema requires of a reply; its own types in Python are laxer about what is absent."""
    ChatCompletion.model_validate(reply)
    for choice in reply["choices"]:
        assert {"index", "message", "finish_reason", "logprobs"} <= choice.keys()
        assert {"role", "content", "refusal"} <= choice["message"].keys()
    assert "reasoning_tokens" in reply["usage"]["completion_tokens_details"]


@pytest.mark.parametrize(
    "fields",
    [{}, {"rag": {"floor": 1}}, {"model": "thinker"}, {"rag": {"context": [{"text": "Ice floats."}]}}],
    ids=["cited", "abstained", "cut in its thinking", "own context"],
)
def test_replies_are_valid_by_openais_own_types(url: str, fields: dict[str, Any]) -> None:
    check_reply(post(url, **fields).json())
    for options in (None, {"include_usage": True}):
        for chunk in chunks(url, stream_options=options, **fields):
            ChatCompletionChunk.model_validate(chunk)
            for choice in chunk["choices"]:
                for annotation in choice["delta"].get("annotations", []):
                    Annotation.model_validate(annotation)


def test_annotations_are_links_that_open_the_passage_and_citations_have_the_rest(
    url: str, client: OpenAI
) -> None:
    reply = client.chat.completions.create(
        model="small", messages=[{"role": "user", "content": QUESTION}], extra_body={"rag": {"top_n": 1}}
    )
    message = reply.choices[0].message
    assert message.annotations
    assert message.content
    link = message.annotations[0].url_citation
    [citation] = AnswerReply.model_validate(reply.model_dump(by_alias=True)).choices[0].message.citations
    assert message.content[link.start_index : link.end_index].strip()
    assert (link.start_index, link.end_index) == (citation.start_index, citation.index)
    assert (link.title, citation.file_id) == ("insects.md", "d")
    shown = httpx.get(link.url)
    assert shown.json()["id"] == citation.passage_id
    assert citation.quote in shown.json()["text"]
    page = httpx.get(link.url, headers={"accept": "text/html,*/*"})
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<mark>" in page.text
    assert "<script>" not in page.text


def test_a_stream_ends_with_both(url: str) -> None:
    *_, last = chunks(url)
    delta = last["choices"][0]["delta"]
    assert [one["type"] for one in delta["annotations"]] == ["url_citation"] * len(delta["citations"])
    assert delta["citations"][0]["type"] == "file_citation"
    assert (last["choices"][0]["finish_reason"], last["outcome"]) == ("stop", "answered")


def test_passages_of_the_request_have_no_address_and_are_cited_all_the_same(url: str) -> None:
    reply = post(url, rag={"context": [{"text": "Ice floats on water."}]}).json()
    message = reply["choices"][0]["message"]
    assert message["annotations"] == []
    assert message["citations"][0]["passage_id"] == "given-1"


@pytest.mark.parametrize("wanted", ["no-such-passage", "00000000-0000-4000-8000-0000000000ff"])
def test_a_link_to_what_is_gone_is_a_404(url: str, wanted: str) -> None:
    reply = httpx.get(f"{url}/v1/passages/{wanted}")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def test_the_outcome_is_ours_and_the_finish_reason_openais(url: str) -> None:
    abstained = post(url, rag={"floor": 1}).json()
    assert (abstained["outcome"], abstained["choices"][0]["finish_reason"]) == ("abstained", "stop")
    cut = post(url, model="thinker").json()
    assert (cut["outcome"], cut["choices"][0]["finish_reason"]) == ("reasoning_truncated", "length")
    closed = post(url, rag={"context": []}).json()
    assert closed["outcome"] == "answered_without_passages"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("rag", [{}, {"floor": 1}], ids=["found", "nothing found"])
def test_an_unknown_model_is_a_404_whatever_is_found(url: str, rag: dict[str, Any], stream: bool) -> None:
    assert post(url, model="nobody", rag=rag, stream=stream).status_code == 404


@pytest.mark.parametrize(("model", "entry"), [("", "small"), ("tiny", "small"), ("thinker", "thinker")])
def test_an_abstention_names_the_entry_that_was_meant(url: str, model: str, entry: str) -> None:
    assert post(url, model=model, rag={"floor": 1}).json()["model"] == entry


def test_unknown_reasoning_tokens_are_null_and_not_left_out(url: str) -> None:
    usage = post(url, model="thinker").json()["usage"]
    assert usage["completion_tokens_details"] == {"reasoning_tokens": None}
    arm = ArmReply.model_validate({"arm": "a", "status": "answered", "context_id": "c"})
    assert arm.usage is None
    unknown = {
        "prompt_tokens": 1,
        "completion_tokens": 1,
        "total_tokens": 2,
        "completion_tokens_details": {"reasoning_tokens": None},
    }
    arm = ArmReply.model_validate({"arm": "a", "status": "answered", "context_id": "c", "usage": unknown})
    assert orjson.loads(arm.model_dump_json(exclude_none=True))["usage"].items() >= unknown.items()


def test_arms_recorded_before_are_read(url: str) -> None:
    citation = post(url).json()["choices"][0]["message"]["citations"][0]
    del citation["start_index"]
    old = {
        "arm": "a",
        "status": "reasoning_truncated",
        "context_id": "c",
        "finish_reason": "reasoning_truncated",
        "annotations": [citation],
    }
    arm = ArmReply.model_validate(old)
    assert (arm.finish_reason, len(arm.citations)) == ("reasoning_truncated", 1)
    again = ArmReply.model_validate_json(arm.model_dump_json())
    assert again == arm
