"""Tracing is off unless the environment asks for it, and then it is free; what cannot be done is said in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from linkd.telemetry.events import SpansLost
from linkd.telemetry.hub import Telemetry
from linkd.telemetry.trace_context import SpanContext
from linkd.telemetry.tracing import NoTracing, TraceSettings, open_tracing, public_endpoint
from linkd.testing.events import EventRecorder

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.mark.parametrize(
    ("environ", "endpoint"),
    [
        ({}, ""),
        ({ENDPOINT: ""}, ""),
        ({ENDPOINT: "http://all:4317"}, "http://all:4317"),
        ({ENDPOINT: "http://all:4317", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:4317"}, "http://traces:4317"),
        ({ENDPOINT: "http://all:4317", "OTEL_SDK_DISABLED": "TRUE"}, ""),
        ({ENDPOINT: "http://all:4317", "OTEL_TRACES_EXPORTER": "none"}, ""),
        ({ENDPOINT: "http://all:4317", "OTEL_TRACES_EXPORTER": "otlp"}, "http://all:4317"),
        ({ENDPOINT: "http://all:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "http://all:4317"),
    ],
)
def test_the_standard_variables_decide(environ: dict[str, str], endpoint: str) -> None:
    assert TraceSettings.from_environ(environ) == TraceSettings(endpoint)


@pytest.mark.parametrize(("variable", "value"), [("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_TRACES_EXPORTER", "zipkin")])
def test_a_wish_that_cannot_be_met_is_said_once_and_nothing_is_traced(variable: str, value: str) -> None:
    telemetry, log = Telemetry(), EventRecorder(SpansLost)
    telemetry.attach(log)
    tracing = open_tracing({ENDPOINT: "http://all:4318", variable: value}, telemetry, "linkd", "0.1.0")
    assert not tracing.enabled
    (told,) = log.heard
    assert isinstance(told, SpansLost)
    assert f"{variable}={value}" in told.detail


def test_where_nothing_is_traced_the_context_of_others_travels_on_unchanged() -> None:
    tracing = NoTracing()
    given = SpanContext(1, 2, flags=0)
    assert tracing.begin(given) == given
    assert tracing.begin(None) is None
    assert tracing.close(0.0)


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        ("http://127.0.0.1:4317", "http://127.0.0.1:4317"),
        ("https://me:secret@collector:4317/x@y", "https://collector:4317/x@y"),
        ("me:secret@collector:4317", "collector:4317"),
    ],
)
def test_an_endpoint_is_shown_without_its_password(endpoint: str, shown: str) -> None:
    assert public_endpoint(endpoint) == shown


def test_without_an_endpoint_nothing_heavy_is_imported() -> None:
    program = (
        "import sys\n"
        "from linkd.telemetry import events, hub, logs, metric_table, spans, trace_context, tracing\n"
        "tracing.open_tracing({}, hub.Telemetry(), 'linkd', '0.1.0')\n"
        "heavy = {'opentelemetry', 'prometheus_client', 'grpc', 'google', 'aiohttp', 'pyarrow', 'asyncio'}\n"
        "print(*sorted(heavy & {name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
