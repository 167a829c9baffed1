"""The reading of a client's lines: what has not ended yet is waited for, and a report says what went wrong."""

from __future__ import annotations

import json

from tests.e2e.asking import DOCUMENT_EVERY
from tests.e2e.watched import Line, Watched


def question(number: int, **fields: object) -> Line:
    known = {"kind": "question", "number": number, "sent": float(number), "seconds": 0.5, "status": 200}
    return Line.read(json.dumps({**known, "model": "small", **fields}))


def document(number: int, **fields: object) -> Line:
    return question(number, **{"kind": "document", "status": 202, "model": "", "job": "j", **fields})


def test_a_stretch_is_whole_only_once_all_that_was_sent_in_it_has_ended() -> None:
    lines = [question(number) for number in range(1, 8) if number != 4]
    assert Watched.between(lines, 2, 5.5) is None  # question 4 has not ended
    lines.append(question(4))
    assert Watched.between(lines, 2, 5.5) is None  # nor has the document that went with question 5
    lines.append(document(DOCUMENT_EVERY))
    assert Watched.between(lines, 2, 7.5) is None  # nothing later: question 8 may have been sent in it
    seen = Watched.between(lines, 2, 5.5)
    assert seen is not None
    assert [line.number for line in seen.questions] == [2, 3, 4, 5]
    assert [line.number for line in seen.documents] == [5]


def test_a_report_counts_errors_degraded_answers_and_who_answered() -> None:
    seen = Watched(
        [
            question(1),
            question(2, degraded=["reranking"]),
            question(3, status=503, code="service_unavailable", service="generation", model=""),
            question(4, status=503, code="service_unavailable", service="generation", model=""),
            question(6, model="large"),
        ],
        [document(5, status=0, code="no_reply", job="")],
    )
    assert seen.errors() == {"503 service_unavailable generation", "0 no_reply"}
    assert seen.models() == ["small", "large"]
    assert str(seen).splitlines() == [
        "5 questions: 2 failed (sent within 2 s), 1 degraded (sent within 1 s); answered: median 0.5 s, "
        "longest 0.5 s; models: small > large; 1 documents, 0 accepted",
        "    1 x 0 no_reply",
        "    2 x 503 service_unavailable generation",
        "    1 x without reranking",
    ]
