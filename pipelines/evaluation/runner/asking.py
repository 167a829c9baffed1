"""One request: sent again while an engine is busy or down, refused where it came from other passages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from pipelines.evaluation.runner.gateway import Gateway
from services.core.completion import skipped_entries
from services.core.context import request_id
from services.core.errors import (
    ErrorDetail,
    RaglineError,
    RateLimited,
    ServiceError,
    ServiceUnavailable,
    Unauthorized,
)
from services.core.wire.answer import FrozenContext
from services.core.wire.compare import ArmReply, ArmRequest

PATIENCE_SECONDS = 120.0
"""How long a busy or restarting engine is waited for, in pauses of 1 to 30 s."""
LOADING_SECONDS = 900.0
"""The same before the first question: a model may have to be fetched."""
LONGEST_PAUSE = 30.0
_TRANSIENT = {RateLimited.code, ServiceUnavailable.code}

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Asker:
    gateway: Gateway
    sleep: Sleep = asyncio.sleep

    async def ask(
        self, text: str, arm: ArmRequest, context: FrozenContext, *, patience: float = PATIENCE_SECONDS
    ) -> tuple[ArmReply, int]:
        """The reply and how often it was asked for; what an arm fails with is in its reply.

        Raises `ServiceUnavailable` where the gateway itself stays away, `Unauthorized` where it knows no such
        key: then no other request would fare better.
        """
        waits, attempt = pauses(patience), 0
        while True:
            pause, attempt = next(waits, None), attempt + 1
            again, after = False, 0.0
            try:
                reply = check_reply(await self.gateway.ask(text, arm, context.passages), arm, context)
                again = reply.error is not None and reply.error.code in _TRANSIENT
            except Unauthorized:
                raise
            except RaglineError as error:
                gone = isinstance(error, ServiceUnavailable) and error.service == self.gateway.name
                if gone and pause is None:
                    raise
                reply, again, after = (
                    _failed_reply(arm, context, error),
                    self._passes(error),
                    error.retry_after or 0.0,
                )
            if not again or pause is None:
                return reply, attempt
            await self.sleep(max(pause, min(after, LONGEST_PAUSE)))

    def _passes(self, error: RaglineError) -> bool:
        """Busy, down, or a gateway that broke off: worth another request."""
        if isinstance(error, RateLimited | ServiceUnavailable):
            return True
        return type(error) is ServiceError and error.service == self.gateway.name


def check_reply(reply: ArmReply, arm: ArmRequest, context: FrozenContext) -> ArmReply:
    """The reply, or a failure in its place: an answer from other passages, or by another entry, proves
    nothing about this arm."""
    if reply.context_id != context.context_id:
        return _refuse(
            reply,
            "context_mismatch",
            f"arm {arm.name} answered from another context ({reply.context_id[:12]}) than the frozen one "
            f"({context.context_id[:12]}): refused",
        )
    others = skipped_entries(reply.degraded)
    if others:
        return _refuse(
            reply,
            "answered_by_fallback",
            f"{', '.join(others)} could not answer and {reply.model} did: no answer of arm {arm.name}",
        )
    return reply


def pauses(patience: float) -> Iterator[float]:
    """1, 2, 4 ... seconds, `patience` together."""
    pause, left = 1.0, patience
    while left > 0:
        yield min(pause, left)
        left -= pause
        pause = min(2 * pause, LONGEST_PAUSE)


def _failed_reply(arm: ArmRequest, context: FrozenContext, error: RaglineError) -> ArmReply:
    return ArmReply(
        arm=arm.name,
        model=arm.model,
        prompt=arm.prompt,
        status="failed",
        context_id=context.context_id,
        error=error.body(service="gateway", request_id=request_id.get()).error,
    )


def _refuse(reply: ArmReply, code: str, message: str) -> ArmReply:
    """A failure in a reply's place, without its text, so that nobody scores it."""
    return ArmReply(
        arm=reply.arm,
        model=reply.model,
        prompt=reply.prompt,
        status="failed",
        context_id=reply.context_id,
        degraded=reply.degraded,
        error=ErrorDetail(type="server_error", code=code, message=message, service="evaluation"),
    )
