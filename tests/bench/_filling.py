"""Passages written straight to the store, so that it is large before ingestion is measured on it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Mapping

import aiohttp
import numpy as np
import orjson
from _corpus import passage_texts

from services.core.wire import encoding

BATCH, CALLERS, POOL = 64, 2, 512
JSON = {"content-type": "application/json"}


class Filling:
    """Real passages' vectors with noise of a fifth of their length, so that no two are alike; real texts and
    token vectors, which repeat."""

    def __init__(self, session: aiohttp.ClientSession, embedding: str, retrieval: str) -> None:
        self._session, self._embedding, self._retrieval = session, embedding, retrieval
        self._random = np.random.default_rng(5)
        self._texts: list[str] = []
        self._vectors = np.empty((0, 0), np.float32)
        self._tokens: list[object] = []
        self._model = ""
        self._written = 0

    async def fill(self, count: int) -> None:
        """`count` passages more, eight to a document."""
        if not self._texts:
            await self._encode()
        batches = self._batches(count)

        async def caller() -> None:
            for batch in batches:
                await self._post(
                    f"{self._retrieval}/v1/passages",
                    encoding.pack({"model": self._model, "passages": batch}),
                    encoding.SEND_PACKED,
                )
                print(f"\rfilled up with {self._written}", end="", flush=True)

        await asyncio.gather(*(caller() for _ in range(CALLERS)))

    def _batches(self, count: int) -> Iterator[list[object]]:
        end = self._written + count
        while self._written < end:
            size = min(BATCH, end - self._written)
            start, self._written = self._written, self._written + size
            chosen = self._random.integers(0, POOL, size)
            noise = self._random.normal(size=(size, self._vectors.shape[1]))
            noise *= 0.2 / np.linalg.norm(noise, axis=1, keepdims=True)
            vectors = self._vectors[chosen] + noise
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            yield [
                self._passage(start + row, int(which), vectors[row].tolist())
                for row, which in enumerate(chosen)
            ]

    def _passage(self, number: int, which: int, vector: list[float]) -> dict[str, object]:
        text = self._texts[which]
        return {
            "passage": {
                "id": str(uuid.UUID(int=number)),
                "document_id": f"filled-{number // 8}",
                "title": f"filled/{number // 8}.txt",
                "text": text,
                "end": len(text),
                "index": number % 8,
                "revision": "filled",
            },
            "vector": vector,
            "token_vectors": self._tokens[which],
        }

    async def _encode(self) -> None:
        texts = passage_texts(POOL)
        vectors: list[list[float]] = []
        for start in range(0, POOL, BATCH):
            part = texts[start : start + BATCH]
            request = {"inputs": part, "token_vectors": True, "prompt_name": "passage"}
            body = await self._post(f"{self._embedding}/v1/encode", orjson.dumps(request), JSON)
            reply = encoding.unpack(body)
            self._model = reply["model"]
            vectors += reply["embeddings"]
            self._tokens += reply["token_vectors"]
        self._texts, self._vectors = texts, np.array(vectors)

    async def _post(self, url: str, body: bytes, sent: Mapping[str, str]) -> bytes:
        async with self._session.post(url, data=body, headers={**sent, **encoding.ACCEPT_PACKED}) as reply:
            received = await reply.read()
            if reply.status != 200:
                raise SystemExit(f"{url} answered {reply.status}: {received[:500]!r}")
            return received
