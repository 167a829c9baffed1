"""Where a live split is kept: in a file of one gateway, or in a Redis that several share.

A write is durable when it returns, as far as its place is, and is refused where another one came before it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from filelock import FileLock
from pydantic import ValidationError
from redis.asyncio import Redis
from redis.exceptions import WatchError

from services.core.addresses import AddressSetting, RedisAddress, StoreAddress
from services.core.errors import Conflict, InvalidRequest, ServiceUnavailable
from services.core.files import replace_atomically
from services.core.redis import connect, redis_call
from services.core.settings import HomeSettings
from services.core.wire.split import LiveSplit

FILE = "split.json"
KEY = "ragline:split"
OFF = "off"
SPLIT_URL = AddressSetting(
    variable="SPLIT_URL",
    role="the live split",
    examples="file:, file:///path/to/dir, redis://host:6379/0, or off",
    logins="REDIS_USERNAME and REDIS_PASSWORD",
)


class SplitStore(Protocol):
    """Keeps the live split."""

    async def read(self) -> LiveSplit | None:
        """Return it; None where none was ever set. Raises `ServiceUnavailable`."""

    async def write(self, split: LiveSplit) -> None:
        """Keep it. Raises `Conflict` where the one that is kept is not of the revision before it."""

    async def close(self) -> None:
        """Let go of what is open."""


class NoStore:
    """Stands where SPLIT_URL is `off`: there is no live split, and none can be set."""

    async def read(self) -> LiveSplit | None:
        return None

    async def write(self, split: LiveSplit) -> None:
        raise Conflict(
            "this gateway has no place for a live split: set SPLIT_URL to a Redis that all gateways share "
            "(chart: redis.enabled), or change LLM_SPLIT (chart: llm.split)"
        )

    async def close(self) -> None:
        return


class FileStore:
    """A JSON file. Gateways of one folder see each other's changes; a lock keeps their writes apart."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    async def read(self) -> LiveSplit | None:
        return await asyncio.to_thread(self._read)

    async def write(self, split: LiveSplit) -> None:
        await asyncio.to_thread(self._write, split)

    async def close(self) -> None:
        return

    def _read(self) -> LiveSplit | None:
        try:
            return _parse(self._path.read_bytes(), str(self._path))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ServiceUnavailable(
                f"the live split at {self._path} cannot be read: {error.strerror}"
            ) from error

    def _write(self, split: LiveSplit) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self._path.with_name(f".{FILE}.lock")):
                _check_revision(self._read(), split)
                replace_atomically(self._path, split.model_dump_json(indent=1))
        except OSError as error:
            raise ServiceUnavailable(
                f"the live split cannot be kept at {self._path}: {error.strerror}"
            ) from error


class RedisStore:
    """One key of a Redis; a write is a transaction on it."""

    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._redis: Redis = connect(address, retries=0)

    async def read(self) -> LiveSplit | None:
        async with redis_call(self._address, "read the split", service="gateway"):
            found = await self._redis.get(KEY)
        return _parse(found, self._address.where) if found else None

    async def write(self, split: LiveSplit) -> None:
        async with redis_call(self._address, "keep the split", service="gateway"):
            try:
                async with self._redis.pipeline(transaction=True) as pipeline:
                    await pipeline.watch(KEY)
                    found = await pipeline.get(KEY)
                    _check_revision(_parse(found, self._address.where) if found else None, split)
                    pipeline.multi()  # type: ignore[no-untyped-call]
                    pipeline.set(KEY, split.model_dump_json())
                    await pipeline.execute()
            except WatchError:
                raise _conflict() from None

    async def close(self) -> None:
        await self._redis.aclose()


def open_store(url: str) -> SplitStore:
    """Make the store that SPLIT_URL names; a Redis is connected to at the first use.

    Raises:
        InvalidRequest: It names none.
    """
    if url in {"", OFF}:
        return NoStore()
    address = StoreAddress.parse(SPLIT_URL, url)
    if address.scheme == "file":
        return FileStore(address.directory or HomeSettings.load().root / "gateway")
    if address.backend(("redis",)) == "redis":
        return RedisStore(RedisAddress.of(address))
    raise InvalidRequest(f"SPLIT_URL: no such store: write {SPLIT_URL.examples}")


def _parse(text: bytes | str, where: str) -> LiveSplit:
    try:
        return LiveSplit.model_validate_json(text)
    except ValidationError as error:
        raise ServiceUnavailable(f"the live split at {where} is damaged: delete it") from error


def _check_revision(kept: LiveSplit | None, split: LiveSplit) -> None:
    if split.revision != (kept.revision if kept else 0) + 1:
        raise _conflict()


def _conflict() -> Conflict:
    return Conflict("somebody else has changed the split: read it again (GET /v1/split)")
