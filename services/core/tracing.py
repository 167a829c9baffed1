"""OpenTelemetry over OTLP/HTTP; off, at no cost, unless a collector is set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()


def provider(service: str, endpoint: str) -> TracerProvider | None:
    """A provider that exports to `endpoint` (the collector's base URL), or None where it is empty."""
    if not endpoint:
        return None
    # a tenth of a service's start, which a service without a collector is spared
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    made = TracerProvider(resource=Resource.create({"service.name": f"ragline-{service}"}))
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    return made


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
def joined(tracer: Tracer | None, name: str, traceparent: str) -> Iterator[None]:
    """A span of work that was asked for earlier, as the child of that request's span; nothing untraced."""
    if tracer is None:
        yield
        return
    with tracer.start_as_current_span(name, context=_W3C.extract({"traceparent": traceparent})):
        yield


def traceparent() -> str:
    """The present span, for `joined`; empty where none is recorded."""
    headers: dict[str, str] = {}
    _W3C.inject(headers)
    return headers.get("traceparent", "")


def inject(headers: MutableMapping[str, str], url: str) -> None:
    """Add `traceparent` where a span is being recorded; if that is a client's, say which server it asks."""
    span = get_current_span()
    if not span.is_recording():
        return
    _W3C.inject(headers)
    if isinstance(span, ReadableSpan) and span.kind is SpanKind.CLIENT:
        server = urlsplit(url)
        span.set_attribute("server.address", server.hostname or url)
        span.set_attribute("server.port", server.port or (443 if server.scheme == "https" else 80))
