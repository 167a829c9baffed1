"""The one ASGI middleware: request id, deadline, body limit, span, metrics, access log, last-resort 500."""

from __future__ import annotations

import time
from contextlib import nullcontext

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.core import tei
from services.core.context import DEADLINE_HEADER, REQUEST_ID_HEADER, new_request_id, start_request
from services.core.errors import PayloadTooLarge, RaglineError
from services.core.metrics import Metrics
from services.core.settings import ServiceSettings
from services.core.streaming import ClientGone
from services.core.tracing import ServerSpans

QUIET = frozenset({"/health", "/health/ready", "/metrics"})
CLIENT_CLOSED = 499
"""nginx's status for a client that hung up; it exists in logs and metrics only."""

log = structlog.get_logger("access")


class RequestMiddleware:
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
        self.limit = owner.settings.max_body_bytes
        self.received = 0

    async def run(self, declared: int) -> None:
        start = time.perf_counter()
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
            self._account(time.perf_counter() - start)

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
            message["headers"] = [*message["headers"], (b"x-request-id", self.identifier.encode("latin-1"))]
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
            status, tei_body = tei.rendered(error, **named)
            body = orjson.dumps(tei_body.model_dump())
        else:
            body = orjson.dumps(error.body(**named).model_dump())
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _account(self, seconds: float) -> None:
        route = getattr(self.scope.get("route"), "path", "unmatched")
        self.owner.metrics.request(route, self.status, seconds)
        if self.scope["path"] not in QUIET:
            log.info(
                "request",
                method=self.scope["method"],
                path=self.scope["path"],
                status=self.status,
                seconds=round(seconds, 4),
            )
