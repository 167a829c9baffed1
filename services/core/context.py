"""What belongs to the request in hand: its id and its deadline, carried by context variables."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

from services.core.errors import DeadlineExceeded

REQUEST_ID_HEADER = "x-request-id"
DEADLINE_HEADER = "x-ragline-deadline-ms"
"""Milliseconds that the caller still waits; a service never works longer than this."""

_SANE_ID = re.compile(r"^[\x21-\x7e]{1,128}$")

request_id: ContextVar[str] = ContextVar("request_id", default="")
stage: ContextVar[str] = ContextVar("stage", default="")
"""The stage of the request that is being waited for, so that a deadline can say where it struck."""
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def new_request_id(offered: str | None = None) -> str:
    """The caller's id where it is printable ASCII of at most 128 characters, else a fresh one."""
    return offered if offered and _SANE_ID.match(offered) else uuid.uuid4().hex


def set_deadline(seconds: float) -> None:
    """Bound the request in hand to `seconds` from now, or to its present deadline if that is sooner."""
    at = asyncio.get_running_loop().time() + seconds
    present = _deadline.get()
    _deadline.set(at if present is None else min(at, present))


def start_request(identifier: str, seconds: float) -> None:
    """Begin a request: its id, and a deadline that owes nothing to an earlier one."""
    request_id.set(identifier)
    _deadline.set(asyncio.get_running_loop().time() + seconds)


@contextmanager
def separate_request(identifier: str, seconds: float) -> Iterator[None]:
    """Begin a request as `start_request` does; after the body, what was there before is there again."""
    tokens = request_id.set(identifier), _deadline.set(asyncio.get_running_loop().time() + seconds)
    try:
        yield
    finally:
        request_id.reset(tokens[0])
        _deadline.reset(tokens[1])


def seconds_left(default: float | None = None) -> float | None:
    """Seconds until the deadline, at least zero; `default` outside of a request."""
    at = _deadline.get()
    return default if at is None else max(0.0, at - asyncio.get_running_loop().time())


@asynccontextmanager
async def within_deadline(what: str, *, service: str) -> AsyncIterator[None]:
    """Cut the body at the deadline; raises `DeadlineExceeded` that names `what`, and the stage it was in."""
    try:
        async with asyncio.timeout(seconds_left()):
            yield
    except TimeoutError:
        where = f", in the stage {stage.get()}" if stage.get() else ""
        raise DeadlineExceeded(f"{what} did not finish before the deadline{where}", service=service) from None
