"""Ask a service whether it is ready, without an event loop."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from pydantic import ValidationError

from services.core.health import Readiness

PROBE_SECONDS = 4.0
STARTING = "starting"


def _get(url: str, path: str) -> tuple[int, bytes]:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "127.0.0.1", parts.port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", parts.path.rstrip("/") + path)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def alive(url: str) -> bool:
    """Whether `/health` answers 200."""
    try:
        return _get(url, "/health")[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def readiness(name: str, url: str) -> Readiness | None:
    """The service's own account; None where nothing answers.

    A server that has no `/health/ready` (TEI, vLLM) is ready where its `/health` answers 200.
    """
    try:
        status, body = _get(url, "/health/ready")
        if status == 404:
            return Readiness(service=name, ready=_get(url, "/health")[0] == 200)
        return Readiness.model_validate_json(body)
    except ValidationError:
        return Readiness(service=name, ready=False)
    except (OSError, http.client.HTTPException):
        return None


def waits_for(state: Readiness | None) -> str:
    """What keeps it from being ready, in one line; empty where it is ready."""
    if state is None:
        return STARTING
    if state.ready:
        return ""
    open_ends = [
        dependency.detail or f"{name} is not ready"
        for name, dependency in state.dependencies.items()
        if not dependency.ready
    ]
    return "; ".join(open_ends) or "not ready"
