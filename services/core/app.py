"""The app factory: what a service is before it does anything of its own.

Every request gets its id, its deadline, a limit on its body, a span, its metrics and a line in the log; every
failure leaves as the one error body.
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from importlib.metadata import version

import orjson
import structlog
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.core import health, tei, tracing
from services.core.context import (
    DEADLINE_HEADER,
    REQUEST_ID_HEADER,
    new_request_id,
    request_id,
    start_request,
)
from services.core.errors import (
    InvalidRequest,
    MalformedRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    RaglineError,
    from_status,
)
from services.core.metrics import Metrics
from services.core.opea import opea_router
from services.core.replies import ClientGone, JsonReply
from services.core.settings import ServiceSettings
from services.core.tracing import ServerSpans

QUIET = frozenset({"/health", "/health/ready", "/metrics"})
CLIENT_CLOSED = 499
"""nginx's status for a client that hung up; it exists in logs and metrics only."""

log = structlog.get_logger("access")

Resources = Callable[[FastAPI], AbstractAsyncContextManager[Mapping[str, health.Check]]]
"""Opens what the service holds, puts it on `app.state`, yields the checks of its dependencies."""


def create_app(
    *,
    service: str,
    settings: ServiceSettings,
    router: APIRouter,
    resources: Resources,
    tei_routes: Collection[str] = (),
) -> FastAPI:
    """Make the app of a service, with its own routes and those that all services have.

    `app.state.settings` and `app.state.metrics` are there before `resources` opens.

    Args:
        service: The service's name.
        settings: Its settings.
        router: Its routes.
        resources: Opens what it holds, for as long as the app runs.
        tei_routes: The paths that answer with text-embeddings-inference's error body.

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

    app = FastAPI(title=f"Ragline {service}", version=version("ragline"), lifespan=lifespan)
    app.state.settings = settings
    app.state.metrics = metrics
    app.state.checks = {}
    app.include_router(router)
    app.include_router(health.health_router(service, metrics, lambda: app.state.checks))
    app.include_router(opea_router(service, metrics.latencies))
    app.add_middleware(
        RequestMiddleware,
        service=service,
        settings=settings,
        metrics=metrics,
        spans=spans,
        tei_routes=frozenset(tei_routes),
    )
    _render_errors(app, service, frozenset(tei_routes))
    return app


def _render_errors(app: FastAPI, service: str, tei_routes: frozenset[str]) -> None:
    """Have every failure leave as the one error body, or on TEI's routes as TEI's."""

    def reply(request: Request, error: RaglineError) -> Response:
        headers = retry_headers(error)
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


def retry_headers(error: RaglineError) -> dict[str, str]:
    """Make the header that says when to come again; whole seconds, never sooner than the error says."""
    return {} if error.retry_after is None else {"retry-after": str(math.ceil(error.retry_after))}


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


class RequestMiddleware:
    """Wraps every request: id, deadline, limit of the body, span, metrics, access log, last-resort 500."""

    def __init__(
        self,
        app: ASGIApp,
        service: str,
        settings: ServiceSettings,
        metrics: Metrics,
        spans: ServerSpans | None,
        *,
        tei_routes: frozenset[str] = frozenset(),
    ) -> None:
        self.app = app
        self.tei_routes = tei_routes
        self.service = service
        self.settings = settings
        self.metrics = metrics
        self.spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        identifier = new_request_id(headers.get(REQUEST_ID_HEADER))
        start_request(identifier, self._seconds(headers.get(DEADLINE_HEADER)))
        exchange = _Exchange(self, scope, receive, send, identifier)
        span = (
            self.spans.start(f"{scope['method']} {scope['path']}", headers, identifier)
            if self.spans and scope["path"] not in QUIET
            else nullcontext()
        )
        with self.metrics.in_flight.track_inprogress(), span:
            await exchange.run(int(headers.get("content-length") or 0))

    def _seconds(self, offered: str | None) -> float:
        limit = self.settings.deadline_seconds
        try:
            return limit if offered is None else min(limit, max(0.0, float(offered) / 1e3))
        except ValueError:
            return limit


class _Exchange:
    """One request and its reply."""

    def __init__(
        self, owner: RequestMiddleware, scope: Scope, receive: Receive, send: Send, identifier: str
    ) -> None:
        self.owner = owner
        self.scope = scope
        self._receive = receive
        self._send = send
        self.identifier = identifier
        self.status = 0
        self.start = time.perf_counter()
        self.is_stream = False
        self.first: float | None = None
        self.limit = owner.settings.max_body_bytes
        self.received = 0

    async def run(self, declared: int) -> None:
        try:
            if declared > self.limit and not self._is_upload():
                await self._fail(self._too_large())
            else:
                await self.owner.app(self.scope, self.receive, self.send)
        except ClientGone:
            self.status = CLIENT_CLOSED
        except RaglineError as error:
            await self._fail(error)
        except Exception as error:
            log.error("unhandled", exc_info=error)
            await self._fail(RaglineError(f"{self.owner.service} failed: see its log for this request id"))
        finally:
            self._account(time.perf_counter() - self.start)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not self._is_upload():
            self.received += len(message.get("body", b""))
            if self.received > self.limit:
                raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message.setdefault("headers", [])
            self.is_stream = any(value.startswith(b"text/event-stream") for _, value in message["headers"])
            message["headers"] = [*message["headers"], (b"x-request-id", self.identifier.encode("latin-1"))]
        elif self.is_stream and self.first is None:
            self.first = time.perf_counter() - self.start
        await self._send(message)

    def _is_upload(self) -> bool:
        """Multipart bodies are read in pieces and limited by the route that takes them."""
        content_type = next((value for key, value in self.scope["headers"] if key == b"content-type"), b"")
        return bool(content_type.startswith(b"multipart/form-data"))

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"the request body is larger than {self.limit} bytes: send less")

    async def _fail(self, error: RaglineError) -> None:
        if self.status:
            return
        status, named = error.status, {"service": self.owner.service, "request_id": self.identifier}
        if self.scope["path"] in self.owner.tei_routes:
            status, tei_body = tei.render_error(error, **named)
            body = orjson.dumps(tei_body.model_dump())
        else:
            body = orjson.dumps(error.body(**named).model_dump())
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.encode(), value.encode()) for name, value in retry_headers(error).items()]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _account(self, seconds: float) -> None:
        route = getattr(self.scope.get("route"), "path", "unmatched")
        self.owner.metrics.observe_request(route, self.status, seconds)
        if self.scope["method"] == "POST" and self.status < 400:
            self.owner.metrics.latencies.add(seconds, self.first)
        if self.scope["path"] not in QUIET:
            log.info(
                "request",
                method=self.scope["method"],
                path=self.scope["path"],
                status=self.status,
                seconds=round(seconds, 4),
            )
