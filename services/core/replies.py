"""What a route answers with: JSON or MessagePack in one piece, and streams that end when the client does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import suppress
from typing import TypeVar

import orjson
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from services.core.context import request_id, within_deadline
from services.core.errors import RaglineError, UnsupportedMedia
from services.core.sse import format_event
from services.core.wire.encoding import MEDIA_TYPE, pack

T = TypeVar("T")
log = structlog.get_logger(__name__)


class JsonReply(Response):
    """`application/json` from anything that orjson serialises."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return orjson.dumps(content)


class PackedReply(Response):
    """`application/msgpack` from what JSON can say, bytes, and arrays of numpy."""

    media_type = MEDIA_TYPE

    def render(self, content: object) -> bytes:
        return pack(content)


def accepts_packed(request: Request) -> bool:
    """Whether its client reads MessagePack."""
    return MEDIA_TYPE in request.headers.get("accept", "")


async def require_json_or_packed(request: Request) -> None:
    """Refuse any type of body but the two; a dependency of routes that read MessagePack too.

    FastAPI hands other types on as bytes, and what a page elsewhere can make a browser send without asking
    must not be taken for either.

    Raises:
        UnsupportedMedia: The body is of another type.
    """
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in {MEDIA_TYPE, "application/json"}:
        raise UnsupportedMedia(
            f"send application/json or {MEDIA_TYPE}, not {media_type or 'a body without a type'}"
        )


def describe_packed_body(schema: str) -> dict[str, object]:
    """Describe, for a route's `openapi_extra`, that it takes this schema as MessagePack too."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"requestBody": {"content": content}}


class ClientGone(Exception):
    """The client hung up; nobody reads the reply any more."""


async def until_disconnected(request: Request, work: Coroutine[object, object, T]) -> T:
    """Run `work` until it is done or the client hangs up.

    Returns:
        The result of `work`.

    Raises:
        ClientGone: The client hung up; `work` was cancelled.
    """
    return await _run_watched(work, request.receive)


async def _run_watched(work: Coroutine[object, object, T], receive: Receive) -> T:
    """Run `work` in the current task, which a second one cancels when the client is gone.

    As with `asyncio.timeout`, a cancellation from elsewhere passes through.
    """
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("until_disconnected needs a task")
    is_gone = False

    async def watch() -> None:
        nonlocal is_gone
        with suppress(RaglineError):  # a body that stops coming is a client that is gone
            while (await receive())["type"] != "http.disconnect":
                pass
        is_gone = True
        task.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if is_gone and task.uncancel() == 0:
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
        """Wait for the first event, so that a failure before it keeps its own status.

        Args:
            request: The request to answer.
            events: Encoded events; closed at the end.
            service: The name of the service, for errors.
            headers: The reply's; they are read when the first event has come.

        Returns:
            The reply.

        Raises:
            ClientGone: The client hung up.
            RaglineError: What the generator raised before its first event.
        """
        try:
            first = await until_disconnected(request, _pull_first(events, service))
        except BaseException:
            await events.aclose()
            raise
        return cls(events, service=service, headers=headers, first=first)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            await _run_watched(self._pump(send), receive)
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


async def _pull_first(events: AsyncGenerator[bytes], service: str) -> bytes:
    async with within_deadline("the reply", service=service):
        return await anext(events, b"")
