"""The file adapter under the conformance suites that every adapter passes."""

from __future__ import annotations

import functools
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from linkd_adapters.file import ADAPTER

from linkd.limits import ROWS_PER_VALUE
from linkd.plugin.contract import LinkOptions
from linkd.testing.adapter_conformance import SinkConformance, SinkSubject, SourceConformance, SourceSubject

ROWS = ROWS_PER_VALUE + 1_000
TABLE = pa.table({"n": range(ROWS), "s": [f"text {row % 7}" for row in range(ROWS)]})
OTHER = TABLE.slice(1)
BATCHES = (TABLE.slice(0, 10).to_batches()[0], TABLE.slice(10, 5).to_batches()[0])


@functools.cache
def json_lines() -> list[bytes]:
    return [f"{json.dumps(row)}\n".encode() for row in TABLE.to_pylist()]


@functools.cache
def packed_csv(first: int) -> bytes:
    """The rows from this one on."""
    sink = pa.BufferOutputStream()
    pa_csv.write_csv(TABLE.slice(first), sink)
    return gzip.compress(sink.getvalue(), 1)


class TestCsvSource(SourceConformance):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> SourceSubject:
        path = tmp_path / "f.csv.gz"

        def put(table: pa.Table) -> None:
            path.write_bytes(packed_csv(ROWS - table.num_rows))

        put(TABLE)
        missing = LinkOptions("f", "missing.csv", tmp_path)
        return SourceSubject(ADAPTER, LinkOptions("f", path.name, tmp_path), TABLE, lambda: put(OTHER), missing)


class TestParquetSource(SourceConformance):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> SourceSubject:
        path = tmp_path / "f.parquet"
        pq.write_table(TABLE, path, row_group_size=50_000)
        missing = LinkOptions("f", "missing.parquet", tmp_path)
        change = lambda: pq.write_table(OTHER, path)  # noqa: E731
        return SourceSubject(ADAPTER, LinkOptions("f", path.name, tmp_path), TABLE, change, missing)


class TestJsonlSource(SourceConformance):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> SourceSubject:
        def put(table: pa.Table) -> None:
            first = ROWS - table.num_rows
            (tmp_path / "f.ndjson.gz").write_bytes(gzip.compress(b"".join(json_lines()[first:]), 1))

        put(TABLE)
        missing = LinkOptions("f", "missing.jsonl", tmp_path)
        return SourceSubject(ADAPTER, LinkOptions("f", "f.ndjson.gz", tmp_path), TABLE, lambda: put(OTHER), missing)


class TestArrowSource(SourceConformance):
    @pytest.fixture(params=["f.feather", "f.arrows"])
    def subject(self, tmp_path: Path, request: pytest.FixtureRequest) -> SourceSubject:
        name = str(request.param)

        def put(table: pa.Table) -> None:
            if name == "f.feather":
                feather.write_feather(table, tmp_path / name, compression="zstd", chunksize=30_000)
            else:
                with pa.ipc.new_stream(tmp_path / name, table.schema) as stream:
                    stream.write_table(table)

        put(TABLE)
        missing = LinkOptions("f", "missing.arrow", tmp_path)
        return SourceSubject(ADAPTER, LinkOptions("f", name, tmp_path), TABLE, lambda: put(OTHER), missing)


class TestSourceOfSeveralFiles(SourceConformance):
    @pytest.fixture(params=["data/*.csv", "data/"])
    def subject(self, tmp_path: Path, request: pytest.FixtureRequest) -> SourceSubject:
        def put(table: pa.Table) -> None:
            (tmp_path / "data").mkdir(exist_ok=True)
            for index, start in enumerate(range(0, ROWS, 30_000)):
                pa_csv.write_csv(table.slice(start, 30_000), tmp_path / "data" / f"part-{index}.csv")

        put(TABLE)
        missing = LinkOptions("f", "missing/*.csv", tmp_path)
        return SourceSubject(ADAPTER, LinkOptions("f", str(request.param), tmp_path), TABLE, lambda: put(OTHER), missing)


class TestCsvSink(SinkConformance):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> SinkSubject:
        path = tmp_path / "out" / "t.csv"

        def read_back() -> pa.Table | None:
            return pa_csv.read_csv(path) if path.exists() else None

        return SinkSubject(ADAPTER, LinkOptions("t", "out/t.csv", tmp_path), BATCHES, read_back)


class TestParquetSink(SinkConformance):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> SinkSubject:
        path = tmp_path / "t.parquet"

        def read_back() -> pa.Table | None:
            return pq.read_table(path) if path.exists() else None

        return SinkSubject(ADAPTER, LinkOptions("t", "t.parquet", tmp_path), BATCHES, read_back)
