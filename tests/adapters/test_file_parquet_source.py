"""Parquet files as a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from linkd_adapters.file.parquet_reader import widest_row_bytes
from linkd_adapters.file.typed_files import rows_per_batch

from linkd.errors import BadRow, DataFault
from linkd.limits import ROWS_PER_VALUE, TYPED_ROWS_AT_ONCE
from linkd.testing.adapter_conformance import read_all, summary

if TYPE_CHECKING:
    from conftest import Desk


async def test_batches_are_cut_by_rows_wherever_row_groups_end(desk: Desk) -> None:
    table = pa.table({"n": range(2 * ROWS_PER_VALUE + 3)})
    pq.write_table(table, desk.base / "f.parquet", row_group_size=10_000)
    batches = await desk.batches(desk.options("f.parquet"))
    assert [batch.data.num_rows for batch in batches] == [ROWS_PER_VALUE, ROWS_PER_VALUE, 3]
    assert batches[1].attributes == {"file": "f.parquet", "first_row": str(ROWS_PER_VALUE + 1), "last_row": str(2 * ROWS_PER_VALUE)}
    source = desk.source(desk.options("f.parquet"))
    again = await read_all(source, await source.survey(), batches[0].position)
    assert [summary(batch) for batch in again] == [summary(batch) for batch in batches[1:]]


async def test_columns_come_in_the_plain_form_that_links_keep(desk: Desk) -> None:
    column = pa.array(["x", "y", "x"]).dictionary_encode()
    large = pa.array(["a", None, "c"], pa.large_string())
    table = pa.table({"d": column, "l": large, "n": pa.array([[1], [], None])}, metadata={"by": "me"})
    pq.write_table(table, desk.base / "f.parquet")
    survey = await desk.survey(desk.options("f.parquet"))
    assert survey.schema.equals(pa.schema([("d", pa.string()), ("l", pa.string()), ("n", pa.list_(pa.int64()))]), check_metadata=True)
    assert survey.rows == 3
    assert [row["d"] for row in await desk.rows(desk.options("f.parquet"))] == ["x", "y", "x"]


async def test_no_rows_are_one_batch_with_columns(desk: Desk) -> None:
    pq.write_table(pa.table({"n": pa.array([], pa.int64())}), desk.base / "f.parquet")
    (batch,) = await desk.batches(desk.options("f.parquet"))
    assert (batch.data.num_rows, batch.data.schema.names, batch.final) == (0, ["n"], True)


async def test_values_that_do_not_fit_the_declared_type_are_named_by_row(desk: Desk) -> None:
    pq.write_table(pa.table({"n": [1, 300, 3], "s": ["a", "b", "c"]}), desk.base / "f.parquet")
    schema = {"n": "int8", "s": "string"}
    with pytest.raises(BadRow) as raised:
        await desk.batches(desk.options("f.parquet", schema=schema))
    assert str(raised.value) == "f.parquet:2: column n: 300 is not int8 (on_bad_row: reject sends such rows to flights.rejects)"
    rejecting = desk.options("f.parquet", schema=schema, on_bad_row="reject")
    assert await desk.rows(rejecting) == [{"n": 1, "s": "a"}, {"n": 3, "s": "c"}]
    assert await desk.rejects(rejecting) == [
        {"file": "f.parquet", "line": 2, "column": "n", "reason": "300 is not int8", "text": '{"n": 300, "s": "b"}'}
    ]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 and something PAR1", b"a,b\n1,2\n"])
async def test_what_is_no_parquet_file_is_refused(desk: Desk, content: bytes) -> None:
    desk.file("f.parquet", content)
    with pytest.raises(DataFault, match=r"^f\.parquet is"):
        await desk.survey(desk.options("f.parquet"))


async def test_damage_behind_the_footer_is_found_by_reading(desk: Desk) -> None:
    path = desk.base / "f.parquet"
    pq.write_table(pa.table({"s": [f"text {row}" for row in range(5_000)]}), path, compression="zstd", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[100:2_000] = bytes(1_900)
    path.write_bytes(data)
    with pytest.raises(DataFault, match=r"f\.parquet is damaged: "):
        await desk.batches(desk.options("f.parquet"))


def test_wide_rows_make_batches_of_fewer_rows(desk: Desk) -> None:
    pq.write_table(pa.table({"s": ["x" * 1_000_000 + str(row) for row in range(4)]}), desk.base / "f.parquet", use_dictionary=False)
    assert 60 <= rows_per_batch(widest_row_bytes(pq.read_metadata(desk.base / "f.parquet"))) <= 67


async def test_texts_of_a_dictionary_are_counted_as_they_are_unpacked(desk: Desk) -> None:
    text = "x" * 100_000
    pq.write_table(pa.table({"s": pa.DictionaryArray.from_arrays(pa.array([0] * 3_000, pa.int8()), [text])}), desk.base / "f.parquet")
    assert (desk.base / "f.parquet").stat().st_size < 2 * len(text)
    batches = await desk.batches(desk.options("f.parquet"))
    assert [batch.data.num_rows for batch in batches] == [TYPED_ROWS_AT_ONCE, 3_000 - TYPED_ROWS_AT_ONCE]
    source = desk.source(desk.options("f.parquet"))
    again = await read_all(source, await source.survey(), batches[0].position)
    assert [summary(batch) for batch in again] == [summary(batch) for batch in batches[1:]]


async def test_texts_that_are_no_text_are_damage(desk: Desk) -> None:
    texts = pa.StringArray.from_buffers(1, pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe"))
    pq.write_table(pa.table({"n": [1], "s": texts}), desk.base / "f.parquet")
    with pytest.raises(DataFault, match=r"^f\.parquet is damaged: In column 1: .*Invalid UTF8.*; write it anew$"):
        await desk.batches(desk.options("f.parquet"))


async def test_a_file_without_columns_is_refused(desk: Desk) -> None:
    pq.write_table(pa.table({}), desk.base / "f.parquet")
    with pytest.raises(DataFault, match=r"^f\.parquet has no columns; write at least one$"):
        await desk.survey(desk.options("f.parquet"))
