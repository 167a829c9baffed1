from __future__ import annotations

import uuid

import pytest

from services.core.errors import InvalidRequest
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from services.retrieval.payload import FIELDS, from_payload, point_id, to_points


def payload_of(passage: Passage) -> dict[str, object]:
    (point,) = to_points([StoredPassage(passage=passage, vector=[1.0])])
    return point.payload


def test_a_passage_survives_the_way_through_a_payload():
    passage = Passage(
        id="p", document_id="d", text="t", page=None, metadata={"n": 1, "tags": ["a"]}, score=0.5
    )
    payload = payload_of(passage)
    assert "score" not in payload
    assert set(FIELDS) <= set(payload)
    assert from_payload(payload, 0.25) == passage.model_copy(update={"score": 0.25})


@pytest.mark.parametrize(("score", "kept"), [(1.0000001, 1), (-1.0000001, -1), (0.3, 0.3)])
def test_rounding_never_leaves_the_range_of_a_cosine(score, kept):
    assert from_payload(payload_of(Passage(id="p", document_id="d", text="t")), score).score == kept


def test_a_point_id_is_a_uuid_that_never_changes():
    assert point_id("doc:0") == "32a5e0ce-2b5c-5a0e-8008-8bcf35936897"
    assert uuid.UUID(point_id("any")).version == 5
    assert point_id("a") != point_id("b")


def test_token_vectors_that_are_not_what_they_say_are_refused():
    vectors = TokenVectors(tokens=2, dim=3, data=b"abc")
    passage = Passage(id="p", document_id="d", text="t")
    with pytest.raises(InvalidRequest, match=r"'p'.*3 bytes, 2 tokens of 3 dimensions are 6"):
        to_points([StoredPassage(passage=passage, vector=[1.0], token_vectors=vectors)])


def test_the_last_of_equal_ids_is_the_point():
    passages = [Passage(id="p", document_id="d", text=text) for text in ("first", "last")]
    (point,) = to_points([StoredPassage(passage=passage, vector=[1.0]) for passage in passages])
    assert point.payload["text"] == "last"
