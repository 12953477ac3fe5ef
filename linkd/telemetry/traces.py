"""Events become OpenTelemetry spans, exported by OTLP over gRPC. Imported only where tracing is on.

A span is made when its event is told, after the fact, but its context had to travel in envelopes before: so the caller takes the context
from `begin`, which also takes the sampler's decision, and the SDK is given these very identities through its own extension point, an
`IdGenerator`. Everything else (sampler, limits, resource, batching) is the SDK's and obeys `OTEL_*`. An unsampled context makes no span.

The SDK's own log, which prints a line or a stack trace for every batch, is taken over while tracing is open: the reason goes into one
`SpansLost`, told when it begins; every lost span is counted.
"""

from __future__ import annotations

import logging
import os
import platform
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import Decision

from linkd.telemetry.events import Event, SpansLost, SpansResumed
from linkd.telemetry.hub import Handler, Telemetry
from linkd.telemetry.spans import SPAN_EVENTS, shape_of, span_of
from linkd.telemetry.trace_context import FLAG_SAMPLED, SpanContext, TraceIds
from linkd.telemetry.tracing import TraceSettings, public_endpoint

_SDK_LOGGERS = ("opentelemetry.exporter", "opentelemetry.sdk")
_SERVICE_NAME_UNKNOWN = "unknown_service"
_SHUTDOWN_GRACE_S = 0.2
"""For the export thread to notice that its retry is called off; after that it is left behind, as a daemon."""


def start_otlp_tracing(settings: TraceSettings, telemetry: Telemetry, service: str, version: str, ids: TraceIds) -> OtlpTracing:
    """Starts the export thread, takes over the SDK's log, and attaches the sink. Raises what the SDK raises for settings it cannot read."""
    log = _SdkLog(_SDK_LOGGERS)
    log.take_over()
    try:
        endpoint = public_endpoint(settings.endpoint)
        exporter = _CountingExporter(OTLPSpanExporter(endpoint=settings.endpoint), endpoint, telemetry.emit, log)
        chosen = _ChosenIds()
        # The process's own drain closes tracing, within a deadline; the SDK's exit hook has none.
        provider = TracerProvider(resource=_resource(service, version), shutdown_on_exit=False, id_generator=chosen)
        provider.add_span_processor(BatchSpanProcessor(exporter))
    except BaseException:
        log.give_back()
        raise
    tracing = OtlpTracing(provider, exporter, chosen, ids, log, version)
    telemetry.attach(tracing)
    return tracing


class OtlpTracing:
    """Tracing that is on: `begin` chooses contexts, the sink makes spans of events. Made by `start_otlp_tracing`."""

    name = "traces"
    enabled = True

    def __init__(
        self,
        provider: TracerProvider,
        exporter: _CountingExporter,
        chosen: _ChosenIds,
        ids: TraceIds,
        log: _SdkLog,
        version: str,
    ) -> None:
        self._provider = provider
        self._exporter = exporter
        self._chosen = chosen
        self._ids = ids
        self._log = log
        self._tracer = provider.get_tracer("linkd", version)
        self._made = 0
        self._closed = False

    def handlers(self) -> Mapping[type[Event], Handler]:
        return dict.fromkeys(SPAN_EVENTS, self._make_span)

    def begin(self, parent: SpanContext | None) -> SpanContext:
        trace_id = self._ids.new_trace_id() if parent is None else parent.trace_id
        decision = self._provider.sampler.should_sample(_otel_parent(parent), trace_id, "linkd").decision
        return SpanContext(trace_id, self._ids.new_span_id(), FLAG_SAMPLED if decision is Decision.RECORD_AND_SAMPLE else 0)

    def close(self, timeout_s: float) -> bool:
        if self._closed:
            return True
        self._closed = True
        # The SDK's shutdown waits half a minute for an absent collector, so it waits in a thread of its own.
        closing = threading.Thread(target=self._provider.shutdown, name="linkd-traces-close", daemon=True)
        closing.start()
        closing.join(timeout_s)
        if closing.is_alive():
            self._exporter.shutdown()
            closing.join(_SHUTDOWN_GRACE_S)
        lost = self._made - self._exporter.taken
        if lost > 0:
            self._exporter.report_lost(lost, f"they did not go out within {timeout_s:g} s of the end")
        if not closing.is_alive():
            self._log.give_back()
        return lost <= 0 and self._exporter.lost == 0

    def _make_span(self, event: Event) -> None:
        place = span_of(event)
        if place is None or not place.context.sampled or self._closed:
            return
        shape = shape_of(event)
        parent, links = place.relations()
        self._chosen.context = place.context
        span = self._tracer.start_span(
            shape.name,
            context=_otel_parent(parent),
            kind=otel.SpanKind[shape.kind.value],
            attributes=shape.attributes,
            links=[otel.Link(_otel_context(link)) for link in links],
            start_time=place.started_at_ns,
        )
        if span.is_recording():
            # Counted before it is handed over: what is made and never reaches the exporter was lost in the SDK's queue.
            self._made += 1
        if shape.error:
            span.set_attribute("error.type", shape.error)
            span.set_status(otel.Status(otel.StatusCode.ERROR, shape.error))
        span.end(place.ended_at_ns)


class _ChosenIds(IdGenerator):
    """Gives the SDK the identities that were chosen before. Each thread has its own choice, for events are told from any."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    @property
    def context(self) -> SpanContext:
        context: SpanContext = self._of_thread.context
        return context

    @context.setter
    def context(self, context: SpanContext) -> None:
        self._of_thread.context = context

    def generate_span_id(self) -> int:
        return self.context.span_id

    def generate_trace_id(self) -> int:
        return self.context.trace_id


class _CountingExporter(SpanExporter):
    """Counts what goes out and what does not, and tells of the first failure and of the recovery only. Lives in the SDK's export thread."""

    def __init__(self, inner: SpanExporter, endpoint: str, emit: Callable[[Event], None], log: _SdkLog) -> None:
        self._inner = inner
        self._endpoint = endpoint
        self._emit = emit
        self._log = log
        self._lost_since_success = 0
        self._failing = False
        self._shut_down = False
        self.taken = 0
        self.lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._log.last = ""
        try:
            result = self._inner.export(spans)
            reason = self._log.last or "the collector did not take them"
        except Exception as error:
            # Whatever a foreign exporter raises means the same here: these spans did not go out, and linkd goes on.
            result, reason = SpanExportResult.FAILURE, f"{type(error).__name__}: {error}"
        self.taken += len(spans)
        if result is not SpanExportResult.SUCCESS:
            self.report_lost(len(spans), reason)
        elif self._failing:
            self._failing = False
            lost, self._lost_since_success = self._lost_since_success, 0
            self._emit(SpansResumed(endpoint=self._endpoint, lost=lost))
        return result

    def report_lost(self, spans: int, reason: str) -> None:
        first, self._failing = not self._failing, True
        self.lost += spans
        self._lost_since_success += spans
        self._emit(SpansLost(endpoint=self._endpoint, spans=spans, detail=reason, first=first))

    def shutdown(self, timeout_millis: float = 30_000.0) -> None:
        if not self._shut_down:
            self._shut_down = True
            self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


class _SdkLog(logging.Handler):
    """Keeps the last thing the SDK wanted to say, instead of printing it."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(logging.WARNING)
        self._loggers = tuple(logging.getLogger(name) for name in names)
        self.last = ""

    def take_over(self) -> None:
        for logger in self._loggers:
            logger.addHandler(self)
            logger.propagate = False

    def give_back(self) -> None:
        for logger in self._loggers:
            logger.removeHandler(self)
            logger.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()


def _resource(service: str, version: str) -> Resource:
    """Who speaks: what the environment says wins, and only what it leaves open is ours."""
    ours: dict[str, str | int] = {
        "service.version": version,
        "service.instance.id": str(uuid.uuid4()),
        "process.pid": os.getpid(),
        "process.runtime.version": platform.python_version(),
    }
    found = Resource.create()
    if str(found.attributes.get(SERVICE_NAME, _SERVICE_NAME_UNKNOWN)).startswith(_SERVICE_NAME_UNKNOWN):
        return found.merge(Resource({**ours, SERVICE_NAME: service}))
    return Resource(ours).merge(found)


def _otel_context(context: SpanContext) -> otel.SpanContext:
    return otel.SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=otel.TraceFlags(context.flags))


def _otel_parent(parent: SpanContext | None) -> Context:
    """A context of OpenTelemetry in which `parent` is current; an empty one, and not the caller's, where there is none."""
    if parent is None:
        return Context()
    return otel.set_span_in_context(otel.NonRecordingSpan(_otel_context(parent)), Context())
