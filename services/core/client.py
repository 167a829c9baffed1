"""The HTTP client of every hop: pooled, bound by the caller's deadline, errors as the tree's exceptions."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Self

import aiohttp
import orjson
from pydantic import ValidationError

from services.core import tracing
from services.core.context import DEADLINE_HEADER, REQUEST_ID_HEADER, request_id, seconds_left
from services.core.errors import (
    DeadlineExceeded,
    ErrorBody,
    ErrorDetail,
    RaglineError,
    ServiceError,
    ServiceUnavailable,
    from_detail,
    from_status,
)
from services.core.sse import Event, SseParser
from services.core.tei import TeiError
from services.core.wire.base import Readiness

NO_HEADERS: Mapping[str, str] = {}
Body = bytes | Mapping[str, object] | AsyncIterator[bytes]

CONNECT_SECONDS = 1.0
DEFAULT_SECONDS = 120.0
MESSAGE_LENGTH = 500


class HttpClient:
    """Calls one peer. Use as an async context manager, or call `aclose`.

    `service` is the peer's name in errors. Cancelling a call closes its connection, which tells the
    peer; closing a stream's generator does the same.
    """

    def __init__(
        self, service: str, base_url: str, *, headers: Mapping[str, str] | None = None, connections: int = 256
    ) -> None:
        self.service = service
        self.base_url = base_url.rstrip("/")
        self._headers = dict(headers or {})
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str) -> bytes:
        """Return the body of a 2xx reply; anything else raises."""
        return await self._call("GET", path)

    async def delete(self, path: str) -> bytes:
        return await self._call("DELETE", path)

    async def put(self, path: str, payload: Body) -> bytes:
        return await self._call("PUT", path, _encode(payload))

    async def post(
        self, path: str, payload: Body, *, headers: Mapping[str, str] = NO_HEADERS, idempotent: bool = False
    ) -> bytes:
        """POST JSON, or a body of another content type as it comes.

        `idempotent` allows one retry where a pooled connection turned out to be closed.
        """
        return await self._call("POST", path, _encode(payload), headers, idempotent=idempotent)

    async def stream(
        self,
        path: str,
        payload: Body | None,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        idempotent: bool = False,
    ) -> AsyncGenerator[Event]:
        """POST, or without a payload GET, and yield the reply's events. An `error` event is raised as its
        exception.

        `idempotent` allows one retry as in `post`, before the reply has begun. Raises `ServiceError` where
        the connection ends inside an event.
        """
        parser = SseParser()
        try:
            method, body = ("GET", None) if payload is None else ("POST", _encode(payload))
            reply = await self._begin(method, path, body, headers, idempotent=idempotent)
            async with reply:
                if reply.status >= 400:
                    raise self._error_from_reply(reply, await reply.read())
                async for chunk in reply.content.iter_any():
                    for event in parser.feed(chunk):
                        if event.event == "error":
                            raise self._error_from_body(502, event.data, None)
                        yield event
        except (aiohttp.ClientError, OSError) as error:
            raise self._translate(error) from error
        if parser.pending:
            raise ServiceError(
                f"{self.service} closed its stream in the middle of an event", service=self.service
            )

    async def ready(self) -> None:
        """Return where the peer is ready; raise `ServiceUnavailable` that says what it waits for.

        A server that is not Ragline's has no `/health/ready`: there `/health` is asked.
        """
        status, body = await self._exchange("GET", "/health/ready", None, NO_HEADERS)
        if status == 404:
            await self.get("/health")
        elif status >= 400:
            raise ServiceUnavailable(
                f"{self.service} waits for {_what_is_missing(body)}", service=self.service
            )

    async def _call(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterator[bytes] | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        *,
        idempotent: bool = True,
    ) -> bytes:
        try:
            _, reply = await self._exchange(method, path, body, headers, refuse=True)
        except _StaleConnection:
            if not idempotent:
                raise
            _, reply = await self._exchange(method, path, body, headers, refuse=True)
        return reply

    async def _begin(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterator[bytes] | None,
        headers: Mapping[str, str],
        *,
        idempotent: bool,
    ) -> aiohttp.ClientResponse:
        """Return the reply once its head is there; to be used as a context manager."""
        try:
            return await self._request(method, path, body, headers)
        except (aiohttp.ClientError, OSError) as error:
            if not (idempotent and isinstance(self._translate(error), _StaleConnection)):
                raise
        return await self._request(method, path, body, headers)

    async def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterator[bytes] | None,
        headers: Mapping[str, str],
        *,
        refuse: bool = False,
    ) -> tuple[int, bytes]:
        """Return status and body; an error status raises where `refuse` is set."""
        try:
            async with await self._request(method, path, body, headers) as reply:
                content = await reply.read()
        except (aiohttp.ClientError, OSError) as error:
            raise self._translate(error) from error
        if refuse and reply.status >= 400:
            raise self._error_from_reply(reply, content)
        return reply.status, content

    async def _request(
        self, method: str, path: str, body: bytes | AsyncIterator[bytes] | None, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        seconds = seconds_left(DEFAULT_SECONDS)
        return await self._pool().request(
            method,
            self.base_url + path,
            data=body,
            headers=self._outgoing(seconds, headers),
            # sock_connect bounds new connections only; a bound on `connect` would cost a timer per call
            timeout=aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS),
        )

    def _translate(self, error: aiohttp.ClientError | OSError) -> RaglineError:
        """Make the exception of ours that an aiohttp one stands for."""
        name = self.service
        if isinstance(error, aiohttp.ServerDisconnectedError):
            return _StaleConnection(f"{name} closed the connection: it may have died", service=name)
        if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.ClientConnectorError):
            return ServiceUnavailable(f"{name} is down: no answer at {self.base_url}", service=name)
        if isinstance(error, TimeoutError):
            return DeadlineExceeded(f"{name} did not answer before the deadline", service=name)
        if isinstance(error, aiohttp.ClientPayloadError):
            return ServiceError(f"{name} broke off its reply: it may have died", service=name)
        if isinstance(error, OSError):
            return _StaleConnection(f"{name} reset the connection: it may have died", service=name)
        return ServiceError(f"{name} answered with something that is not HTTP: {error}", service=name)

    def _error_from_reply(self, reply: aiohttp.ClientResponse, body: bytes) -> RaglineError:
        return self._error_from_body(reply.status, body, reply.headers.get("retry-after"))

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=60),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=True,
                skip_auto_headers={"User-Agent"},
            )
        return self._session

    def _outgoing(self, seconds: float | None, extra: Mapping[str, str]) -> dict[str, str]:
        headers = {"content-type": "application/json", **self._headers, **extra}
        if seconds is not None:
            headers[DEADLINE_HEADER] = f"{seconds * 1e3:.0f}"
        identifier = request_id.get()
        if identifier:
            headers[REQUEST_ID_HEADER] = identifier
        tracing.inject(headers, self.base_url)
        return headers

    def _error_from_body(self, status: int, body: bytes, retry_after: str | None) -> RaglineError:
        seconds = float(retry_after) if retry_after and retry_after.isdigit() else None
        detail = _error_detail(body)
        if detail is None:
            message = f"{self.service} answered {status}: {_readable_message(body)}"
            return from_status(status, message, service=self.service, retry_after=seconds)
        error = from_detail(detail, service=self.service, retry_after=seconds, upstream_status=status)
        if type(error) is ServiceError and status != ServiceError.status:
            return from_status(status, detail.message, service=self.service, retry_after=seconds)
        return error


def _error_detail(body: bytes) -> ErrorDetail | None:
    """Read what one of our services says in its own error body or in TEI's; None where it is neither."""
    try:
        return ErrorBody.model_validate_json(body).error
    except ValidationError:
        try:
            return TeiError.model_validate_json(body).detail
        except ValidationError:
            return None


def _encode(payload: Body) -> bytes | AsyncIterator[bytes]:
    return orjson.dumps(payload) if isinstance(payload, Mapping) else payload


class _StaleConnection(ServiceUnavailable):
    """A pooled connection that the peer had closed: the request was not answered."""


def _what_is_missing(body: bytes) -> str:
    """Say what a peer that is not ready waits for, from its `Readiness`."""
    try:
        state = Readiness.model_validate_json(body)
    except ValidationError:
        return _readable_message(body)
    missing = (health.detail or name for name, health in state.dependencies.items() if not health.ready)
    return "; ".join(missing) or "something it does not name"


def _readable_message(body: bytes) -> str:
    """Find the message in a foreign error body (OpenAI's, TEI's, FastAPI's), a proxy's page as text, or its
    first characters."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict):
        error = parsed.get("error") or parsed.get("message") or parsed.get("detail")
        if isinstance(error, dict):
            error = error.get("message")
        if isinstance(error, str):
            return error[:MESSAGE_LENGTH]
    text = body.decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        text = " ".join(re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.DOTALL).split())
    return text[:MESSAGE_LENGTH] or "an empty body"
