"""OpenTelemetry over OTLP/HTTP; off, at no cost, unless a collector is set."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_W3C = TraceContextTextMapPropagator()


def provider(service: str, endpoint: str) -> TracerProvider | None:
    """A provider that exports to `endpoint` (the collector's base URL), or None where it is empty."""
    if not endpoint:
        return None
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
