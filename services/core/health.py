"""`/health` (alive) and `/health/ready` (each dependency named, with its latency)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from fastapi.responses import Response

from services.core.context import set_deadline
from services.core.errors import RaglineError
from services.core.replies import JsonReply
from services.core.wire.base import DependencyHealth, Readiness

Check = Callable[[], Awaitable[None]]
"""Returns where the dependency can serve, raises a `RaglineError` that says why not."""

CHECK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Soft:
    """A dependency that the service can do without: shown, and no reason not to be ready."""

    check: Check

    async def __call__(self) -> None:
        await self.check()


async def _run(check: Check) -> DependencyHealth:
    start = time.perf_counter()
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
        detail, ready = "", True
    except TimeoutError:
        detail, ready = f"no answer within {CHECK_SECONDS:g} s", False
    except RaglineError as error:
        detail, ready = error.message, False
    latency = round((time.perf_counter() - start) * 1e3, 2)
    return DependencyHealth(
        ready=ready, latency_ms=latency, detail=detail, required=not isinstance(check, Soft)
    )


async def check_readiness(service: str, checks: Mapping[str, Check]) -> Readiness:
    """Run every check at once; ready only where all that are required are."""
    set_deadline(CHECK_SECONDS)
    results = await asyncio.gather(*(_run(check) for check in checks.values()))
    dependencies = dict(zip(checks, results, strict=True))
    ready = all(result.ready or not result.required for result in results)
    return Readiness(service=service, ready=ready, dependencies=dependencies)


Trust = Callable[[Request], Awaitable[bool]]
"""Says whether who asks may know more than whether the service is ready."""


def health_router(
    service: str,
    checks: Callable[[], Mapping[str, Check]],
    notices: Callable[[], Sequence[str]],
    trusts: Callable[[], Trust],
) -> APIRouter:
    """Make the routes that every service has.

    Args:
        service: Its name.
        checks: Gives its dependencies, at each call.
        notices: Gives what whoever runs it should know, at each call.
        trusts: Gives what says who is told details and notices: they hold addresses, paths and models.
    """
    routes = APIRouter(tags=["operations"])

    @routes.get("/health", summary="Alive: answers whatever the load")
    async def health() -> dict[str, str]:
        return {"status": "ok", "service": service}

    @routes.get(
        "/health/ready",
        response_model=Readiness,
        summary="Ready: every dependency, named and timed; details for whoever runs the services",
    )
    async def ready(request: Request) -> Response:
        state = await check_readiness(service, checks())
        if await trusts()(request):
            state = state.model_copy(update={"notices": list(notices())})
        else:
            bare = {
                name: known.model_copy(update={"detail": ""}) for name, known in state.dependencies.items()
            }
            state = state.model_copy(update={"dependencies": bare})
        return JsonReply(state.model_dump(), status_code=200 if state.ready else 503)

    return routes
