"""A request's way through the service: its limits, its deadline, and what is counted of it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import TypeVar, cast

from fastapi import Request
from prometheus_client import Counter, Gauge

from services.core.context import within_deadline
from services.core.errors import InvalidRequest, NotSupported, PayloadTooLarge
from services.core.metrics import Metrics
from services.core.replies import until_disconnected
from services.core.wire.embedding import EmbeddingInfo, Inputs
from services.embedding.backend import EmbeddingBackend, HasDecoder, HasQueue, QueueLoad
from services.embedding.encoder import EmbeddedTexts, EmbedOptions, Encoder
from services.embedding.settings import Settings

SERVICE = "embedding"

T = TypeVar("T")


class EmbeddingMetrics:
    """Counts in the registry of `metrics`; `watch` connects the gauges once there is something to watch."""

    def __init__(self, metrics: Metrics) -> None:
        self._service = metrics.service

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"ragline_embedding_{name}", text, ["service"], registry=metrics.registry)

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"ragline_embedding_{name}", text, ["service", *labels], registry=metrics.registry)

        self._waiting_texts = gauge("queue_texts", "Texts that wait for a pass")
        self._waiting_tokens = gauge("queue_tokens", "Tokens that wait for a pass, padding included")
        self._passes = counter("passes", "Passes of the engine")
        self._texts = counter("pass_texts", "Texts in passes of the engine")
        self._tokens = counter("pass_tokens", "Tokens in passes of the engine, padding included")
        self._lookups = counter("cache_lookups", "Texts looked up, by cache and result", "cache", "result")
        self._cache_bytes = gauge("cache_bytes", "Memory that the cache takes")
        self._seen = QueueLoad()

    def watch(self, backend: object, cache_bytes: Callable[[], float]) -> None:
        """Show the queue of a backend that has one, and the size of the cache, whenever they are read."""
        self._cache_bytes.labels(self._service).set_function(cache_bytes)
        if isinstance(backend, HasQueue):
            self._waiting_texts.labels(self._service).set_function(lambda: backend.load().waiting_texts)
            self._waiting_tokens.labels(self._service).set_function(lambda: backend.load().waiting_tokens)

    def count_lookups(self, cache: str, result: str, count: int) -> None:
        """Count texts that were looked up; see `cache.CountLookups`."""
        self._lookups.labels(self._service, cache, result).inc(count)

    def count_passes(self, backend: object) -> None:
        """Count the passes since the last call."""
        if isinstance(backend, HasQueue):
            now, before = backend.load(), self._seen
            self._seen = now
            self._passes.labels(self._service).inc(now.passes - before.passes)
            self._texts.labels(self._service).inc(now.texts - before.texts)
            self._tokens.labels(self._service).inc(now.tokens - before.tokens)


class Call:
    """One request: limits first, then its work within its deadline, while its client listens."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.settings: Settings = request.app.state.settings
        self.encoder: Encoder = request.app.state.encoder
        self.backend: EmbeddingBackend = request.app.state.backend
        self._metrics: Metrics = request.app.state.metrics
        self._embedding_metrics: EmbeddingMetrics = request.app.state.embedding_metrics

    async def info(self) -> EmbeddingInfo:
        """Describe the model, with the service's own limits."""
        info = await self.encoder.info()
        limits = {"max_client_batch_size": self.settings.max_batch, "version": self._request.app.version}
        return info.model_copy(update=limits)

    async def encode(
        self, inputs: Inputs, options: EmbedOptions, *, dimensions: int | None = None
    ) -> tuple[EmbeddedTexts, str]:
        """Embed texts, or the texts that token ids stand for.

        Returns:
            The vectors, and the model's id.

        Raises:
            InvalidRequest: As TEI does; also for `dimensions` other than the model's.
            PayloadTooLarge: As TEI does.
            NotSupported: Token ids are sent, and the backend cannot decode them.
        """
        texts = await self.read_texts(inputs)
        info = await self.encoder.info()
        if dimensions not in {None, info.dim}:
            raise InvalidRequest(f"`dimensions`: {info.model_id} gives {info.dim}, leave it out")
        if options.token_vectors and not info.token_vectors:
            options = replace(options, token_vectors=False)
        return await self.run(self.encoder.encode(texts, options), info), info.model_id

    async def run(self, work: Coroutine[object, object, T], info: EmbeddingInfo) -> T:
        """Run the model's work within the deadline, measured, while the client listens."""
        async with within_deadline("embedding", service=SERVICE):
            with self._metrics.stage("embed", info.model_id):
                try:
                    return await until_disconnected(self._request, work)
                finally:
                    self._embedding_metrics.count_passes(self.backend)

    async def read_texts(self, inputs: Inputs) -> Sequence[str]:
        """Return the texts of a request, decoded where it has token ids. Raises as `encode` does."""
        ids = list_ids(inputs)
        if not ids:
            return self.check_texts(cast(str | list[str], inputs))
        return self.check_texts(await self.decode(ids, skip_special_tokens=True))

    async def decode(self, ids: Sequence[Sequence[int]], *, skip_special_tokens: bool) -> list[str]:
        """Turn token ids into texts. Raises as `encode` does."""
        self._check_count(len(ids))
        if not isinstance(self.backend, HasDecoder):
            raise NotSupported(
                f"the backend {self.settings.backend!r} cannot turn token ids into text: send texts"
            )
        work = self.backend.decode(ids, skip_special_tokens=skip_special_tokens)
        async with within_deadline("tokenization", service=SERVICE):
            return await until_disconnected(self._request, work)

    def check_texts(self, texts: str | Sequence[str]) -> Sequence[str]:
        """Return the texts as a sequence. Raises `InvalidRequest` and `PayloadTooLarge` as TEI does."""
        texts = [texts] if isinstance(texts, str) else texts
        if not texts:
            raise InvalidRequest("`inputs` cannot be empty: send at least one text")
        self._check_count(len(texts))
        for position, text in enumerate(texts):
            if not text:
                raise InvalidRequest(f"`inputs` cannot be empty: text {position} is")
        return texts

    def _check_count(self, count: int) -> None:
        if count > self.settings.max_batch:
            raise PayloadTooLarge(
                f"batch size {count} > maximum allowed batch size {self.settings.max_batch}: "
                "send fewer texts per request"
            )


def list_ids(inputs: Inputs) -> list[list[int]]:
    """Return the token ids of each text; empty where the inputs are texts."""
    if isinstance(inputs, str) or not inputs or isinstance(inputs[0], str):
        return []
    return inputs if isinstance(inputs[0], list) else [inputs]
