"""The real services, each its own process, with a set's documents in them; and rankings from their replies."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import TypeAdapter

from services.cli.local.probe import free_ports
from services.cli.local.stack import Stack
from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.generation import GenerationClient
from services.core.clients.reranking import RerankingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.settings import HomeSettings, copy_environment
from services.core.wire.encoding import decode
from services.core.wire.passages import Passage
from services.core.wire.retrieval import RetrievalReply, StoredPassage
from services.dataprep.parsing.chunking import Chunking, chunk
from services.dataprep.parsing.document import ParsedDocument
from services.gateway.settings import Settings as GatewaySettings
from tests.bench.retrieval_sets import RetrievalSet

SERVICES = ("embedding", "retrieval", "reranking")
FOLDER = Path("build/bench/retrieval")
BATCH = 64
DEEP = 100
"""Passages behind the rankings that are not reranked: enough for ten documents."""

_REPLY = TypeAdapter(RetrievalReply)


@dataclass(frozen=True)
class Services:
    """`pool`: how many passages the gateway has reranked, by its default."""

    embedding: EmbeddingClient
    retrieval: RetrievalClient
    reranking: RerankingClient
    generation: GenerationClient
    store: HttpClient
    pool: int

    async def fill(self, collection: str, documents: RetrievalSet) -> int:
        """Store every document as dataprep would; how many passages that makes."""
        passages = [passage for name in documents.documents for passage in _passages(name, documents)]
        for start in range(0, len(passages), BATCH):
            batch = passages[start : start + BATCH]
            encoded = await self.embedding.encode([one.embedded_text for one in batch], token_vectors=True)
            stored = [
                StoredPassage(passage=passage, vector=vector, token_vectors=tokens)
                for passage, vector, tokens in zip(
                    batch, encoded.embeddings, encoded.token_vectors or [], strict=True
                )
            ]
            await self.retrieval.upsert(collection, encoded.model, stored)
        return len(passages)

    async def search(
        self, collection: str, query: str, vector: Sequence[float], **options: object
    ) -> list[Passage]:
        request = {"text": query, "embedding": vector, "collection": collection, **options}
        body = await self.store.post("/v1/retrieval", orjson.dumps(request), idempotent=True)
        return decode(_REPLY, body, "retrieval").retrieved_docs

    async def rankings(self, collection: str, query: str) -> dict[str, list[str]]:
        """Documents, best first, by every way of ranking."""
        vector = await self.embedding.embed_query(query)
        found = {
            mode: await self.search(collection, query, vector, mode=mode, k=DEEP)
            for mode in ("dense", "sparse", "hybrid")
        }
        pool = await self.search(collection, query, vector, k=self.pool)
        ranks = await self.reranking.rerank(query, pool, top_n=len(pool), collection=collection)
        found["hybrid + rerank"] = [pool[rank.index] for rank in ranks]
        return {name: documents(passages) for name, passages in found.items()}


def documents(passages: Iterable[Passage]) -> list[str]:
    """A document ranks where its best passage does."""
    return list(dict.fromkeys(passage.document_id for passage in passages))


def _passages(name: str, sets: RetrievalSet) -> list[Passage]:
    document = sets.documents[name]
    text = document.text or document.title  # two of Cranfield's abstracts are empty
    chunks = chunk(ParsedDocument(text), Chunking())
    return [
        Passage(
            id=f"{name}-{index}",
            document_id=name,
            title=document.title,
            text=text[one.start : one.end],
            start=one.start,
            end=one.end,
            index=index,
        )
        for index, one in enumerate(chunks)
    ]


def _environment() -> dict[str, str]:
    """Default settings, and a store of its own, which is empty at first."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    kept = {name: value for name, value in copy_environment().items() if not name.endswith(("_URL", "_PORT"))}
    return kept | {"VECTOR_URL": f"edge://{FOLDER.resolve()}/vectors", "LOG_LEVEL": "warning"}


@asynccontextmanager
async def services(names: Sequence[str] = SERVICES) -> AsyncIterator[Services]:
    """These as processes, and clients of all."""
    ports = free_ports({*names, "generation"})
    with Stack(HomeSettings.load().root, _environment(), ports, run=FOLDER / "run") as stack:
        for name in names:
            stack.start(name)
        stack.wait_ready(600)
        async with (
            HttpClient("embedding", stack.url("embedding")) as embedding,
            HttpClient("retrieval", stack.url("retrieval")) as retrieval,
            HttpClient("reranking", stack.url("reranking")) as reranking,
            HttpClient("generation", stack.url("generation")) as generation,
        ):
            yield Services(
                embedding=EmbeddingClient(embedding),
                retrieval=RetrievalClient(retrieval),
                reranking=RerankingClient(reranking),
                generation=GenerationClient(generation),
                store=retrieval,
                pool=GatewaySettings.load().top_k,
            )
