"""The HTTP client of every hop: pooled, bound by the caller's deadline, errors as the tree's exceptions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Self

import aiohttp
import orjson

from services.core.connections import Connections, Payload, StaleConnection
from services.core.errors import RaglineError, ServiceError, ServiceUnavailable
from services.core.peer_errors import error_from_body, read_retry_after, what_is_missing
from services.core.peer_events import read_events
from services.core.sse import MAX_EVENT_BYTES, Event

NO_HEADERS: Mapping[str, str] = {}
Body = bytes | Mapping[str, object] | AsyncIterator[bytes]

CONNECTIONS = 256
"""Requests that one peer gets at once."""
MAX_REPLY_BYTES = 128_000_000
"""More than the token vectors of a thousand passages."""
MAX_REFUSAL_BYTES = 65_536


class HttpClient:
    """Calls one peer. Use as an async context manager, or call `aclose`.

    `service` is the peer's name in errors. Cancelling a call closes its connection, which tells the
    peer; closing a stream's generator does the same.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        connections: int = CONNECTIONS,
        max_reply_bytes: int = MAX_REPLY_BYTES,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        """Make a client that connects at first use.

        Args:
            service: The peer's name in errors.
            base_url: Its address.
            headers: Sent with every request.
            connections: How many requests it gets at once; more wait.
            max_reply_bytes: The longest reply that is read.
            max_event_bytes: The longest event of a stream that is read.
        """
        self.service = service
        self.base_url = base_url.rstrip("/")
        self._connections = Connections(service, self.base_url, headers or {}, connections)
        self._max_reply_bytes = max_reply_bytes
        self._max_event_bytes = max_event_bytes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._connections.aclose()

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
        exception; what only keeps the connection open is left out.

        A chat completion in one piece of JSON, from a server that does not stream, is one event.
        `idempotent` allows one retry as in `post`, before the reply has begun.

        Raises:
            RaglineError: What the refusal stands for, also of a 200 that is no event stream.
            ServiceError: The connection ends inside an event, or an event is too large.
        """
        method, body = ("GET", None) if payload is None else ("POST", _encode(payload))
        try:
            async with (
                self._connections.take_turn(),
                await self._begin(method, path, body, headers, idempotent=idempotent) as reply,
            ):
                if reply.status >= 400:
                    raise await self._refusal(reply)
                chunks = read_events(
                    reply.content.iter_any(),
                    reply.content_type if "content-type" in reply.headers else "",
                    service=self.service,
                    limit=self._max_event_bytes,
                )
                async with aclosing(chunks) as events:
                    async for event in events:
                        if event.event == "error":
                            raise error_from_body(self.service, 502, event.data)
                        yield event
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise self._connections.translate(error) from error

    async def ready(self) -> None:
        """Return where the peer is ready; raise `ServiceUnavailable` that says what it waits for.

        A server that is not Ragline's has no `/health/ready`: there `/health` is asked.
        """
        status, body = await self._exchange("GET", "/health/ready", None, NO_HEADERS)
        if status == 404:
            await self.get("/health")
        elif status >= 400:
            raise ServiceUnavailable(
                f"{self.service} waits for {what_is_missing(body)}", service=self.service
            )

    async def _call(
        self,
        method: str,
        path: str,
        body: Payload = None,
        headers: Mapping[str, str] = NO_HEADERS,
        *,
        idempotent: bool = True,
    ) -> bytes:
        try:
            _, reply = await self._exchange(method, path, body, headers, refuse=True)
        except StaleConnection:
            if not idempotent:
                raise
            _, reply = await self._exchange(method, path, body, headers, refuse=True)
        return reply

    async def _begin(
        self,
        method: str,
        path: str,
        body: Payload,
        headers: Mapping[str, str],
        *,
        idempotent: bool,
    ) -> aiohttp.ClientResponse:
        """Return the reply once its head is there; to be used as a context manager."""
        try:
            return await self._connections.request(method, path, body, headers)
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            if not (idempotent and isinstance(self._connections.translate(error), StaleConnection)):
                raise
        return await self._connections.request(method, path, body, headers)

    async def _exchange(
        self,
        method: str,
        path: str,
        body: Payload,
        headers: Mapping[str, str],
        *,
        refuse: bool = False,
    ) -> tuple[int, bytes]:
        """Return status and body; an error status raises where `refuse` is set."""
        try:
            async with (
                self._connections.take_turn(),
                await self._connections.request(method, path, body, headers) as reply,
            ):
                if refuse and reply.status >= 400:
                    raise await self._refusal(reply)
                return reply.status, await self._read(reply)
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise self._connections.translate(error) from error

    async def _refusal(self, reply: aiohttp.ClientResponse) -> RaglineError:
        """Make the exception of a reply with an error status, from as much of it as may hold a message."""
        body = bytearray()
        async for chunk in reply.content.iter_any():
            body += chunk
            if len(body) > MAX_REFUSAL_BYTES:
                reply.close()
                break
        retry_after = read_retry_after(reply.headers)
        return error_from_body(self.service, reply.status, bytes(body), retry_after=retry_after)

    async def _read(self, reply: aiohttp.ClientResponse) -> bytes:
        """Read a reply. Raises `ServiceError` where it is longer than the limit."""
        limit = self._max_reply_bytes
        body = bytearray()
        async for chunk in reply.content.iter_any():
            body += chunk
            if len(body) > limit:
                reply.close()
                raise ServiceError(
                    f"{self.service} sent a reply of more than {limit / 1e6:g} MB", service=self.service
                )
        return bytes(body)


def _encode(payload: Body) -> bytes | AsyncIterator[bytes]:
    return orjson.dumps(payload) if isinstance(payload, Mapping) else payload
