"""One request: sent again while an engine is busy or down, refused where it came from other passages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
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
from services.core.retry import RetryPolicy, Sleep
from services.core.wire.answer import FrozenContext
from services.core.wire.compare import ArmReply, ArmRequest

BUSY_SECONDS = 120.0
"""How long a busy or restarting engine is waited for, in pauses of 1 to 30 s."""
LOADING_SECONDS = 900.0
"""The same before the first question: a model may have to be fetched."""
LONGEST_PAUSE = 30.0
_TRANSIENT = {RateLimited.code, ServiceUnavailable.code}


def make_engine_retry(
    seconds: float, retries: Callable[[Exception], bool], sleep: Sleep = asyncio.sleep
) -> RetryPolicy:
    """Make the retry policy of a request to an engine that may be busy, loading or restarting.

    Args:
        seconds: All pauses together: 1, 2, 4 ... up to 30 s.
        retries: Which errors are worth another request.
        sleep: Makes the pauses.
    """
    return RetryPolicy(
        pausing=seconds,
        first=1.0,
        longest=LONGEST_PAUSE,
        longest_retry_after=LONGEST_PAUSE,
        retries=retries,
        sleep=sleep,
    )


class _BusyReply(Exception):
    """Raised for a reply whose arm failed because its engine was busy or down."""

    def __init__(self, reply: ArmReply) -> None:
        super().__init__(reply.arm)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks arms through the gateway, again while an engine is busy."""

    gateway: Gateway
    sleep: Sleep = asyncio.sleep

    async def ask(
        self, text: str, arm: ArmRequest, context: FrozenContext, *, wait_seconds: float = BUSY_SECONDS
    ) -> tuple[ArmReply, int]:
        """Ask an arm a question, again while its engine is busy or down.

        Args:
            text: The question as it is asked.
            arm: Who answers.
            context: The passages to answer from.
            wait_seconds: All pauses together.

        Returns:
            The reply and the number of requests; what an arm fails with is in its reply.

        Raises:
            ServiceUnavailable: The gateway itself stays away: no other request would fare better.
            Unauthorized: The gateway knows no such key: likewise.
        """
        attempts = 0

        async def ask_once() -> ArmReply:
            nonlocal attempts
            attempts += 1
            reply = check_reply(await self.gateway.ask(text, arm, context.passages), arm, context)
            if reply.error is not None and reply.error.code in _TRANSIENT:
                raise _BusyReply(reply)
            return reply

        try:
            reply = await make_engine_retry(wait_seconds, self._is_transient, self.sleep).call(ask_once)
        except _BusyReply as busy:
            reply = busy.reply
        except Unauthorized:
            raise
        except RaglineError as error:
            if isinstance(error, ServiceUnavailable) and error.service == self.gateway.name:
                raise
            reply = _failed_reply(arm, context, error)
        return reply, attempts

    def _is_transient(self, error: Exception) -> bool:
        """Tell whether an engine is busy or down, or the gateway broke off."""
        if isinstance(error, _BusyReply | RateLimited | ServiceUnavailable):
            return True
        return type(error) is ServiceError and error.service == self.gateway.name


def check_reply(reply: ArmReply, arm: ArmRequest, context: FrozenContext) -> ArmReply:
    """Return the reply, or a failure in its place: an answer from other passages, or by another entry,
    proves nothing about this arm."""
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
    """Put a failure in a reply's place, without its text, so that nobody scores it."""
    return ArmReply(
        arm=reply.arm,
        model=reply.model,
        prompt=reply.prompt,
        status="failed",
        context_id=reply.context_id,
        degraded=reply.degraded,
        error=ErrorDetail(type="server_error", code=code, message=message, service="evaluation"),
    )
