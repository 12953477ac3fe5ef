"""Arrow Flight SQL: statements, prepared statements, bulk ingest and metadata, behind the Flight service (`faces.flight`).

    FlightInfo of a query      its schema, and a ticket that says itself what is asked (`QueryTicket`)
    FlightInfo of an INSERT    it was run; the ticket fetches how many rows it inserted
    FlightInfo of metadata     the ticket is the command

A query runs when its ticket is fetched, over links as they are then. Every statement is committed by itself. What checks and runs a statement
is `linkd.query`; nothing here knows SQL.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from linkd.core.prepared_statements import PreparedStatement, PreparedStatements
from linkd.errors import InvalidArgument, NotSupported, QueryInvalid
from linkd.faces import flight_sql_metadata as metadata
from linkd.faces.call import Call
from linkd.faces.flight_sql_actions import ACTIONS, Actions
from linkd.faces.flight_sql_ingest import ingest
from linkd.faces.flight_sql_parameters import Parameters, received
from linkd.faces.flight_sql_running import RunningQueries
from linkd.faces.flight_uploads import Upload
from linkd.faces.links import LinksService
from linkd.wire import flight_sql as wire
from linkd.wire.flight_sql import SqlMessage
from linkd.wire.v1 import flight_pb2
from linkd.wire.v1 import flight_sql_pb2 as pb

QUERY_ID_BYTES = 16
_ASKED_BY_NEW_CONNECTIONS = "CommandGetSqlInfo"


@dataclass(slots=True)
class FlightSql:
    """Answers commands of Flight SQL for one home. Raises errors of the tree; whoever calls translates them, and frames what is streamed."""

    links: LinksService
    prepared: PreparedStatements = field(default_factory=PreparedStatements)
    running: RunningQueries = field(default_factory=RunningQueries)
    actions = ACTIONS
    _actions: Actions = field(init=False)

    def __post_init__(self) -> None:
        self._actions = Actions(self.links, self.prepared, self.running)

    async def info(self, command: SqlMessage, descriptor: flight_pb2.FlightDescriptor, call: Call) -> flight_pb2.FlightInfo:
        """What a command will give, and the ticket for it. An INSERT has been run when this returns."""
        if command.name in metadata.COMMANDS:
            if command.name == _ASKED_BY_NEW_CONNECTIONS:
                await self.links.queries.expect(call.who)
            return _info(descriptor, await metadata.schema(command), wire.repack(command))
        statement = await self._statement(command, call)
        query_id = self.links.home.clock.entropy(QUERY_ID_BYTES)
        if statement.is_query:
            asked = pb.QueryTicket(query_id=query_id, query=statement.text, parameters=statement.bound)
            # Values decide types: what a query with parameters gives is known when it runs.
            schema = b"" if statement.bound else statement.schema
        else:
            rows = await self._insert(statement.text, statement.bound, call)
            schema = (await metadata.inserted(rows)).schema
            asked = pb.QueryTicket(query_id=query_id, inserted=rows)
        return _info(descriptor, schema, wire.pack(pb.TicketStatementQuery(statement_handle=asked.SerializeToString())))

    async def schema(self, command: SqlMessage, call: Call) -> bytes:
        """The schema message of what a command would give; nothing is run."""
        if command.name in metadata.COMMANDS:
            return await metadata.schema(command)
        return (await self._statement(command, call)).schema or (await metadata.inserted(0)).schema

    async def get(self, ticket: SqlMessage, call: Call) -> AsyncGenerator[bytes, None]:
        """Encapsulated Arrow messages, the schema first."""
        if ticket.name in metadata.COMMANDS:
            for message in (await metadata.answer(self.links.home, call.who, ticket)).messages():
                yield message
            return
        if ticket.name != "TicketStatementQuery":
            raise InvalidArgument(f"a ticket is what GetFlightInfo gave; {ticket.name} is none")
        asked = wire.query_ticket(ticket)
        if asked.HasField("inserted"):
            for message in (await metadata.inserted(asked.inserted)).messages():
                yield message
            return
        messages = self.links.queries.run(call.who, asked.query, 0, call.traceparent, parameters=asked.parameters)
        async with aclosing(self.running.fetched(call.who, asked.query_id, messages)) as fetched:
            async for message in fetched:
                yield message

    async def put(self, command: SqlMessage, upload: Upload, call: Call) -> bytes | None:
        """Takes what is uploaded, or binds it; the application metadata of the one PutResult."""
        if command.name == "CommandStatementIngest":
            rows = await ingest(self.links, call, command.as_a(pb.CommandStatementIngest), upload)
            return _updated(rows)
        parameters = await received(upload)
        if command.name == "CommandPreparedStatementQuery":
            return self._bind(command.as_a(pb.CommandPreparedStatementQuery).prepared_statement_handle, parameters, call)
        if command.name == "CommandStatementUpdate":
            text, bound = _text(command.as_a(pb.CommandStatementUpdate)), b""
        elif command.name == "CommandPreparedStatementUpdate":
            kept = self._prepared(command.as_a(pb.CommandPreparedStatementUpdate).prepared_statement_handle, call)
            text, bound = kept.text, kept.bound
        else:
            raise _unknown(command.name)
        if parameters is not None and not parameters.rows:
            return _updated(0)
        return _updated(await self._insert(text, parameters.stream if parameters is not None else bound, call))

    def action(self, kind: str, body: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        """The bodies of the results of one of `actions`."""
        return self._actions.answer(kind, body, call)

    def _bind(self, handle: bytes, parameters: Parameters | None, call: Call) -> bytes:
        if self._prepared(handle, call).is_query and parameters is not None and parameters.rows != 1:
            raise QueryInvalid(
                f"a SELECT runs with one row of parameters, and {parameters.rows} are bound: run it once for each, or compare with a list: "
                "WHERE x IN (...)"
            )
        self.prepared.bind(call.who, handle, parameters.stream if parameters is not None else b"", self.links.home.clock.monotonic_s())
        return pb.DoPutPreparedStatementResult(prepared_statement_handle=handle).SerializeToString()

    async def _statement(self, command: SqlMessage, call: Call) -> PreparedStatement:
        """What a command is to run: a text that is checked now, or a statement that was prepared."""
        if command.name == "CommandStatementQuery":
            text = _text(command.as_a(pb.CommandStatementQuery))
            return PreparedStatement(text, (await self.links.queries.prepare(call.who, text, call.traceparent)).schema)
        if command.name == "CommandPreparedStatementQuery":
            return self._prepared(command.as_a(pb.CommandPreparedStatementQuery).prepared_statement_handle, call)
        raise _unknown(command.name)

    def _prepared(self, handle: bytes, call: Call) -> PreparedStatement:
        return self.prepared.use(call.who, handle, self.links.home.clock.monotonic_s())

    async def _insert(self, text: str, parameters: bytes, call: Call) -> int:
        return await self.links.queries.insert(call.who, text, 0, call.traceparent, parameters=parameters)


def _info(descriptor: flight_pb2.FlightDescriptor, schema: bytes, ticket: bytes) -> flight_pb2.FlightInfo:
    endpoint = flight_pb2.FlightEndpoint(ticket=flight_pb2.FlightTicket(ticket=ticket))
    return flight_pb2.FlightInfo(
        schema=schema, flight_descriptor=descriptor, endpoint=[endpoint], total_records=-1, total_bytes=-1, ordered=True
    )


def _text(command: pb.CommandStatementQuery | pb.CommandStatementUpdate) -> str:
    if command.HasField("transaction_id"):
        raise NotSupported("linkd has no transactions: every statement is committed by itself, so leave the transaction away")
    return str(command.query)


def _updated(rows: int) -> bytes:
    return pb.DoPutUpdateResult(record_count=rows).SerializeToString()


def _unknown(name: str) -> NotSupported:
    if "Substrait" in name:
        return NotSupported("linkd runs SQL, not Substrait plans: send the statement as text")
    return NotSupported(f"linkd does not know {name} of Flight SQL here")
