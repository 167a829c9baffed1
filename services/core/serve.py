"""Run a service: uvicorn on uvloop, JSON logs, a shutdown that lets streams finish.

Logs are JSON, one object a line on stderr, each with the request's id; never the content of a request.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import suppress

import orjson
import structlog
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import EventDict, WrappedLogger
from uvicorn.config import STARTUP_FAILURE
from uvicorn.server import ServerState

from services.core.context import request_id
from services.core.errors import InvalidRequest, RaglineError
from services.core.listener import ListenerConfig
from services.core.proxies import ProxySettings
from services.core.settings import ServiceSettings
from services.core.tls import client_context

log = structlog.get_logger(__name__)


def serve(service: str, settings: ServiceSettings, app: FastAPI, *, port: int) -> None:
    """Serve until SIGTERM or SIGINT; then take no more requests and wait for those in flight.

    Readiness ends with the listening socket, which closes first.
    """
    configure_logs(service, settings.log_level)
    try:
        client_context()  # both are read again at the first call; what is wrong with them is said now
        ProxySettings.load()
        admin = (
            ListenerConfig(service, app.state.admin, settings, settings.admin_port)
            if settings.admin_port
            else None
        )
        server = Server(ListenerConfig(service, PlainStart(app), settings, port), admin)
    except InvalidRequest as error:
        log.error(f"cannot start: {error.message}")
        sys.exit(STARTUP_FAILURE)
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


class PlainStart:
    """An app whose failure to start is one line of the log, where it says by itself what is wrong."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failed: Message | None = None

        async def hold_failure(message: Message) -> None:
            nonlocal failed
            if message["type"] == "lifespan.startup.failed":
                failed = message
            else:
                await send(message)

        try:
            await self._app(scope, receive, hold_failure)
        except (RaglineError, OSError, sqlite3.OperationalError) as error:
            if failed is None:
                raise
            reason = error.message if isinstance(error, RaglineError) else f"{type(error).__name__}: {error}"
            await send({**failed, "message": f"cannot start: {reason}"})
        except BaseException:
            if failed is not None:
                await send(failed)
            raise


class Server(uvicorn.Server):
    """uvicorn's server with a second listener, for those who run the service."""

    def __init__(self, config: ListenerConfig, admin: ListenerConfig | None) -> None:
        super().__init__(config)
        self._admin = admin
        self._tls = config.tls
        self._admin_state = ServerState()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._admin is None or self.should_exit:
            return
        self.started = False
        config = self._admin
        config.load()
        loop = asyncio.get_running_loop()
        try:
            listener = await loop.create_server(
                lambda: config.open_connection(config, self._admin_state, {}),
                config.host,
                config.port,
                backlog=config.backlog,
            )
        except OSError as error:
            log.error("no port for the metrics and the docs", variable="ADMIN_PORT", reason=str(error))
            await self.shutdown(sockets)
            sys.exit(STARTUP_FAILURE)
        self.servers.append(listener)
        self.started = True

    def _log_started_message(self, listeners: Sequence[socket.SocketType]) -> None:
        self.config.ssl = self._tls.context if self._tls else None  # now only for the line's scheme
        super()._log_started_message(listeners)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self._admin_state.connections):
            connection.shutdown()
        await super().shutdown(sockets)


def configure_logs(service: str, level: str) -> None:
    """Send everything that is logged in this process, uvicorn's lines too, through one JSON formatter."""

    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        add_service,
        _add_request_id,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_to_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def _add_request_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    identifier = request_id.get()
    if identifier:
        event["request_id"] = identifier
    return event


def _to_json(value: EventDict, **_: object) -> str:
    return orjson.dumps(value, default=repr).decode()
