"""Whether this process traces, and the face of tracing to the rest of linkd. OpenTelemetry is imported only if it does.

Tracing is switched on by the standard environment: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, else `OTEL_EXPORTER_OTLP_ENDPOINT`; off by
`OTEL_SDK_DISABLED=true` or `OTEL_TRACES_EXPORTER=none`. linkd speaks OTLP over gRPC. All other `OTEL_*` variables (service name,
resource attributes, sampler, headers, certificates, time-outs, batch sizes, limits) are read by the SDK.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Protocol

from linkd.model.frozen import frozen
from linkd.telemetry.events import SpansLost
from linkd.telemetry.hub import Telemetry
from linkd.telemetry.trace_context import SpanContext, TraceIds

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL_SPOKEN = "grpc"
_EXPORTERS_SPOKEN = ("", "otlp")


@frozen()
class TraceSettings:
    """What the environment says: traces go to `endpoint` ("" is nowhere); `refused` says why a wish cannot be met, for people."""

    endpoint: str = ""
    refused: str = ""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> TraceSettings:
        if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return cls()
        exporter = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
        endpoint = _first(environ, _ENDPOINTS)
        if exporter == "none" or not endpoint:
            return cls()
        if exporter not in _EXPORTERS_SPOKEN:
            return cls("", f"OTEL_TRACES_EXPORTER={exporter}: linkd exports by otlp only; set it to otlp, or unset it")
        protocol = _first(environ, _PROTOCOLS)
        if protocol and protocol.lower() != _PROTOCOL_SPOKEN:
            return cls(
                "",
                f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: linkd sends spans over gRPC only; "
                "set it to grpc, with an endpoint that takes OTLP over gRPC (usually port 4317)",
            )
        return cls(endpoint)


class Tracing(Protocol):
    """What the rest of linkd sees of tracing."""

    @property
    def enabled(self) -> bool:
        """Whether spans are worth making."""
        ...

    def begin(self, parent: SpanContext | None) -> SpanContext | None:
        """The context of work that begins now below `parent` (None: a new trace), for its envelopes and for its `Span` when it is over."""
        ...

    def close(self, timeout_s: float) -> bool:
        """Sends what is left and stops. Blocks `timeout_s` at most; False if spans were lost. The second call does nothing."""
        ...


class NoTracing:
    """Tracing that is switched off: what a caller gave travels on unchanged, as W3C Trace Context asks of those who take no part."""

    enabled = False

    def begin(self, parent: SpanContext | None) -> SpanContext | None:
        return parent

    def close(self, timeout_s: float) -> bool:
        return True


def open_tracing(environ: Mapping[str, str], telemetry: Telemetry, service: str, version: str) -> Tracing:
    """Starts tracing as `environ` says and attaches it to `telemetry`; never raises, for no trace is worth a start that fails.

    `service` is the service's name where OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES give none. The SDK reads the rest from the
    process's own environment. Whoever opened it calls `close` before the process ends.
    """
    settings = TraceSettings.from_environ(environ)
    if settings.refused:
        telemetry.emit(SpansLost(endpoint=settings.endpoint, spans=0, detail=settings.refused))
    if not settings.endpoint:
        return NoTracing()
    try:
        from linkd.telemetry.traces import start_otlp_tracing

        return start_otlp_tracing(settings, telemetry, service, version, TraceIds(os.urandom))
    except Exception as error:
        # Foreign code reads foreign settings: whatever it does not like is said in one line, and linkd goes on without traces.
        detail = f"OpenTelemetry does not start: {type(error).__name__}: {error}; correct the OTEL_* variables"
        telemetry.emit(SpansLost(endpoint=public_endpoint(settings.endpoint), spans=0, detail=detail))
        return NoTracing()


def public_endpoint(endpoint: str) -> str:
    """The endpoint as it may be shown: without user and password."""
    scheme, separator, rest = endpoint.rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str:
    """The first of these variables that says something: the one for traces wins over the one for all signals."""
    return next((environ[name].strip() for name in names if environ.get(name, "").strip()), "")
