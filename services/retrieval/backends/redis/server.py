"""The Redis server: its scripts, its indexes, deletions bit by bit, and what its configuration may lose."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from importlib.resources import files
from typing import Any, cast

import structlog
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from services.core.addresses import RedisAddress
from services.core.context import start_request
from services.core.errors import ServiceError, ServiceUnavailable
from services.core.redis import redis_call
from services.retrieval.revisions import BackgroundDeletions

SCRIPTS = files(__package__) / "lua"
PURGE_BATCH = 32
"""Passages per step of a deletion, so that the server answers others in between."""
STEP_SECONDS = 60.0
"""The longest that one step of a deletion in the background may take."""
Argument = str | bytes | int
log = structlog.get_logger(__name__)


@cache
def _read_script(name: str, prefix: str) -> bytes:
    """Read the script of this name, with what all scripts have; another one for every prefix."""
    parts = (SCRIPTS.joinpath(f"{part}.lua").read_bytes() for part in ("common", name))
    return b"".join([f"-- {prefix}\n".encode(), *parts])


class Server:
    """Runs scripts; `prefix` is what the names of all keys and indexes begin with."""

    def __init__(self, client: Redis, address: RedisAddress, prefix: str) -> None:
        self._client = client
        self._address = address
        self._prefix = prefix
        self._advised = False

    async def run(self, name: str, *arguments: Argument, what: str) -> list[Any]:
        """Run the script `<name>.lua`.

        Args:
            what: What the script does, as a verb, for messages.

        Returns:
            The script's reply.

        Raises:
            ServiceUnavailable: The server does not answer, or has no search module.
            ServiceError: It failed otherwise.
            DeadlineExceeded: The request's time is over.
        """
        with self._explain_missing_module():
            async with redis_call(self._address, what, service="retrieval"):
                try:
                    return await self._evaluate(name, arguments)
                except NoScriptError:
                    await self._load(name)
                    return await self._evaluate(name, arguments)

    async def search(self, *arguments: Argument) -> list[Any]:
        """Run `search.lua`. Raises what `run` raises, also `ServiceUnavailable` while an index is built.

        A server that has started knows no script, so to find this one there is to know that somebody has
        seen complete indexes since: it is loaded at no other place.
        """
        with self._explain_missing_module():
            async with redis_call(self._address, "search", service="retrieval"):
                try:
                    return await self._evaluate("search", arguments)
                except ResponseError as error:
                    if not isinstance(error, NoScriptError) and "no such index" not in str(error):
                        raise
                await self.check_indexes()
                await self._load("search")
                return await self._evaluate("search", arguments)

    async def check_indexes(self) -> None:
        """Make indexes that are missing. Raises `ServiceUnavailable` where one is not complete."""
        names, missing = await self.run("mend", "", what="list its indexes")
        if missing:
            async with redis_call(self._address, "forget its scripts", service="retrieval"):
                await self._command("SCRIPT FLUSH")
            await self.run("mend", "1", what="make an index")
        for name in names:
            async with redis_call(self._address, "describe its indexes", service="retrieval"):
                reply = await self._command("FT.INFO", name)
            info = dict(zip(reply[::2], reply[1::2], strict=True))
            done = float(info[b"percent_indexed"])
            if int(info[b"indexing"]) or done < 1:
                raise ServiceUnavailable(
                    f"{self._address.where} is still building its index: {100 * done:.0f} % of the passages",
                    retry_after=5,
                )

    async def advise(self) -> None:
        """Log once what of the server's configuration loses passages; nothing where INFO is not allowed."""
        if self._advised:
            return
        try:
            async with redis_call(self._address, "say how it is configured", service="retrieval"):
                info = await self._client.info("everything")
        except ServiceError:
            return
        self._advised = True
        for warning in list_warnings(info, await self._read_appendfsync()):
            log.warning("the vector store may lose passages", where=self._address.where, reason=warning)

    async def _read_appendfsync(self) -> str:
        """Ask when its file reaches the disk; "always" where it does not tell (a hosted one may not)."""
        try:
            async with redis_call(self._address, "say how it is configured", service="retrieval"):
                found = await self._client.config_get("appendfsync")
        except ServiceError:
            return "always"
        return str(found.get("appendfsync", "always"))

    async def close(self) -> None:
        await self._client.aclose()

    async def _evaluate(self, name: str, arguments: tuple[Argument, ...]) -> list[Any]:
        digest = hashlib.sha1(_read_script(name, self._prefix), usedforsecurity=False).hexdigest()
        return await self._command("EVALSHA", digest, 0, self._prefix, *arguments)

    async def _load(self, name: str) -> None:
        await self._command("SCRIPT LOAD", _read_script(name, self._prefix))

    async def _command(self, *arguments: Argument) -> list[Any]:
        return cast(list[Any], await self._client.execute_command(*arguments))  # type: ignore[no-untyped-call]

    @contextmanager
    def _explain_missing_module(self) -> Iterator[None]:
        """Say so where a server without the search module does not know its commands."""
        try:
            yield
        except ServiceError as error:
            message = str(error.__cause__).lower()
            if isinstance(error.__cause__, ResponseError) and "unknown" in message and "command" in message:
                raise ServiceUnavailable(
                    f"{self._address.where} has no search module: {self._address.variable} needs Redis 8, "
                    "Redis Stack, or a server with RediSearch loaded (--loadmodule redisearch.so)"
                ) from error
            raise


class Purger:
    """Deletes what nobody sees any more.

    Reads are single steps, so what is hidden has no readers left and can be deleted at once. What a crash, a
    failure or `close` leaves is found again by `resume`, in this process or another.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self.deletions = BackgroundDeletions()

    async def purge(self, uid: str, revision: str) -> None:
        """Delete a doomed revision's points; nothing where it is not doomed."""
        while await self._step("purge", uid, revision):
            pass

    def begin(self, uid: str, revisions: Iterable[str]) -> None:
        """Begin to delete doomed revisions of a collection."""
        for revision in revisions:
            self._begin("purge", uid, revision)

    def sweep(self, uid: str) -> None:
        """Begin to delete the keys of a dropped collection."""
        self._begin("sweep", uid)

    async def resume(self) -> None:
        """Begin whatever should be deleted and is not being."""
        doomed, dropped = await self._server.run("leftovers", what="list what is to be deleted")
        for uid, *revisions in doomed:
            self.begin(uid.decode(), (revision.decode() for revision in revisions))
        for uid in dropped:
            self.sweep(uid.decode())

    def _begin(self, script: str, *arguments: str) -> None:
        self.deletions.begin((script, *arguments), partial(self._run_to_end, script, *arguments))

    async def _run_to_end(self, script: str, *arguments: str) -> None:
        more = True
        while more:
            start_request("", STEP_SECONDS)
            more = await self._step(script, *arguments)

    async def _step(self, script: str, *arguments: str) -> bool:
        """Run a script once. Returns whether there is more to delete."""
        return bool(await self._server.run(script, *arguments, PURGE_BATCH, what="delete passages"))


def list_warnings(info: Mapping[str, object], appendfsync: str = "always") -> list[str]:
    """Write one sentence for each setting that loses acknowledged passages; `info` is the server's INFO."""
    found = []
    if not info.get("aof_enabled", 1):
        found.append(
            "it keeps no append-only file: passages that were acknowledged are lost when it stops, but for "
            "its last snapshot; set `appendonly yes`"
        )
    elif appendfsync != "always":
        found.append(
            f"it acknowledges what its append-only file does not hold yet (`appendfsync {appendfsync}`): "
            "killed while its disk is slow, it loses up to two seconds of acknowledged passages; set "
            "`appendfsync always`"
        )
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if info.get("maxmemory") and policy != "noeviction":
        found.append(
            f"it evicts keys when its memory is full (`maxmemory-policy {policy}`), passages too: set "
            "`noeviction`"
        )
    return found
