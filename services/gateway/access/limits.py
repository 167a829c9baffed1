"""How much a key and its tenant may use: requests and tokens a minute, tokens and uploaded bytes a day,
requests at once.

A window is a minute or a day of the clock (UTC). A request is let in while its windows have something left,
and what it used is charged at its end, because nobody knows before how long an answer will be: so one request
may pass the limit, and the next one waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from services.core.errors import RateLimited
from services.gateway.access.caller import Caller, Limits
from services.gateway.access.counters import Change, Counters
from services.gateway.access.ledger import Ledger
from services.gateway.access.places import HeldPlace, Places, Share

MINUTE, DAY = 60, 86_400
MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class Rule:
    """A limit: its field, what is counted, in which window, and OpenAI's word for it in headers."""

    field: str
    what: str
    seconds: int
    header: str = ""


REQUESTS = Rule("requests_per_minute", "requests", MINUTE, "requests")
TOKENS = Rule("tokens_per_minute", "tokens", MINUTE, "tokens")
DAY_TOKENS = Rule("tokens_per_day", "tokens", DAY)
DAY_BYTES = Rule("ingest_bytes_per_day", "bytes", DAY)


@dataclass(frozen=True, slots=True)
class Bound:
    """A rule with its number, and whose it is: `key 1a2b` or `tenant acme`."""

    rule: Rule
    most: int
    owner: str

    def name(self, now: float) -> str:
        """Name the counter of the window that `now` is in."""
        return f"{self.owner}:{self.rule.field}:{int(now // self.rule.seconds)}"

    def left_seconds(self, now: float) -> float:
        """Return how long that window goes on."""
        return self.rule.seconds - now % self.rule.seconds


class Limiter:
    """Lets requests in, and charges them."""

    def __init__(self, counters: Counters, clock: Callable[[], float] = time.time) -> None:
        """Make a limiter; `clock` says the seconds of the epoch."""
        self._counters = counters
        self.clock = clock
        self._places = Places(counters.shared)
        self._known: dict[str, tuple[Caller, Limits | None, tuple[Bound, ...]]] = {}

    async def close(self) -> None:
        """End what it does by itself."""
        await self._places.close()

    async def admit(self, caller: Caller, tenant: Limits | None, *, uploads: bool) -> dict[str, str]:
        """Count a request.

        Args:
            caller: Who asks.
            tenant: The limits of its tenant.
            uploads: Whether it brings files.

        Returns:
            The headers that say what is left of the tightest limits.

        Raises:
            RateLimited: There is nothing left of one of them; it says of which, and when there will be.
        """
        now = self.clock()
        headers: dict[str, str] = {}
        bounds = self._find_bounds(caller, tenant)
        if not bounds:
            return headers
        values = await self._counters.change(
            [Change(bound.name(now), bound.rule is REQUESTS, bound.rule.seconds + 1) for bound in bounds]
        )
        for bound, value in zip(bounds, values, strict=True):
            rule = bound.rule
            # the request in hand is among the requests; of the others it has used nothing yet
            left = bound.most - value
            is_over = left < 0 if rule is REQUESTS else left <= 0
            if rule.header:
                _tell(headers, bound, max(0, left), bound.left_seconds(now))
            if is_over and (uploads or rule is not DAY_BYTES):
                raise RateLimited(
                    f"the {bound.owner} has used its {bound.most} {rule.what} of this "
                    f"{'minute' if rule.seconds == MINUTE else 'day'} ({rule.field}): try again later",
                    retry_after=bound.left_seconds(now),
                    headers=headers,
                )
        return headers

    async def charge(self, caller: Caller, tenant: Limits | None, ledger: Ledger) -> None:
        """Charge what a request used."""
        if not (ledger.tokens or ledger.received_bytes):
            return
        now = self.clock()
        used = {"tokens": ledger.tokens, "bytes": ledger.received_bytes}
        changes = [
            Change(bound.name(now), amount, bound.rule.seconds + 1)
            for bound in self._find_bounds(caller, tenant)
            if (amount := used.get(bound.rule.what, 0))
        ]
        if changes:
            await self._counters.change(changes)

    def _find_bounds(self, caller: Caller, tenant: Limits | None) -> tuple[Bound, ...]:
        """Return what bounds a caller; worked out once, until its key or its tenant changes."""
        known = self._known.get(caller.id)
        if known is None or known[0] is not caller or known[1] is not tenant:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[caller.id] = caller, tenant, tuple(_bounds(caller, tenant))
        return known[2]

    def hold_place(self, caller: Caller, tenant: Limits | None) -> HeldPlace:
        """Count a request among those that are in work at once, at all gateways that count together.

        Returns:
            A context; its beginning raises `RateLimited` where the key, or its tenant, has as many as it may.
        """
        return self._places.hold(
            [
                Share(owner, limits.concurrent)
                for owner, limits in _owners(caller, tenant)
                if limits.concurrent is not None
            ]
        )


def _owners(caller: Caller, tenant: Limits | None) -> Iterator[tuple[str, Limits]]:
    yield f"key {caller.id}", caller.limits
    if tenant is not None:
        yield f"tenant {caller.tenant}", tenant


def _bounds(caller: Caller, tenant: Limits | None) -> Iterator[Bound]:
    for owner, limits in _owners(caller, tenant):
        for rule in (REQUESTS, TOKENS, DAY_TOKENS, DAY_BYTES):
            most: int | None = getattr(limits, rule.field)
            if most is not None:
                yield Bound(rule, most, owner)


def _tell(headers: dict[str, str], bound: Bound, left: int, seconds: float) -> None:
    """Write OpenAI's headers; of a key's and its tenant's limit those that have less left."""
    name = bound.rule.header
    told = headers.get(f"x-ratelimit-remaining-{name}")
    if told is None or int(told) > left:
        headers[f"x-ratelimit-limit-{name}"] = str(bound.most)
        headers[f"x-ratelimit-remaining-{name}"] = str(left)
        headers[f"x-ratelimit-reset-{name}"] = f"{seconds:.3f}s"


HEADERS = tuple(
    f"x-ratelimit-{kind}-{name}"
    for name in ("requests", "tokens")
    for kind in ("limit", "remaining", "reset")
)
"""The headers of replies that say what is left."""
