"""The clients of what judges pairs of texts: the reranking service, which a TEI container can stand in for,
and a classifier behind TEI's `/predict`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import orjson
from pydantic import Field, TypeAdapter

from services.core.client import HttpClient
from services.core.errors import NotFound, NotSupported, ServiceError
from services.core.wire.base import Wire
from services.core.wire.encoding import decode
from services.core.wire.passages import Passage
from services.core.wire.reranking import (
    Rank,
    RerankedPassage,
    RerankingReply,
    RerankingRequest,
    SentencesReply,
    SentencesRequest,
)


class Prediction(Wire):
    """A class and its probability; a pair's are those of all classes, the greatest first."""

    score: float
    label: str


BATCH = 32
"""Pairs in one request: what such a server takes without another `--max-client-batch-size`."""

_PREDICTIONS = TypeAdapter(list[Annotated[list[Prediction], Field(min_length=1)]])
_RERANKING = TypeAdapter(RerankingReply)
_RANKS = TypeAdapter(list[Rank])
_SENTENCES = TypeAdapter(SentencesReply)


class _Info(Wire):
    model_id: str


_INFO = TypeAdapter(_Info)


class RerankingClient:
    def __init__(self, http: HttpClient, *, stored_name: Callable[[str], str] = str) -> None:
        """Make a client; `stored_name` says what the service calls a collection that is named here."""
        self._http = http
        self._stored = stored_name
        self._model = ""

    async def model(self) -> str:
        """Return the id of the reranker's model, by TEI's `/info`; asked for once."""
        if not self._model:
            self._model = decode(_INFO, await self._http.get("/info"), self._http.service).model_id
        return self._model

    async def rerank(
        self, query: str, passages: Sequence[Passage], *, top_n: int, collection: str
    ) -> list[RerankedPassage]:
        """Return the `top_n` best as positions in `passages`, best first.

        Against a server that speaks only TEI, falls back to `/rerank`.
        """
        request = RerankingRequest.model_construct(  # not validated: they are valid passages already
            initial_query=query,
            retrieved_docs=list(passages),
            top_n=top_n,
            collection=self._stored(collection),
            positions_only=True,
        )
        payload = request.model_dump_json(exclude_defaults=True).encode()
        try:
            body = await self._http.post("/v1/reranking", payload, idempotent=True)
        except NotFound:
            return await self._rerank_by_tei(query, passages, top_n=top_n)
        return decode(_RERANKING, body, self._http.service).results

    async def sentence_cosines(
        self,
        query: str,
        passages: Sequence[Passage],
        spans: Sequence[Sequence[tuple[int, int]]],
        *,
        collection: str,
    ) -> list[list[float | None]] | None:
        """Ask how near the sentences at `spans` of each passage's text are to a query, by token vectors.

        Returns:
            Cosines by passage and span, None where the vectors do not reach; None for a server or a backend
            that has no token vectors.
        """
        request = SentencesRequest.model_construct(  # not validated: they are valid passages already
            query=query,
            passages=list(passages),
            spans=[list(units) for units in spans],
            collection=self._stored(collection),
        )
        payload = request.model_dump_json(exclude_defaults=True).encode()
        try:
            body = await self._http.post("/v1/sentences", payload, idempotent=True)
        except (NotFound, NotSupported):
            return None
        cosines = decode(_SENTENCES, body, self._http.service).cosines
        if [len(row) for row in cosines] != [len(row) for row in spans]:
            raise ServiceError("reranking scored other sentences", service=self._http.service)
        return cosines

    async def rank_texts(self, query: str, texts: Sequence[str]) -> list[Rank]:
        """Return all texts by relevance, best first, with scores in (0, 1), by TEI's `/rerank`.

        Over-long texts are truncated.
        """
        request = {"query": query, "texts": list(texts), "truncate": True}
        body = await self._http.post("/rerank", orjson.dumps(request), idempotent=True)
        ranks = decode(_RANKS, body, self._http.service)
        if {rank.index for rank in ranks} != set(range(len(texts))):
            raise ServiceError("reranking did not rank every text", service=self._http.service)
        return ranks

    async def ready(self) -> None:
        await self._http.ready()

    async def _rerank_by_tei(
        self, query: str, passages: Sequence[Passage], *, top_n: int
    ) -> list[RerankedPassage]:
        best = (await self.rank_texts(query, [passage.embedded_text for passage in passages]))[:top_n]
        return [RerankedPassage(index=rank.index, score=rank.score) for rank in best]


class DetectionClient:
    def __init__(self, http: HttpClient, *, batch: int = BATCH) -> None:
        self._http = http
        self._batch = batch

    async def predict(self, pairs: Sequence[tuple[str, ...]]) -> list[list[Prediction]]:
        """Classify pairs of premise and hypothesis, or single texts; what is over-long is truncated.

        Returns the classes of each pair with their probabilities. Raises what the server's status stands
        for, and `ServiceError` where its reply is not one per pair.
        """
        predictions: list[list[Prediction]] = []
        for start in range(0, len(pairs), self._batch):
            batch = pairs[start : start + self._batch]
            request = {"inputs": [list(pair) for pair in batch], "raw_scores": False, "truncate": True}
            body = await self._http.post("/predict", orjson.dumps(request), idempotent=True)
            reply = decode(_PREDICTIONS, body, self._http.service)
            if len(reply) != len(batch):
                raise ServiceError(
                    f"{self._http.service} classified {len(reply)} of {len(batch)} pairs",
                    service=self._http.service,
                )
            predictions += reply
        return predictions
