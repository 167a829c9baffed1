"""A text-embeddings-inference server with a cross-encoder (any that speaks its `/rerank`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import orjson
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from services.core.client import HttpClient
from services.core.errors import ServiceError
from services.core.health import Check
from services.core.settings import Settings as BaseSettings
from services.core.text import normalise
from services.core.wire.passages import Passage
from services.core.wire.reranking import Rank

PARALLEL = 4
"""Requests in flight: TEI batches across requests, so a few keep it busy."""

_RANKS = TypeAdapter(list[Rank])


class Settings(BaseSettings):
    """The TEI server."""

    endpoint: str = Field(
        "http://127.0.0.1:8091",
        validation_alias="TEI_RERANKING_ENDPOINT",
        description="tei: base URL of the text-embeddings-inference server that reranks",
    )
    api_key: str = Field(
        "", validation_alias="RERANKING_API_KEY", description="tei: bearer token for the server", repr=False
    )


class _Info(BaseModel, protected_namespaces=()):
    """The fields of TEI's `/info` that are used here."""

    model_id: str
    max_client_batch_size: int = Field(32, ge=1)


class TeiReranker:
    """Passes passages on with their heading paths, in as many requests as the server's limit asks for.

    Scores are the cross-encoder's raw logits, so those of several requests can be compared.
    """

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._info: _Info | None = None
        self._slots = asyncio.Semaphore(PARALLEL)

    @property
    def model(self) -> str:
        """The server's model id once it has been asked, until then `tei`."""
        return self._info.model_id if self._info else "tei"

    def dependencies(self) -> Mapping[str, Check]:
        return {"tei": self.ready}

    async def score(
        self, query: str, passages: Sequence[Passage], *, collection: str | None, truncate: bool = True
    ) -> list[float]:
        size = (await self._limits()).max_client_batch_size
        texts = [normalise(passage.embedded_text) for passage in passages]
        query = normalise(query)
        parts = await asyncio.gather(
            *(
                self._score(query, texts[start : start + size], truncate=truncate)
                for start in range(0, len(texts), size)
            )
        )
        return [score for part in parts for score in part]

    async def ready(self) -> None:
        await self._http.get("/health")

    async def close(self) -> None:
        await self._http.aclose()

    async def _limits(self) -> _Info:
        if self._info is None:
            try:
                self._info = _Info.model_validate_json(await self._http.get("/info"))
            except ValidationError as error:
                raise self._make_error("its /info is not that of a TEI") from error
        return self._info

    async def _score(self, query: str, texts: list[str], *, truncate: bool) -> list[float]:
        request = {"query": query, "texts": texts, "raw_scores": True, "truncate": truncate}
        async with self._slots:
            body = await self._http.post("/rerank", orjson.dumps(request), idempotent=True)
        try:
            ranks = _RANKS.validate_json(body)
        except ValidationError as error:
            raise self._make_error("its reply is not a list of ranks") from error
        by_index = {rank.index: rank.score for rank in ranks}
        if sorted(by_index) != list(range(len(texts))):
            raise self._make_error(f"it ranked {len(by_index)} of {len(texts)} texts")
        return [by_index[index] for index in range(len(texts))]

    def _make_error(self, why: str) -> ServiceError:
        return ServiceError(
            f"the server at TEI_RERANKING_ENDPOINT does not rerank as TEI does: {why}",
            service=self._http.service,
        )


async def create() -> TeiReranker:
    settings = Settings.load()
    headers = {"authorization": f"Bearer {settings.api_key}"} if settings.api_key else None
    return TeiReranker(HttpClient("tei reranking", settings.endpoint, headers=headers))
