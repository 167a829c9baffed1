"""The Vercel AI SDK, with OpenAI's provider and the one for compatible servers. Both refuse a reply that is not valid."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.expected import ANSWER, QUESTION, THOUGHT

BUILD = Path(__file__).parents[2] / "build" / "ai-sdk"
SCRIPT = Path(__file__).with_name("ai_sdk.mjs")
PROVIDERS = ("openai", "compatible", "responses")


@pytest.fixture(scope="module")
def replies(gateway: str) -> dict[str, dict[str, object]]:
    """What each case gave, by its name."""
    node = shutil.which("node")
    if node is None or not (BUILD / "node_modules" / "ai").is_dir():
        pytest.skip("needs Node 20 or newer, with npm, and make test-clients")
    script = Path(shutil.copy(SCRIPT, BUILD))  # modules are looked for beside the script
    result = subprocess.run(
        [node, str(script), gateway, QUESTION], capture_output=True, text=True, check=True
    )
    cases = [json.loads(line) for line in result.stdout.splitlines()]
    return {case["case"]: case for case in cases}


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("how", ["", " streamed"])
def test_an_answer_is_valid(replies, provider, how):
    reply = replies[f"{provider} plain{how}"]
    assert (reply.get("text"), reply.get("finish")) == (ANSWER, "stop"), reply
    if provider == "openai":
        assert reply["sources"] > 0, "a citation is a source"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("how", ["", " streamed"])
@pytest.mark.parametrize("model", ["thinking", "tagged", "uncounted"])
def test_other_answers_are_valid(replies, provider, how, model):
    reply = replies[f"{provider} {model}{how}"]
    assert (reply.get("text"), reply.get("finish")) == (ANSWER, "stop"), reply
    if model != "uncounted" and provider == "compatible" and not how:
        assert reply["reasoning"].strip() == THOUGHT


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("how", ["", " streamed"])
def test_a_cut_answer_says_so(replies, provider, how):
    assert replies[f"{provider} cut{how}"].get("finish") == "length"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("how", ["", " streamed"])
@pytest.mark.parametrize(("model", "status"), [("nobody", 404), ("down", 503)])
def test_errors_keep_their_status(replies, provider, how, model, status):
    reply = replies[f"{provider} {model}{how}"]
    assert reply.get("status") == status, reply


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_answer_has_the_form_that_is_asked_for(replies, provider):
    reply = replies[f"{provider} object"]
    assert reply.get("object") == {"name": "honey", "count": 1}, reply


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("how", ["", " streamed"])
def test_a_tool_is_called_and_its_reply_is_answered_from(replies, provider, how):
    reply = replies[f"{provider} tool{how}"]
    assert (reply.get("text"), reply.get("places")) == (ANSWER, ["honey"]), reply
