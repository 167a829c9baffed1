"""The stored documents: what there is, and deleting it whatever is on its way."""

from __future__ import annotations

from services.core.clients.retrieval import RetrievalClient
from services.core.wire.passages import DocumentInfo
from services.dataprep.jobs.store import JobIntake

DELETED = "the document was deleted after it was sent"


class Documents:
    """A deletion holds for all that was accepted before it: files of the document that wait or are being
    ingested are cancelled first, so that none brings it back."""

    def __init__(self, retrieval: RetrievalClient, jobs: JobIntake) -> None:
        self._retrieval = retrieval
        self._jobs = jobs

    async def all(self, collection: str) -> list[DocumentInfo]:
        return await self._retrieval.documents(collection)

    async def delete(self, collection: str, document: str) -> int | None:
        """How many passages it had; None where there was nothing to delete and nothing on its way."""
        cancelled = await self._jobs.cancel_documents(collection, document, DELETED)
        count = await self._retrieval.delete(collection, document)
        return count if count or cancelled else None

    async def delete_all(self, collection: str) -> list[int]:
        """For each document, how many passages it had."""
        await self._jobs.cancel_documents(collection, None, DELETED)
        documents = await self._retrieval.documents(collection)
        return [await self._retrieval.delete(collection, document.id) for document in documents]
