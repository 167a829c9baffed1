"""Ingestion of one file: parse and chunk, embed, store where no reader sees it, publish."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from services.core.clients.embedding import EmbeddingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.errors import Blocked, Conflict, InvalidRequest, NotFound, PayloadTooLarge, ServiceError
from services.core.guards.guard import Checked, Guard
from services.core.metrics import Metrics
from services.core.wire.base import Metadata
from services.core.wire.dataprep import FileWarning, JobFile, Outcome
from services.core.wire.embedding import EncodeReply
from services.core.wire.passages import Passage, TokenVectors, passage_id
from services.core.wire.retrieval import StoredPassage
from services.dataprep.jobs.retry import ServiceRetries
from services.dataprep.jobs.store import ClaimedFile, Progress
from services.dataprep.jobs.tokens import TokenFit
from services.dataprep.parsing.chunking import Chunk
from services.dataprep.parsing.sandbox import ChunkedDocument, Sandbox
from services.dataprep.upload.names import document_id, revision

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Batching:
    """How many passages are embedded and stored at a time, how many such requests of a file are under way
    at the embedding service, and whether token vectors are stored too."""

    size: int
    token_vectors: bool
    ahead: int = 2


class Ingestor:
    """Writes documents through the two services; its caller sees to it that it is one at a time of each."""

    def __init__(
        self,
        embedding: EmbeddingClient,
        retrieval: RetrievalClient,
        sandbox: Sandbox,
        metrics: Metrics,
        batching: Batching,
        *,
        guard: Guard | None = None,
    ) -> None:
        self._guard = guard
        self._embedding = embedding
        self._fitting = TokenFit(embedding)
        self._retrieval = retrieval
        self._sandbox = sandbox
        self._metrics = metrics
        self._batching = batching

    async def ingest(
        self, claimed: ClaimedFile, path: Path, progress: Progress, retries: ServiceRetries
    ) -> Outcome:
        """Raises what is wrong with the file, or the error of the service that could not be waited for.

        Readers see the document as it was until, at the very end, they see all of the new revision. What
        is stored of it before is for the caller to `discard` where this raises.

        Whether the chunks fit the model is asked before anything is embedded, but of a document that is
        embedded in one request: that request refuses what does not fit.
        """
        parsed = await retries.call(lambda: self._parse(claimed, path))
        warnings = [FileWarning(kind=warning.kind, message=warning.message) for warning in parsed.warnings]
        if warnings:
            await progress.report(warnings=warnings)
        if warnings and claimed.order.strict:
            reasons = "; ".join(warning.message for warning in warnings)
            raise InvalidRequest(
                f"{claimed.file.name} is not ingested, because strict allows no warning: {reasons}"
            )
        if len(parsed.chunks) <= self._batching.size and not claimed.order.chunking.tokens:
            with suppress(PayloadTooLarge):  # from the one request that embeds it: nothing is stored then
                return await self._write_document(claimed, parsed, progress, retries, truncate=False)
        fitting = await retries.call(lambda: self._fit(claimed, parsed))
        return await self._write_document(claimed, fitting, progress, retries)

    async def _write_document(
        self,
        claimed: ClaimedFile,
        prepared: ChunkedDocument,
        progress: Progress,
        retries: ServiceRetries,
        *,
        truncate: bool = True,
    ) -> Outcome:
        """Raises `PayloadTooLarge` where the model would not see a chunk to its end and `truncate` is off."""
        collection = claimed.order.collection
        passages = _passages(claimed.file, _revision(claimed), prepared)
        first, total = passages[0], len(passages)
        await progress.report(revision=first.revision, passages=total)
        progress.publishing = claimed.file.attempts > 1  # then all of it may be stored already
        if await retries.call(lambda: self._is_stored(collection, first, total)):
            await progress.report(embedded=total, stored=total)
            return "ingested" if claimed.file.attempts > 1 else "unchanged"
        progress.publishing = False
        if self._guard is not None:
            await self._check(self._guard, passages, progress, retries)
        await self._write(passages, collection, progress, retries, truncate=truncate)
        progress.publishing = True
        replaced = await retries.call(lambda: self._publish(collection, first, total))
        if replaced:
            await progress.report(replaced=replaced)
        return "ingested"

    async def _check(
        self, guard: Guard, passages: Sequence[Passage], progress: Progress, retries: ServiceRetries
    ) -> None:
        """Raise `Blocked` where the guard forbids a passage: nothing of its document is stored then."""

        async def check(batch: Sequence[Passage]) -> Checked:
            texts = [passage.embedded_text for passage in batch]
            return await retries.call(lambda: guard.check("passages", texts))

        size, is_unchecked = self._batching.size, False
        for start in range(0, len(passages), size):
            batch = passages[start : start + size]
            checked = await check(batch)
            is_unchecked = is_unchecked or checked.is_unchecked
            if checked.reason:
                reasons = [(await check([passage])).reason for passage in batch]
                at = next((passage for passage, why in zip(batch, reasons, strict=True) if why), batch[0])
                page = f"page {at.page}, " if at.page else ""
                raise Blocked(
                    f"{at.title} is not ingested: the guard forbids it ({checked.reason}), at {page}"
                    f"characters {at.start} to {at.end}"
                )
        if is_unchecked:
            warning = FileWarning(kind="not_checked", message="not checked: the guard did not answer")
            await progress.report(warnings=[*progress.file.warnings, warning])

    async def discard(self, claimed: ClaimedFile) -> bool:
        """Delete what is stored of the claimed file's revision, unless readers see it; whether they do."""
        collection, document, held = claimed.order.collection, claimed.file.document_id, _revision(claimed)
        seen = await self._retrieval.documents(collection)
        if any((info.id, info.revision) == (document, held) for info in seen):
            return True
        await self._retrieval.delete(collection, document, revision=held)
        return False

    async def _parse(self, claimed: ClaimedFile, path: Path) -> ChunkedDocument:
        with self._metrics.stage("parse"):
            return await self._sandbox.parse(
                path, claimed.file.name, claimed.order.chunking, claimed.order.encoding
            )

    async def _fit(self, claimed: ClaimedFile, parsed: ChunkedDocument) -> ChunkedDocument:
        """Cut once more what the embedding model would not see to its end."""
        with self._metrics.stage("tokenize"):
            return await self._fitting.fit(claimed.file.name, parsed, claimed.order.chunking.tokens)

    async def _is_stored(self, collection: str, first: Passage, total: int) -> bool:
        """Whether all of the revision is stored; it is what readers see then, also after a `kill -9`
        between its last passage and its publication."""
        try:
            await self._publish(collection, first, total)
        except (Conflict, NotFound):
            return False
        return True

    async def _publish(self, collection: str, first: Passage, total: int) -> int:
        """Return how many passages of earlier revisions nobody sees any more."""
        with self._metrics.stage("publish"):
            return await self._retrieval.publish(
                collection, first.document_id, first.revision, passages=total
            )

    async def _write(
        self,
        passages: Sequence[Passage],
        collection: str,
        progress: Progress,
        retries: ServiceRetries,
        *,
        truncate: bool,
    ) -> None:
        async def encode(batch: Sequence[Passage]) -> EncodeReply:
            return await retries.call(lambda: self._encode(batch, truncate=truncate))

        size = self._batching.size
        batches = [passages[start : start + size] for start in range(0, len(passages), size)]
        stored = 0
        async with aclosing(work_ahead(batches, encode, self._batching.ahead)) as encoded_batches:
            async for batch, encoded in encoded_batches:
                await progress.report(embedded=stored + len(batch))
                offered = _with_vectors(batch, encoded)
                progress.wrote = True
                await retries.call(lambda: self._store(collection, encoded.model, offered))  # noqa: B023 - awaited here
                stored += len(batch)
                await progress.report(stored=stored)

    async def _store(self, collection: str, model: str, offered: Sequence[StoredPassage]) -> None:
        with self._metrics.stage("upsert", model):
            await self._retrieval.upsert(collection, model, offered, staged=True)

    async def _encode(self, batch: Sequence[Passage], *, truncate: bool) -> EncodeReply:
        texts = [passage.embedded_text for passage in batch]
        with self._metrics.stage("embed"):
            encoded = await self._embedding.encode(
                texts, token_vectors=self._batching.token_vectors, truncate=truncate
            )
        if len(encoded.embeddings) != len(batch) or len(encoded.token_vectors or batch) != len(batch):
            raise ServiceError("embedding sent fewer or more vectors than texts", service="embedding")
        return encoded


def _revision(claimed: ClaimedFile) -> str:
    order = claimed.order
    return revision(claimed.sha256, order.chunking, order.encoding, claimed.file.metadata)


def _passages(file: JobFile, revision: str, prepared: ChunkedDocument) -> list[Passage]:
    """Make the passages; what came with the file wins over what the file says of itself."""
    name = file.name
    document = document_id(name)
    kinds = list(dict.fromkeys(warning.kind for warning in prepared.warnings))
    common: Metadata = {**prepared.metadata, **file.metadata}
    if kinds:
        common["warnings"] = [*kinds]
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
            metadata=common | _list_boxes(prepared, chunk),
        )
        for index, chunk in enumerate(prepared.chunks)
    ]


def _list_boxes(prepared: ChunkedDocument, chunk: Chunk) -> Metadata:
    """List where a passage that was read from a picture stands: `page left top right bottom` of each line."""
    boxes = [
        f"{box.page} {box.left:g} {box.top:g} {box.right:g} {box.bottom:g}"
        for box in prepared.boxes
        if box.start < chunk.end and chunk.start < box.end
    ]
    return {"boxes": boxes} if boxes else {}


def _with_vectors(batch: Sequence[Passage], encoded: EncodeReply) -> list[StoredPassage]:
    nothing: list[TokenVectors | None] = [None] * len(batch)
    return [
        StoredPassage(passage=passage, vector=vector, token_vectors=token)
        for passage, vector, token in zip(
            batch, encoded.embeddings, encoded.token_vectors or nothing, strict=True
        )
    ]


async def work_ahead(
    items: Iterable[A], work: Callable[[A], Coroutine[object, object, B]], limit: int
) -> AsyncGenerator[tuple[A, B]]:
    """Yield each item with the result of its work, in order; up to `limit` are worked on at a time.

    They go on while the consumer is busy. At an error, or when the generator is closed, the others are
    cancelled.
    """
    running: deque[tuple[A, asyncio.Task[B]]] = deque()
    try:
        for item in items:
            ready = None
            if len(running) == limit:
                first, task = running.popleft()
                ready = (first, await task)
            running.append((item, asyncio.ensure_future(work(item))))
            if ready is not None:
                yield ready
        while running:
            first, task = running.popleft()
            yield first, await task
    finally:
        for _, task in running:
            task.cancel()
        await asyncio.gather(*(task for _, task in running), return_exceptions=True)
