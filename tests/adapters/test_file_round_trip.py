"""What a sink writes, a source reads: for tables of every type that CSV holds."""

from __future__ import annotations

import asyncio
import csv
import datetime
import io
import tempfile
from pathlib import Path

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st
from linkd_adapters.file import ADAPTER

from linkd.plugin.contract import LinkOptions
from linkd.testing.adapter_conformance import read_all

# A source reads the empty text as null, and refuses NUL, so neither can come back.
words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)
moments = st.datetimes(datetime.datetime(1, 1, 1), datetime.datetime(9999, 12, 31))
COLUMNS: dict[str, tuple[pa.DataType, st.SearchStrategy[object]]] = {
    "int64": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "uint8": (pa.uint8(), st.integers(0, 255)),
    "float64": (pa.float64(), st.floats(allow_nan=False)),
    "float32": (pa.float32(), st.floats(width=32, allow_nan=False)),
    "bool": (pa.bool_(), st.booleans()),
    "string": (pa.string(), words),
    "date32": (pa.date32(), st.dates()),
    "timestamp[us]": (pa.timestamp("us"), moments),
    "timestamp[us, UTC]": (pa.timestamp("us", "UTC"), moments.map(lambda moment: moment.replace(tzinfo=datetime.UTC))),
    "time64[us]": (pa.time64("us"), st.times()),
    "decimal(12, 3)": (pa.decimal128(12, 3), st.decimals(-(10**8), 10**8, places=3)),
}


@st.composite
def tables(draw: st.DrawFn, kinds: tuple[str, ...]) -> tuple[pa.RecordBatch, dict[str, str]]:
    chosen = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4))
    rows = draw(st.integers(0, 6))
    arrays = {}
    for index, kind in enumerate(chosen):
        values = st.lists(st.none() | COLUMNS[kind][1], min_size=rows, max_size=rows)
        arrays[f"c{index} {kind}"] = pa.array(draw(values), COLUMNS[kind][0])
    return pa.RecordBatch.from_pydict(arrays), dict(zip(arrays, chosen, strict=True))


async def written_and_read(batch: pa.RecordBatch, name: str, schema: dict[str, str] | None, base: Path) -> pa.Table:
    sink = ADAPTER.sink(LinkOptions("out", name, base))
    await sink.begin(batch.schema)
    await sink.write(batch)
    await sink.finish()
    source = ADAPTER.source(LinkOptions("back", name, base, schema=schema))
    return pa.Table.from_batches([found.data for found in await read_all(source, await source.survey())])


@given(tables(tuple(COLUMNS)), st.sampled_from(["t.csv", "t.csv.gz", "t.jsonl", "t.parquet", "t.feather", "t.arrows"]))
def test_a_table_comes_back_under_its_declared_types(made: tuple[pa.RecordBatch, dict[str, str]], name: str) -> None:
    batch, schema = made
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(written_and_read(batch, name, schema, Path(directory)))
    assert found.equals(pa.Table.from_batches([batch]))


@given(tables(("int64", "float64", "bool", "date32", "timestamp[us]", "timestamp[us, UTC]")))
def test_types_that_have_a_text_of_their_own_are_found_again(made: tuple[pa.RecordBatch, dict[str, str]]) -> None:
    batch, _ = made
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(written_and_read(batch, "t.csv", None, Path(directory)))
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if column.null_count < len(column):
            assert found[name].combine_chunks().equals(column)
        else:
            assert found.schema.field(name).type == pa.string()


@given(st.lists(st.tuples(words, words), max_size=5))
def test_python_writes_what_a_source_reads(rows: list[tuple[str, str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("a", "b"), *rows])
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "t.csv").write_bytes(text.getvalue().encode())
        source = ADAPTER.source(LinkOptions("back", "t.csv", Path(directory), schema={"a": "string", "b": "string"}))

        async def read() -> list[dict[str, str]]:
            return [row for batch in await read_all(source, await source.survey()) for row in batch.data.to_pylist()]

        assert asyncio.run(read()) == [{"a": first, "b": second} for first, second in rows]
