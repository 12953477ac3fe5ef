"""The methods of Flight, as gRPC takes them: their names, their messages, and what answers them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Hashable
from typing import Any, Never

import grpc

from linkd.faces.bulk_turns import BulkTurns
from linkd.faces.call import Presence
from linkd.faces.flight import FlightService
from linkd.faces.grpc_call import client_of
from linkd.wire.v1 import flight_pb2 as pb

FLIGHT = "arrow.flight.protocol.FlightService"
AS_IT_IS: Callable[[bytes], Any] | None = None
"""Of FlightData and PutResult, which protobuf would copy; and of messages that have nothing in them."""


class _BulkContext:
    """What a handler of bulk knows of its call. Large messages go in turn with those of other clients."""

    def __init__(self, context: Any, turns: BulkTurns, client: Hashable) -> None:
        self._context = context
        self._turns = turns
        self._client = client

    def invocation_metadata(self) -> Any:
        return self._context.invocation_metadata()

    async def send_initial_metadata(self, metadata: Any) -> None:
        await self._context.send_initial_metadata(metadata)

    async def write(self, message: bytes) -> None:
        """Sends a response; returns when there is room for another one."""
        await self._turns.take(self._client, len(message))
        await self._context.write(message)

    async def abort(self, code: Any, /, details: str = "", trailing_metadata: Any = ()) -> Never:
        await self._context.abort(code, details, trailing_metadata)
        raise AssertionError("unreachable: gRPC's abort raises")


async def _in_turn(requests: AsyncIterator[bytes], turns: BulkTurns, client: Hashable) -> AsyncIterator[bytes]:
    """The requests as they come, large ones in turn with those of other clients: how large one is only shows when it has been taken."""
    async for data in requests:
        yield data
        await turns.take(client, len(data))


def flight_handlers(flight: FlightService, presence: Presence, turns: BulkTurns) -> grpc.GenericRpcHandler[Any, Any]:
    """All of them; every call is counted as present."""

    async def do_get(request: pb.FlightTicket, context: Any) -> None:
        await flight.do_get(request, _BulkContext(context, turns, client_of(context)))

    async def do_put(requests: AsyncIterator[bytes], context: Any) -> None:
        client = client_of(context)
        await flight.do_put(_in_turn(requests, turns, client), _BulkContext(context, turns, client))

    unary, stream, both = (
        grpc.unary_unary_rpc_method_handler,
        grpc.unary_stream_rpc_method_handler,
        grpc.stream_stream_rpc_method_handler,
    )
    methods: dict[str, tuple[Any, Any, Callable[[bytes], Any] | None]] = {
        "Handshake": (both, flight.handshake, pb.FlightHandshake.FromString),
        "ListFlights": (stream, flight.list_flights, pb.FlightCriteria.FromString),
        "GetFlightInfo": (unary, flight.get_flight_info, pb.FlightDescriptor.FromString),
        "PollFlightInfo": (unary, flight.poll_flight_info, pb.FlightDescriptor.FromString),
        "GetSchema": (unary, flight.get_schema, pb.FlightDescriptor.FromString),
        "DoGet": (stream, do_get, pb.FlightTicket.FromString),
        "DoPut": (both, do_put, AS_IT_IS),
        "DoExchange": (both, flight.do_exchange, AS_IT_IS),
        "DoAction": (stream, flight.do_action, pb.FlightAction.FromString),
        "ListActions": (stream, flight.list_actions, AS_IT_IS),
    }
    handlers = {
        name: make(presence.counted(answer), request_deserializer=decode, response_serializer=_encoded)
        for name, (make, answer, decode) in methods.items()
    }
    return grpc.method_handlers_generic_handler(FLIGHT, handlers)


def _encoded(message: Any) -> bytes:
    encoded: bytes = message if isinstance(message, bytes) else message.SerializeToString()
    return encoded
