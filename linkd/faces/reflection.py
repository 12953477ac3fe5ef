"""Server reflection, for tools such as grpcurl: made when the first of them asks, for it takes a MiB and nothing else needs it.

The services of `linkd.v1` describe themselves. That of Flight is Arrow's, with messages that are linkd's (`proto/linkd/v1/flight.proto`) and the same
on the wire: what it is called and takes is told here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc

from linkd.faces.flight_methods import FLIGHT
from linkd.wire.v1 import flight_pb2

SERVICE = "grpc.reflection.v1alpha.ServerReflection"
_PACKAGE = FLIGHT.rpartition(".")[0]
_METHOD = f"/{SERVICE}/ServerReflectionInfo"
_FLIGHT_FILE = "arrow/flight/protocol/linkd_flight.proto"
_STREAM = "stream "
_EMPTY = "Empty"
_FLIGHT_METHODS = {
    "Handshake": ("stream FlightHandshake", "stream FlightHandshake"),
    "ListFlights": ("FlightCriteria", "stream FlightInfo"),
    "GetFlightInfo": ("FlightDescriptor", "FlightInfo"),
    "PollFlightInfo": ("FlightDescriptor", "FlightPollInfo"),
    "GetSchema": ("FlightDescriptor", "FlightSchema"),
    "DoGet": ("FlightTicket", "stream FlightData"),
    "DoPut": ("stream FlightData", "stream FlightPutResult"),
    "DoExchange": ("stream FlightData", "stream FlightData"),
    "DoAction": ("FlightAction", "stream FlightResult"),
    "ListActions": (_EMPTY, "stream FlightActionType"),
}


class ReflectionHandler(grpc.GenericRpcHandler):  # type: ignore[type-arg]
    """Tells of these services, and of itself."""

    def __init__(self, services: Sequence[str]) -> None:
        self._services = (*services, SERVICE)
        self._made: grpc.RpcMethodHandler[Any, Any] | None = None

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        if handler_call_details.method != _METHOD:
            return None
        if self._made is None:
            self._made = _handler(self._services)
        return self._made


def _handler(services: Sequence[str]) -> grpc.RpcMethodHandler[Any, Any]:
    from google.protobuf import descriptor_pool
    from grpc_reflection.v1alpha import reflection_pb2
    from grpc_reflection.v1alpha._async import ReflectionServicer

    descriptor_pool.Default().AddSerializedFile(_flight_description())  # the same content again changes nothing
    servicer = ReflectionServicer(services)
    return grpc.stream_stream_rpc_method_handler(
        servicer.ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )


def _flight_description() -> bytes:
    """A file that says what the service of Flight is."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    file = FileDescriptorProto(name=_FLIGHT_FILE, package=_PACKAGE, syntax="proto3", dependency=[flight_pb2.DESCRIPTOR.name])
    file.message_type.add(name=_EMPTY)
    service = file.service.add(name=FLIGHT.rpartition(".")[2])
    for name, (takes, gives) in _FLIGHT_METHODS.items():
        service.method.add(
            name=name,
            input_type=_type_name(takes.removeprefix(_STREAM)),
            output_type=_type_name(gives.removeprefix(_STREAM)),
            client_streaming=takes.startswith(_STREAM),
            server_streaming=gives.startswith(_STREAM),
        )
    return file.SerializeToString()


def _type_name(message: str) -> str:
    return f".{_PACKAGE}.{message}" if message == _EMPTY else f".{flight_pb2.DESCRIPTOR.package}.{message}"
