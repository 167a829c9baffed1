"""What is for those who run a service: `/metrics`, `/docs` and `/openapi.json`."""

from __future__ import annotations

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, Response

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

    return admin
