"""What OPEA's services all have: `/v1/health_check`, and `/v1/statistics` of how long requests took."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from fastapi import APIRouter

KEPT = 1000
"""How many requests the statistics look back on."""

_NAMES = {"retrieval": "retrievers", "generation": "llm", "gateway": "chatqna"}

Statistics = dict[str, dict[str, float | None]]


class Latencies:
    """Seconds of the last requests that were answered, and of their streams' first events."""

    def __init__(self) -> None:
        self._totals: deque[float] = deque(maxlen=KEPT)
        self._firsts: deque[float] = deque(maxlen=KEPT)

    def add(self, seconds: float, first: float | None) -> None:
        """Add a request; `first` is None where it was not answered by a stream."""
        self._totals.append(seconds)
        if first is not None:
            self._firsts.append(first)

    def summarise(self) -> dict[str, float | None]:
        """Give median, 99th percentile and mean of both, by OPEA's names; None where there was no request."""
        return _summarise(self._totals, "latency") | _summarise(self._firsts, "latency_first_token")


def _summarise(seconds: Collection[float], name: str) -> dict[str, float | None]:
    if not seconds:
        return {f"p50_{name}": None, f"p99_{name}": None, f"average_{name}": None}
    ordered = sorted(seconds)
    return {
        f"p50_{name}": _percentile(ordered, 0.5),
        f"p99_{name}": _percentile(ordered, 0.99),
        f"average_{name}": sum(ordered) / len(ordered),
    }


def _percentile(ordered: list[float], share: float) -> float:
    """Interpolate linearly between the two nearest, as numpy does by default."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def opea_router(service: str, latencies: Latencies) -> APIRouter:
    """Make the routes. `service` is Ragline's name; the statistics are under OPEA's."""
    routes = APIRouter(tags=["opea"])

    @routes.get("/v1/health_check", summary="OPEA: the service is alive")
    async def health_check() -> dict[str, str]:
        return {
            "Service Title": f"Ragline {service}",
            "Service Description": "alive; /health/ready says of each dependency whether it is ready",
        }

    @routes.get("/v1/statistics", summary=f"OPEA: seconds of the last {KEPT} requests that were answered")
    async def statistics() -> Statistics:
        return {f"opea_service@{_NAMES.get(service, service)}": latencies.summarise()}

    return routes
