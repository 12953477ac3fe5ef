"""Spans arrive at a real collector, from real processes, and an absent collector is not felt."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from linkd.telemetry.events import SpansLost, SpansResumed, ValuePublished
from linkd.telemetry.hub import Telemetry
from linkd.telemetry.trace_context import Span, SpanContext
from linkd.telemetry.tracing import open_tracing
from linkd.testing.events import EventRecorder
from linkd.testing.otlp import HOST, OtlpCollector

PROGRAM = Path(__file__).with_name("traced_process.py")
TIMEOUT_S = 60.0


async def process(endpoint: str, *arguments: str, **environ: str) -> tuple[str, str]:
    """What the traced process printed, and what it wrote to stderr."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        *arguments,
        env={**ours, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(TIMEOUT_S):
        printed, errors = await child.communicate()
    assert child.returncode == 0, errors.decode()
    return printed.decode(), errors.decode()


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and nobody else can take meanwhile."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield taken.getsockname()[1]


async def test_a_run_over_three_processes_is_one_trace_with_one_root() -> None:
    async with OtlpCollector() as collector:
        await process(collector.endpoint, "run", OTEL_RESOURCE_ATTRIBUTES="deployment.environment=test")
        spans = await collector.wait_for(5)
    by_name = {span.name: span for span in spans}
    assert len(spans) == 5
    assert len({span.trace_id for span in spans}) == 1
    assert [span.name for span in spans if not span.parent_id] == ["run flights"]
    chain = ["run flights", "deliver flights", "publish flights", "deliver flown", "publish flown"]
    for parent, child in itertools.pairwise(chain):
        assert by_name[child].parent_id == by_name[parent].span_id, child
    assert len({span.resource["process.pid"] for span in spans}) == 3
    assert {span.resource["service.name"] for span in spans} == {"linkd-run", "linkd-hop"}
    assert {span.resource["deployment.environment"] for span in spans} == {"test"}
    assert by_name["publish flown"].kind == "PRODUCER"
    assert by_name["publish flown"].links == ((f"{0xE:032x}", f"{0xF:016x}"),)
    assert by_name["publish flown"].attributes["messaging.destination.name"] == "flown"
    assert by_name["publish flown"].ended_at_ns - by_name["publish flown"].started_at_ns == 10


async def test_the_environment_names_the_service_and_the_sampler() -> None:
    async with OtlpCollector() as collector:
        await process(collector.endpoint, "burst", "3", OTEL_SERVICE_NAME="mine")
        assert {span.resource["service.name"] for span in await collector.wait_for(3)} == {"mine"}
        printed, _ = await process(collector.endpoint, "burst", "3", OTEL_TRACES_SAMPLER="always_off")
        assert printed.startswith("complete")
        assert len(collector.spans) == 3


async def test_an_unsampled_parent_leaves_its_children_unsampled() -> None:
    async with OtlpCollector() as collector:
        printed, _ = await process(collector.endpoint, "hop", "flown", f"00-{'a' * 32}-{'b' * 16}-00")
        assert printed.startswith(f"00-{'a' * 32}-")
        assert printed.splitlines()[0].endswith("-00")
        assert collector.exports == 0


async def test_an_absent_collector_costs_one_line_and_no_time(closed_port: int) -> None:
    endpoint = f"http://me:secret@{HOST}:{closed_port}"
    printed, errors = await process(endpoint, "burst", "5")
    outcome, seconds = printed.split()
    assert outcome == "lost"
    assert float(seconds) < 4.0
    (line,) = errors.splitlines()
    assert f"WARNING traces cannot be sent to http://{HOST}:{closed_port}: " in line
    assert "Traceback" not in errors
    assert "secret" not in errors


async def test_settings_that_the_sdk_cannot_read_cost_one_line() -> None:
    printed, errors = await process("http://localhost:1", "hop", "flown", "", OTEL_EXPORTER_OTLP_COMPRESSION="zip")
    assert printed.splitlines()[1].startswith("complete")
    (line,) = errors.splitlines()
    assert "OpenTelemetry does not start" in line
    assert "OTEL_EXPORTER_OTLP_COMPRESSION" in line


def published(context: SpanContext) -> ValuePublished:
    span = Span(context, None, 1, 2)
    return ValuePublished(link="flown", task="", values=1, rows=1, size_bytes=1, seconds=0.1, span=span)


async def test_refused_spans_are_told_at_the_first_and_at_the_recovery_and_all_are_counted() -> None:
    # This process has no OTEL_* of its own, so the SDK's defaults hold: batches go out when asked for, at the end at the latest.
    telemetry, log = Telemetry(), EventRecorder(SpansLost, SpansResumed)
    telemetry.attach(log)
    async with OtlpCollector(refuse_with=grpc.StatusCode.INVALID_ARGUMENT) as collector:
        environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
        tracing = open_tracing(environ, telemetry, "linkd", "0.1.0")
        context = tracing.begin(None)
        assert context is not None
        # Two full batches of the SDK: it exports at once when one is full.
        for _ in range(1024):
            telemetry.emit(published(context))
        await collector.wait_for_exports(2)
        collector.refuse_with = None
        telemetry.emit(published(context))
        assert not await asyncio.to_thread(tracing.close, 5.0)
        assert await asyncio.to_thread(tracing.close, 5.0)
        assert len(await collector.wait_for(1)) == 1
    lost = [event for event in log.heard if isinstance(event, SpansLost)]
    assert [event.first for event in lost] == [True, False]
    assert sum(event.spans for event in lost) == 1024
    assert "INVALID_ARGUMENT" in lost[0].detail
    assert log.heard[-1] == SpansResumed(endpoint=collector.endpoint, lost=1024)
