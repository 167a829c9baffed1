"""Embedded texts by content hash: in memory, and in a Redis that several services may share.

Redis is a help, never a dependency: while it is down or slow, the service computes, counts what it could
not look up, and tries again after a while.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray
from redis.exceptions import RedisError

from services.core.addresses import RedisAddress
from services.core.errors import ServiceUnavailable
from services.core.lru import ByteLru
from services.core.redis import connect, translate

KEY_PREFIX = b"ragline:embedding:"
ANSWER_SECONDS = 0.5
"""A cache that is slower than this is of no use."""

PAUSE_SECONDS = 5.0
"""How long a Redis that failed is left alone."""

WRITES = 8
"""Replies that are written at a time; while so many are, further ones are not kept."""

OBJECT_BYTES = 500
"""What a cached text costs besides its arrays' contents: three objects and the key."""

CountLookups = Callable[[str, str, int], None]
"""Counts lookups: takes the cache (memory, redis), the result (hit, miss, error) and the number of texts."""

FAILURES = (RedisError, OSError)

_HEADER = struct.Struct("<4sIIi")
_FORMAT = b"rle1"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class CachedText:
    """What is kept of one embedded text, in memory and as bytes.

    `vector`: float32, as the model gives it, not normalised. `tokens`: how many the text has, special ones
    included. `token_vectors`: int8 (its own tokens, dim); None where they were not asked for.
    """

    vector: NDArray[np.float32]
    tokens: int
    token_vectors: NDArray[np.int8] | None = None

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        packed = 0 if self.token_vectors is None else self.token_vectors.nbytes
        return OBJECT_BYTES + self.vector.nbytes + packed

    def serves(self, token_vectors: bool) -> bool:
        """Say whether it has what is asked for."""
        return self.token_vectors is not None or not token_vectors

    def to_bytes(self) -> bytes:
        rows = -1 if self.token_vectors is None else len(self.token_vectors)
        header = _HEADER.pack(_FORMAT, len(self.vector), self.tokens, rows)
        packed = b"" if self.token_vectors is None else self.token_vectors.tobytes()
        return header + self.vector.astype("<f4").tobytes() + packed

    @classmethod
    def from_bytes(cls, raw: bytes) -> CachedText | None:
        """Read it; None for bytes that are not a cached text, or not a whole one."""
        if len(raw) < _HEADER.size:
            return None
        name, dim, tokens, rows = _HEADER.unpack_from(raw)
        start = _HEADER.size + 4 * dim
        if name != _FORMAT or len(raw) != start + max(rows, 0) * dim:
            return None
        vector: NDArray[np.float32] = np.frombuffer(raw, "<f4", dim, _HEADER.size)
        if rows < 0:
            return cls(vector, tokens)
        return cls(vector, tokens, np.frombuffer(raw, np.int8, rows * dim, start).reshape(rows, dim))


class SharedCache:
    """Texts in Redis, each for `seconds` from when it was written."""

    def __init__(self, url: str, seconds: int) -> None:
        """Make a client of the Redis; it is first called at first use.

        Raises:
            InvalidRequest: `url` is not a Redis address.
        """
        self._address = RedisAddress.parse(
            "EMBEDDING_CACHE_URL", "the shared embedding cache", url, login=True
        )
        # without a second try: computing is faster
        self._redis = connect(self._address, connect_seconds=ANSWER_SECONDS, retries=0)
        self._seconds = seconds
        self._down_until = 0.0
        self._is_down = False
        self._writing: set[asyncio.Task[None]] = set()

    async def get(self, keys: Sequence[bytes]) -> list[CachedText | None] | None:
        """Look texts up; None where Redis cannot be asked now."""
        if time.monotonic() < self._down_until:
            return None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self._redis.mget([KEY_PREFIX + key for key in keys])
        except FAILURES as error:
            self._note_failure(error)
            return None
        self._note_answer()
        return [CachedText.from_bytes(raw) if isinstance(raw, bytes) else None for raw in found]

    def put(self, texts: Mapping[bytes, CachedText]) -> None:
        """Write these without waiting for it."""
        if time.monotonic() < self._down_until or len(self._writing) >= WRITES:
            return
        task = asyncio.ensure_future(self._write(texts))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def ready(self) -> None:
        """Return when it answers; raises `ServiceUnavailable` that says why it does not."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._redis.ping()
        except FAILURES as error:
            raise ServiceUnavailable(self._explain(error)) from error

    async def close(self) -> None:
        await asyncio.gather(*self._writing, return_exceptions=True)
        await self._redis.aclose()

    async def _write(self, texts: Mapping[bytes, CachedText]) -> None:
        try:
            async with (
                asyncio.timeout(ANSWER_SECONDS * 4),
                self._redis.pipeline(transaction=False) as pipeline,
            ):
                for key, text in texts.items():
                    pipeline.set(KEY_PREFIX + key, text.to_bytes(), ex=self._seconds)
                await pipeline.execute()
        except FAILURES as error:
            self._note_failure(error)

    def _explain(self, error: Exception) -> str:
        if str(error):
            return translate(error, self._address, "answer").message
        return f"{self._address.where} does not answer: {type(error).__name__}"

    def _note_failure(self, error: Exception) -> None:
        """Leave Redis alone for a while; log the first failure of a row."""
        self._down_until = time.monotonic() + PAUSE_SECONDS
        if not self._is_down:
            reason = self._explain(error)
            log.warning("the embedding cache in Redis does not answer: working without it", reason=reason)
        self._is_down = True

    def _note_answer(self) -> None:
        if self._is_down:
            log.info("the embedding cache in Redis answers again")
        self._is_down = False


class EmbeddingCache:
    """Looks in memory first, then in Redis where there is one."""

    def __init__(self, memory_bytes: int, shared: SharedCache | None, count: CountLookups) -> None:
        self._memory: ByteLru[bytes, CachedText] = ByteLru(memory_bytes, lambda text: text.nbytes)
        self._shared = shared
        self._count = count

    @property
    def memory_bytes(self) -> int:
        """Bytes that are held in memory."""
        return self._memory.bytes

    async def get(self, keys: Sequence[bytes], *, token_vectors: bool) -> dict[bytes, CachedText]:
        """Look texts up; with `token_vectors`, only those whose token vectors are known too."""
        wanted = list(dict.fromkeys(keys))
        found: dict[bytes, CachedText] = {}
        for key in wanted:
            text = self._memory.get(key)
            if text is not None and text.serves(token_vectors):
                found[key] = text
        missing = [key for key in wanted if key not in found]
        self._count_results("memory", len(found), len(missing))
        if missing and self._shared is not None:
            found.update(await self._get_shared(self._shared, missing, token_vectors=token_vectors))
        return found

    def put(self, texts: Mapping[bytes, CachedText]) -> None:
        """Keep these in both caches, without waiting for Redis."""
        for key, text in texts.items():
            self._memory.put(key, text)
        if self._shared is not None and texts:
            self._shared.put(texts)

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()

    async def _get_shared(
        self, shared: SharedCache, keys: Sequence[bytes], *, token_vectors: bool
    ) -> dict[bytes, CachedText]:
        """Look texts up in Redis, and keep what it has in memory."""
        texts = await shared.get(keys)
        if texts is None:
            self._count("redis", "error", len(keys))
            return {}
        found = {
            key: text
            for key, text in zip(keys, texts, strict=True)
            if text is not None and text.serves(token_vectors)
        }
        for key, text in found.items():
            self._memory.put(key, text)
        self._count_results("redis", len(found), len(keys) - len(found))
        return found

    def _count_results(self, cache: str, hits: int, misses: int) -> None:
        for result, count in (("hit", hits), ("miss", misses)):
            if count:
                self._count(cache, result, count)
