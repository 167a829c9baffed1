"""What is for those who run a service: `/metrics`, `/docs` and `/openapi.json`."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.core.context import REQUEST_ID_HEADER, new_request_id, start_request
from services.core.metrics import Metrics
from services.core.origins import Visitors
from services.core.replies import JsonReply


def metrics_router(metrics: Metrics) -> APIRouter:
    """Make the route of the metrics."""
    routes = APIRouter(tags=["operations"])

    @routes.get("/metrics", summary="Prometheus metrics")
    async def prometheus() -> Response:
        body, content_type = metrics.render()
        return Response(body, media_type=content_type)

    return routes


def create_admin_app(service: FastAPI, metrics: Metrics, visitors: Visitors) -> FastAPI:
    """Make the app of the port of its own.

    Args:
        service: The service's app, which has none of the three.
        metrics: The service's.
        visitors: Who may ask.

    Returns:
        The app.
    """

    async def check_visitor(request: Request) -> None:
        visitors.check(request.method, request.scope["headers"])

    admin = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(check_visitor)])
    admin.include_router(metrics_router(metrics))

    @admin.get("/openapi.json")
    async def schema() -> Response:
        return JsonReply(service.openapi())

    @admin.get("/docs")
    async def page() -> HTMLResponse:
        return get_swagger_ui_html(openapi_url="/openapi.json", title=service.title)

    admin.add_middleware(IdentifiedRequests, seconds=service.state.settings.deadline_seconds)
    return admin


class IdentifiedRequests:
    """Gives each request its id, which an error's body names, and its deadline."""

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            offered = Headers(scope=scope).get(REQUEST_ID_HEADER)
            start_request(new_request_id(offered), self._seconds)
        await self._app(scope, receive, send)
