"""The client of the reranking service, which a TEI container can stand in for."""

from __future__ import annotations

from collections.abc import Sequence

import orjson
from pydantic import TypeAdapter

from services.core.client import HttpClient
from services.core.errors import NotFound
from services.core.wire.encoding import decode
from services.core.wire.passages import Passage
from services.core.wire.reranking import Rank, RerankedPassage, RerankingReply, RerankingRequest

_RERANKING = TypeAdapter(RerankingReply)
_RANKS = TypeAdapter(list[Rank])


class RerankingClient:
    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def rerank(
        self, query: str, passages: Sequence[Passage], *, top_n: int, collection: str
    ) -> list[RerankedPassage]:
        """The `top_n` best as positions in `passages`, best first.

        Against a server that speaks only TEI, falls back to `/rerank`.
        """
        request = RerankingRequest.model_construct(  # not validated: they are valid passages already
            initial_query=query, retrieved_docs=list(passages), top_n=top_n, collection=collection
        )
        payload = request.model_dump_json(exclude_defaults=True).encode()
        try:
            body = await self._http.post("/v1/reranking", payload, idempotent=True)
        except NotFound:
            return await self._rerank_by_tei(query, passages, top_n=top_n)
        return decode(_RERANKING, body, self._http.service).results

    async def ready(self) -> None:
        await self._http.ready()

    async def _rerank_by_tei(
        self, query: str, passages: Sequence[Passage], *, top_n: int
    ) -> list[RerankedPassage]:
        request = {"query": query, "texts": [passage.embedded_text for passage in passages], "truncate": True}
        body = await self._http.post("/rerank", orjson.dumps(request), idempotent=True)
        best = decode(_RANKS, body, self._http.service)[:top_n]
        return [RerankedPassage(index=rank.index, score=rank.score) for rank in best]
