"""Files as sinks that take value by value, under the conformance suite that every adapter passes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.dataset as pa_dataset
import pyarrow.json as pa_json
import pytest
from linkd_adapters.file import ADAPTER

from linkd.plugin.contract import LinkOptions
from linkd.testing.adapter_conformance import ValueSinkConformance, ValueSinkSubject

TABLE = pa.table({"n": range(30), "s": [f"text {row % 7}" for row in range(30)]})
BATCHES = tuple(TABLE.slice(start, 10).to_batches()[0] for start in range(0, 30, 10))


class TestAppendedFile(ValueSinkConformance):
    @pytest.fixture(params=["out/t.csv", "out/t.csv.gz", "out/t.jsonl", "out/t.arrows"])
    def subject(self, tmp_path: Path, request: pytest.FixtureRequest) -> ValueSinkSubject:
        path = tmp_path / str(request.param)

        def read_back() -> pa.Table | None:
            if not path.exists():
                return None
            if path.suffix == ".arrows":
                with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
                    return stream.read_all()
            return pa_json.read_json(path) if path.suffix == ".jsonl" else pa_csv.read_csv(path)

        def damage() -> None:
            path.write_bytes(path.read_bytes()[:-1])

        options = LinkOptions("t", str(request.param), tmp_path, mode="append")
        return ValueSinkSubject(ADAPTER, options, BATCHES, read_back, damage)


class TestParts(ValueSinkConformance):
    @pytest.fixture
    def subject(self, tmp_path: Path) -> ValueSinkSubject:
        path = tmp_path / "out" / "t"

        def read_back() -> pa.Table | None:
            return pa_dataset.dataset(str(path)).to_table() if path.is_dir() else None

        def damage() -> None:
            part = sorted(path.iterdir())[-1]
            part.write_bytes(part.read_bytes()[:-1])

        options = LinkOptions("t", "out/t/", tmp_path, "parquet", mode="parts")
        return ValueSinkSubject(ADAPTER, options, BATCHES, read_back, damage)
