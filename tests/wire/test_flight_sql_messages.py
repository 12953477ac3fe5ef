"""Commands of Flight SQL: packed under the names that Flight SQL gives them, and found again."""

from __future__ import annotations

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from hypothesis import given
from hypothesis import strategies as st

from linkd.errors import InvalidArgument
from linkd.wire.flight_sql import SqlMessage, command_of, pack, parsed, query_ticket, repack, unpacked
from linkd.wire.v1 import flight_sql_pb2 as pb

ASKED = pb.CommandGetTables(catalog="flights", table_types=["TABLE"], include_schema=True)


def test_a_command_is_packed_as_everybody_packs_it() -> None:
    data = pack(ASKED)
    everybodys = AnyMessage.FromString(data)
    assert everybodys.type_url == "type.googleapis.com/arrow.flight.protocol.sql.CommandGetTables"
    assert pb.CommandGetTables.FromString(everybodys.value) == ASKED
    found = command_of(data)
    assert found is not None
    assert found.as_a(pb.CommandGetTables) == ASKED
    assert unpacked(pb.CommandGetTables, data) == ASKED
    assert command_of(repack(found)) == found


@pytest.mark.parametrize(
    "url", ["", "CommandGetTables", "type.googleapis.com/google.protobuf.Any", "arrow.flight.protocol.sql.CommandGetTables"]
)
def test_what_is_packed_for_others_is_no_command(url: str) -> None:
    assert command_of(AnyMessage(type_url=url, value=b"").SerializeToString()) is None


def test_bytes_that_are_not_what_they_say_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="CommandGetTables are no such message"):
        SqlMessage("CommandGetTables", b"\xff").as_a(pb.CommandGetTables)
    with pytest.raises(InvalidArgument, match="no ActionClosePreparedStatementRequest"):
        unpacked(pb.ActionClosePreparedStatementRequest, pack(ASKED))
    with pytest.raises(InvalidArgument, match="the statement handle of a ticket"):
        query_ticket(SqlMessage("TicketStatementQuery", pb.TicketStatementQuery(statement_handle=b"\xff").SerializeToString()))


@given(st.binary(max_size=60))
def test_no_bytes_do_any_harm(data: bytes) -> None:
    message = command_of(data)
    assert message is None or message.name
    try:
        parsed(pb.QueryTicket, data)
    except InvalidArgument:
        pass
