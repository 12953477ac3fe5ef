"""The methods of Flight, as gRPC takes them: their names, their messages, and what answers them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from linkd.errors import InvalidArgument
from linkd.faces.bulk_turns import BulkTurns
from linkd.faces.call import Handler, Presence, translated
from linkd.faces.flight import FlightService
from linkd.faces.grpc_call import GrpcContext
from linkd.limits import GRPC_MESSAGE_MAX_BYTES
from linkd.wire.v1 import flight_pb2 as pb

FLIGHT = "arrow.flight.protocol.FlightService"
_Decode = Callable[[bytes], Any]
_AS_IT_IS: _Decode | None = None
"""Of FlightData, which protobuf would copy; and of messages that have nothing in them."""


class FlightContext(GrpcContext):
    """What a handler knows of its call: initial metadata too, and FlightData and PutResult are bytes already."""

    async def send_initial_metadata(self, metadata: Any) -> None:
        await self._context.send_initial_metadata(metadata)

    async def write(self, message: Any, /) -> None:
        """Sends a response; returns when there is room for another one."""
        data = _encoded(message)
        await self._turns.take(self.client, len(data))
        await self._context.write(data)

    async def received(self, requests: AsyncIterator[bytes], decode: _Decode | None) -> AsyncIterator[Any]:
        """The requests as they come, large ones in turn with those of other clients: how large one is only shows when it has been taken."""
        async for data in requests:
            yield _decoded(data, decode)
            await self._turns.take(self.client, len(data))


def flight_handlers(flight: FlightService, presence: Presence, turns: BulkTurns) -> grpc.GenericRpcHandler[Any, Any]:
    """All of them; every call is counted as present."""
    unary, stream, both = (
        grpc.unary_unary_rpc_method_handler,
        grpc.unary_stream_rpc_method_handler,
        grpc.stream_stream_rpc_method_handler,
    )
    methods: dict[str, tuple[Any, Handler, _Decode | None]] = {
        "Handshake": (both, flight.handshake, pb.FlightHandshake.FromString),
        "ListFlights": (stream, flight.list_flights, pb.FlightCriteria.FromString),
        "GetFlightInfo": (unary, flight.get_flight_info, pb.FlightDescriptor.FromString),
        "PollFlightInfo": (unary, flight.poll_flight_info, pb.FlightDescriptor.FromString),
        "GetSchema": (unary, flight.get_schema, pb.FlightDescriptor.FromString),
        "DoGet": (stream, flight.do_get, pb.FlightTicket.FromString),
        "DoPut": (both, flight.do_put, _AS_IT_IS),
        "DoExchange": (both, flight.do_exchange, _AS_IT_IS),
        "DoAction": (stream, flight.do_action, pb.FlightAction.FromString),
        "ListActions": (stream, flight.list_actions, _AS_IT_IS),
    }
    handlers = {
        name: make((_streamed if make is both else _single)(presence.counted(answer), decode, turns), response_serializer=_encoded)
        for name, (make, answer, decode) in methods.items()
    }
    return grpc.method_handlers_generic_handler(FLIGHT, handlers)


def _streamed(answer: Handler, decode: _Decode | None, turns: BulkTurns) -> Handler:
    async def handle(requests: AsyncIterator[bytes], context: Any) -> None:
        own = FlightContext(context, turns)
        await answer(own.received(requests, decode), own)

    return handle


def _single(answer: Handler, decode: _Decode | None, turns: BulkTurns) -> Handler:
    async def handle(data: bytes, context: Any) -> Any:
        own = FlightContext(context, turns)
        async with translated(own):
            request = _decoded(data, decode)
        return await answer(request, own)

    return handle


def _decoded(data: bytes, decode: _Decode | None) -> Any:
    """The message; those that protobuf takes apart are no larger than the messages of other services. Raises InvalidArgument."""
    if decode is None:
        return data
    if len(data) > GRPC_MESSAGE_MAX_BYTES:
        raise InvalidArgument(
            f"a message of {len(data):,} bytes; but for the batches of a DoPut at most {GRPC_MESSAGE_MAX_BYTES:,} are taken"
        )
    try:
        return decode(data)
    except DecodeError as problem:
        raise InvalidArgument(f"a request of {FLIGHT} cannot be read: {problem}") from None


def _encoded(message: Any) -> bytes:
    encoded: bytes = message if isinstance(message, bytes) else message.SerializeToString()
    return encoded
