"""The actions of Flight SQL: prepared statements, cancelling, and what linkd has not: transactions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass

from linkd.core.prepared_statements import PreparedStatement, PreparedStatements
from linkd.errors import NotSupported
from linkd.faces import flight_sql_session as session
from linkd.faces.call import Call
from linkd.faces.flight_sql_running import RunningQueries
from linkd.faces.links import LinksService
from linkd.wire import flight_sql as wire
from linkd.wire.v1 import flight_pb2
from linkd.wire.v1 import flight_sql_pb2 as pb

ACTIONS: Mapping[str, str] = {
    "CreatePreparedStatement": "Checks a statement once, to be run later, with parameters or without.",
    "ClosePreparedStatement": "Forgets a prepared statement.",
    "CancelFlightInfo": "Ends a query that is being fetched.",
    "CancelQuery": "Ends a query that is being fetched; the older name of CancelFlightInfo.",
    "SetSessionOptions": "Takes `catalog` and `schema`, with the values that they have anyway.",
    "GetSessionOptions": "Tells the one catalog, which is the pipeline, and the one schema.",
    "CloseSession": "Nothing: a connection has no state.",
    "BeginTransaction": "Not supported: every statement is committed by itself.",
    "EndTransaction": "Not supported: every statement is committed by itself.",
    "BeginSavepoint": "Not supported: every statement is committed by itself.",
    "EndSavepoint": "Not supported: every statement is committed by itself.",
    "CreatePreparedSubstraitPlan": "Not supported: statements are text.",
}
"""By type, with a description for ListActions."""

HANDLE_BYTES = 16
_Answer = Callable[[bytes, Call], Awaitable[bytes | None]]


@dataclass(slots=True)
class Actions:
    """Answers `ACTIONS` for one home."""

    links: LinksService
    prepared: PreparedStatements
    running: RunningQueries

    async def answer(self, kind: str, body: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        """The bodies of the action's results. Raises NotSupported, InvalidArgument, and what preparing a statement refuses."""
        answers: Mapping[str, _Answer] = {
            "CreatePreparedStatement": self._prepare,
            "ClosePreparedStatement": self._close,
            "CancelFlightInfo": self._cancel_info,
            "CancelQuery": self._cancel_query,
            "SetSessionOptions": self._set_options,
            "GetSessionOptions": self._get_options,
            "CloseSession": self._close_session,
        }
        if kind == "CreatePreparedSubstraitPlan":
            raise NotSupported("linkd runs SQL, not Substrait plans: send the statement as text")
        if kind not in answers:
            raise NotSupported(
                "linkd has no transactions: every statement is committed by itself; leave autocommit on (in ADBC: autocommit=True)"
            )
        result = await answers[kind](body, call)
        if result is not None:
            yield result

    async def _prepare(self, body: bytes, call: Call) -> bytes:
        asked = wire.unpacked(pb.ActionCreatePreparedStatementRequest, body)
        if asked.HasField("transaction_id"):
            raise NotSupported("linkd has no transactions: every statement is committed by itself, so leave the transaction away")
        found = await self.links.queries.prepare(call.who, asked.query, call.traceparent)
        clock = self.links.home.clock
        handle = clock.entropy(HANDLE_BYTES)
        self.prepared.open(call.who, handle, PreparedStatement(asked.query, found.schema), clock.monotonic_s())
        return wire.pack(
            pb.ActionCreatePreparedStatementResult(
                prepared_statement_handle=handle, dataset_schema=found.schema, parameter_schema=found.parameters_schema
            )
        )

    async def _close(self, body: bytes, call: Call) -> None:
        self.prepared.close(call.who, wire.unpacked(pb.ActionClosePreparedStatementRequest, body).prepared_statement_handle)

    async def _cancel_info(self, body: bytes, call: Call) -> bytes:
        asked = wire.parsed(flight_pb2.CancelFlightInfoRequest, body)
        is_cancelled = await self._cancel(asked.info, call)
        status = flight_pb2.CANCEL_STATUS_CANCELLED if is_cancelled else flight_pb2.CANCEL_STATUS_NOT_CANCELLABLE
        return flight_pb2.CancelFlightInfoResult(status=status).SerializeToString()

    async def _cancel_query(self, body: bytes, call: Call) -> bytes:
        asked = wire.unpacked(pb.ActionCancelQueryRequest, body)
        is_cancelled = await self._cancel(wire.parsed(flight_pb2.FlightInfo, asked.info), call)
        result = pb.ActionCancelQueryResult
        return wire.pack(result(result=result.CANCEL_RESULT_CANCELLED if is_cancelled else result.CANCEL_RESULT_NOT_CANCELLABLE))

    async def _cancel(self, info: flight_pb2.FlightInfo, call: Call) -> bool:
        """Whether any query of the info's tickets was being fetched."""
        is_cancelled = False
        for endpoint in info.endpoint:
            ticket = wire.command_of(endpoint.ticket.ticket)
            if ticket is not None and ticket.name == "TicketStatementQuery":
                is_cancelled |= await self.running.cancel(call.who, wire.query_ticket(ticket).query_id)
        return is_cancelled

    async def _set_options(self, body: bytes, call: Call) -> bytes:
        return session.set_options(self.links.home, body)

    async def _get_options(self, body: bytes, call: Call) -> bytes:
        return session.get_options(self.links.home, body)

    async def _close_session(self, body: bytes, call: Call) -> bytes:
        return session.close(self.links.home, body)
