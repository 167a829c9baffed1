from __future__ import annotations

import uuid

import pytest

from services.core.errors import InvalidRequest
from services.core.wire.passages import Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from services.retrieval.points import (
    DOCUMENT_FIELDS,
    PASSAGE_FIELDS,
    Payload,
    list_documents,
    make_points,
    point_id,
    read_passage,
)


def payload_of(passage: Passage) -> dict[str, object]:
    (point,) = make_points([StoredPassage(passage=passage, vector=[1.0])])
    return point.payload


def test_a_passage_survives_the_way_through_a_payload():
    passage = Passage(
        id="p", document_id="d", text="t", page=None, metadata={"n": 1, "tags": ["a"]}, score=0.5
    )
    payload = payload_of(passage)
    assert "score" not in payload
    assert set(PASSAGE_FIELDS) <= set(payload)
    assert read_passage(payload, 0.25) == passage.model_copy(update={"score": 0.25})


@pytest.mark.parametrize(("score", "kept"), [(1.0000001, 1), (-1.0000001, -1), (0.3, 0.3)])
def test_rounding_never_leaves_the_range_of_a_cosine(score, kept):
    assert read_passage(payload_of(Passage(id="p", document_id="d", text="t")), score).score == kept


def test_a_point_id_is_a_uuid_that_never_changes():
    assert point_id("doc:0") == "32a5e0ce-2b5c-5a0e-8008-8bcf35936897"
    assert uuid.UUID(point_id("any")).version == 5
    assert point_id("a") != point_id("b")


def test_token_vectors_that_are_not_what_they_say_are_refused():
    vectors = TokenVectors(tokens=2, dim=3, data=b"abc")
    passage = Passage(id="p", document_id="d", text="t")
    with pytest.raises(InvalidRequest, match=r"'p'.*3 bytes, 2 tokens of 3 dimensions are 6"):
        make_points([StoredPassage(passage=passage, vector=[1.0], token_vectors=vectors)])


def test_the_last_of_equal_ids_is_the_point():
    passages = [Passage(id="p", document_id="d", text=text) for text in ("first", "last")]
    (point,) = make_points([StoredPassage(passage=passage, vector=[1.0]) for passage in passages])
    assert point.payload["text"] == "last"


def mention(**fields: object) -> Payload:
    return {**dict.fromkeys(DOCUMENT_FIELDS, ""), "index": 0, "metadata": {}, **fields}


def test_a_document_in_replacement_shows_its_larger_revision():
    mentions = [
        *(mention(document_id="d", title="Old", revision="1", index=i) for i in range(2)),
        *(mention(document_id="d", title="New", revision="2", index=i) for i in range(3)),
    ]
    (found,) = list_documents(mentions)
    assert (found.name, found.revision, found.passages) == ("New", "2", 3)
    (found,) = list_documents(mentions[:3])
    assert (found.name, found.revision, found.passages) == ("Old", "1", 2)


def test_equal_names_are_ordered_by_id_and_the_order_of_passages_does_not_matter():
    mentions = [
        mention(document_id="b", title="Same", index=1, metadata={"n": 1}),
        mention(document_id="a", title="Same"),
        mention(document_id="b", title="Same", index=0, metadata={"n": 0}),
    ]
    found = list_documents(mentions)
    assert found == list_documents(reversed(mentions))
    assert [(document.id, document.metadata) for document in found] == [("a", {}), ("b", {"n": 0})]


def test_nothing_stored_is_no_document():
    assert list_documents([]) == []
