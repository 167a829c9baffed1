"""What a service says of its dependencies; clients read it without the server's framework."""

from __future__ import annotations

from pydantic import Field

from services.core.wire.base import Wire


class DependencyHealth(Wire):
    ready: bool
    latency_ms: float
    detail: str = ""
    required: bool = True


class Readiness(Wire):
    """The body of `/health/ready`, with 200 where `ready` and 503 elsewhere."""

    service: str
    ready: bool
    dependencies: dict[str, DependencyHealth] = Field(default_factory=dict)
