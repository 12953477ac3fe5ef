"""Values as tables, data frames, rows and bytes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from linkd.client.content import Content, Part
from linkd.client.payloads import Arrived
from linkd.client.values import Input, Value
from linkd.core.schema import payload
from linkd.errors import InvalidArgument, MissingExtra
from linkd.model.values import Envelope, Position
from linkd.wire.messages import ARROW, BYTES, ROWS
from linkd.wire.v1 import value_pb2 as pb


def _part(table: pa.Table) -> Part:
    schema, content = payload(table.combine_chunks().to_batches()[0])
    return Part(ARROW, bytes(content), schema)


def _value(part: Part, rows: int = 1, sequence: int = 42) -> Value:
    return Value(part, Envelope(b"i" * 16, "flown", Position(1, sequence), 1, rows, 9, b"", 0, 0))


def test_a_value_gives_tables_frames_and_rows() -> None:
    table = pa.table({"miles": [1, 2], "name": ["a", None]})
    value = _value(_part(table), rows=2)
    assert value.to_table().equals(table)
    assert value.rows() == [{"miles": 1, "name": "a"}, {"miles": 2, "name": None}]
    assert value.to_polars().equals(pl.DataFrame({"miles": [1, 2], "name": ["a", None]}))
    assert pa.table(value).equals(table)
    assert pl.DataFrame(value)["miles"].to_list() == [1, 2]
    assert len(value) == 2
    assert value.name == "flown@42"


def test_pandas_frames_have_pandas_own_types() -> None:
    at = datetime(2013, 1, 1, 5, tzinfo=UTC)
    table = pa.table(
        {
            "distance": pa.array([1, 2], pa.int64()),
            "dep_time": pa.array([517, None], pa.int64()),
            "at": pa.array([at, None], pa.timestamp("s", "UTC")),
        }
    )
    frame = _value(_part(table)).to_pandas()
    assert frame.distance.dtype == "int64"
    assert frame.dep_time.dtype == "float64"
    assert list(frame.dep_time.notna()) == [True, False]
    assert frame["at"].dt.tz is not None
    assert frame["at"][0] == pd.Timestamp(at)


def test_an_input_is_one_table_whatever_the_number_of_its_values() -> None:
    early = _value(_part(pa.table({"a": pa.array([None], pa.null()), "b": [1]})), sequence=1)
    late = _value(_part(pa.table({"a": ["x"], "b": [2]})), sequence=2)
    both = Input("flown", [early, late])
    assert both.to_table().schema == pa.schema([("a", pa.string()), ("b", pa.int64())])
    assert both.rows() == [{"a": None, "b": 1}, {"a": "x", "b": 2}]
    assert len(both) == 2
    assert [value.name for value in both.values] == ["flown@1", "flown@2"]


def test_an_input_without_values_has_the_columns_of_its_schema() -> None:
    schema = pa.schema([("miles", pa.int64())])
    empty = Input("flown", [], schema.serialize().to_pybytes())
    assert empty.to_table().schema == schema
    assert empty.rows() == []
    assert list(empty.to_pandas().columns) == ["miles"]
    assert empty


def test_what_has_no_columns_says_so() -> None:
    with pytest.raises(InvalidArgument, match=r"^flown has no columns: nothing was published to it; give links.flown.schema$"):
        Input("flown", []).to_table()


def test_opaque_bytes_come_back_in_every_format() -> None:
    table = pa.table({"bytes": pa.array([b"\x00\xff"], pa.binary())})
    assert _value(_part(table)).bytes() == b"\x00\xff"
    assert _value(Part(BYTES, b"\x00\xff")).bytes() == b"\x00\xff"
    assert _value(Part(ROWS, b'{"bytes": "AP8="}\n')).bytes() == b"\x00\xff"
    assert _value(Part(BYTES, b"\x00\xff")).to_table().equals(table)


def test_rows_are_not_bytes() -> None:
    with pytest.raises(InvalidArgument, match="flown@42 holds rows, not bytes"):
        _value(_part(pa.table({"a": [1]}))).bytes()


def test_rows_that_came_as_json_need_pyarrow_to_be_a_table() -> None:
    part = Part(ROWS, (json.dumps({"miles": 2**60}) + "\n").encode())
    assert Content("flown", [part]).rows() == [{"miles": 2**60}]
    with pytest.raises(MissingExtra, match=r"pip install 'linkd\[arrow\]'"):
        Content("flown", [part]).table()


def test_a_value_that_arrived_knows_its_envelope() -> None:
    header = pb.Value(envelope=pb.Envelope(link="flown", position=pb.Position(incarnation=1, sequence=3), rows=5), format=pb.BYTES)
    assert repr(Value.of(Arrived(header, b"x", b""))) == "<Value flown@3: 5 rows, 0 bytes>"
