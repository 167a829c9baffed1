"""`/v1/usage`: what each key has used, by day; and the same by tenant for Prometheus."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from prometheus_client import Counter
from pydantic import Field

from services.core.metrics import Metrics
from services.core.wire.base import Wire
from services.gateway.access.caller import Caller, current_caller
from services.gateway.access.ledger import Ledger

KEPT_DAYS = 31
MOST_TENANTS = 100
"""Tenants with a label of their own in the metrics, the first ones that ask; the others share one."""
OTHERS = "others"

router = APIRouter(tags=["operations"])


class Used(Wire):
    """What one key has used in one day (UTC). `refused` are requests that its limits did not let in."""

    date: date
    key: str
    name: str = ""
    requests: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uploaded_bytes: int = 0


class UsageReply(Wire):
    """The newest day first. It is what this gateway has counted since it was started, `since`."""

    tenant: str
    since: datetime
    usage: list[Used] = Field(default_factory=list)


@dataclass(slots=True)
class _Count:
    name: str
    requests: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uploaded_bytes: int = 0


class UsageBook:
    """Counts what was used, in this process."""

    def __init__(self, metrics: Metrics) -> None:
        self.since = datetime.now(UTC).replace(microsecond=0)
        self._used: dict[tuple[date, str, str], _Count] = {}
        self._metrics = _TenantMetrics(metrics)

    def add(self, caller: Caller, ledger: Ledger, *, refused: bool) -> None:
        """Add a request."""
        today = datetime.now(UTC).date()
        place = (today, caller.tenant, caller.id)
        count = self._used.get(place)
        if count is None:
            self._forget(today)
            count = self._used[place] = _Count(caller.subject)
        count.requests += 1
        count.refused += refused
        count.prompt_tokens += ledger.prompt_tokens
        count.completion_tokens += ledger.completion_tokens
        count.uploaded_bytes += ledger.received_bytes
        self._metrics.add(caller.tenant, ledger, refused=refused)

    def list(self, tenant: str, keys: Collection[str] | None, days: int) -> list[Used]:
        """List what these keys of a tenant, or all of them, have used in the last days."""
        first = datetime.now(UTC).date() - timedelta(days=days - 1)
        found = [
            Used(date=day, key=key, **asdict(count))
            for (day, of, key), count in self._used.items()
            if of == tenant and day >= first and (keys is None or key in keys)
        ]
        return sorted(found, key=lambda used: (used.date, used.key), reverse=True)

    def _forget(self, today: date) -> None:
        first = today - timedelta(days=KEPT_DAYS)
        for place in [place for place in self._used if place[0] < first]:
            del self._used[place]


class _TenantMetrics:
    """The same for Prometheus, for at most `MOST_TENANTS` tenants and all others together."""

    def __init__(self, metrics: Metrics) -> None:
        self._service = metrics.service
        self._requests = Counter(
            "ragline_tenant_requests",
            "Requests by tenant; refused: those that its limits did not let in",
            ["service", "tenant", "refused"],
            registry=metrics.registry,
        )
        self._tokens = Counter(
            "ragline_tenant_tokens",
            "Tokens by tenant and kind: prompt, completion",
            ["service", "tenant", "kind"],
            registry=metrics.registry,
        )
        self._bytes = Counter(
            "ragline_tenant_uploaded_bytes",
            "Bytes of uploads by tenant",
            ["service", "tenant"],
            registry=metrics.registry,
        )
        self._known: dict[str, tuple[Counter, Counter, Counter, Counter, Counter]] = {}

    def add(self, tenant: str, ledger: Ledger, *, refused: bool) -> None:
        counters = self._known.get(tenant)
        if counters is None:
            label = tenant if len(self._known) < MOST_TENANTS else OTHERS
            counters = self._known.get(label) or self._label(label)
            self._known[label] = counters
        let_in, kept_out, prompt, completion, uploaded = counters
        (kept_out if refused else let_in).inc()
        if ledger.tokens:
            prompt.inc(ledger.prompt_tokens)
            completion.inc(ledger.completion_tokens)
        if ledger.received_bytes:
            uploaded.inc(ledger.received_bytes)

    def _label(self, tenant: str) -> tuple[Counter, Counter, Counter, Counter, Counter]:
        return (
            self._requests.labels(self._service, tenant, "false"),
            self._requests.labels(self._service, tenant, "true"),
            self._tokens.labels(self._service, tenant, "prompt"),
            self._tokens.labels(self._service, tenant, "completion"),
            self._bytes.labels(self._service, tenant),
        )


@router.get("/v1/usage", summary="What the key has used, by day; an admin's key: what its tenant has")
async def usage(
    request: Request, days: Annotated[int, Query(ge=1, le=KEPT_DAYS, description="how many days")] = 7
) -> UsageReply:
    book: UsageBook = request.app.state.usage
    caller = current_caller()
    keys = None if "admin" in caller.roles else {caller.id}
    return UsageReply(tenant=caller.tenant, since=book.since, usage=book.list(caller.tenant, keys, days))
