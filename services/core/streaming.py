"""Replies that end when the client does: an SSE response, and a guard for replies in one piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from typing import TypeVar

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.core.context import request_id, within_deadline
from services.core.errors import RaglineError
from services.core.sse import format_event

T = TypeVar("T")
log = structlog.get_logger(__name__)


class ClientGone(Exception):
    """The client hung up; nobody reads the reply any more."""


async def until_disconnected(request: Request, work: Coroutine[object, object, T]) -> T:
    """The result of `work`; cancels it and raises `ClientGone` as soon as the client hangs up."""
    return await _watched(work, request.receive)


async def _watched(work: Coroutine[object, object, T], receive: Receive) -> T:
    """Run `work` in the current task, which a second one cancels when the client is gone.

    As with `asyncio.timeout`, a cancellation from elsewhere passes through.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("until_disconnected needs a task")
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if gone and task.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watcher.cancel()


class EventStream(Response):
    """`text/event-stream` from an async generator of encoded events.

    The generator is closed as soon as the client hangs up, also while it waits for its next event.
    An exception inside the stream becomes an `error` event, and the stream ends there; so does a stream
    that is still going at the request's deadline.
    """

    def __init__(
        self,
        events: AsyncGenerator[bytes],
        *,
        service: str,
        headers: Mapping[str, str] | None = None,
        first: bytes = b"",
    ) -> None:
        super().__init__(
            media_type="text/event-stream", headers={"cache-control": "no-store", **(headers or {})}
        )
        del self.headers["content-length"]
        self._events = events
        self._service = service
        self._first_event = first

    @classmethod
    async def open(
        cls,
        request: Request,
        events: AsyncGenerator[bytes],
        *,
        service: str,
        headers: Mapping[str, str] | None = None,
    ) -> EventStream:
        """Wait for the first event, so that a failure before it keeps its own status; `headers` are read
        when it has come."""
        try:
            first = await until_disconnected(request, _pull(events, service))
        except BaseException:
            await events.aclose()
            raise
        return cls(events, service=service, headers=headers, first=first)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            await _watched(self._pump(send), receive)
        except ClientGone:
            log.info("client hung up")
        finally:
            await self._events.aclose()

    async def _pump(self, send: Send) -> None:
        try:
            if self._first_event:
                await send({"type": "http.response.body", "body": self._first_event, "more_body": True})
            async with within_deadline("the reply", service=self._service):
                async for event in self._events:
                    await send({"type": "http.response.body", "body": event, "more_body": True})
        except OSError:
            raise ClientGone from None
        except Exception as error:  # noqa: BLE001 - whatever it is, the client must see that the stream failed
            await send({"type": "http.response.body", "body": self._error(error), "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _error(self, error: Exception) -> bytes:
        if not isinstance(error, RaglineError):
            log.error("stream failed", exc_info=error)
            error = RaglineError(f"{self._service} failed: see its log for this request id")
        body = error.body(service=self._service, request_id=request_id.get())
        return format_event(orjson.dumps(body.model_dump()), "error")


async def _pull(events: AsyncGenerator[bytes], service: str) -> bytes:
    async with within_deadline("the reply", service=service):
        return await anext(events, b"")
