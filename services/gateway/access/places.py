"""Places of requests in work at once: in this process, or in a Redis that several gateways share.

In Redis an owner's places are a sorted set, by when each one's lease ends. A gateway renews the leases of its
own requests while they are in work, so that the places of one that died come back when their leases end.
Where the Redis does not answer, each gateway counts its own requests.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from redis.asyncio import Redis

from services.core.errors import RateLimited
from services.gateway.access.counters import SharedStore

LEASE_SECONDS = 30.0
"""How long a place is taken for a gateway that has not renewed it."""
CONCURRENT_RETRY = 1.0
RENEW_SECONDS = 8.0
"""Short enough that a lease outlives some renewals that Redis did not hear."""
_PREFIX = "ragline:places:"

_TAKE = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
for i, key in ipairs(KEYS) do
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  if redis.call('ZCARD', key) >= tonumber(ARGV[2 + i]) then return i end
end
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + ARGV[2], ARGV[1])
  redis.call('EXPIRE', key, math.ceil(2 * ARGV[2]))
end
return 0
"""
"""Takes a place of every owner, or of none. Returns 0, or which owner has none left. The clock is Redis's."""

_RENEW = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, now + ARGV[1], ARGV[1 + i])
  redis.call('EXPIRE', key, math.ceil(2 * ARGV[1]))
end
"""
"""Renews leases; a place that Redis has forgotten, or never heard of, is there again."""


class Share(NamedTuple):
    """Whose place a request takes, and how many there are."""

    owner: str
    most: int


class Places:
    """Counts the requests in work of each owner."""

    def __init__(
        self, shared: SharedStore | None, lease: float = LEASE_SECONDS, renew: float = RENEW_SECONDS
    ) -> None:
        """Make it.

        Args:
            shared: The Redis that has the places too; None: there is none.
            lease: The seconds that a place is taken for without being renewed.
            renew: The seconds from one renewal to the next.
        """
        self.shared = shared
        self._lease = lease
        self._pause = renew
        self._here: Counter[str] = Counter()
        self._held: dict[str, list[str]] = {}
        self._renewal = asyncio.Lock()
        self._renewing: asyncio.Task[None] | None = None

    def hold(self, shares: Sequence[Share]) -> HeldPlace:
        """Hold a place of every share, as a context.

        Raises:
            RateLimited: At its beginning: one of them has none left.
        """
        return HeldPlace(self, shares)

    async def close(self) -> None:
        """Stop renewing."""
        if self._renewing is not None:
            self._renewing.cancel()

    def take_here(self, shares: Sequence[Share]) -> None:
        """Take places in this process. Raises `RateLimited`."""
        for share in shares:
            if self._here[share.owner] >= share.most:
                raise refuse(share)
        for share in shares:
            self._here[share.owner] += 1

    def free_here(self, shares: Sequence[Share]) -> None:
        """Give them back."""
        for share in shares:
            self._here[share.owner] -= 1
            if not self._here[share.owner]:
                del self._here[share.owner]

    async def take_there(self, shared: SharedStore, place: str, shares: Sequence[Share]) -> None:
        """Take places in the Redis; where that is silent, those of this process are what counts.

        Raises:
            RateLimited: One of them has none left there.
        """
        keys = [_PREFIX + share.owner for share in shares]
        arguments: list[str | float] = [place, self._lease, *(share.most for share in shares)]

        async def take(redis: Redis) -> int:
            return int(await redis.register_script(_TAKE)(keys=keys, args=arguments))

        without = await shared.call(take)
        if without:
            raise refuse(shares[without - 1])
        # not before: a renewal would take what was refused
        self._held[place] = keys
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.get_running_loop().create_task(self._renew(shared))

    async def free_there(self, shared: SharedStore, place: str, shares: Sequence[Share]) -> None:
        """Give them back there."""
        self._held.pop(place, None)

        async def free(redis: Redis) -> None:
            pipeline = redis.pipeline(transaction=False)
            for share in shares:
                pipeline.zrem(_PREFIX + share.owner, place)
            await pipeline.execute()

        async with self._renewal:  # else one that is on its way would take the place again
            await shared.call(free)

    async def _renew(self, shared: SharedStore) -> None:
        """Renew the leases of all places that are held here, for as long as there are any."""
        while self._held:
            await asyncio.sleep(self._pause)
            async with self._renewal:
                held = [(key, place) for place, keys in self._held.items() for key in keys]
                if held:
                    await shared.call(partial(self._renew_all, held))

    async def _renew_all(self, held: Sequence[tuple[str, str]], redis: Redis) -> None:
        arguments: list[str | float] = [self._lease, *(place for _, place in held)]
        await redis.register_script(_RENEW)(keys=[key for key, _ in held], args=arguments)


class HeldPlace:
    """A request's place among those in work; a class, because each request pays for it."""

    __slots__ = ("_place", "_places", "_shares")

    def __init__(self, places: Places, shares: Sequence[Share]) -> None:
        self._places = places
        self._shares = shares
        self._place = ""

    async def __aenter__(self) -> None:
        # taken here before anybody is asked: a second request must not slip by meanwhile
        self._places.take_here(self._shares)
        shared = self._places.shared
        if shared is None or not self._shares:
            return
        self._place = secrets.token_hex(12)
        try:
            await self._places.take_there(shared, self._place, self._shares)
        except RateLimited:
            self._places.free_here(self._shares)
            raise
        except BaseException:  # cancelled: it may be taken there
            await self.__aexit__()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._places.free_here(self._shares)
        shared = self._places.shared
        if shared is not None and self._place:
            await self._places.free_there(shared, self._place, self._shares)


def refuse(share: Share) -> RateLimited:
    """Make the refusal of a request that found no place."""
    return RateLimited(
        f"the {share.owner} has {share.most} requests in work, as many as it may (concurrent): try later",
        retry_after=CONCURRENT_RETRY,
    )
