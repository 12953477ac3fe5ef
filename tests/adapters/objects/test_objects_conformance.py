"""Object stores under the conformance suites that every adapter passes, against a real server."""

from __future__ import annotations

import functools
import io
from dataclasses import replace

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from linkd.limits import ROWS_PER_VALUE
from linkd.testing.adapter_conformance import (
    SinkConformance,
    SinkSubject,
    SourceConformance,
    SourceSubject,
    ValueSinkConformance,
    ValueSinkSubject,
)

pytestmark = pytest.mark.xdist_group("object store")

ROWS = ROWS_PER_VALUE + 1_000
TABLE = pa.table({"n": range(ROWS), "s": [f"text {row % 7}" for row in range(ROWS)]})
OTHER = TABLE.slice(1)
BATCHES = (TABLE.slice(0, 10).to_batches()[0], TABLE.slice(10, 5).to_batches()[0])


@functools.cache
def csv_gz(first: int) -> bytes:
    """The rows from this one on."""
    out = pa.BufferOutputStream()
    with pa.CompressedOutputStream(out, "gzip") as file:
        pa_csv.write_csv(TABLE.slice(first), file)
    return bytes(out.getvalue())


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, row_group_size=50_000)
    return out.getvalue()


@functools.cache
def parquet_from(first: int) -> bytes:
    """The rows from this one on."""
    return parquet(TABLE.slice(first))


class TestObjectSource(SourceConformance):
    @pytest.fixture(params=[("f.csv.gz", csv_gz), ("f.parquet", parquet_from)], ids=["csv.gz", "parquet"])
    def subject(self, box, request) -> SourceSubject:
        name, made = request.param
        box.put(name, made(0))
        return SourceSubject(
            box.adapter, box.options(name), TABLE, lambda: box.put(name, made(1)), box.options(f"missing.{name}"), is_beside_us=False
        )


class TestSourceOfSeveralObjects(SourceConformance):
    @pytest.fixture
    def subject(self, box) -> SourceSubject:
        def put(table: pa.Table) -> None:
            for index, start in enumerate(range(0, ROWS, 30_000)):
                box.put(f"data/part-{index}.parquet", parquet(table.slice(start, 30_000)))

        put(TABLE)
        missing = box.options("missing/*.parquet")
        return SourceSubject(box.adapter, box.options("data/*.parquet"), TABLE, lambda: put(OTHER), missing, is_beside_us=False)


class TestObjectSink(SinkConformance):
    @pytest.fixture
    def subject(self, box) -> SinkSubject:
        def read_back() -> pa.Table | None:
            content = box.get("out/t.parquet")
            return None if content is None else pq.read_table(io.BytesIO(content))

        return SinkSubject(box.adapter, box.options("out/t.parquet"), BATCHES, read_back)


class TestPartsSink(ValueSinkConformance):
    @pytest.fixture
    def subject(self, box) -> ValueSinkSubject:
        def parts() -> list[str]:
            return [key for key in box.keys if key.endswith(".parquet")]

        def read_back() -> pa.Table | None:
            tables = [pq.read_table(io.BytesIO(box.get(key))) for key in parts()]
            return pa.concat_tables(tables) if tables else None

        options = replace(box.options("totals/", format="parquet"), mode="parts")
        return ValueSinkSubject(box.adapter, options, BATCHES, read_back, lambda: box.put(parts()[0], b"somebody else's"))
