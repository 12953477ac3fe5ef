"""The service `arrow.flight.protocol.FlightService`: links by name, and the commands of Flight SQL, which `flight_sql` answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from linkd.errors import LinkNotFound, NotSupported, Overloaded
from linkd.faces import flight_links, flight_put
from linkd.faces.call import Call, translated
from linkd.faces.describe import description
from linkd.faces.flight_identity import call_of, handshake
from linkd.faces.flight_links import LinkSender
from linkd.faces.flight_sending import SendingRoom, framed
from linkd.faces.flight_uploads import Upload
from linkd.faces.links import LinksService
from linkd.home.home import Home
from linkd.home.sealing import seal
from linkd.limits import FLIGHT_PUTS_MAX
from linkd.wire.arrow_ipc import Bytes
from linkd.wire.flight import put_result
from linkd.wire.flight_sql import SqlMessage, command_of, parsed
from linkd.wire.flight_tickets import link_asked, link_described
from linkd.wire.v1 import flight_pb2 as pb
from linkd.wire.v1 import links_pb2

DESCRIBE, SEAL, CANCEL = "linkd.describe", "linkd.seal", "CancelFlightInfo"
_ACTIONS = {
    DESCRIBE: "What there is: a linkd.v1.DescribeResponse of the link that the body names, or of all",
    SEAL: "Writes the end of the link that the body names: a linkd.v1.SealResponse",
    CANCEL: "Ends a query (CancelFlightInfoRequest)",
}


class SqlCommands(Protocol):
    """What answers the commands of Flight SQL. All of it raises linkd's errors."""

    @property
    def actions(self) -> Mapping[str, str]:
        """Types of actions beside those of this module, and what they do."""
        ...

    async def info(self, command: SqlMessage, descriptor: pb.FlightDescriptor, call: Call) -> pb.FlightInfo:
        """What a command's result will be, and the ticket for it."""
        ...

    async def schema(self, command: SqlMessage, call: Call) -> bytes:
        """The encapsulated schema message of a command's result."""
        ...

    def get(self, ticket: SqlMessage, call: Call) -> AsyncGenerator[Bytes | Sequence[Bytes], None]:
        """Encapsulated Arrow messages, whole or in pieces, the schema first. Closed when the client leaves."""
        ...

    async def put(self, command: SqlMessage, upload: Upload, call: Call) -> bytes | None:
        """Takes what is uploaded for a command; the app_metadata of its one PutResult, None for no answer."""
        ...

    def action(self, kind: str, body: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        """The bodies of an action's results."""
        ...


@dataclass(slots=True)
class FlightService:
    """One method for each of the protocol's; FlightData and PutResult are bytes here, all else is messages."""

    links: LinksService
    sql: SqlCommands
    sender: LinkSender = field(init=False)
    _puts: int = 0

    def __post_init__(self) -> None:
        self.sender = LinkSender(self.home, SendingRoom(self.home.memory.size_bytes))

    @property
    def home(self) -> Home:
        return self.links.home

    async def handshake(self, requests: AsyncIterator[pb.FlightHandshake], context: Any) -> None:
        async with translated(context):
            await handshake(self.home, requests, context)

    # -- what there is --------------------------------------------------------------------------------------------------------------------

    async def list_flights(self, request: pb.FlightCriteria, context: Any) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            for name in flight_links.names(self.home, call, request.expression.decode("utf-8", "replace")):
                await context.write(await flight_links.info(self.home, call, link_asked(name.encode())))

    async def get_flight_info(self, request: pb.FlightDescriptor, context: Any) -> pb.FlightInfo:
        async with translated(context):
            return await self._info(request, call_of(self.home, context))
        raise AssertionError("unreachable: `translated` aborts the call")

    async def poll_flight_info(self, request: pb.FlightDescriptor, context: Any) -> pb.FlightPollInfo:
        async with translated(context):
            return pb.FlightPollInfo(info=await self._info(request, call_of(self.home, context)), progress=1.0)
        raise AssertionError("unreachable: `translated` aborts the call")

    async def get_schema(self, request: pb.FlightDescriptor, context: Any) -> pb.FlightSchema:
        async with translated(context):
            call = call_of(self.home, context)
            command = _command(request)
            if command is not None:
                return pb.FlightSchema(schema=await self.sql.schema(command, call))
            return pb.FlightSchema(schema=flight_links.schema_of(self.home, call, link_described(request)))
        raise AssertionError("unreachable: `translated` aborts the call")

    async def _info(self, descriptor: pb.FlightDescriptor, call: Call) -> pb.FlightInfo:
        command = _command(descriptor)
        if command is not None:
            return await self.sql.info(command, descriptor, call)
        info = await flight_links.info(self.home, call, link_described(descriptor))
        info.flight_descriptor.CopyFrom(descriptor)
        return info

    # -- data -----------------------------------------------------------------------------------------------------------------------------

    async def do_get(self, request: pb.FlightTicket, context: Any) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            command = command_of(request.ticket)
            if command is None:
                await self.sender.send(call, link_asked(request.ticket), context.write)
                return
            async with aclosing(self.sql.get(command, call)) as messages:
                async for message in messages:
                    pieces = (message,) if isinstance(message, bytes | bytearray | memoryview) else message
                    async with self.sender.room.holding(sum(map(len, pieces))):
                        await context.write(await framed(pieces))

    async def do_put(self, requests: AsyncIterator[bytes], context: Any) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            if self._puts >= FLIGHT_PUTS_MAX:
                # A refusal that overtakes the client's first write is lost in its gRPC library, which then tells of the write: read that first.
                await anext(requests, None)
                raise Overloaded(f"{self._puts} uploads over Flight are going on, which is the most: try again when one of them is done")
            with self._putting():
                upload = Upload(self.home, requests)
                async with asyncio.TaskGroup() as group:
                    draining = group.create_task(upload.end_by_drain(), name="linkd flight put: drain")
                    await self._put(upload, call, context)
                    draining.cancel()

    async def _put(self, upload: Upload, call: Call, context: Any) -> None:
        await upload.begin()
        command = _command(upload.descriptor)
        confirm = partial(context.send_initial_metadata, ())
        if command is None:
            asked = link_described(upload.descriptor)
            upload.confirm = confirm if asked.replace else None  # what is appended is whole batch by batch
            await flight_put.serve(self.links, call, asked, upload, context.write)
            return
        upload.confirm = confirm
        answer = await self.sql.put(command, upload, call)
        if answer is not None:
            await context.write(put_result(answer))

    async def do_exchange(self, requests: AsyncIterator[bytes], context: Any) -> None:
        async with translated(context):
            call_of(self.home, context)
            raise NotSupported("linkd has no DoExchange: read with DoGet and write with DoPut")

    @contextmanager
    def _putting(self) -> Iterator[None]:
        self._puts += 1
        try:
            yield
        finally:
            self._puts -= 1

    # -- actions --------------------------------------------------------------------------------------------------------------------------

    async def list_actions(self, request: bytes, context: Any) -> None:
        async with translated(context):
            call_of(self.home, context)
            for kind, told in {**self.sql.actions, **_ACTIONS}.items():
                await context.write(pb.FlightActionType(type=kind, description=told))

    async def do_action(self, request: pb.FlightAction, context: Any) -> None:
        async with translated(context):
            call = call_of(self.home, context)
            async with aclosing(self._results(request.type, request.body, call)) as results:
                async for body in results:
                    await context.write(pb.FlightResult(body=body))

    async def _results(self, kind: str, body: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        if kind == DESCRIBE:
            yield description(self.home, call.who, _link_named(body)).SerializeToString()
        elif kind == SEAL:
            generation, last = await seal(self.home, call.who, _link_named(body))
            yield links_pb2.SealResponse(generation=generation, last_sequence=last).SerializeToString()
        elif kind == CANCEL and not _is_of_sql(body):
            # A link is read by one call, which ends when its client cancels that: there is nothing behind it.
            yield pb.CancelFlightInfoResult(status=pb.CANCEL_STATUS_NOT_CANCELLABLE).SerializeToString()
        elif kind == CANCEL or kind in self.sql.actions:
            async with aclosing(self.sql.action(kind, body, call)) as results:
                async for result in results:
                    yield result
        else:
            known = ", ".join(sorted({*_ACTIONS, *self.sql.actions}))
            raise NotSupported(f"there is no action {kind[:80]!r}; there are {known}")


def _command(descriptor: pb.FlightDescriptor) -> SqlMessage | None:
    """The command of Flight SQL that a descriptor has; None if it is about a link."""
    return command_of(descriptor.cmd) if descriptor.type == pb.FlightDescriptor.CMD else None


def _is_of_sql(body: bytes) -> bool:
    """Whether what is to be cancelled is a query."""
    info = parsed(pb.CancelFlightInfoRequest, body).info
    return any(command_of(endpoint.ticket.ticket) is not None for endpoint in info.endpoint) or _command(info.flight_descriptor) is not None


def _link_named(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise LinkNotFound("the body of the action is the name of a link, and this is no text") from None
