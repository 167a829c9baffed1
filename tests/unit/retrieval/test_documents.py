from __future__ import annotations

from services.retrieval.documents import MENTION_FIELDS, list_documents
from services.retrieval.payload import Payload


def mention(**fields: object) -> Payload:
    return {**dict.fromkeys(MENTION_FIELDS, ""), "index": 0, "metadata": {}, **fields}


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
