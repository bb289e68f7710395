"""Traces for an OpenTelemetry collector, if the setting `traces` names one. Otherwise every function here does nothing.

A request to the API begins a trace. The messages carry its context (W3C Trace Context), so that the chunks of a job
belong to the trace of the request that has submitted it. docs/operations.md lists the spans.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib.metadata import version
from typing import TYPE_CHECKING

from core.errors import SettingsError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

TRACEPARENT = "traceparent"
"""The header of W3C Trace Context, in requests and in messages."""

EXPORT_SECONDS = 3.0
"""Seconds after which a collector that does not answer is given up. The end of a process may wait that long for it."""

Attributes = Mapping[str, str | int]

_provider: TracerProvider | None = None
_received: ContextVar[str | None] = ContextVar("received_traceparent", default=None)
"""The context that came with the message that this thread works on."""


def start_tracing(endpoint: str, process: str) -> None:
    """Send the spans of this process to a collector: OTLP over HTTP. An empty `endpoint` means that there is none.

    Call it after the process has forked, because it starts a thread. The standard variables of OpenTelemetry apply,
    such as `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_TRACES_SAMPLER`.

    Raises:
        SettingsError: OpenTelemetry is not installed.
    """
    global _provider  # noqa: PLW0603 (a process sends its spans to one collector)
    if not endpoint:
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise SettingsError("LOOKBOOK_TRACES needs OpenTelemetry: install requirements/tracing.txt") from error
    names = {"service.namespace": "lookbook", "service.name": f"lookbook-{process}"}
    _provider = TracerProvider(resource=Resource.create({**names, "service.version": version("lookbook")}))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_SECONDS)))


def is_tracing() -> bool:
    return _provider is not None


def receive_context(traceparent: object) -> None:
    """Set the context of the message that this thread works on from now on. None: it came without one."""
    _received.set(traceparent if isinstance(traceparent, str) else None)


def has_received_context() -> bool:
    """Return whether the message that this thread works on came with a context."""
    return _received.get() is not None


def context_to_send() -> str | None:
    """Return the context for a message: the one of the message that this thread works on, or of its present span.

    All chunks of a job are therefore children of the request, however long the chain of messages is.
    """
    return _received.get() or _present_context()


@contextmanager
def span(
    name: str, attributes: Attributes | None = None, *, parent: str | None = None, of_request: bool = False
) -> Iterator[Span | None]:
    """Record the block as a span, with the present span as its parent, or else `parent` or the received context.

    `of_request`: the span of an HTTP request, whose `parent` comes from the client.
    """
    if _provider is None:
        yield None
        return
    from opentelemetry.trace import SpanKind

    kind = SpanKind.SERVER if of_request else SpanKind.INTERNAL
    tracer = _provider.get_tracer("lookbook")
    with tracer.start_as_current_span(name, _parent_context(parent), kind, attributes=dict(attributes or {})) as opened:
        yield opened


def record_span(name: str, began: int, attributes: Attributes | None = None) -> None:
    """Record a span that ends now. `began`: nanoseconds since 1970 (`time.time_ns`)."""
    if _provider is None:
        return
    tracer = _provider.get_tracer("lookbook")
    opened = tracer.start_span(name, _parent_context(None), attributes=dict(attributes or {}), start_time=began)
    opened.end(time.time_ns())


def _parent_context(parent: str | None) -> Context | None:
    """Return the context of the parent of a new span. None: the present context of the thread."""
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    given = parent or _received.get()
    if given is None or get_current_span().get_span_context().is_valid:
        return None
    return TraceContextTextMapPropagator().extract({TRACEPARENT: given})


def _present_context() -> str | None:
    if _provider is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(TRACEPARENT)
