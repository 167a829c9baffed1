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
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from services.core.errors import ServiceUnavailable
from services.core.lru import ByteLru

KEY_PREFIX = b"ragline:embedding:"
ANSWER_SECONDS = 0.5
"""A cache that is slower than this is of no use."""

PAUSE_SECONDS = 5.0
"""How long a Redis that failed is left alone."""

WRITES = 8
"""Replies that are written at a time; while so many are, further ones are not kept."""

Counted = Callable[[str, str, int], None]
"""Told the cache (memory, redis), the result (hit, miss, error) and for how many texts."""

OBJECT_BYTES = 500
"""What an entry costs besides its arrays' contents: three objects and the key."""

_HEADER = struct.Struct("<4sIIi")
_FORMAT = b"rle1"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """`vector`: float32, as the model gives it, not normalised. `tokens`: how many the text has, special ones
    included. `token_vectors`: int8 (its own tokens, dim); None where they were not asked for."""

    vector: NDArray[np.float32]
    tokens: int
    token_vectors: NDArray[np.int8] | None = None

    @property
    def nbytes(self) -> int:
        packed = 0 if self.token_vectors is None else self.token_vectors.nbytes
        return OBJECT_BYTES + self.vector.nbytes + packed

    def to_bytes(self) -> bytes:
        rows = -1 if self.token_vectors is None else len(self.token_vectors)
        header = _HEADER.pack(_FORMAT, len(self.vector), self.tokens, rows)
        packed = b"" if self.token_vectors is None else self.token_vectors.tobytes()
        return header + self.vector.astype("<f4").tobytes() + packed

    @classmethod
    def from_bytes(cls, raw: bytes) -> Entry | None:
        """None for bytes that are not an entry, or not a whole one."""
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
    """Entries in Redis, each for `seconds` from when it was written."""

    def __init__(self, url: str, seconds: int) -> None:
        self._redis = Redis.from_url(
            url,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),  # the client's own default tries ten times
        )
        self._seconds = seconds
        self._down_until = 0.0
        self._is_down = False
        self._writing: set[asyncio.Task[None]] = set()

    async def get(self, keys: Sequence[bytes]) -> list[Entry | None] | None:
        """None where it cannot be asked now."""
        if time.monotonic() < self._down_until:
            return None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self._redis.mget([KEY_PREFIX + key for key in keys])
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            return None
        self._answered()
        return [Entry.from_bytes(raw) if isinstance(raw, bytes) else None for raw in found]

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Write these without waiting for it."""
        if time.monotonic() < self._down_until or len(self._writing) >= WRITES:
            return
        task = asyncio.ensure_future(self._write(entries))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def ready(self) -> None:
        """Raises `ServiceUnavailable` where it does not answer."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise ServiceUnavailable(f"the Redis at EMBEDDING_CACHE_URL does not answer: {reason}") from error

    async def close(self) -> None:
        await asyncio.gather(*self._writing, return_exceptions=True)
        await self._redis.aclose()

    async def _write(self, entries: Mapping[bytes, Entry]) -> None:
        try:
            async with (
                asyncio.timeout(ANSWER_SECONDS * 4),
                self._redis.pipeline(transaction=False) as pipeline,
            ):
                for key, entry in entries.items():
                    pipeline.set(KEY_PREFIX + key, entry.to_bytes(), ex=self._seconds)
                await pipeline.execute()
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self._down_until = time.monotonic() + PAUSE_SECONDS
        if not self._is_down:
            reason = str(error) or type(error).__name__
            log.warning("the embedding cache in Redis does not answer: working without it", reason=reason)
        self._is_down = True

    def _answered(self) -> None:
        if self._is_down:
            log.info("the embedding cache in Redis answers again")
        self._is_down = False


class EmbeddingCache:
    """Memory first, then Redis where there is one."""

    def __init__(self, memory_bytes: int, shared: SharedCache | None, counted: Counted) -> None:
        self._memory: ByteLru[bytes, Entry] = ByteLru(memory_bytes, lambda entry: entry.nbytes)
        self._shared = shared
        self._counted = counted

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return self._memory.bytes

    async def get(self, keys: Sequence[bytes], *, token_vectors: bool) -> dict[bytes, Entry]:
        """What is known; with `token_vectors`, only what these are known of too."""
        wanted = list(dict.fromkeys(keys))
        found: dict[bytes, Entry] = {}
        for key in wanted:
            entry = self._memory.get(key)
            if entry is not None and _serves(entry, token_vectors):
                found[key] = entry
        missing = [key for key in wanted if key not in found]
        self._count("memory", len(found), len(missing))
        if missing and self._shared is not None:
            found.update(await self._from_shared(self._shared, missing, token_vectors=token_vectors))
        return found

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        for key, entry in entries.items():
            self._memory.put(key, entry)
        if self._shared is not None and entries:
            self._shared.put(entries)

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()

    async def _from_shared(
        self, shared: SharedCache, keys: Sequence[bytes], *, token_vectors: bool
    ) -> dict[bytes, Entry]:
        entries = await shared.get(keys)
        if entries is None:
            self._counted("redis", "error", len(keys))
            return {}
        found = {
            key: entry
            for key, entry in zip(keys, entries, strict=True)
            if entry is not None and _serves(entry, token_vectors)
        }
        for key, entry in found.items():
            self._memory.put(key, entry)
        self._count("redis", len(found), len(keys) - len(found))
        return found

    def _count(self, cache: str, hits: int, misses: int) -> None:
        for result, count in (("hit", hits), ("miss", misses)):
            if count:
                self._counted(cache, result, count)


def _serves(entry: Entry, token_vectors: bool) -> bool:
    return entry.token_vectors is not None or not token_vectors
