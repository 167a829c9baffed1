"""The app factory: what a service is before it does anything of its own.

Every request gets its id, its deadline, a limit on its body, a span, its metrics and a line in the log; every
failure leaves as the one error body.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from services.core import health, tei, tracing
from services.core.admin import create_admin_app, metrics_router
from services.core.context import request_id
from services.core.errors import (
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    RaglineError,
    from_status,
)
from services.core.exchange import NO_ROUTES, RequestMiddleware, brings_token, error_headers
from services.core.metrics import Metrics
from services.core.opea import opea_router
from services.core.replies import JsonReply
from services.core.settings import ServiceSettings

Resources = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, health.Check]]]
"""Opens what the service holds, puts it on `app.state`, yields the checks of its dependencies."""


def create_app(
    *,
    service: str,
    settings: ServiceSettings,
    router: APIRouter,
    resources: Resources,
    tei_routes: Collection[str] = (),
    upload_routes: Mapping[str, int | None] = NO_ROUTES,
    checks_token: bool = True,
) -> FastAPI:
    """Make the app of a service, with its own routes and those that all services have.

    `app.state.settings` and `app.state.metrics` are there before `resources` opens; so is `app.state.admin`,
    the app for `ADMIN_PORT`, where that is set.

    Args:
        service: The service's name.
        settings: Its settings.
        router: Its routes.
        resources: Opens what it holds, for as long as the app runs.
        tei_routes: The paths that answer with text-embeddings-inference's error body.
        upload_routes: The paths whose body may be longer than `MAX_BODY_BYTES`, with the most bytes that one
            may have; None: the handler bounds it.
        checks_token: Whether `SERVICE_TOKEN` is asked for, where there is one.

    Returns:
        The app.
    """
    traces = tracing.open_provider(service, settings.otlp_endpoint)
    spans = tracing.ServerSpans(traces) if traces else None
    metrics = Metrics(service, spans.tracer if spans else None)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with resources(app) as checks:
            app.state.checks = checks
            yield
        if traces:
            traces.shutdown()

    apart = settings.admin_port > 0
    app = FastAPI(
        title=f"Ragline {service}",
        version=version("ragline"),
        lifespan=lifespan,
        openapi_url=None if apart else "/openapi.json",
    )
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.checks = {}
    app.state.notices = ()
    app.include_router(router)
    app.state.trusts = _trust_token(settings.service_token.encode())
    state = app.state
    app.include_router(
        health.health_router(service, lambda: state.checks, lambda: state.notices, lambda: state.trusts)
    )
    app.include_router(opea_router(service, metrics.latencies))
    app.add_middleware(
        RequestMiddleware,
        service=service,
        settings=settings,
        metrics=metrics,
        spans=spans,
        tei_routes=frozenset(tei_routes),
        upload_routes=upload_routes,
        checks_token=checks_token,
    )
    _render_errors(app, service, frozenset(tei_routes))
    if apart:
        app.state.admin = create_admin_app(app, metrics, settings.visitors)
        _render_errors(app.state.admin, service, frozenset())
    else:
        app.include_router(metrics_router(metrics))
    return app


def _trust_token(token: bytes) -> health.Trust:
    async def trusts(request: Request) -> bool:
        return not token or brings_token(request.scope["headers"], token)

    return trusts


def _render_errors(app: FastAPI, service: str, tei_routes: frozenset[str]) -> None:
    """Have every failure leave as the one error body, or on TEI's routes as TEI's."""

    def reply(request: Request, error: RaglineError) -> Response:
        headers = error_headers(error)
        if request.url.path in tei_routes:
            status, tei_body = tei.render_error(error, service=service, request_id=request_id.get())
            return JsonReply(tei_body.model_dump(), status_code=status, headers=headers)
        body = error.body(service=service, request_id=request_id.get())
        return JsonReply(body.model_dump(), status_code=error.status, headers=headers)

    @app.exception_handler(RaglineError)
    async def reply_to_error(request: Request, error: RaglineError) -> Response:
        return reply(request, error)

    @app.exception_handler(RequestValidationError)
    async def reply_to_invalid(request: Request, error: RequestValidationError) -> Response:
        return reply(request, explain_invalid(error))

    @app.exception_handler(HTTPException)
    async def reply_to_http(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, RaglineError):
            return reply(request, error.__cause__)
        if error.status_code == 404:
            return reply(request, NotFound(f"no route {request.method} {request.url.path}: see /docs"))
        if error.status_code == 405:
            refusal = f"{request.url.path} does not take {request.method}: see /docs"
            return reply(request, MethodNotAllowed(refusal))
        return reply(request, from_status(error.status_code, str(error.detail), service=service))


def explain_invalid(error: RequestValidationError) -> InvalidRequest:
    """Say what is wrong with a request, in one sentence per field."""
    issues = error.errors()
    if any(issue["type"] == "json_invalid" for issue in issues):
        reason = issues[0].get("ctx", {}).get("error", "invalid JSON")
        return MalformedRequest(f"the body is not valid JSON: {reason}")
    parts = []
    for issue in issues[:5]:
        where = ".".join(str(part) for part in issue["loc"][1:])
        parts.append(f"{where or 'body'}: {issue['msg']}")
    return InvalidRequest("; ".join(parts))
