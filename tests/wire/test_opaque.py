"""Opaque bytes as Arrow, made and read without pyarrow: the same as pyarrow makes and reads."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.payload import OPAQUE_SCHEMA, from_payload, payload
from linkd.errors import InvalidArgument
from linkd.wire.arrow_ipc import check_batch, read_message, schema_id
from linkd.wire.opaque import OPAQUE_SCHEMA_ID, OPAQUE_SCHEMA_MESSAGE, opaque_info, opaque_message, opaque_parts, opaque_rows

some_rows = st.lists(st.binary(max_size=40), min_size=1, max_size=9)


def by_pyarrow(rows: list[bytes | None]) -> bytes:
    return bytes(payload(pa.RecordBatch.from_arrays([pa.array(rows, pa.binary())], schema=OPAQUE_SCHEMA))[1])


def test_the_schema_message_is_the_one_that_pyarrow_writes() -> None:
    assert OPAQUE_SCHEMA.serialize().to_pybytes() == OPAQUE_SCHEMA_MESSAGE


@given(some_rows)
def test_pyarrow_reads_what_was_made_without_it(rows: list[bytes]) -> None:
    message = opaque_message(rows)
    assert from_payload(OPAQUE_SCHEMA_MESSAGE, message, validate=True).column(0).to_pylist() == rows
    assert opaque_rows(message) == rows
    read = read_message(message)
    assert opaque_info(message) == (check_batch(read.metadata, len(read.body)), len(read.metadata))


def test_a_large_row_is_not_copied_before_it_is_written() -> None:
    row = bytes(1_000_001)
    parts = opaque_parts([row])
    assert any(part is row for part in parts)
    assert b"".join(parts) == opaque_message([row])


@given(some_rows)
def test_what_pyarrow_makes_is_read_without_it(rows: list[bytes]) -> None:
    assert opaque_rows(by_pyarrow(list(rows))) == rows


def test_no_rows_and_nulls() -> None:
    assert opaque_rows(by_pyarrow([])) == []
    assert opaque_rows(by_pyarrow([b"a", None])) is None


@given(some_rows, st.data())
def test_a_message_that_was_changed_is_never_read_beyond_its_end(rows: list[bytes], data: st.DataObject) -> None:
    message = bytearray(opaque_message(rows))
    for _ in range(data.draw(st.integers(1, 3))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    hostile = bytes(message[: data.draw(st.integers(0, len(message)))])
    info, metadata_bytes = opaque_info(hostile)
    if info is not None:
        checked = read_message(hostile)
        assert (info.rows, info.body_bytes, metadata_bytes) == (checked.rows, len(checked.body), len(checked.metadata))
    try:
        found = opaque_rows(hostile)
    except InvalidArgument:
        return
    assert found is None or sum(map(len, found)) <= len(hostile) * max(len(found), 1)


def test_a_buffer_that_leads_outside_is_refused() -> None:
    message = bytearray(opaque_message([b"abc", b"defg"]))
    message[8 + 152 + 8 : 8 + 152 + 12] = (1 << 20).to_bytes(4, "little")
    with pytest.raises(InvalidArgument, match="lead outside its body"):
        opaque_rows(bytes(message))


def test_its_schema_has_the_identity_that_envelopes_name() -> None:
    assert schema_id(OPAQUE_SCHEMA_MESSAGE) == OPAQUE_SCHEMA_ID
