"""Commands of Arrow Flight SQL, packed and unpacked: see proto/linkd/v1/flight_sql.proto for the messages and how they travel."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError

from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen
from linkd.wire.v1 import flight_sql_pb2 as pb

_PACKAGE = "arrow.flight.protocol.sql."
_TYPE_URL = f"type.googleapis.com/{_PACKAGE}"


@frozen()
class SqlMessage:
    """A message of Flight SQL: its name, such as `CommandStatementQuery`, and its bytes."""

    name: str
    value: bytes

    def as_a(self, kind: Any) -> Any:
        """The message, of this generated class. Raises InvalidArgument if the bytes are none."""
        return parsed(kind, self.value, self.name)


def command_of(data: bytes) -> SqlMessage | None:
    """The message that `data` packs; None if it is none of Flight SQL."""
    try:
        packed = pb.Packed.FromString(data)
    except DecodeError:
        return None
    domain, _, name = packed.type_url.rpartition("/")
    return SqlMessage(name.removeprefix(_PACKAGE), packed.value) if domain and name.startswith(_PACKAGE) else None


def pack(message: Any) -> bytes:
    """A message of `flight_sql_pb2`, under the name that Flight SQL gives it."""
    return pb.Packed(type_url=_TYPE_URL + message.DESCRIPTOR.name, value=message.SerializeToString()).SerializeToString()


def repack(message: SqlMessage) -> bytes:
    """A message that was unpacked, as it came: the ticket of a command is the command itself."""
    return pb.Packed(type_url=_TYPE_URL + message.name, value=message.value).SerializeToString()


def unpacked(kind: Any, body: bytes) -> Any:
    """The message of this generated class that an action's body packs. Raises InvalidArgument."""
    message = command_of(body)
    if message is None or message.name != kind.DESCRIPTOR.name:
        raise InvalidArgument(f"the action's body is no {kind.DESCRIPTOR.name} of Flight SQL")
    return message.as_a(kind)


def parsed(kind: Any, data: bytes, name: str = "") -> Any:
    """`data` as a message of this generated class. Raises InvalidArgument."""
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidArgument(f"the bytes of {name or kind.DESCRIPTOR.name} are no such message") from None


def query_ticket(ticket: SqlMessage) -> pb.QueryTicket:
    """What a TicketStatementQuery of linkd's asks. Raises InvalidArgument for somebody else's."""
    handle = ticket.as_a(pb.TicketStatementQuery).statement_handle
    asked: pb.QueryTicket = parsed(pb.QueryTicket, handle, "the statement handle of a ticket")
    return asked
