"""OpenTelemetry traces over OTLP/HTTP; off, at no cost, unless a collector is set.

Spans of requests and stages, and of chats with a model by OpenTelemetry's GenAI conventions.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, MutableMapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracer, SpanKind, Status, StatusCode, Tracer, get_current_span, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from services.core.errors import RaglineError
from services.core.wire.sampling import Sampling

T = TypeVar("T")
_W3C = TraceContextTextMapPropagator()


def open_provider(service: str, endpoint: str) -> TracerProvider | None:
    """Make a provider that exports to `endpoint` (the collector's base URL); None where it is empty."""
    if not endpoint:
        return None
    # a tenth of a service's start, which a service without a collector is spared
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": f"ragline-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    return provider


class ServerSpans:
    """Opens the span of an incoming request as the child of its caller's."""

    def __init__(self, tracers: TracerProvider) -> None:
        self.tracer = tracers.get_tracer("ragline")

    def start(self, name: str, headers: Mapping[str, str], request_id: str):  # type: ignore[no-untyped-def]  # noqa: ANN201 - opentelemetry's private context manager type
        return self.tracer.start_as_current_span(
            name,
            context=_W3C.extract(headers),
            kind=SpanKind.SERVER,
            attributes={"ragline.request_id": request_id},
        )


@contextmanager
def join_trace(tracer: Tracer | None, name: str, traceparent: str) -> Iterator[None]:
    """Open a span of work that was asked for earlier, as the child of that request's span.

    Args:
        tracer: None where nothing is traced; then nothing happens.
        name: The span's name.
        traceparent: What `current_traceparent` said in that request.
    """
    if tracer is None:
        yield
        return
    with tracer.start_as_current_span(name, context=_W3C.extract({"traceparent": traceparent})):
        yield


def current_traceparent() -> str:
    """Name the present span, for `join_trace`; empty where none is recorded."""
    headers: dict[str, str] = {}
    _W3C.inject(headers)
    return headers.get("traceparent", "")


def inject(headers: MutableMapping[str, str], url: str) -> None:
    """Add `traceparent` where a span is recorded; if that is a client's, say which server it asks."""
    span = get_current_span()
    if not span.is_recording():
        return
    _W3C.inject(headers)
    if isinstance(span, ReadableSpan) and span.kind is SpanKind.CLIENT:
        server = urlsplit(url)
        span.set_attribute("server.address", server.hostname or url)
        span.set_attribute("server.port", server.port or (443 if server.scheme == "https" else 80))


@dataclass(frozen=True, slots=True)
class ChatRequestAttributes:
    """What is asked of which model; None and empty fields are left out of the span."""

    model: str
    entry: str = ""
    provider: str = ""
    stream: bool = True
    sampling: Sampling = field(default_factory=Sampling)

    def attributes(self) -> dict[str, AttributeValue]:
        """List them by OpenTelemetry's names."""
        sampling = self.sampling
        attributes: dict[str, AttributeValue | None] = {
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
        return {name: value for name, value in attributes.items() if value is not None}


@dataclass(frozen=True, slots=True)
class ChatReplyAttributes:
    """How a chat ended. Tokens are None where the engine does not count them; `first_token` is in seconds."""

    model: str
    finish_reason: str
    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    first_token: float | None = None

    def attributes(self) -> dict[str, AttributeValue]:
        """List them by OpenTelemetry's names."""
        attributes: dict[str, AttributeValue | None] = {
            "gen_ai.response.model": self.model or None,
            "gen_ai.response.finish_reasons": (self.finish_reason,),
            "gen_ai.response.time_to_first_chunk": self.first_token,
            "gen_ai.usage.input_tokens": self.input_tokens,
            "gen_ai.usage.output_tokens": self.output_tokens,
            "gen_ai.usage.reasoning.output_tokens": self.reasoning_tokens,
        }
        return {name: value for name, value in attributes.items() if value is not None}


class ChatSpan:
    """A context manager around one chat: a client span, a child of the span that is current when it is made.

    It ends as an error where the body raises; a reader that goes away is `error.type` "cancelled".
    """

    def __init__(self, tracer: Tracer | None, request: ChatRequestAttributes) -> None:
        tracer = tracer or NoOpTracer()
        self._is_answered = False
        name = f"chat {request.model}" if request.model else "chat"
        self._span = tracer.start_span(name, kind=SpanKind.CLIENT, attributes=request.attributes())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            code = error.code if isinstance(error, RaglineError) else type(error).__name__
            self._span.set_attribute("error.type", code)
            self._span.set_status(Status(StatusCode.ERROR, str(error)))
        elif error is not None and not self._is_answered:
            self._span.set_attribute("error.type", "cancelled")
        self._span.end()

    async def follow(self, items: AsyncGenerator[T]) -> AsyncGenerator[T]:
        """Yield the items, and wait for each one inside of this span, so that what it calls is its child."""
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

    def end_answered(self, reply: ChatReplyAttributes) -> None:
        """Note how the chat ended. A reader that goes away now has everything."""
        self._is_answered = True
        self._span.set_attributes(reply.attributes())
