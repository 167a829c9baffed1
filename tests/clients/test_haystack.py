"""haystack's chat generator: answers, whole and streamed, errors."""

from __future__ import annotations

import os

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
pytest.importorskip("haystack", reason="needs the clients' environment: make test-clients")

import openai
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.utils import Secret

from tests.clients.expected import ANSWER, KEY, QUESTION


@pytest.fixture
def generator(gateway: str):
    def make(model: str = "plain", **options) -> OpenAIChatGenerator:
        return OpenAIChatGenerator(
            api_key=Secret.from_token(KEY),
            model=model,
            api_base_url=f"{gateway}/v1",
            max_retries=0,
            **options,
        )

    return make


def test_an_answer(generator):
    (reply,) = generator().run([ChatMessage.from_user(QUESTION)])["replies"]
    assert reply.text == ANSWER
    assert reply.meta["finish_reason"] == "stop"


def test_a_stream_adds_up_to_the_answer(generator):
    pieces: list[str] = []
    made = generator(streaming_callback=lambda chunk: pieces.append(chunk.content or ""))
    (reply,) = made.run([ChatMessage.from_system("Be brief."), ChatMessage.from_user(QUESTION)])["replies"]
    assert "".join(pieces) == reply.text == ANSWER
    assert reply.meta["finish_reason"] == "stop"


def test_errors_come_through(generator):
    with pytest.raises(openai.NotFoundError):
        generator("nobody").run([ChatMessage.from_user(QUESTION)])
