"""The door of `/mcp`: its first request opens it, because the SDK takes most of a second to import."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context
from importlib import import_module
from typing import TYPE_CHECKING

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from services.core.errors import NotSupported

if TYPE_CHECKING:
    from services.gateway.mcp import McpEndpoint

MODULE = "services.gateway.mcp"


def add_mcp(app: FastAPI, max_body_bytes: int) -> McpDoor:
    """Add `/mcp` to the app, and return its door."""
    door = McpDoor(app, max_body_bytes)
    app.router.routes.append(Route("/mcp", door, include_in_schema=False))
    return door


class McpDoor:
    """Serves `/mcp`; open it once, for as long as the app runs. Without its extra it says so."""

    def __init__(self, app: FastAPI, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._lock = asyncio.Lock()
        self._closing = asyncio.Event()
        self._endpoint: McpEndpoint | None = None
        self._serving: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Answer until it closes."""
        try:
            yield
        finally:
            self._closing.set()
            if self._serving is not None:
                await self._serving

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._lock:
            endpoint = self._endpoint or await self._load()
        await endpoint(scope, receive, send)

    async def _load(self) -> McpEndpoint:
        """Import the endpoint and open it in a task of its own, which outlives the request."""
        try:
            module = await asyncio.to_thread(import_module, MODULE)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in {"mcp", "mcp_types"}:
                raise
            raise NotSupported(
                "MCP is not installed here: install the extra `mcp` (pip install '.[mcp]') and restart"
            ) from None
        endpoint: McpEndpoint = module.McpEndpoint(self._app, self._max_body_bytes)
        opened = asyncio.Event()
        self._serving = asyncio.create_task(self._serve(endpoint, opened), context=Context())
        await opened.wait()
        if self._serving.done():
            await self._serving
        self._endpoint = endpoint
        return endpoint

    async def _serve(self, endpoint: McpEndpoint, opened: asyncio.Event) -> None:
        try:
            async with endpoint.open():
                opened.set()
                await self._closing.wait()
        finally:
            opened.set()
