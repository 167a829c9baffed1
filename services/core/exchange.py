"""What surrounds every request: id, deadline, limits of its body, span, metrics, log, last-resort 500."""

from __future__ import annotations

import asyncio
import hmac
import math
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext

import orjson
import structlog
from pydantic_core import PydanticSerializationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.core import tei
from services.core.context import (
    DEADLINE_HEADER,
    REQUEST_ID_HEADER,
    new_request_id,
    seconds_left,
    start_request,
)
from services.core.disk import explain_full, is_full
from services.core.errors import InvalidRequest, PayloadTooLarge, RaglineError, RequestTimeout
from services.core.metrics import Metrics
from services.core.peer_errors import UNKNOWN_CALLER
from services.core.replies import ClientGone
from services.core.settings import TOKEN_HEADER, ServiceSettings
from services.core.tracing import ServerSpans

TOKEN = TOKEN_HEADER.encode()
PROBES = frozenset({"/health", "/health/ready"})
QUIET = PROBES | {"/metrics"}
CLIENT_CLOSED = 499
"""nginx's status for a client that hung up; it exists in logs and metrics only."""

NO_ROUTES: Mapping[str, int | None] = {}

SURROGATES = "surrogates not allowed"
NO_UNICODE = "a text in the request is not valid Unicode: it has half a character (a surrogate)"
UNSENDABLE = {
    "Integer exceeds 64-bit range": "a number in the request does not fit in 64 bits: send a smaller one",
    f"str is not valid UTF-8: {SURROGATES}": NO_UNICODE,
}
"""What a request may hold and no other service can be sent, by what orjson says of it."""

log = structlog.get_logger("access")


class UnknownCaller(RaglineError):
    """The request is not of one of our services. To a caller that is one, it is that service's failure."""

    status, code, type = 401, UNKNOWN_CALLER, "invalid_request_error"


def error_headers(error: RaglineError) -> dict[str, str]:
    """Make the headers of an error's reply: its own, and when to come again, in whole seconds, never sooner
    than it says."""
    again = {} if error.retry_after is None else {"retry-after": str(math.ceil(error.retry_after))}
    return {**error.headers, **again}


def brings_token(headers: Iterable[tuple[bytes, bytes]], token: bytes) -> bool:
    """Whether a request brings the token that our services share."""
    return any(name == TOKEN and hmac.compare_digest(value, token) for name, value in headers)


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
        upload_routes: Mapping[str, int | None] = NO_ROUTES,
        checks_token: bool = True,
    ) -> None:
        self.app = app
        self.upload_routes = upload_routes
        self.tei_routes = tei_routes
        self.service = service
        self.settings = settings
        self.visitors = settings.visitors
        self.token = settings.service_token.encode() if checks_token else b""
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
        settings = owner.settings
        self.limit: int | None = settings.max_body_bytes
        if scope["method"] == "POST":
            self.limit = owner.upload_routes.get(scope["path"], settings.max_body_bytes)
        self.received = 0
        self.is_whole = False

    async def run(self, declared: int) -> None:
        try:
            if self.scope["path"] not in QUIET:
                self._check_token()
            if self.scope["path"] not in PROBES:
                self.owner.visitors.check(self.scope["method"], self.scope["headers"])
            if self.limit is not None and declared > self.limit:
                raise self._too_large()
            await self.owner.app(self.scope, self.receive, self.send)
        except ClientGone:
            self.status = CLIENT_CLOSED
        except RaglineError as error:
            await self._fail(error)
        except Exception as error:
            explained = self._explain(error)
            if type(explained) is RaglineError:
                log.error("unhandled", exc_info=error)
            await self._fail(explained)
        finally:
            self._account(time.perf_counter() - self.start)

    async def receive(self) -> Message:
        if self.is_whole:
            return await self._receive()
        message = await self._receive_in_time()
        if message["type"] == "http.request":
            self.is_whole = not message.get("more_body", False)
            self.received += len(message.get("body", b""))
            if self.limit is not None and self.received > self.limit:
                raise self._too_large()
        return message

    async def _receive_in_time(self) -> Message:
        """Receive more of the body. Raises `RequestTimeout` where its client falls silent, or is too slow."""
        silence = self.owner.settings.body_seconds
        left = seconds_left(silence)
        try:
            async with asyncio.timeout(min(silence, left or 0.0)):
                return await self._receive()
        except TimeoutError:
            raise RequestTimeout(
                f"the request's body stopped coming after {self.received} bytes: none within {silence:g} s"
                if left is None or left >= silence
                else "the request's body was still coming at the request's deadline"
            ) from None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message.setdefault("headers", [])
            self.is_stream = any(value.startswith(b"text/event-stream") for _, value in message["headers"])
            message["headers"] = [*message["headers"], (b"x-request-id", self.identifier.encode("latin-1"))]
        elif self.is_stream and self.first is None:
            self.first = time.perf_counter() - self.start
        await self._send(message)

    def _check_token(self) -> None:
        """Raise `UnknownCaller` where the service has a token and the request does not bring it."""
        token = self.owner.token
        if token and not brings_token(self.scope["headers"], token):
            raise UnknownCaller(
                f"{self.owner.service} answers Ragline's own services alone (SERVICE_TOKEN, which must be "
                "the same for all of them): ask the gateway"
            )

    def _explain(self, error: Exception) -> RaglineError:
        """Make the error of an exception that nobody foresaw, some of which say whose fault it is."""
        if is_full(error):
            return explain_full(error)
        if isinstance(error, orjson.JSONEncodeError) and str(error) in UNSENDABLE:
            return InvalidRequest(UNSENDABLE[str(error)])
        if isinstance(error, PydanticSerializationError) and SURROGATES in str(error):
            return InvalidRequest(NO_UNICODE)
        return RaglineError(f"{self.owner.service} failed: see its log for this request id")

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
        headers += [(name.encode(), value.encode()) for name, value in error_headers(error).items()]
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
