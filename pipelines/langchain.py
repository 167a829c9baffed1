"""Parts of the chain as LangChain components, for use in a LangChain program.

The gateway itself calls the clients: an `ainvoke` costs callback bookkeeping on every request, see
docs/decisions/0003-thin-rag-chain.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from langchain_core.callbacks import (
    AsyncCallbackManagerForRetrieverRun,
    CallbackManagerForRetrieverRun,
    Callbacks,
)
from langchain_core.documents import BaseDocumentCompressor, Document
from langchain_core.retrievers import BaseRetriever

from pipelines.context import join_neighbours
from services.core.client import HttpClient
from services.core.clients.embedding import EmbeddingClient
from services.core.clients.reranking import RerankingClient
from services.core.clients.retrieval import RetrievalClient
from services.core.settings import headers_to
from services.core.wire.base import Filter
from services.core.wire.passages import DEFAULT_COLLECTION, Passage
from services.core.wire.retrieval import Mode


def to_document(passage: Passage) -> Document:
    """Turn a passage into a LangChain document; `metadata["passage"]` holds all its fields but the text."""
    return Document(
        id=passage.id,
        page_content=passage.text,
        metadata={"source": passage.title, "passage": passage.model_dump(exclude={"text"})},
    )


def to_passage(document: Document) -> Passage:
    """Turn a document back into a passage; a foreign document becomes a passage of its text alone."""
    fields = document.metadata.get("passage")
    if isinstance(fields, dict):
        return Passage(text=document.page_content, **fields)
    return Passage(id=document.id or "", document_id="", text=document.page_content)


class RaglineRetriever(BaseRetriever):
    """Retrieves the `k` best passages for a query from a Ragline collection.

    `mode` is hybrid, dense or sparse (None: as the retrieval service is set), `score_threshold` the least
    cosine of a passage, `mmr_lambda` chooses passages that are unlike each other (1: relevance alone), and
    `neighbours` lets as many passages before and after each one join it.
    Every call opens its own connections, so that it works inside and outside of an event loop.
    """

    embedding_url: str
    retrieval_url: str
    collection: str = DEFAULT_COLLECTION
    k: int = 4
    where: Filter | None = None
    mode: Mode | None = None
    score_threshold: float | None = None
    mmr_lambda: float | None = None
    neighbours: int = 0

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[Document]:
        return await self._search(query)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return asyncio.run(self._search(query))

    async def _search(self, query: str) -> list[Document]:
        async with (
            HttpClient("embedding", self.embedding_url, headers=headers_to(self.embedding_url)) as embedding,
            HttpClient("retrieval", self.retrieval_url, headers=headers_to(self.retrieval_url)) as retrieval,
        ):
            vector = await EmbeddingClient(embedding).embed_query(query)
            client = RetrievalClient(retrieval)
            passages = await client.search(
                query,
                vector,
                k=self.k,
                collection=self.collection,
                where=self.where,
                threshold=self.score_threshold,
                mode=self.mode,
                mmr_lambda=self.mmr_lambda,
            )
            if self.neighbours and passages:
                ids = [passage.id for passage in passages]
                span = self.neighbours
                around = await client.neighbours(self.collection, ids, before=span, after=span)
                passages = [stretch.passage for stretch in join_neighbours(passages, around)]
        return [to_document(passage) for passage in passages]


class RaglineReranker(BaseDocumentCompressor):
    """Reorders documents by the reranking service and keeps the `top_n` best."""

    reranking_url: str
    collection: str = DEFAULT_COLLECTION
    top_n: int = 4

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        if not documents:
            return []
        passages = [to_passage(document) for document in documents]
        headers = headers_to(self.reranking_url)
        async with HttpClient("reranking", self.reranking_url, headers=headers) as http:
            ranks = await RerankingClient(http).rerank(
                query, passages, top_n=self.top_n, collection=self.collection
            )
        return [documents[rank.index] for rank in ranks]

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        return asyncio.run(self.acompress_documents(documents, query, callbacks))
