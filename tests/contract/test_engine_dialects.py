"""What servers get that take less than OpenAI's whole protocol, or another one: by profile, and by entry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
import pytest
from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from services.core.control import JOINER
from services.generation.app import create
from services.generation.settings import Settings

OUTPUT = {
    "tags": "<think>\nEND of it\n</think>\n\nYes END no",
    "own-tags": "<mm:think>\nEND of it\n</mm:think>\n\nYes END no",
    "": "Yes END no",
}
CONTROL = (
    "<|im_start|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|start_header_id|>",
    "<|endoftext|>",
    "</think>",
    "<think>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<|turn>",
    "<channel|>",
    "[INST]",
    "[/INST]",
    "</s>",
    "<<SYS>>",
    "<\uff5cUser\uff5c>",
    "<|channel|>",
    "<tool_call>",
    "<|START_OF_TURN_TOKEN|>",
    "[/THINK]",
    "<fim_prefix>",
    "<seed:bos>",
    "<mm:think>",
)


@dataclass
class Recorder:
    """Remembers the last request, and answers with the text that `say` names, or with the last message."""

    body: dict[str, Any] = field(default_factory=dict)
    say: str = ""

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/v1/chat/completions")
        async def chat(request: Request) -> Response:
            self.body = await request.json()
            last = self.body["messages"][-1]["content"]
            text, stops = (last if self.say == "echo" else OUTPUT[self.say]), self.body.get("stop") or []
            for stop in stops:  # as servers do, wherever it is
                text = text.split(stop)[0]
            chunks = [{"choices": [{"delta": {"content": piece}}]} for piece in text.split("\x00")]
            chunks.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
            lines = [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks]
            return Response(b"".join(lines) + b"data: [DONE]\n\n", media_type="text/event-stream")

        return app


RECORDER = Recorder()


@pytest.fixture(scope="module")
def url(serve: Callable[[ASGIApp], str]) -> str:
    server = serve(RECORDER.app())
    common = {"engine": "openai", "endpoint": server}
    entries = [
        {"name": "plain", "model_id": "llama-3.1-8b-instruct", **common},
        {"name": "gemma", "model_id": "google/gemma-2-9b-it", **common},
        {"name": "o3", "model_id": "o3-mini", **common},
        {"name": "qwen3", "model_id": "qwen3-8b", **common},
        {
            "name": "new",
            "model_id": "somebody/new-model-1",
            "think_tags": ["<mm:think>", "</mm:think>"],
            **common,
        },
        {
            "name": "odd",
            "model_id": "odd-instruct",
            "system_role": False,
            "alternating_roles": True,
            "request": {
                "drop": ["stream_options", "top_p"],
                "rename": {"max_tokens": "max_new_tokens"},
                "add": {"safe": True, "options": {"num_ctx": 8192}},
            },
            **common,
        },
    ]
    return serve(create(Settings(backends=orjson.dumps(entries).decode())))


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "One?"},
    {"role": "user", "content": "Two?"},
    {"role": "assistant", "content": "Two."},
    {"role": "user", "content": "Three?"},
]


async def ask(
    session: aiohttp.ClientSession, url: str, model: str, *, say: str = "", **fields: object
) -> dict[str, Any]:
    RECORDER.say = say
    body = {"model": model, "messages": CONVERSATION, **fields}
    async with session.post(f"{url}/v1/chat/completions", json=body) as reply:
        parsed = await reply.json()
        return {"status": reply.status, **parsed}


def roles() -> list[str]:
    return [message["role"] for message in RECORDER.body["messages"]]


@pytest.mark.parametrize("model", ["gemma", "odd"])
async def test_no_system_role_and_turns_in_alternation(
    session: aiohttp.ClientSession, url: str, model: str
) -> None:
    await ask(session, url, model)
    assert roles() == ["user", "assistant", "user"]
    assert RECORDER.body["messages"][0]["content"] == "Be brief.\n\nOne?\n\nTwo?"


async def test_a_conversation_that_the_assistant_began(session: aiohttp.ClientSession, url: str) -> None:
    messages = [{"role": "assistant", "content": "Hello!"}, {"role": "user", "content": "One?"}]
    await ask(session, url, "gemma", messages=messages)
    assert roles() == ["user", "assistant", "user"]


async def test_others_get_the_turns_as_they_are(session: aiohttp.ClientSession, url: str) -> None:
    await ask(session, url, "plain")
    assert roles() == ["system", "user", "user", "assistant", "user"]
    assert {"max_tokens", "temperature", "top_p", "stream_options"} <= RECORDER.body.keys()


async def test_openais_reasoning_models(session: aiohttp.ClientSession, url: str) -> None:
    reply = await ask(session, url, "o3", stop=["END"])
    assert "max_completion_tokens" in RECORDER.body
    assert not {"max_tokens", "temperature", "top_p", "stop"} & RECORDER.body.keys()
    assert reply["choices"][0]["message"]["content"] == "Yes ", "we stop where the server cannot"


@pytest.mark.parametrize("name", ["temperature", "top_p"])
async def test_what_a_model_does_not_take_is_refused_by_name(
    session: aiohttp.ClientSession, url: str, name: str
) -> None:
    reply = await ask(session, url, "o3", **{name: 0.5})
    assert reply["status"] == 422
    assert name in reply["error"]["message"]


async def test_fields_of_an_entry(session: aiohttp.ClientSession, url: str) -> None:
    await ask(session, url, "odd", max_tokens=77)
    body = RECORDER.body
    assert body["max_new_tokens"] == 77
    assert (body["safe"], body["options"]) == (True, {"num_ctx": 8192})
    assert not {"max_tokens", "top_p", "stream_options"} & body.keys()


@pytest.mark.parametrize("field", ["messages", "stream", "model"])
def test_the_protocol_itself_stays(field: str) -> None:
    entry = {"name": "a", "engine": "openai", "endpoint": "http://x", "model_id": "a"}
    for change in ({"drop": [field]}, {"rename": {field: "x"}}, {"add": {field: 1}}):
        with pytest.raises(Exception, match="must stay as it is"):
            create(Settings(backends=orjson.dumps([{**entry, "request": change}]).decode()))


@pytest.mark.parametrize(("model", "say"), [("qwen3", "tags"), ("new", "own-tags")])
async def test_a_stop_string_counts_in_the_answer_alone(
    session: aiohttp.ClientSession, url: str, model: str, say: str
) -> None:
    reply = await ask(session, url, model, say=say, stop=["END"])
    [choice] = reply["choices"]
    assert choice["message"]["reasoning_content"] == "END of it"
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Yes ", "stop")


async def test_an_answer_that_begins_with_a_stop_string_is_empty(
    session: aiohttp.ClientSession, url: str
) -> None:
    reply = await ask(session, url, "qwen3", say="tags", stop=["Yes"])
    assert (reply["status"], reply["choices"][0]["message"]["content"]) == (200, "")


@pytest.mark.parametrize("token", CONTROL)
@pytest.mark.parametrize("model", ["plain", "gemma", "qwen3", "new"])
async def test_control_tokens_reach_the_server_broken_up(
    session: aiohttp.ClientSession, url: str, model: str, token: str
) -> None:
    """In the question, in passages, in the history, in the system text; and the answer may repeat them."""
    sentence = f"What does {token} do, or {token}{token.upper()}?"
    messages = [
        {"role": role, "content": f"{role}: {sentence}"} for role in ("system", "user", "assistant", "user")
    ]
    reply = await ask(session, url, model, say="echo", messages=messages)
    text = "\n".join(message["content"] for message in RECORDER.body["messages"])
    assert token.lower() not in text.lower()
    assert text.replace(JOINER, "").count(token) >= 4 * (1 if token.upper() != token else 2), (
        "nothing is lost"
    )
    assert reply["choices"][0]["message"]["content"] == f"user: {sentence}"
