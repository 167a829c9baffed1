"""The few Redis commands of the job store, typed, under one prefix, with errors of ours.

A change is one Lua script of the folder `lua`: it happens as a whole, and in one round trip. Every key begins
with a hash tag, so that a cluster keeps them together. A file's name is `f`: the job's id, a colon and the
file's number.

job:<id>        hash: made, head (the order), open (how many files are), finished
files:<id>      hash: number > JobFile, as JSON
sources:<id>    hash: number > SHA-256 of the bytes
bytes:<f>       the bytes, until the file has finished
open            hash: f > its document, <collection>/<document id>
chain:<doc>     list: the open files of a document, in the order in which they came
queue           stream: of each chain the first, read by the consumer group `workers`
held            hash: f > token of the worker that has it, and its entry in `queue`
attempts        hash: f > how often it was taken
doomed          hash: f > 1 where it was cancelled
jobs, finished  sorted sets: job > when it was made, when it finished
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib.resources import files
from typing import cast

import structlog
from redis.exceptions import NoScriptError, RedisError, ResponseError

from services.core.addresses import RedisAddress
from services.core.errors import RaglineError
from services.core.redis import connect, translate
from services.core.retry import RetryPolicy
from services.dataprep.jobs.store import StoreUnavailable

PREFIX = "{ragline-jobs}:"
GROUP = "workers"
SCRIPTS = files(__package__) / "lua"
ANSWER_SECONDS = 10.0
AGAIN_SECONDS = 0.5

log = structlog.get_logger(__name__)


def _is_redis_failure(error: Exception) -> bool:
    return isinstance(error, RedisError | OSError)


_SUBSCRIBING = RetryPolicy(first=AGAIN_SECONDS, longest=AGAIN_SECONDS, retries=_is_redis_failure)


@cache
def _read_script(name: str) -> tuple[str, str]:
    """Read the script of this name, with what all scripts have, and its SHA-1."""
    script = "".join(SCRIPTS.joinpath(f"{part}.lua").read_text("utf-8") for part in ("common", name))
    return script, hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


class RedisClient:
    """The connection; `StoreUnavailable` is raised where the server does not answer, or not as it should."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._redis = connect(address)

    async def start(self) -> None:
        """Make what must be there; warn in the log where the server is not set up to keep it."""
        async with self._translate_errors():
            try:
                await self._do("XGROUP", "CREATE", f"{PREFIX}queue", GROUP, "0", "MKSTREAM")
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise
        await self._check_setting("appendonly", "yes", "accepted files do not survive a restart of it")
        await self._check_setting(
            "appendfsync", "always", "files accepted in its last seconds may not survive a crash of it"
        )
        await self._check_setting("maxmemory-policy", "noeviction", "it may throw accepted files away")

    async def _check_setting(self, parameter: str, wanted: str, otherwise: str) -> None:
        try:
            settings = await self._do("CONFIG", "GET", parameter)
        except RedisError:  # a hosted server may not tell
            return
        value = str(settings.get(parameter, wanted)) if isinstance(settings, dict) else wanted
        if value != wanted:
            log.warning("Redis is not set up to keep jobs", parameter=parameter, value=value, so=otherwise)

    async def run(self, name: str, *arguments: str) -> object:
        """Run the script `<name>.lua`; its reply is as Redis gives it."""
        script, digest = _read_script(name)
        async with self._translate_errors():
            try:
                return await self._do("EVALSHA", digest, "1", f"{PREFIX}queue", PREFIX, *arguments)
            except NoScriptError:
                return await self._do("EVAL", script, "1", f"{PREFIX}queue", PREFIX, *arguments)

    async def put(self, name: str, data: bytes, seconds: int) -> None:
        async with self._translate_errors():
            await self._do("SET", PREFIX + name, data, "EX", str(seconds))

    async def get(self, name: str) -> bytes:
        async with self._translate_errors():
            data = await self._do("GET", PREFIX + name)
        if not isinstance(data, bytes):
            raise RaglineError(f"{self._address.where} has lost the file: send it again")
        return data

    async def hlen(self, name: str) -> int:
        async with self._translate_errors():
            return cast(int, await self._do("HLEN", PREFIX + name))

    async def hget(self, name: str, field: str) -> str | None:
        async with self._translate_errors():
            value = cast(bytes | None, await self._do("HGET", PREFIX + name, field))
        return None if value is None else value.decode()

    async def hgetall(self, name: str) -> dict[str, str]:
        async with self._translate_errors():
            fields = cast(dict[bytes, bytes], await self._do("HGETALL", PREFIX + name))
        return {key.decode(): value.decode() for key, value in fields.items()}

    async def newest(self, name: str, start: int, count: int) -> list[str]:
        """List members of a sorted set, the highest first."""
        async with self._translate_errors():
            members = await self._do("ZREVRANGE", PREFIX + name, str(start), str(start + count - 1))
        return [member.decode() for member in cast(list[bytes], members)]

    async def ping(self) -> None:
        async with self._translate_errors():
            await self._do("PING")

    async def listen(self, channel: str, notify: Callable[[str], None]) -> None:
        """Call `notify` with what is published, until cancelled; a connection that ends is made again."""

        async def subscribe() -> None:
            async with self._redis.pubsub() as subscription:
                await subscription.subscribe(PREFIX + channel)
                async for message in subscription.listen():
                    if message["type"] == "message":
                        notify(message["data"].decode())

        while True:
            await _SUBSCRIBING.call(subscribe)

    async def close(self) -> None:
        await self._redis.aclose()

    async def _do(self, *command: str | bytes) -> object:
        reply: object = await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        return reply

    @asynccontextmanager
    async def _translate_errors(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                yield
        except (RedisError, OSError) as error:
            raise StoreUnavailable(translate(error, self._address, "keep jobs").message) from error
