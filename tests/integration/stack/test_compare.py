"""`/v1/compare` and `ragline compare` on real engines: one frozen context, arms side by side."""

from __future__ import annotations

import os

import httpx
import orjson
import pytest

from pipelines.evaluation.grounding.answers import rescore
from services.core.sse import SseParser
from services.core.wire.compare import ArmReply, CompareReply
from tests.command_line import call_ragline
from tests.integration.conftest import Running
from tests.soak import SOAK

QUESTION = "How many grams are in one pound?"
ARMS = [
    "openvino-entry",
    {"name": "llama", "model": "llamacpp-entry", "max_tokens": 12, "temperature": 0},
    {"name": "thinks", "model": "openvino-entry", "prompt": "cite", "max_reasoning_tokens": 8},
    "nobody",
]
MODES = (False, True) if SOAK else (False,)
"""Whether arms answer one after another: engines answer either way alike, and the order is tested with fakes."""

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module", params=MODES, ids=lambda serial: "serial" if serial else "together")
def compared(running: Running, request: pytest.FixtureRequest) -> CompareReply:
    body = {"question": QUESTION, "arms": ARMS, "serial": request.param}
    reply = httpx.post(f"{running.url}/v1/compare", json=body, timeout=120)
    assert reply.status_code == 200, reply.text
    return CompareReply.model_validate_json(reply.content)


def test_every_arm_answered_from_one_context(compared: CompareReply) -> None:
    assert [arm.arm for arm in compared.arms] == ["openvino-entry", "llama", "thinks", "nobody"]
    assert {arm.context_id for arm in compared.arms} == {compared.context.context_id}
    assert compared.context.passages[0].title == "mass-and-weight.md"
    for arm in compared.arms[:3]:
        assert arm.status == "answered"
        assert arm.content.strip()
        assert arm.usage is not None
        assert arm.usage.completion_tokens > 0


def test_an_arm_that_cannot_answer_fails_for_itself(compared: CompareReply) -> None:
    lost = compared.arms[3]
    assert (lost.status, lost.timings, lost.content) == ("failed", None, "")
    assert lost.error is not None
    assert lost.error.code == "not_found"
    assert "nobody" in lost.error.message


def test_the_figures_add_up(compared: CompareReply) -> None:
    shared = compared.timings
    for arm in compared.arms[:3]:
        timings = arm.timings
        assert timings is not None
        assert (timings.embedding, timings.retrieval) == (shared.embedding, shared.retrieval)
        assert timings.ttft is not None
        assert timings.generation is not None
        assert shared.e2el <= timings.ttft <= timings.e2el
    first, second = compared.arms[:2]
    difference = compared.differences[0]
    assert first.timings is not None
    assert second.timings is not None
    assert difference.e2el == round(second.timings.e2el - first.timings.e2el, 3)
    assert compared.differences[2].e2el is None


def test_every_answer_is_judged_by_the_real_embedding_model(compared: CompareReply) -> None:
    texts = {passage.id: passage.text for passage in compared.context.passages}
    for arm in compared.arms[:3]:
        assert arm.groundedness_missing is None
        assert arm.groundedness is not None
        assert rescore(arm.groundedness) == arm.groundedness
        for sentence in arm.groundedness.answer.sentences:
            assert arm.content[sentence.start : sentence.end] == sentence.text
            assert sentence.evidence is None or sentence.evidence.kind in {"words", "short"}
            for span in sentence.spans:
                assert texts[span.passage_id][span.start : span.end] == span.text
    assert compared.arms[3].groundedness is None


def test_streamed_pieces_are_labelled_and_make_the_answers(running: Running) -> None:
    other = {"name": "other", "model": "openvino-entry", "prompt": "cite"}  # the quicker engine twice
    body = {"question": QUESTION, "arms": ["openvino-entry", other], "stream": True}
    reply = httpx.post(f"{running.url}/v1/compare", json=body, timeout=120)
    events = SseParser().feed(reply.content)
    assert (events[0].event, events[-2].event, events[-1].data) == ("context", "comparison", b"[DONE]")
    arms = [ArmReply.model_validate_json(event.data) for event in events if event.event == "arm"]
    order = [
        (event.event, orjson.loads(event.data)["arm"])
        for event in events
        if event.event in {"arm", "groundedness"}
    ]
    assert all(order.index(("groundedness", arm.arm)) > order.index(("arm", arm.arm)) for arm in arms)
    pieces: dict[str, str] = {}
    for event in events:
        if event.event == "delta":
            delta = orjson.loads(event.data)
            pieces[delta["arm"]] = pieces.get(delta["arm"], "") + delta.get("content", "")
    assert pieces == {arm.arm: arm.content for arm in arms}


def test_what_was_searched_for_can_be_asked_about_and_is_the_same_context(running: Running) -> None:
    found = httpx.post(f"{running.url}/v1/search", json={"question": QUESTION}, timeout=60).json()
    assert found["context"]["passages"][0]["title"] == "mass-and-weight.md"
    assert found["timings"]["retrieval"] > 0
    body = {
        "question": QUESTION,
        "arms": ["openvino-entry"],
        "rag": {"context": found["context"]["passages"]},
    }
    reply = CompareReply.model_validate(
        httpx.post(f"{running.url}/v1/compare", json=body, timeout=120).json()
    )
    assert reply.context.context_id == reply.arms[0].context_id == found["context"]["context_id"]
    assert reply.arms[0].status == "answered"
    assert reply.arms[0].timings is not None
    assert reply.arms[0].timings.retrieval is None


def test_a_closed_book_is_answered_and_not_declined(running: Running) -> None:
    body = {"question": "Say yes.", "arms": ["openvino-entry"], "rag": {"context": []}}
    reply = CompareReply.model_validate(
        httpx.post(f"{running.url}/v1/compare", json=body, timeout=120).json()
    )
    arm = reply.arms[0]
    assert (arm.status, arm.citations, reply.context.passages) == ("answered", [], [])
    assert arm.usage is not None
    assert arm.usage.prompt_tokens > 0


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"question": QUESTION, "arms": []}, "arms"),
        ({"question": "", "arms": ["a"]}, "question"),
        ({"question": QUESTION, "arms": ["a", "a"]}, "twice"),
        ({"question": QUESTION, "arms": ["a+shout"]}, "shout"),
        ({"question": QUESTION, "arms": ["a@much"]}, "budget"),
        ({"question": QUESTION, "arms": [{"modle": "a"}]}, "modle"),
        ({"question": QUESTION, "arms": ["a"], "rag": {"collection": "nothing-here"}}, "nothing-here"),
    ],
)
def test_bad_input_says_what_to_change(running: Running, body: dict[str, object], says: str) -> None:
    reply = httpx.post(f"{running.url}/v1/compare", json=body, timeout=60)
    assert reply.status_code in {404, 422}
    assert says in reply.json()["error"]["message"]


def test_the_command_prints_every_arm_and_a_table(running: Running) -> None:
    arms = ["--arms", "openvino-entry,llamacpp-entry"]
    done = call_ragline("compare", QUESTION, *arms, env={**os.environ, "RAGLINE_URL": running.url})
    assert done.returncode == 0, done.stderr
    assert "== openvino-entry" in done.stdout
    assert "mass-and-weight.md" in done.stdout
    assert "openvino-entry: " in done.stdout
    rows = [line.split() for line in done.stdout.splitlines() if "answered" in line]
    assert [row[0] for row in rows] == ["openvino-entry", "llamacpp-entry"]
