"""Which role each route needs. A route that is not listed here needs an operator: nothing is open by
mistake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from services.gateway.access.caller import Role

Need = Role | Literal["public", "operator"]
"""`public`: no key at all. `operator`: an admin of the default tenant, because all tenants are concerned."""

_ASK: Mapping[str, Need] = {"*": "ask"}
_INGEST: Mapping[str, Need] = {"*": "ingest"}
_OPERATE: Mapping[str, Need] = {"*": "operator"}
_PUBLIC: Mapping[str, Need] = {"GET": "public"}

NEEDS: Mapping[str, Mapping[str, Need]] = {
    "/": _PUBLIC,
    "/page": _PUBLIC,
    "/health": _PUBLIC,
    "/v1/health_check": _PUBLIC,
    "/v1/chat": _ASK,
    "/v1/chatqna": _ASK,
    "/v1/responses": _ASK,
    "/v1/completions": _ASK,
    "/v1/compare": _ASK,
    "/v1/search": _ASK,
    "/v1/embeddings": _ASK,
    "/v1/rerank": _ASK,
    "/v1/reranking": _ASK,
    "/v2/rerank": _ASK,
    "/v1/models": _ASK,
    "/v1/passages": _ASK,
    "/v1/feedback": {"POST": "ask", "*": "admin"},
    "/v1/runs": _OPERATE,
    "/v1/split": {"GET": "ask", "*": "operator"},
    "/mcp": _ASK,
    "/v1/usage": _ASK,
    "/v1/statistics": _ASK,
    "/v1/documents": {"GET": "ask", "POST": "ingest", "DELETE": "ingest"},
    "/v1/jobs": _INGEST,
    "/v1/dataprep/get": _ASK,
    "/v1/dataprep/indices": _ASK,
    "/v1/dataprep/ingest": _INGEST,
    "/v1/dataprep/delete": _INGEST,
}
"""By a path or what it begins with, whole segments only, and by method; `*` is any other method."""


def needed_role(method: str, path: str) -> Need:
    """Return what a request needs.

    Args:
        method: The request's method; HEAD needs what GET does.
        path: Its path, decoded, as the routes are matched by.
    """
    parts = path.split("/")
    for length in (4, 3, 2):
        start = "/".join(parts[:length])
        needs = NEEDS.get(start) if (len(parts) >= length and start != "/") or start == path else None
        if needs is not None:
            return needs.get("GET" if method == "HEAD" else method) or needs.get("*", "operator")
    return "operator"
