"""litellm: answers, whole and streamed, thinking, errors."""

from __future__ import annotations

import os

import pytest

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else importing it asks the network
pytest.importorskip("litellm", reason="needs the clients' environment: make test-clients")

import litellm

from tests.clients.expected import ANSWER, KEY, NOTHING, QUESTION, THOUGHT


@pytest.fixture
def ask(gateway: str):
    def complete(model: str = "plain", **options):
        return litellm.completion(
            model=f"openai/{model}",
            messages=[{"role": "user", "content": QUESTION}],
            api_base=f"{gateway}/v1",
            api_key=KEY,
            num_retries=0,
            max_retries=0,
            **options,
        )

    return complete


def test_an_answer_keeps_its_citations(ask):
    reply = ask()
    message = reply.choices[0].message
    assert (message.content, reply.choices[0].finish_reason) == (ANSWER, "stop")
    assert message.annotations[0]["type"] == "url_citation"
    assert reply.usage.total_tokens > 0


def test_a_stream_adds_up_to_the_answer(ask):
    chunks = list(ask(stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == ANSWER
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"


def test_an_abstention_and_thinking_are_answers(ask):
    assert ask(extra_body=NOTHING).choices[0].message.content
    message = ask("thinking").choices[0].message
    assert (message.content, message.reasoning_content.strip()) == (ANSWER, THOUGHT)
    assert ask("cut").choices[0].finish_reason == "length"


@pytest.mark.parametrize(("model", "status"), [("nobody", 404), ("down", 503), ("busy", 503)])
def test_errors_keep_their_status(ask, model, status):
    with pytest.raises(Exception, match=r"(?i)nobody|down|busy|9|unavailable") as caught:
        ask(model)
    assert caught.value.status_code == status
