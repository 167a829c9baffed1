"""Work that is done later is part of the trace of the request that asked for it."""

from __future__ import annotations

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.core.tracing import current_traceparent, join_trace


def test_later_work_joins_the_trace_of_its_request() -> None:
    exported = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("request"):
        kept = current_traceparent()
    with join_trace(tracer, "work", kept):
        assert current_traceparent() != kept
    request, work = exported.get_finished_spans()
    assert work.parent is not None
    assert request.context is not None
    assert work.parent.span_id == request.context.span_id


def test_without_a_tracer_nothing_is_traced() -> None:
    with join_trace(None, "work", "anything"):
        assert current_traceparent() == ""
