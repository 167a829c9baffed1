"""Run a service: uvicorn on uvloop, JSON logs, a shutdown that lets streams finish."""

from __future__ import annotations

import uvicorn
from fastapi import FastAPI

from services.core.logs import configure
from services.core.settings import ServiceSettings


def serve(service: str, settings: ServiceSettings, app: FastAPI, *, port: int) -> None:
    """Serve until SIGTERM or SIGINT; then take no more requests and wait for those in flight.

    Readiness ends with the listening socket, which closes first.
    """
    configure(service, settings.log_level)
    uvicorn.run(
        app,
        host=settings.host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(settings.shutdown_seconds),
        timeout_keep_alive=75,
    )
