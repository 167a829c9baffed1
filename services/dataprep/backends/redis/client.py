"""The few Redis commands of the job store, typed, under one prefix, with errors of ours."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import structlog
from redis.exceptions import NoScriptError, RedisError, ResponseError

from services.core.addresses import RedisAddress
from services.core.errors import RaglineError
from services.core.redis import connect, translate
from services.dataprep.jobs.store import StoreUnavailable

PREFIX = "{ragline-jobs}:"
GROUP = "workers"
ANSWER_SECONDS = 10.0
AGAIN_SECONDS = 0.5

log = structlog.get_logger(__name__)


class RedisClient:
    """Raises `StoreUnavailable` where the server does not answer, or not as it should."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._redis = connect(address)

    async def start(self) -> None:
        """Make what must be there; says in the log where the server is not set up to keep it."""
        async with self._errors():
            try:
                await self._do("XGROUP", "CREATE", f"{PREFIX}queue", GROUP, "0", "MKSTREAM")
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
        await self._check("appendonly", "yes", "accepted files do not survive a restart of it")
        await self._check(
            "appendfsync", "always", "files accepted in its last seconds may not survive a crash of it"
        )
        await self._check("maxmemory-policy", "noeviction", "it may throw accepted files away")

    async def _check(self, parameter: str, wanted: str, otherwise: str) -> None:
        try:
            found = await self._do("CONFIG", "GET", parameter)
        except RedisError:  # a hosted server may not tell
            return
        value = str(found.get(parameter, wanted)) if isinstance(found, dict) else wanted
        if value != wanted:
            log.warning("Redis is not set up to keep jobs", parameter=parameter, value=value, so=otherwise)

    async def run(self, script: str, *arguments: str) -> object:
        """A script of `scripts`; its reply as Redis gives it."""
        digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        async with self._errors():
            try:
                return await self._do("EVALSHA", digest, "1", f"{PREFIX}queue", PREFIX, *arguments)
            except NoScriptError:
                return await self._do("EVAL", script, "1", f"{PREFIX}queue", PREFIX, *arguments)

    async def put(self, name: str, data: bytes, seconds: int) -> None:
        async with self._errors():
            await self._do("SET", PREFIX + name, data, "EX", str(seconds))

    async def get(self, name: str) -> bytes:
        async with self._errors():
            data = await self._do("GET", PREFIX + name)
        if not isinstance(data, bytes):
            raise RaglineError(f"{self._address.where} has lost the file: send it again")
        return data

    async def hlen(self, name: str) -> int:
        async with self._errors():
            return cast(int, await self._do("HLEN", PREFIX + name))

    async def hget(self, name: str, field: str) -> str | None:
        async with self._errors():
            value = cast(bytes | None, await self._do("HGET", PREFIX + name, field))
        return None if value is None else value.decode()

    async def hgetall(self, name: str) -> dict[str, str]:
        async with self._errors():
            found = cast(dict[bytes, bytes], await self._do("HGETALL", PREFIX + name))
        return {key.decode(): value.decode() for key, value in found.items()}

    async def newest(self, name: str, start: int, count: int) -> list[str]:
        """Members of a sorted set, the highest first."""
        async with self._errors():
            found = await self._do("ZREVRANGE", PREFIX + name, str(start), str(start + count - 1))
        return [each.decode() for each in cast(list[bytes], found)]

    async def ping(self) -> None:
        async with self._errors():
            await self._do("PING")

    async def listen(self, channel: str, told: Callable[[str], None]) -> None:
        """Tell what is published; begins again where the connection ends. Runs until it is cancelled."""
        while True:
            try:
                async with self._redis.pubsub() as subscription:
                    await subscription.subscribe(PREFIX + channel)
                    async for message in subscription.listen():
                        if message["type"] == "message":
                            told(message["data"].decode())
            except (RedisError, OSError):
                await asyncio.sleep(AGAIN_SECONDS)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _do(self, *command: str | bytes) -> object:
        reply: object = await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        return reply

    @asynccontextmanager
    async def _errors(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
        except (RedisError, OSError) as error:
            raise StoreUnavailable(translate(error, self._address, "keep jobs").message) from error
