"""A connection until its TLS handshake has ended: it counts, and it has a time, as a request's head has.

Where asyncio's server makes the handshake, a connection is nobody's until its end: no limit counts it, and
one that says nothing stays for a minute.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, cast

import structlog

log = structlog.get_logger(__name__)


class Handshake(asyncio.Protocol):
    """Makes a connection secure, then hands it over."""

    is_working = False

    def __init__(
        self,
        context: ssl.SSLContext,
        seconds: float,
        make_protocol: Callable[[], asyncio.Protocol],
        connections: set[Any],
        make_room: Callable[[Handshake], object],
    ) -> None:
        """Make the protocol of one connection.

        Args:
            context: The listener's.
            seconds: The longest that the handshake may take.
            make_protocol: Makes the protocol that takes over.
            connections: The listener's connections, of which this is one until then.
            make_room: Sees to it that there are not too many.
        """
        self._context = context
        self._seconds = seconds
        self._make_protocol = make_protocol
        self._connections = connections
        self._make_room = make_room
        self._begun = False
        self.idle_since = time.monotonic()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # what a transport of asyncio has begun to read cannot be made secure without a race: the socket gets
        # another one, before a byte is read
        try:
            self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        except OSError as error:  # no descriptor is left
            log.warning("no secure connection", reason=error.strerror)
            return
        finally:
            cast("asyncio.Transport", transport).abort()
        self._socket.setblocking(False)
        self._connections.add(self)
        self._make_room(self)
        self._task = asyncio.get_running_loop().create_task(self._run())

    def shutdown(self) -> None:
        """End at once: nothing has been asked."""
        self._connections.discard(self)
        self._task.cancel()
        if not self._begun:
            self._socket.close()

    async def _run(self) -> None:
        self._begun = True
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._make_protocol, self._socket, ssl=self._context, ssl_handshake_timeout=self._seconds
            )
        except OSError as error:  # SSLError too
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            log.warning("no secure connection", reason=reason)
        finally:
            self._connections.discard(self)
