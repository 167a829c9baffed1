"""What `ragline selftest` and `helm test` take for a good answer."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.conformance.selftest import Fact, find_problems
from services.core.wire.answer import AnswerReply

PASSAGE = {
    "id": "p",
    "document_id": "d",
    "title": "t",
    "text": "It burns 4711 litres.",
    "start": 0,
    "end": 21,
}
CITATION = {
    "index": 21,
    "marker": 1,
    "file_id": "d",
    "filename": "t",
    "passage_id": "p",
    "start": 0,
    "end": 21,
    "quote": "It burns 4711 litres.",
    "support": 1.0,
    "method": "attributed",
}


def reply(**changes: Any) -> AnswerReply:
    message = {"content": "It burns 4711 litres.", "citations": [CITATION], **changes.pop("message", {})}
    return AnswerReply.model_validate(
        {
            "id": "x",
            "created": 0,
            "model": "small",
            "choices": [{"message": message, "finish_reason": "stop"}],
            "usage": None,
            "context": {"context_id": "c", "passages": [PASSAGE]},
            "timings": {"e2el": 1.0},
            **changes,
        }
    )


def test_a_good_answer() -> None:
    assert find_problems(reply(message={"reasoning_content": "The passage says so."}), "small", "d") == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"message": {"content": " "}}, "the answer is empty, finish_reason stop"),
        ({"message": {"content": "<think>It says</think> It burns"}}, "thinking is in the answer: '<think>'"),
        ({"message": {"content": "so</think>It burns"}}, "thinking is in the answer: '</think>'"),
        ({"message": {"citations": []}}, "the answer does not cite the document"),
        ({"message": {"citations": [{**CITATION, "file_id": "other"}]}}, "does not cite the document"),
        ({"outcome": "abstained"}, "it abstained"),
        (
            {"model": "large", "degraded": ["generation:small"]},
            "large answered in its place (generation:small)",
        ),
        ({"context": {"context_id": "c", "passages": []}}, "not among the passages"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], said: str) -> None:
    found = find_problems(reply(**changes), "small", "d")
    assert len(found) == 1
    assert said in found[0]


def test_each_fact_is_new() -> None:
    facts = {Fact.invent() for _ in range(3)}
    assert len({fact.name for fact in facts}) == 3
    assert all(str(fact.number).encode() in fact.document for fact in facts)
