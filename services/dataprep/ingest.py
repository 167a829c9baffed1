"""Ingestion of one file: parse and chunk, embed, store, then drop what the document was before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from weakref import WeakValueDictionary

import structlog

from services.core.clients.embedding import EmbeddingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.context import request_id, start_request
from services.core.errors import PayloadTooLarge, RaglineError, ServiceError
from services.core.metrics import Metrics
from services.core.wire.dataprep import IngestedFile, IngestProgress
from services.core.wire.embedding import EncodeReply
from services.core.wire.passages import DocumentInfo, Passage, TokenVectors
from services.core.wire.retrieval import StoredPassage
from services.dataprep.chunking import Chunking
from services.dataprep.identity import clean_name, document_id, passage_id, revision
from services.dataprep.sandbox import Prepared, Sandbox
from services.dataprep.uploads import Upload

UNDO_SECONDS = 10.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Batching:
    """How many passages are embedded and stored at a time, and whether with their token vectors."""

    size: int
    token_vectors: bool


class Ingestor:
    """Writes documents through the two services; one at a time per document."""

    def __init__(
        self,
        embedding: EmbeddingClient,
        retrieval: RetrievalClient,
        sandbox: Sandbox,
        metrics: Metrics,
        batching: Batching,
    ) -> None:
        self._embedding = embedding
        self._retrieval = retrieval
        self._sandbox = sandbox
        self._metrics = metrics
        self._batching = batching
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def ingest(
        self, upload: Upload, collection: str, chunking: Chunking
    ) -> AsyncGenerator[IngestProgress | IngestedFile]:
        """Progress, and at the end what became of the file.

        Nothing is written before the file is parsed and its first passages are embedded. On an error, or
        when the generator is closed, what was written of a new revision is removed again; the document as
        it was before stays.
        """
        name = clean_name(upload.name)
        if upload.too_large:
            raise PayloadTooLarge(f"{name} is larger than DATAPREP_MAX_FILE_BYTES allows: split it")
        with self._metrics.stage("parse"):
            prepared = await self._sandbox.prepare(upload.path, name, chunking)
        passages = _passages(name, revision(upload.sha256, chunking), prepared)
        first, total = passages[0], len(passages)
        yield IngestProgress(
            stage="parsed", name=name, document_id=first.document_id, done=total, total=total
        )
        result = IngestedFile(
            name=name,
            document_id=first.document_id,
            revision=first.revision,
            passages=total,
            status="unchanged",
        )
        async with self._locked(collection, first.document_id):
            before = await self._before(collection, first.document_id)
            if before is None or (before.revision, before.passages) != (first.revision, total):
                async with aclosing(self._write(passages, collection, before)) as steps:
                    async for step in steps:
                        yield step
                result = result.model_copy(update={"status": "ingested"})
            await self._retrieval.delete(collection, first.document_id, keep_revision=first.revision)
        yield IngestProgress(
            stage="stored", name=name, document_id=first.document_id, done=total, total=total
        )
        yield result

    async def delete(self, collection: str, document: str) -> int:
        """Delete a document; how many passages it had."""
        async with self._locked(collection, document):
            return await self._retrieval.delete(collection, document)

    async def documents(self, collection: str) -> list[DocumentInfo]:
        return await self._retrieval.documents(collection)

    async def _write(
        self, passages: Sequence[Passage], collection: str, before: DocumentInfo | None
    ) -> AsyncGenerator[IngestProgress]:
        size = self._batching.size
        document, total = passages[0].document_id, len(passages)
        wrote = False
        try:
            for start in range(0, total, size):
                batch = passages[start : start + size]
                encoded = await self._encode(batch)
                wrote = True
                with self._metrics.stage("upsert", encoded.model):
                    await self._retrieval.upsert(collection, encoded.model, _with_vectors(batch, encoded))
                yield IngestProgress(
                    stage="embedded",
                    name=passages[0].title,
                    document_id=document,
                    done=start + len(batch),
                    total=total,
                )
        except BaseException:
            if wrote:
                await _regardless(self._undo(collection, document, before))
            raise

    async def _encode(self, batch: Sequence[Passage]) -> EncodeReply:
        texts = [passage.embedded_text for passage in batch]
        with self._metrics.stage("embed"):
            encoded = await self._embedding.encode(texts, token_vectors=self._batching.token_vectors)
        if len(encoded.embeddings) != len(batch) or len(encoded.token_vectors or batch) != len(batch):
            raise ServiceError("embedding sent fewer or more vectors than texts", service="embedding")
        return encoded

    async def _before(self, collection: str, document: str) -> DocumentInfo | None:
        found = await self._retrieval.documents(collection)
        return next((info for info in found if info.id == document), None)

    async def _undo(self, collection: str, document: str, before: DocumentInfo | None) -> None:
        start_request(request_id.get(), UNDO_SECONDS)  # the request's own deadline may be over
        try:
            await self._retrieval.delete(
                collection, document, keep_revision=before.revision if before else None
            )
        except RaglineError as error:
            log.warning("passages of a failed ingestion remain", document_id=document, reason=error.message)

    @asynccontextmanager
    async def _locked(self, collection: str, document: str) -> AsyncIterator[None]:
        lock = self._locks.setdefault((collection, document), asyncio.Lock())
        async with lock:
            yield


async def _regardless(work: Coroutine[object, object, None]) -> None:
    """Finish `work` in a context of its own, also when the caller is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


def _passages(name: str, revision: str, prepared: Prepared) -> list[Passage]:
    document = document_id(name)
    return [
        Passage(
            id=passage_id(document, revision, index),
            document_id=document,
            text=prepared.text[chunk.start : chunk.end],
            title=name,
            section=chunk.section,
            page=chunk.page,
            start=chunk.start,
            end=chunk.end,
            index=index,
            revision=revision,
        )
        for index, chunk in enumerate(prepared.chunks)
    ]


def _with_vectors(batch: Sequence[Passage], encoded: EncodeReply) -> list[StoredPassage]:
    nothing: list[TokenVectors | None] = [None] * len(batch)
    return [
        StoredPassage(passage=passage, vector=vector, token_vectors=token)
        for passage, vector, token in zip(
            batch, encoded.embeddings, encoded.token_vectors or nothing, strict=True
        )
    ]
