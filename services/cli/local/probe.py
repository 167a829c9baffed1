"""Ask a service whether it is ready, without an event loop."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from pydantic import ValidationError

from services.core.wire.base import Readiness

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


def awaits_ready(name: str, url: str) -> str:
    """What a service waits for before it is ready, in one line; empty where it is ready."""
    state = readiness(name, url)
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


def awaits_answer(name: str, url: str) -> str:
    """As `awaits_ready`, but any account of its readiness will do."""
    return STARTING if readiness(name, url) is None else ""
