"""The Redis server: its scripts, and whether its indexes are complete."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from services.core.addresses import RedisAddress
from services.core.errors import ServiceError, ServiceUnavailable
from services.core.redis import calling
from services.retrieval.backends.redis.advice import warnings

FOLDER = Path(__file__).parent / "lua"
Argument = str | bytes | int
log = structlog.get_logger(__name__)


@cache
def _source(name: str, prefix: str) -> bytes:
    """The script of this name, with what all scripts have; another one for every prefix."""
    parts = [f"-- {prefix}\n".encode(), *((FOLDER / f"{each}.lua").read_bytes() for each in ("common", name))]
    return b"".join(parts)


class Server:
    """`prefix` is what the names of all keys and indexes begin with."""

    def __init__(self, client: Redis, address: RedisAddress, prefix: str) -> None:
        self._client = client
        self._address = address
        self._prefix = prefix
        self._advised = False

    async def run(self, name: str, *arguments: Argument, what: str) -> list[Any]:
        """The reply of the script `<name>.lua`; `what` is what it does, for errors."""
        with self._needs_search():
            async with calling(self._address, what, service="retrieval"):
                try:
                    return await self._evaluate(name, arguments)
                except NoScriptError:
                    await self._load(name)
                    return await self._evaluate(name, arguments)

    async def search(self, *arguments: Argument) -> list[Any]:
        """The reply of `search.lua`. Raises `ServiceUnavailable` while an index is not complete.

        A server that has started knows no script, so to find this one there is to know that somebody has
        seen complete indexes since: it is loaded at no other place.
        """
        with self._needs_search():
            async with calling(self._address, "search", service="retrieval"):
                try:
                    return await self._evaluate("search", arguments)
                except ResponseError as error:
                    if not isinstance(error, NoScriptError) and "no such index" not in str(error):
                        raise
                await self.complete()
                await self._load("search")
                return await self._evaluate("search", arguments)

    async def complete(self) -> None:
        """Raises `ServiceUnavailable` where an index is not complete; one that is missing is made."""
        names, missing = await self.run("mend", "", what="list its indexes")
        if missing:
            async with calling(self._address, "forget its scripts", service="retrieval"):
                await self._command("SCRIPT FLUSH")
            await self.run("mend", "1", what="make an index")
        for name in names:
            async with calling(self._address, "describe its indexes", service="retrieval"):
                reply = await self._command("FT.INFO", name)
            told = dict(zip(reply[::2], reply[1::2], strict=True))
            done = float(told[b"percent_indexed"])
            if int(told[b"indexing"]) or done < 1:
                raise ServiceUnavailable(
                    f"{self._address.where} is still building its index: {100 * done:.0f} % of the passages",
                    retry_after=5,
                )

    async def advise(self) -> None:
        """Log once what of the server's configuration loses passages; nothing where INFO is not allowed."""
        if self._advised:
            return
        try:
            async with calling(self._address, "say how it is configured", service="retrieval"):
                info = await self._client.info("everything")
        except ServiceError:
            return
        self._advised = True
        for warning in warnings(info, await self._appendfsync()):
            log.warning("the vector store may lose passages", where=self._address.where, reason=warning)

    async def _appendfsync(self) -> str:
        """When the server's file reaches its disk; "always" where it does not tell (a hosted one may not)."""
        try:
            async with calling(self._address, "say how it is configured", service="retrieval"):
                found = await self._client.config_get("appendfsync")
        except ServiceError:
            return "always"
        return str(found.get("appendfsync", "always"))

    async def close(self) -> None:
        await self._client.aclose()

    async def _evaluate(self, name: str, arguments: tuple[Argument, ...]) -> list[Any]:
        digest = hashlib.sha1(_source(name, self._prefix), usedforsecurity=False).hexdigest()
        return await self._command("EVALSHA", digest, 0, self._prefix, *arguments)

    async def _load(self, name: str) -> None:
        await self._command("SCRIPT LOAD", _source(name, self._prefix))

    async def _command(self, *arguments: Argument) -> list[Any]:
        return cast(list[Any], await self._client.execute_command(*arguments))  # type: ignore[no-untyped-call]

    @contextmanager
    def _needs_search(self) -> Iterator[None]:
        """A server without the search module does not know its commands: say so."""
        try:
            yield
        except ServiceError as error:
            said = str(error.__cause__).lower()
            if isinstance(error.__cause__, ResponseError) and "unknown" in said and "command" in said:
                raise ServiceUnavailable(
                    f"{self._address.where} has no search module: {self._address.variable} needs Redis 8, "
                    "Redis Stack, or a server with RediSearch loaded (--loadmodule redisearch.so)"
                ) from error
            raise
