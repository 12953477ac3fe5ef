"""What programs publish becomes payloads of the link's schema, or JSON lines where pyarrow is missing."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest

from linkd.client import encoding
from linkd.client.encoding import encode, encode_bytes
from linkd.core.rows import rows_to_batch
from linkd.core.schema import OPAQUE_SCHEMA, from_payload
from linkd.errors import InvalidArgument, SchemaMismatch, ValueTooLarge
from linkd.limits import VALUE_SIZE_MAX_BYTES
from linkd.wire.messages import ARROW
from linkd.wire.opaque import opaque_rows


def _schema(**columns: pa.DataType) -> bytes:
    return pa.schema(list(columns.items())).serialize().to_pybytes()


def _batch(data: object, schema: bytes = b"", inputs: tuple[bytes, ...] = (), declared: bool = False) -> pa.RecordBatch:
    [payload] = encode("flown", data, schema=schema, declared=declared, inputs=inputs)
    assert payload.format == ARROW
    content = b"".join(payload.content())
    assert len(content) == payload.size_bytes
    return from_payload(payload.schema, content, validate=True)


def test_a_filtered_pandas_frame_takes_its_types_from_the_inputs() -> None:
    frame = pd.DataFrame({"dep_time": [517.0, None, 542.0], "carrier": ["UA", "AA", "B6"]})
    batch = _batch(frame[frame.dep_time.notna()], inputs=(_schema(dep_time=pa.int64(), carrier=pa.string()),))
    assert batch.schema == pa.schema([("dep_time", pa.int64()), ("carrier", pa.string())])
    assert batch.column(0).to_pylist() == [517, 542]


def test_rows_are_brought_to_the_schema_of_the_link() -> None:
    batch = _batch([{"b": "x", "a": 1.0}], _schema(a=pa.int64(), b=pa.string()))
    assert batch.to_pylist() == [{"a": 1, "b": "x"}]


def test_a_mismatch_is_met_where_it_was_made() -> None:
    with pytest.raises(SchemaMismatch, match="column `a` is missing"):
        _batch([{"b": 1}], _schema(a=pa.int64()))


def test_a_column_of_which_only_nulls_were_seen_is_widened_unless_it_was_declared() -> None:
    kept = _schema(a=pa.null())
    assert _batch([{"a": "x"}], kept).schema == pa.schema([("a", pa.string())])
    with pytest.raises(SchemaMismatch):
        _batch([{"a": "x"}], kept, declared=True)


def test_bytes_are_opaque() -> None:
    [payload] = encode("flown", bytearray(b"abc"), schema=b"", declared=False, inputs=())
    assert (payload.format, opaque_rows(*payload.content()), payload.rows) == (ARROW, [b"abc"], 1)
    assert payload.schema == OPAQUE_SCHEMA.serialize().to_pybytes()
    with pytest.raises(ValueTooLarge, match="publish it as a file"):
        encode("flown", bytes(VALUE_SIZE_MAX_BYTES + 1), schema=b"", declared=False, inputs=())


def test_gathered_bytes_are_encoded_without_pyarrow_and_one_large_piece_may_be_written_in_place() -> None:
    rows = [bytes([number % 256]) * 100 for number in range(8_192)]
    [many] = encode_bytes("flown", rows, schema=b"", declared=False)
    assert (many.batch, many.rows, opaque_rows(*many.content())) == (None, 8_192, rows)
    [one] = encode_bytes("flown", [bytes(500_000)], schema=b"", declared=False)
    assert one.batch.column(0).to_pylist() == [bytes(500_000)]


def test_what_is_larger_than_a_value_may_be_is_cut_by_rows() -> None:
    rows = VALUE_SIZE_MAX_BYTES // 8 + 10
    payloads = encode("flown", pa.table({"a": pa.nulls(rows, pa.int64())}), schema=b"", declared=False, inputs=())
    assert len(payloads) == 2
    assert sum(payload.rows for payload in payloads) == rows
    assert all(payload.size_bytes <= VALUE_SIZE_MAX_BYTES for payload in payloads)


def test_json_lines_mean_the_same_as_arrow_to_linkd() -> None:
    rows = [
        {
            "i": 2**60,
            "f": float("nan"),
            "at": datetime(2013, 1, 1, 5, tzinfo=UTC),
            "d": date(2013, 1, 2),
            "n": Decimal("1.50"),
            "b": b"\x00",
        },
        {"i": None, "f": float("-inf"), "at": None, "d": None, "n": None, "b": None},
    ]
    schema = pa.schema(
        [
            ("i", pa.int64()),
            ("f", pa.float64()),
            ("at", pa.timestamp("s", "UTC")),
            ("d", pa.date32()),
            ("n", pa.decimal128(10, 2)),
            ("b", pa.binary()),
        ]
    )
    [payload] = encoding._json_lines("flown", rows)
    back = rows_to_batch(*payload.content(), schema, link="flown").to_pylist()
    assert str(back[0].pop("f")) == "nan"
    expected = dict(rows[0])
    del expected["f"]
    assert back[0] == expected
    assert back[1] == rows[1]


def test_columns_are_rows_on_their_side() -> None:
    assert encoding._plain_rows({"a": [1, 2], "b": "xy"}) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    with pytest.raises(InvalidArgument, match="different numbers of rows"):
        encoding._plain_rows({"a": [1], "b": []})


def test_what_json_cannot_hold_names_the_column_and_never_the_value() -> None:
    with pytest.raises(InvalidArgument, match="column `a` holds complex, which JSON cannot hold"):
        list(encoding._json_lines("flown", [{"a": 1j}]))


def test_no_rows_have_no_columns_without_pyarrow() -> None:
    with pytest.raises(InvalidArgument, match="flown: no rows, and without pyarrow no columns either"):
        list(encoding._json_lines("flown", []))


def test_json_lines_are_whole_rows() -> None:
    [payload] = encoding._json_lines("flown", [{"a": "ü\n"}, {"a": 2}])
    assert [json.loads(line) for line in b"".join(payload.content()).splitlines()] == [{"a": "ü\n"}, {"a": 2}]
