"""Documents, told from the passages that a store holds."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from services.core.wire.base import Metadata, Wire
from services.core.wire.passages import DocumentInfo


class Mention(Wire):
    """What one passage says about its document; read from the passage's payload."""

    document_id: str
    title: str = ""
    revision: str = ""
    index: int = 0
    metadata: Metadata = Field(default_factory=dict)


MENTION_FIELDS = list(Mention.model_fields)


def list_documents(mentions: Iterable[Mention]) -> list[DocumentInfo]:
    """One entry per document, by name and then id; name and metadata are its first passage's.

    While a document is being replaced, two revisions are stored: the one with more passages is listed.
    """
    first: dict[tuple[str, str], Mention] = {}
    counts: dict[tuple[str, str], int] = {}
    for mention in mentions:
        key = (mention.document_id, mention.revision)
        counts[key] = counts.get(key, 0) + 1
        known = first.get(key)
        if known is None or mention.index < known.index:
            first[key] = mention
    chosen: dict[str, tuple[int, str]] = {}
    for (document_id, revision), count in counts.items():
        chosen[document_id] = max(chosen.get(document_id, (0, "")), (count, revision))
    documents = []
    for document_id, (count, revision) in chosen.items():
        head = first[document_id, revision]
        documents.append(
            DocumentInfo(
                id=document_id,
                name=head.title or document_id,
                revision=revision,
                passages=count,
                metadata=head.metadata,
            )
        )
    return sorted(documents, key=lambda document: (document.name, document.id))
