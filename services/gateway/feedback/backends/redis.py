"""Feedback in a Redis, for several gateways: one stream for each tenant, whose ids are the feedback's.

As durable as the server is set to be (docs/redis.md).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import cast

from redis.asyncio import Redis

from services.core.addresses import RedisAddress, StoreAddress
from services.core.redis import connect, redis_call
from services.core.wire.feedback import Feedback, FeedbackPage, FeedbackRequest

_ID = re.compile(r"\d{1,20}-\d{1,20}")
_Entry = tuple[bytes, dict[bytes, bytes]]


class RedisFeedback:
    def __init__(self, address: RedisAddress) -> None:
        self._address = address
        self._redis: Redis = connect(address, retries=0)  # adding twice would be two votes

    async def ready(self) -> None:
        async with redis_call(self._address, "answer", service="gateway"):
            await self._redis.ping()

    async def close(self) -> None:
        await self._redis.aclose()

    async def add(self, tenant: str, request: FeedbackRequest) -> Feedback:
        """See `FeedbackStore`."""
        async with redis_call(self._address, "keep feedback", service="gateway"):
            id_ = cast(bytes, await self._redis.xadd(_key(tenant), {"body": request.model_dump_json()}))
        return _feedback(id_.decode(), request)

    async def page(self, tenant: str, *, after: str, limit: int) -> FeedbackPage:
        """See `FeedbackStore`."""
        start = f"({after}" if _ID.fullmatch(after) else "-"
        async with redis_call(self._address, "read feedback", service="gateway"):
            found = await self._redis.xrange(_key(tenant), min=start, count=limit + 1)
        rows = cast(list[_Entry], found)
        kept = [
            _feedback(id_.decode(), FeedbackRequest.model_validate_json(fields[b"body"]))
            for id_, fields in rows[:limit]
        ]
        return FeedbackPage(feedback=kept, next=kept[-1].id if len(rows) > limit else None)

    async def delete(self, tenant: str, id_: str) -> bool:
        """See `FeedbackStore`."""
        if not _ID.fullmatch(id_):
            return False
        async with redis_call(self._address, "delete feedback", service="gateway"):
            return bool(await self._redis.xdel(_key(tenant), id_))


def _key(tenant: str) -> str:
    return f"ragline:feedback:{tenant}"


def _feedback(id_: str, request: FeedbackRequest) -> Feedback:
    at = datetime.fromtimestamp(int(id_.split("-", maxsplit=1)[0]) / 1e3, UTC)
    return Feedback(id=id_, at=at, **request.model_dump())


async def create(url: StoreAddress) -> RedisFeedback:
    """Make the client; it connects at its first use."""
    return RedisFeedback(RedisAddress.of(url))
