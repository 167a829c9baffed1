"""The HTTP listener: what a connection may cost before a request of it reaches the app.

uvicorn with httptools, which by itself bounds neither the head of a request nor the time in which it must
come: one header of 100 MB costs it twelve seconds of the event loop. Here a head, a trailer and a chunk's
extension have a size, a head has a time, and connections that ask nothing make room for those that do.
"""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.events import TimerHandle
from dataclasses import dataclass
from typing import Any, cast

import orjson
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from services.core.context import new_request_id
from services.core.errors import (
    Busy,
    HeadersTooLarge,
    MalformedRequest,
    RaglineError,
    RequestTimeout,
)
from services.core.handshake import Handshake
from services.core.settings import ServiceSettings
from services.core.tls import open_certificate

KEEP_ALIVE_SECONDS = 75
LINGER_SECONDS = 10.0
"""How long the rest of a body is read and thrown away whose request has its reply already."""
BUSY_RETRY_SECONDS = 5.0
FILES_BESIDES = 256
"""Descriptors that are left for all that is no client's connection."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ListenerLimits:
    """What a connection may cost.

    `head_bytes` and `headers` bound a request's head, `head_seconds` the time from a connection's or a head's
    first byte to the head's end, `connections` how many there are at once.
    """

    head_bytes: int
    headers: int
    head_seconds: float
    connections: int

    @classmethod
    def of(cls, settings: ServiceSettings) -> ListenerLimits:
        """Read the limits of a service; fewer connections where the system gives fewer descriptors."""
        return cls(
            head_bytes=settings.max_header_bytes,
            headers=settings.max_headers,
            head_seconds=settings.header_seconds,
            connections=max(1, min(settings.max_connections, _raise_descriptors() - FILES_BESIDES)),
        )


class ListenerConfig(uvicorn.Config):
    """uvicorn's configuration of one service; `service` is its name in errors."""

    def __init__(self, service: str, app: ASGIApp, settings: ServiceSettings, port: int) -> None:
        super().__init__(
            app,
            host=settings.host,
            port=port,
            http=cast("type[asyncio.Protocol]", self.open_connection),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=int(settings.shutdown_seconds),
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self.service = service
        self.limits = ListenerLimits.of(settings)
        self.tls = open_certificate(settings)

    def open_connection(
        self,
        config: ListenerConfig,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        """Make the protocol of a connection that somebody opens."""

        protocol = BoundedProtocol(config, server_state, app_state)
        if self.tls is None:
            return protocol
        connections: set[Any] = server_state.connections
        limits = self.limits

        def make_room(newcomer: Handshake) -> None:
            if len(connections) > limits.connections:
                _close_idlest(connections, newcomer)

        protocol.handshake = Handshake(
            self.tls.context, limits.head_seconds, lambda: protocol, connections, make_room
        )
        return protocol.handshake


class BoundedProtocol(HttpToolsProtocol):
    """One connection, with limits."""

    config: ListenerConfig
    handshake: Handshake | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.connections.discard(self.handshake)
        super().connection_made(transport)
        self._limits = self.config.limits
        self._refusal: RaglineError | None = None
        self._unread = 0
        """Bytes since the last that a request gained by."""
        self._gained = False
        self._in_head = False
        self._clock: TimerHandle | None = None
        self.idle_since = time.monotonic()
        if len(self.connections) > self._limits.connections and not _close_idlest(self.connections, self):
            self._refuse(
                Busy(
                    f"all {self._limits.connections} connections are at work (MAX_CONNECTIONS): try later",
                    retry_after=BUSY_RETRY_SECONDS,
                )
            )
            return
        self._start_clock(self._limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        if self._clock is None and not self.is_working:
            self._start_clock(self._limits.head_seconds)
        rest = memoryview(data)
        while rest and not self.transport.is_closing():
            # what is fed at once is bounded, because httptools puts a header together byte by byte
            piece = rest[: self._limits.head_bytes - self._unread]
            rest = rest[len(piece) :]
            self._gained = False
            super().data_received(piece)  # type: ignore[arg-type]
            self._unread = 0 if self._gained else self._unread + len(piece)
            if self._unread >= self._limits.head_bytes:
                what = "head is" if self._in_head else "trailers or chunk extensions are"
                self._refuse(
                    HeadersTooLarge(
                        f"the request's {what} larger than {self._limits.head_bytes} bytes "
                        "(MAX_HEADER_BYTES): send less"
                    )
                )

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= self._limits.headers:
            self._refusal = HeadersTooLarge(
                f"the request has more than {self._limits.headers} headers (MAX_HEADERS): send fewer"
            )
            raise self._refusal
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._gained, self._in_head = True, False
        self._stop_clock()
        if self._get_upgrade() == b"websocket":
            self._refusal = MalformedRequest("there are no WebSockets here: streams are server-sent events")
            raise self._refusal
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._gained = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._gained = True
        if self.cycle.response_complete and self._clock is not None:
            self._stop_clock()  # the rest of a body that nobody wanted has come to its end
            self._rest()
        self.cycle.more_body = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.idle_since = time.monotonic()
        if not self.is_working and self.cycle.more_body and not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._start_clock(LINGER_SECONDS)

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be read, by the reason that a callback gave or as HTTP that is broken."""
        self._refuse(self._refusal or MalformedRequest("the request is not HTTP/1.1 as it should be"))

    def _unsupported_upgrade_warning(self) -> None:
        """An upgrade that is not offered is no news: the request is answered as it is."""

    @property
    def is_working(self) -> bool:
        """Whether a request of this connection is with the app."""
        return self.cycle is not None and not self.cycle.response_complete

    def _rest(self) -> None:
        """Wait for the next request as after any reply."""
        self.idle_since = time.monotonic()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def _start_clock(self, seconds: float) -> None:
        self._stop_clock()
        self._clock = self.loop.call_later(seconds, self._run_out)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _run_out(self) -> None:
        self._clock = None
        if self.transport.is_closing():
            return
        if self._in_head:
            seconds = self._limits.head_seconds
            self._refuse(RequestTimeout(f"the request's head did not end within {seconds:g} s"))
        else:
            self.transport.close()

    def _refuse(self, error: RaglineError) -> None:
        """Answer and close; nothing more is read. A connection whose app has the word is cut instead."""
        self._refusal = error
        self._stop_clock()
        log.warning("refused", status=error.status, reason=error.message)
        if self.is_working:
            if self.cycle.response_started or self._in_head:
                self.transport.abort()
                return
            self.cycle.disconnected = True  # the app must not take a body that was cut for a whole one
            self.cycle.message_event.set()
        body = orjson.dumps(error.body(service=self.config.service, request_id=new_request_id()).model_dump())
        head = [
            STATUS_LINE[error.status],
            b"content-type: application/json\r\nconnection: close\r\n",
            b"content-length: %d\r\n" % len(body),
        ]
        if error.retry_after is not None:
            head.append(b"retry-after: %d\r\n" % error.retry_after)
        self.transport.write(b"".join([*head, b"\r\n", body]))
        self.transport.close()


def _close_idlest(connections: set[Any], newcomer: BoundedProtocol | Handshake) -> bool:
    """Close the connection that has asked nothing for the longest time. Returns whether there is one."""
    idle = [
        connection
        for connection in connections
        if isinstance(connection, BoundedProtocol | Handshake)
        and connection is not newcomer
        and not connection.is_working
    ]
    if not idle:
        return False
    oldest = min(idle, key=lambda connection: connection.idle_since)
    connections.discard(oldest)
    oldest.shutdown()
    return True


def _raise_descriptors() -> int:
    """Let this process have as many descriptors as the system allows it. Returns how many that is."""
    if sys.platform == "win32":
        return 1 << 16
    import resource  # noqa: PLC0415 - not on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard > soft:
        wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 1 << 16)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError):
            return soft
        return wanted
    return soft
