"""A real OTLP trace collector for tests: a gRPC server on a free port of this machine that keeps every span it is sent.

The protocol is OpenTelemetry's own (`opentelemetry.proto.collector.trace.v1.TraceService`), so what arrives here arrives at any collector.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import field
from types import TracebackType
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from linkd.model.frozen import frozen

HOST = "127.0.0.1"


@frozen()
class CollectedSpan:
    """A span as it arrived. Identities are hexadecimal; `parent_id` is "" for a root; `resource` says which process sent it."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: str
    started_at_ns: int
    ended_at_ns: int
    attributes: dict[str, Any] = field(hash=False)
    resource: dict[str, Any] = field(hash=False)
    links: tuple[tuple[str, str], ...] = ()
    error: str = ""


class OtlpCollector(trace_service_pb2_grpc.TraceServiceServicer):
    """Collects spans between `async with` and its end. `refuse_with` makes it answer every export with that gRPC status instead."""

    def __init__(self, refuse_with: grpc.StatusCode | None = None, port: int = 0) -> None:
        self.spans: list[CollectedSpan] = []
        self.exports = 0
        self.refuse_with = refuse_with
        self._port = port
        self._arrived = asyncio.Condition()
        self._server: grpc.aio.Server | None = None

    @property
    def endpoint(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT must be."""
        return f"http://{HOST}:{self._port}"

    async def __aenter__(self) -> OtlpCollector:
        server = grpc.aio.server()
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, server)  # type: ignore[no-untyped-call]
        self._port = server.add_insecure_port(f"{HOST}:{self._port}")
        await server.start()
        self._server = server
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server is not None:
            await self._server.stop(grace=None)

    async def Export(  # noqa: N802 - the name is the protocol's
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        refuse_with = self.refuse_with
        async with self._arrived:
            self.exports += 1
            if refuse_with is None:
                self.spans.extend(_collected(request))
            self._arrived.notify_all()
        if refuse_with is not None:
            await context.abort(refuse_with, "refused by the test")
        return trace_service_pb2.ExportTraceServiceResponse()

    async def wait_for(self, spans: int, timeout_s: float = 10.0) -> list[CollectedSpan]:
        """All spans, once there are at least this many. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: len(self.spans) >= spans)
            return list(self.spans)

    async def wait_for_exports(self, exports: int, timeout_s: float = 10.0) -> None:
        """Returns once there were at least this many exports, refused ones included. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: self.exports >= exports)


def _collected(request: trace_service_pb2.ExportTraceServiceRequest) -> Iterable[CollectedSpan]:
    for of_resource in request.resource_spans:
        resource = _attributes(of_resource.resource.attributes)
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield CollectedSpan(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    kind=span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    started_at_ns=span.start_time_unix_nano,
                    ended_at_ns=span.end_time_unix_nano,
                    attributes=_attributes(span.attributes),
                    resource=resource,
                    links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                    error=span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else "",
                )


def _attributes(pairs: Iterable[Any]) -> dict[str, Any]:
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
