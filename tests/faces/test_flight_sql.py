"""Flight SQL below the drivers, with pyarrow's Flight client: actions, cancelling, what is refused, and bytes that are no commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import flight
from served_home import ServedHome

from linkd.wire import flight_sql as wire
from linkd.wire.v1 import flight_pb2
from linkd.wire.v1 import flight_sql_pb2 as pb

pytestmark = pytest.mark.xdist_group("adbc")
ENDLESS = "SELECT a.range * b.range AS n FROM range(1000000) a, range(1000000) b"


@pytest.fixture(scope="module")
def client(sql_home: ServedHome) -> Iterator[flight.FlightClient]:
    with flight.connect(sql_home.uri) as connected:
        yield connected


def _command(message: Any) -> flight.FlightDescriptor:
    return flight.FlightDescriptor.for_command(wire.pack(message))


def _query(text: str, **fields: Any) -> flight.FlightDescriptor:
    return _command(pb.CommandStatementQuery(query=text, **fields))


def _rows(client: flight.FlightClient, info: flight.FlightInfo) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.do_get(info.endpoints[0].ticket).read_all().to_pylist()
    return found


def _act(client: flight.FlightClient, kind: str, body: bytes) -> list[bytes]:
    return [result.body.to_pybytes() for result in client.do_action(flight.Action(kind, body))]


def _prepare(client: flight.FlightClient, text: str, **fields: Any) -> pb.ActionCreatePreparedStatementResult:
    [body] = _act(client, "CreatePreparedStatement", wire.pack(pb.ActionCreatePreparedStatementRequest(query=text, **fields)))
    found: pb.ActionCreatePreparedStatementResult = wire.unpacked(pb.ActionCreatePreparedStatementResult, body)
    return found


def _put(client: flight.FlightClient, message: Any, table: pa.Table) -> bytes:
    writer, answers = client.do_put(_command(message), table.schema)
    with writer:
        writer.write_table(table)
        writer.done_writing()
        return bytes(answers.read().to_pybytes())


def test_a_query_runs_when_its_ticket_is_fetched(client: flight.FlightClient) -> None:
    info = client.get_flight_info(_query("SELECT 42 AS answer, 'x' AS text"))
    assert info.schema == pa.schema([("answer", pa.int32()), ("text", pa.string())])
    assert _rows(client, info) == [{"answer": 42, "text": "x"}]
    assert client.get_schema(_query("SELECT 1.5::DOUBLE AS half")).schema == pa.schema([("half", pa.float64())])


def test_a_prepared_statement_has_its_schemas_and_ends_when_it_is_closed(client: flight.FlightClient) -> None:
    made = _prepare(client, "SELECT range AS n FROM range(10) WHERE range > CAST(? AS BIGINT)")
    assert pa.ipc.read_schema(pa.py_buffer(made.dataset_schema)) == pa.schema([("n", pa.int64())])
    assert pa.ipc.read_schema(pa.py_buffer(made.parameter_schema)).types == [pa.int64()]
    run = pb.CommandPreparedStatementQuery(prepared_statement_handle=made.prepared_statement_handle)
    bound = pb.DoPutPreparedStatementResult.FromString(_put(client, run, pa.table({"1": pa.array([7], pa.int64())})))
    assert bound.prepared_statement_handle == made.prepared_statement_handle
    info = client.get_flight_info(_command(run))
    assert _rows(client, info) == [{"n": 8}, {"n": 9}]
    with pytest.raises(pa.ArrowInvalid, match="one row of parameters, and 2 are bound"):
        _put(client, run, pa.table({"1": pa.array([1, 2], pa.int64())}))
    close = wire.pack(pb.ActionClosePreparedStatementRequest(prepared_statement_handle=made.prepared_statement_handle))
    assert _act(client, "ClosePreparedStatement", close) == []
    with pytest.raises(pa.ArrowInvalid, match="not open any more"):
        client.get_flight_info(_command(run))
    assert _rows(client, info) == [{"n": 8}, {"n": 9}]  # the ticket has all that it needs


def test_an_insert_that_is_asked_for_as_a_query_has_run_once_when_it_is_answered(client: flight.FlightClient) -> None:
    rows = pa.table({"n": pa.array([1], pa.int64())})
    how = pb.CommandStatementIngest.TableDefinitionOptions(if_not_exist=1, if_exists=1)
    told = _put(client, pb.CommandStatementIngest(table="once", table_definition_options=how), rows)
    assert pb.DoPutUpdateResult.FromString(told).record_count == 1
    insert = _query("INSERT INTO once SELECT n + 1 AS n FROM once")
    assert client.get_schema(insert).schema == pa.schema([("Count", pa.int64())])
    info = client.get_flight_info(insert)
    assert _rows(client, info) == _rows(client, info) == [{"Count": 1}]
    assert _rows(client, client.get_flight_info(_query("SELECT n FROM once ORDER BY n"))) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("kind", ["CancelFlightInfo", "CancelQuery"])
def test_a_query_is_cancelled_by_its_flight_info(client: flight.FlightClient, kind: str) -> None:
    info = client.get_flight_info(_query(ENDLESS))
    cancel: Callable[[], int]
    if kind == "CancelFlightInfo":
        body = flight_pb2.CancelFlightInfoRequest(info=flight_pb2.FlightInfo.FromString(info.serialize())).SerializeToString()
        cancel = lambda: flight_pb2.CancelFlightInfoResult.FromString(_act(client, kind, body)[0]).status  # noqa: E731
    else:
        body = wire.pack(pb.ActionCancelQueryRequest(info=info.serialize()))
        cancel = lambda: wire.unpacked(pb.ActionCancelQueryResult, _act(client, kind, body)[0]).result  # noqa: E731
    reader = client.do_get(info.endpoints[0].ticket)
    assert reader.read_chunk().data.num_rows > 0
    assert cancel() == flight_pb2.CANCEL_STATUS_CANCELLED
    with pytest.raises(flight.FlightCancelledError, match="the query was cancelled"):
        while True:  # `read_all` takes it for a Ctrl-C
            reader.read_chunk()
    assert cancel() == flight_pb2.CANCEL_STATUS_NOT_CANCELLABLE
    assert _rows(client, client.get_flight_info(_query("SELECT 1 AS one"))) == [{"one": 1}]


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("BeginTransaction", b"", "no transactions: every statement is committed by itself"),
        ("EndTransaction", b"", "no transactions"),
        ("BeginSavepoint", b"", "no transactions"),
        ("CreatePreparedSubstraitPlan", b"", "not Substrait"),
        (
            "CreatePreparedStatement",
            wire.pack(pb.ActionCreatePreparedStatementRequest(query="SELECT 1", transaction_id=b"t")),
            "no transactions",
        ),
    ],
)
def test_what_linkd_has_not_is_unimplemented_and_says_what_to_do(client: flight.FlightClient, kind: str, body: bytes, said: str) -> None:
    with pytest.raises(pa.ArrowNotImplementedError, match=said):
        _act(client, kind, body)


@pytest.mark.parametrize(
    ("descriptor", "error", "said"),
    [
        (_query("SELECT 1", transaction_id=b"t"), pa.ArrowNotImplementedError, "no transactions"),
        (_query("BEGIN"), pa.ArrowInvalid, "(?i)transaction"),
        (_command(pb.CommandStatementUpdate(query="SELECT 1")), pa.ArrowNotImplementedError, "CommandStatementUpdate"),
        (
            flight.FlightDescriptor.for_command(wire.repack(wire.SqlMessage("CommandStatementSubstraitPlan", b""))),
            pa.ArrowNotImplementedError,
            "Substrait",
        ),
        (
            flight.FlightDescriptor.for_command(wire.repack(wire.SqlMessage("CommandGetTables", b"\xff"))),
            pa.ArrowInvalid,
            "no such message",
        ),
    ],
)
def test_commands_that_cannot_be_answered_are_refused(
    client: flight.FlightClient, descriptor: Any, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        client.get_flight_info(descriptor)


def test_a_session_has_no_state(client: flight.FlightClient) -> None:
    [body] = _act(client, "GetSessionOptions", b"")
    there = pb.GetSessionOptionsResult.FromString(body).session_options
    assert {name: value.string_value for name, value in there.items()} == {"catalog": "open", "schema": "links"}
    asked = pb.SetSessionOptionsRequest()
    asked.session_options["catalog"].string_value = "open"
    asked.session_options["schema"].string_value = "another"
    asked.session_options["colour"].int64_value = 7
    [body] = _act(client, "SetSessionOptions", asked.SerializeToString())
    refused = pb.SetSessionOptionsResult.FromString(body).errors
    assert {name: one.value for name, one in refused.items()} == {"schema": 2, "colour": 1}
    [body] = _act(client, "CloseSession", b"")
    assert pb.CloseSessionResult.FromString(body).status == pb.CloseSessionResult.CLOSED


def test_actions_are_listed(client: flight.FlightClient) -> None:
    listed = {action.type for action in client.list_actions()}
    assert {"CreatePreparedStatement", "ClosePreparedStatement", "CancelFlightInfo", "CancelQuery", "BeginTransaction"} <= listed


NAMES = st.sampled_from([*sorted(pb.DESCRIPTOR.message_types_by_name), "Nothing", ""])


@settings(max_examples=40)
@given(NAMES, st.binary(max_size=40), st.sampled_from(["info", "schema", "get", "action"]))
def test_bytes_that_are_no_command_are_refused_and_break_nothing(client: flight.FlightClient, name: str, value: bytes, way: str) -> None:
    data, said = wire.repack(wire.SqlMessage(name, value)), ""
    try:
        if way == "info":
            client.get_flight_info(flight.FlightDescriptor.for_command(data))
        elif way == "schema":
            _ = client.get_schema(flight.FlightDescriptor.for_command(data)).schema
        elif way == "get":
            client.do_get(flight.Ticket(data)).read_all()
        else:
            _act(client, "CreatePreparedStatement", data)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowKeyError) as error:
        said = str(error)  # in the client's words: INVALID_ARGUMENT, UNIMPLEMENTED, NOT_FOUND
    assert "This is a defect" not in said
