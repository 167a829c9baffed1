"""`/v1/chatqna` as OPEA's curl lines, end-to-end tests and pages call it, and as its clients read the stream."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from services.gateway import opea
from services.gateway.opea import write_bytes_lines
from tests.contract.gateway_chain import QUESTION, ScriptedEngine, start_gateway

FOREIGN_MODEL = "meta-llama/Meta-Llama-3-8B-Instruct"


@pytest.fixture(scope="module")
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="module")
def url(serve: Callable[[ASGIApp], str], engine: ScriptedEngine) -> str:
    return start_gateway(serve, engine, ["talker", "thinker"], select="off")


def ask(url: str, messages: object = QUESTION, **fields: object) -> httpx.Response:
    return httpx.post(f"{url}/v1/chatqna", json={"messages": messages, **fields}, timeout=60)


def read_lines(body: str) -> list[str]:
    """The data of each event, as OPEA's pages get them."""
    return [line.removeprefix("data: ") for line in body.splitlines() if line.startswith("data: ")]


def read_answer(reply: httpx.Response) -> str:
    """The answer of a stream that ended as it should."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/event-stream")
    *pieces, last = read_lines(reply.text)
    assert last == "[DONE]"
    return "".join(ast.literal_eval(piece).decode() for piece in pieces)


CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi."},
    {"role": "user", "content": QUESTION},
]

PUBLISHED: dict[str, dict[str, Any]] = {
    "the curl line": {"messages": QUESTION},
    "the curl line with a model": {"messages": QUESTION, "model": FOREIGN_MODEL},
    "the page": {"messages": CONVERSATION, "model": "Intel/neural-chat-7b-v3-3"},
    "the page's system prompt": {
        "messages": [{"role": "system", "content": "You help."}, {"role": "user", "content": QUESTION}],
        "max_tokens": 1024,
        "temperature": 0.4,
    },
    "the list of parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": QUESTION}]}]},
    "the parameters of the guide": {
        "messages": QUESTION,
        "max_tokens": 1024,
        "top_k": 10,
        "top_p": 0.95,
        "temperature": 0.01,
        "repetition_penalty": 1.03,
        "frequency_penalty": 0,
        "presence_penalty": 0,
        "stream": True,
        "k": 4,
        "top_n": 1,
        "search_type": "similarity",
        "distance_threshold": None,
        "fetch_k": 20,
        "lambda_mult": 0.5,
        "score_threshold": 0.2,
        "chat_template": None,
        "language": "auto",
    },
    "zeros and empty texts": {
        "messages": QUESTION,
        "model": "",
        "max_tokens": 0,
        "top_p": 0,
        "k": 0,
        "top_n": 0,
        "chat_template": "",
        "stream": None,
    },
    "the benchmark": {"messages": QUESTION, "max_tokens": 128, "stream": True, "user": "u1", "n": 1},
}


@pytest.mark.parametrize("body", PUBLISHED.values(), ids=PUBLISHED.keys())
def test_opeas_requests_are_answered_as_streams(url: str, body: dict[str, Any]) -> None:
    reply = httpx.post(f"{url}/v1/chatqna", json=body, timeout=60)
    assert "Bees make honey." in read_answer(reply)


def test_what_changes_nothing_is_said(url: str) -> None:
    body = PUBLISHED["the parameters of the guide"]
    reply = ask(url, **{name: value for name, value in body.items() if name != "messages"})
    assert reply.headers["x-ragline-ignored"] == "language, repetition_penalty, top_k"
    assert "x-ragline-ignored" not in ask(url).headers
    reply = ask(url, model=FOREIGN_MODEL, stream=False)
    assert reply.json()["ignored"] == ["model"]
    assert reply.headers["x-ragline-ignored"] == "model"
    assert ask(url, **{"caf\u00e9\r\nx": 1}).headers["x-ragline-ignored"] == r"caf\xe9\r\nx"


def test_a_reply_in_one_piece(url: str) -> None:
    reply = ask(url, stream=False, model="talker").json()
    assert reply["object"] == "chat.completion"
    assert reply["model"] == "chatqna"
    assert reply["entry"] == "talker"
    assert reply["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "Honey it is."}, "finish_reason": "stop"}
    ]
    assert reply["usage"]["total_tokens"] > 0
    assert "id" in reply
    assert "created" in reply


@pytest.mark.parametrize("stream", [True, False])
def test_thinking_never_leaks(url: str, stream: bool) -> None:
    reply = ask(url, model="thinker", stream=stream)
    assert reply.status_code == 502, "never a 200 with an empty answer"
    assert "Hm" not in reply.text
    assert "thinking took all" in reply.json()["error"]["message"]


def test_a_long_thought_keeps_the_connection_and_still_does_not_leak(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opea, "SILENCE_SECONDS", 0.0)
    reply = ask(url, model="thinker")
    assert reply.status_code == 200
    assert reply.text.startswith(": thinking\n\n")
    assert "Hm" not in reply.text
    assert "event: error" in reply.text
    assert "[DONE]" not in reply.text
    assert read_answer(ask(url, model="talker")) == "Honey it is."


def test_sampling_reaches_the_engine(url: str, engine: ScriptedEngine) -> None:
    fields = {"max_tokens": 33, "temperature": 0.25, "top_p": 0.5, "frequency_penalty": 0.5, "seed": 7}
    read_answer(ask(url, model="talker", **fields))
    assert fields.items() <= engine.bodies[-1].items()


def test_a_template_is_the_prompt(url: str, engine: ScriptedEngine) -> None:
    template = "Data:\n{context}\nThe {{question}}: {question}"
    read_answer(ask(url, model="talker", chat_template=template, top_n=1, k=2))
    (message,) = engine.bodies[-1]["messages"]
    head, _, rest = message["content"].partition("Data:\n")
    assert head == ""
    assert rest.endswith(f"\nThe {{question}}: {QUESTION}")
    assert rest.startswith("Bees make honey.")
    read_answer(ask(url, model="talker", chat_template="Q: {question}"))
    assert engine.bodies[-1]["messages"] == [{"role": "user", "content": f"Q: {QUESTION}"}]


def test_search_parameters_change_the_passages(url: str, engine: ScriptedEngine) -> None:
    def passages(**fields: object) -> str:
        read_answer(ask(url, model="talker", chat_template="{context}|{question}", **fields))
        prompt: str = engine.bodies[-1]["messages"][0]["content"]
        return prompt.partition("|")[0]

    assert len(passages(k=2, top_n=2).splitlines()) == 2
    assert len(passages(k=1, top_n=2).splitlines()) == 1
    assert len(passages(k=2, top_n=1).splitlines()) == 1
    assert len(passages(k=2, top_n=2, search_type="mmr", fetch_k=2, lambda_mult=0.5).splitlines()) == 2
    for search_type, field, bound in (
        ("similarity_score_threshold", "score_threshold", 1.0),
        ("similarity_distance_threshold", "distance_threshold", 0.0),
    ):
        reply = ask(url, search_type=search_type, **{field: bound})
        assert "I don't know" in read_answer(reply)
        loose = 0.01 if bound else 0.99
        assert passages(search_type=search_type, **{field: loose})


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"k": 1000}, "k:"),
        ({"k": "many"}, "k:"),
        ({"temperature": 3}, "temperature"),
        ({"search_type": "nearest"}, "search_type"),
        ({"chat_template": "{context}"}, "chat_template"),
        ({"chat_template": "{question} {history}"}, "chat_template"),
        ({"chat_template": "{question.__class__}"}, "chat_template"),
        ({"chat_template": "{question!r}"}, "chat_template"),
        ({"chat_template": "{question"}, "chat_template"),
        ({"index_name": "../x"}, "index_name"),
        ({"messages": []}, "messages"),
        ({"messages": ""}, "messages"),
        ({"messages": "  "}, "messages"),
        ({"messages": [{"role": "narrator", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "image_url"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(url: str, fields: dict[str, Any], named: str) -> None:
    reply = httpx.post(f"{url}/v1/chatqna", json={"messages": QUESTION, **fields}, timeout=60)
    assert reply.status_code == 422
    assert named in reply.json()["error"]["message"]


def test_an_index_is_a_collection(url: str) -> None:
    unknown = ask(url, index_name="rag-redis")
    assert unknown.status_code == 404
    assert "rag-redis" in unknown.json()["error"]["message"]
    assert "Bees make honey." in read_answer(ask(url, index_name="default"))


TEXTS = [
    "plain",
    "caf\u00e9 \u4f60\u597d, and \u00e9",
    'he said "it\'s"',
    "it's",
    'a "b"',
    "line\nline\ttab\r",
    "back\\slash \\x41 \\n",
    "\x00\x1b[0m",
    "",
    "\U0001f41d'\"\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_lines_read_back(text: str) -> None:
    lines = read_lines(b"".join(write_bytes_lines(text)).decode())
    assert "".join(ast.literal_eval(line).decode() for line in lines) == text
    for line in lines:
        assert line[0] == "b"
        inside = line[2:-1]
        # what the page does: an escape means that the whole literal is escapes; quotes stay as they are
        assert re.fullmatch(r"(\\x[0-9a-f]{2})+", inside) or not re.search(r"(?<!\\)\\x", inside)
        assert r"\'" not in inside
        assert r"\"" not in inside


def test_health_and_statistics(url: str) -> None:
    health = httpx.get(f"{url}/v1/health_check").json()
    assert set(health) == {"Service Title", "Service Description"}
    ask(url)
    found = httpx.get(f"{url}/v1/statistics").json()["opea_service@chatqna"]
    assert json.dumps(sorted(found)) == json.dumps(
        [f"{kind}_latency{tail}" for kind in ("average", "p50", "p99") for tail in ("", "_first_token")]
    )
    assert 0 < found["p50_latency"] <= found["p99_latency"]
    assert 0 < found["p50_latency_first_token"] <= found["p99_latency_first_token"]
