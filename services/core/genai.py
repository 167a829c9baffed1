"""The span of one chat with a model, by OpenTelemetry's GenAI semantic conventions.

It is opened and closed by hand and is the current span only while the next item is waited for: the
items of a stream may be read in other tasks than the one that began it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

from opentelemetry.trace import NoOpTracer, SpanKind, Status, StatusCode, Tracer, use_span
from opentelemetry.util.types import AttributeValue

from services.core.errors import RaglineError
from services.core.wire.sampling import Sampling

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of which model; None and empty fields are left out of the span."""

    model: str
    entry: str = ""
    provider: str = ""
    stream: bool = True
    sampling: Sampling = field(default_factory=Sampling)

    def attributes(self) -> dict[str, AttributeValue]:
        sampling = self.sampling
        found: dict[str, AttributeValue | None] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self.provider or None,
            "gen_ai.request.model": self.model or None,
            "gen_ai.request.max_tokens": sampling.max_tokens,
            "gen_ai.request.temperature": sampling.temperature,
            "gen_ai.request.top_p": sampling.top_p,
            "gen_ai.request.seed": sampling.seed,
            "gen_ai.request.stop_sequences": sampling.stop or None,
            "gen_ai.request.stream": self.stream,
            "ragline.model_entry": self.entry or None,
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Answered:
    """How it ended. Tokens by the engine's own count, None where it does not count; seconds to the first."""

    model: str
    finish_reason: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    first_token: float | None = None

    def attributes(self) -> dict[str, AttributeValue]:
        found: dict[str, AttributeValue | None] = {
            "gen_ai.response.model": self.model or None,
            "gen_ai.response.finish_reasons": (self.finish_reason,),
            "gen_ai.response.time_to_first_chunk": self.first_token,
            "gen_ai.usage.input_tokens": self.input_tokens,
            "gen_ai.usage.output_tokens": self.output_tokens,
            "gen_ai.usage.reasoning.output_tokens": self.reasoning_tokens,
        }
        return {name: value for name, value in found.items() if value is not None}


class ChatSpan:
    """A context manager around one chat: a client span, a child of the span that is current when it is made.

    It ends as an error where the body raises; a reader that goes away is `error.type` "cancelled".
    """

    def __init__(self, tracer: Tracer | None, asked: Asked) -> None:
        tracer = tracer or NoOpTracer()
        self._answered = False
        name = f"chat {asked.model}" if asked.model else "chat"
        self._span = tracer.start_span(name, kind=SpanKind.CLIENT, attributes=asked.attributes())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            code = error.code if isinstance(error, RaglineError) else type(error).__name__
            self._span.set_attribute("error.type", code)
            self._span.set_status(Status(StatusCode.ERROR, str(error)))
        elif error is not None and not self._answered:
            self._span.set_attribute("error.type", "cancelled")
        self._span.end()

    async def steps(self, items: AsyncGenerator[T]) -> AsyncGenerator[T]:
        """The items, each waited for inside of this span, so that what they call is its child."""
        async with aclosing(items):
            if not self._span.is_recording():
                async for item in items:
                    yield item
                return
            while True:
                with use_span(self._span, record_exception=False, set_status_on_exception=False):
                    try:
                        item = await anext(items)
                    except StopAsyncIteration:
                        return
                yield item

    def answered(self, answered: Answered) -> None:
        """It has ended; a reader that goes now has everything."""
        self._answered = True
        self._span.set_attributes(answered.attributes())
