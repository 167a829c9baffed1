"""Documents, told from the passages that a store holds."""

from __future__ import annotations

from collections.abc import Iterable

from services.core.wire.passages import DocumentInfo
from services.retrieval.payload import Payload

MENTION_FIELDS = ["document_id", "title", "revision", "index", "metadata"]
"""What `list_documents` reads of a passage's payload."""


def list_documents(payloads: Iterable[Payload]) -> list[DocumentInfo]:
    """One entry per document, by name and then id; name and metadata are its first passage's.

    While a document is being replaced, two revisions are stored: the one with more passages is listed.
    Only the entries are validated, not every passage: that takes six times as long.
    """
    first: dict[tuple[str, str], tuple[int, Payload]] = {}
    counts: dict[tuple[str, str], int] = {}
    for payload in payloads:
        key = (str(payload["document_id"]), str(payload["revision"]))
        index = payload["index"]
        at = index if isinstance(index, int) else 0
        counts[key] = counts.get(key, 0) + 1
        if key not in first or at < first[key][0]:
            first[key] = (at, payload)
    chosen: dict[str, tuple[int, str]] = {}
    for (document_id, revision), count in counts.items():
        chosen[document_id] = max(chosen.get(document_id, (0, "")), (count, revision))
    documents = [
        describe(first[document_id, revision][1], count) for document_id, (count, revision) in chosen.items()
    ]
    return sorted(documents, key=lambda document: (document.name, document.id))


def describe(head: Payload, passages: int) -> DocumentInfo:
    """A document of so many passages, by the payload of its first one."""
    return DocumentInfo.model_validate(
        {
            "id": head["document_id"],
            "name": head["title"] or head["document_id"],
            "revision": head["revision"],
            "passages": passages,
            "metadata": head["metadata"],
        }
    )
