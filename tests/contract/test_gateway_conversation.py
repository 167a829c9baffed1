"""Chat clients at the gateway: what needs no passage is answered without one, and says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import orjson
import pytest
from starlette.types import ASGIApp

from tests.contract.gateway_chain import QUESTION, ScriptedEngine, start_gateway

FILE = "<source>The Tarnbrook lighthouse burns 4711 litres of oil in a year.</source>"
TITLE = "### Task:\nGenerate a title.\n### Chat History:\n<chat_history>\nUSER: Hi\n</chat_history>"
ANSWERED = [
    {"role": "user", "content": "How dense is ice?"},
    {"role": "assistant", "content": "Ice has 917 kilograms per cubic metre."},
]
OFF_TOPIC = "Who won the football world cup of 1998?"


@pytest.fixture(scope="module")
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="module")
def url(serve: Callable[[ASGIApp], str], engine: ScriptedEngine) -> str:
    """A gateway that finds nothing relevant, whatever it is asked."""
    return start_gateway(serve, engine, ["talker"], floor=1)


def ask(url: str, messages: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    body = {"model": "talker", "messages": messages, **fields}
    reply = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    "messages",
    [
        [user("Hello!")],
        [*ANSWERED, user("Thanks a lot!")],
        [*ANSWERED, user("Translate that to German.")],
        [
            {"role": "system", "content": f"Use this:\n{FILE}"},
            user("How many litres does the lighthouse burn?"),
        ],
        [user(f"{FILE}\n\nHow many litres does it burn?")],
        [user(TITLE)],
    ],
    ids=["greeting", "thanks", "translation", "file in the system text", "file in the question", "title"],
)
def test_what_the_conversation_holds_gets_an_answer_that_says_that_no_passage_was_used(
    url: str, engine: ScriptedEngine, messages: list[dict[str, Any]]
) -> None:
    reply = ask(url, messages)
    assert reply["choices"][0]["message"]["content"] == "Honey it is."
    assert reply["outcome"] == "answered_without_passages"
    assert (reply["context"]["passages"], reply["choices"][0]["message"]["citations"]) == ([], [])
    sent = engine.bodies[-1]["messages"]
    assert sent[-1] == messages[-1]
    assert [message["role"] for message in sent if message["role"] != "system"] == [
        message["role"] for message in messages if message["role"] != "system"
    ]


@pytest.mark.parametrize(
    "messages",
    [[user(OFF_TOPIC)], [*ANSWERED, user(OFF_TOPIC)], [{"role": "system", "content": FILE}, user(OFF_TOPIC)]],
)
def test_a_question_to_the_documents_is_abstained_from_as_before(
    url: str, engine: ScriptedEngine, messages: list[dict[str, Any]]
) -> None:
    asked = len(engine.bodies)
    assert ask(url, messages)["outcome"] == "abstained"
    assert len(engine.bodies) == asked


def test_tools_may_answer_where_no_passage_does(url: str) -> None:
    tool = {"type": "function", "function": {"name": "weigh", "parameters": {"type": "object"}}}
    assert ask(url, [user(OFF_TOPIC)], tools=[tool])["outcome"] == "answered_without_passages"


@pytest.mark.parametrize("text", ["Hello!", "Merci beaucoup !", "ありがとうございます"])
def test_a_greeting_gets_no_passage_where_every_passage_counts(
    serve: Callable[[ASGIApp], str], text: str
) -> None:
    everything = start_gateway(serve, ScriptedEngine(), ["talker"], floor=0)
    reply = ask(everything, [user(text)])
    assert (reply["outcome"], reply["context"]["passages"]) == ("answered_without_passages", [])
    assert ask(everything, [user("Thanks, and what do bees make?")])["context"]["passages"]


@pytest.mark.parametrize("stream", [False, True])
def test_an_entry_can_be_asked_without_retrieval(url: str, engine: ScriptedEngine, stream: bool) -> None:
    messages = [{"role": "system", "content": "Be brief."}, user(OFF_TOPIC)]
    body = {"model": "talker:direct", "messages": messages, "stream": stream, "rag": {"floor": 0}}
    reply = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    if stream:
        chunks = [orjson.loads(line[6:]) for line in reply.text.split("\n\n") if line.startswith("data: {")]
        assert chunks[-1]["outcome"] == "answered_without_passages"
    else:
        assert reply.json()["outcome"] == "answered_without_passages"
        assert reply.json()["model"] == "talker"
        assert reply.json()["timings"].get("retrieval") is None
    assert engine.bodies[-1]["messages"] == messages


def test_without_retrieval_there_are_no_passages_of_the_request_either(url: str) -> None:
    body = {"model": "talker:direct", "messages": [user("q")], "rag": {"context": [{"text": "a"}]}}
    reply = httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60)
    assert reply.status_code == 422
    assert "rag.context" in reply.json()["error"]["message"]


@pytest.mark.parametrize("name", ["nobody:direct", "small:direkt"])
def test_the_entry_must_exist_all_the_same(url: str, name: str) -> None:
    body = {"model": name, "messages": [user(QUESTION)]}
    assert httpx.post(f"{url}/v1/chat/completions", json=body, timeout=60).status_code == 404


def test_the_list_of_models_has_both_names(url: str) -> None:
    listed = httpx.get(f"{url}/v1/models").json()["data"]
    assert [one["id"] for one in listed] == ["small", "talker", "small:direct", "talker:direct"]
    assert [one["retrieval"] for one in listed] == [True, True, False, False]
    assert [one["id"] for one in listed if one["default"]] == ["small"]
