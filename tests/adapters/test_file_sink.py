"""Files as sinks."""

from __future__ import annotations

import csv
import datetime
import decimal
import gzip
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from blake3 import blake3
from linkd_adapters.file import ADAPTER

from linkd.errors import InvalidArgument, SchemaMismatch
from linkd.limits import ROWS_PER_VALUE
from linkd.plugin.contract import Role, SinkValue

if TYPE_CHECKING:
    from conftest import Desk

TEN = datetime.datetime(2013, 1, 1, 10, 0, 0, 250_000)
TEXTS: list[tuple[pa.Array, str]] = [
    (pa.array([1, None, -7]), "1,,-7"),
    (pa.array([1.0, 0.1, 1e20, -0.0, float("nan"), float("inf")]), "1.0,0.1,1e+20,-0.0,nan,inf"),
    (pa.array([0.1, 16777216.0], pa.float32()), "0.1,16777216.0"),
    (pa.array([True, False, None]), "true,false,"),
    (pa.array(["plain", "a b", "", None]), 'plain,a b,"",'),
    (pa.array(["a,b", 'say "x"', "two\nlines", "cr\r"]), '"a,b","say ""x""","two\nlines","cr\r"'),
    (pa.array(["x", "y"]).dictionary_encode(), "x,y"),
    (pa.array(["x"], pa.string_view()), "x"),
    (pa.array([TEN], pa.timestamp("ms")), "2013-01-01T10:00:00.250"),
    (pa.array([TEN.replace(microsecond=0)], pa.timestamp("s", "UTC")), "2013-01-01T10:00:00Z"),
    (pa.array([TEN.replace(microsecond=0)], pa.timestamp("s", "+02:00")), "2013-01-01T10:00:00Z"),
    (pa.array([TEN.date()]), "2013-01-01"),
    (pa.array([TEN.date()], pa.date64()), "2013-01-01"),
    (pa.array([TEN.time()]), "10:00:00.250000"),
    (pa.array([decimal.Decimal("1.50")]), "1.50"),
    (pa.nulls(2), ","),
]


@pytest.mark.parametrize(("values", "text"), TEXTS, ids=[f"{index} {values.type}" for index, (values, _) in enumerate(TEXTS)])
async def test_values_are_written_as_people_write_them(desk: Desk, values: pa.Array, text: str) -> None:
    names = [f"c{index}" for index in range(len(values))]
    row = pa.RecordBatch.from_arrays([values.slice(index, 1) for index in range(len(values))], names=names)
    row = pa.RecordBatch.from_arrays([*row.columns, pa.array(["end"])], names=[*names, "end"])
    await desk.write("t.csv", row)
    assert (desk.base / "t.csv").read_bytes().decode() == f"{','.join(names)},end\n{text},end\n"


async def test_a_lone_null_is_quoted_for_an_empty_line_is_no_row(desk: Desk) -> None:
    await desk.write("t.csv", pa.RecordBatch.from_pydict({"only": [None, "x"]}))
    assert (desk.base / "t.csv").read_text() == 'only\n""\nx\n'
    assert await desk.rows(desk.options("t.csv")) == [{"only": None}, {"only": "x"}]


async def test_a_slice_writes_its_own_rows_only(desk: Desk) -> None:
    batch = pa.RecordBatch.from_pydict({"n": list(range(10)), "s": [f"t,{n}" for n in range(10)]})
    await desk.write("t.csv", batch.slice(3, 2), batch.slice(0, 0), batch.slice(9))
    assert (desk.base / "t.csv").read_text() == 'n,s\n3,"t,3"\n4,"t,4"\n9,"t,9"\n'


async def test_the_result_tells_what_lies_there(desk: Desk) -> None:
    result = await desk.write("out/deep/t.csv", pa.RecordBatch.from_pydict({"n": [1, 2]}))
    data = (desk.base / "out/deep/t.csv").read_bytes()
    assert result.path == str(desk.base / "out/deep/t.csv")
    assert (result.rows, result.size_bytes, result.digest) == (2, len(data), blake3(data).hexdigest())


async def test_gzip_holds_the_same_text_and_no_time(desk: Desk) -> None:
    await desk.write("t.csv.gz", pa.RecordBatch.from_pydict({"n": [1, 2]}))
    data = (desk.base / "t.csv.gz").read_bytes()
    assert gzip.decompress(data) == b"n\n1\n2\n"
    assert data[4:8] == bytes(4)


async def test_many_small_values_make_few_row_groups(desk: Desk) -> None:
    small = [pa.RecordBatch.from_pydict({"n": list(range(start, start + 1_000))}) for start in range(0, 70_000, 1_000)]
    await desk.write("t.parquet", *small)
    metadata = pq.read_metadata(desk.base / "t.parquet")
    assert (metadata.num_rows, metadata.num_row_groups) == (70_000, 2)
    assert metadata.row_group(0).num_rows >= ROWS_PER_VALUE


@pytest.mark.parametrize("kind", [pa.list_(pa.int64()), pa.struct([("x", pa.int64())]), pa.binary(), pa.duration("s")])
async def test_types_that_csv_cannot_hold_are_refused_by_column(desk: Desk, kind: pa.DataType) -> None:
    sink = ADAPTER.sink(desk.options("out/t.csv"))
    with pytest.raises(SchemaMismatch, match=r"out/t\.csv: column tags is .*, which CSV cannot hold; select what is inside it"):
        await sink.begin(pa.schema([("n", pa.int64()), ("tags", kind)]))
    assert not (desk.base / "out").exists()


@pytest.mark.parametrize("kind", [pa.duration("s"), pa.list_(pa.duration("s"))])
async def test_types_that_json_cannot_hold_are_refused_by_column(desk: Desk, kind: pa.DataType) -> None:
    sink = ADAPTER.sink(desk.options("out/t.jsonl"))
    with pytest.raises(SchemaMismatch, match=r"out/t\.jsonl: column took is .*duration.*, which JSON cannot hold; write Arrow or Parquet"):
        await sink.begin(pa.schema([("n", pa.int64()), ("took", kind)]))
    assert not (desk.base / "out").exists()


async def test_a_file_in_the_place_of_a_directory_is_named(desk: Desk) -> None:
    desk.file("out", "a file")
    message = f"out/t.csv cannot be written: {desk.base}/out is a file, not a directory; move it away or choose another place"
    assert ADAPTER.check(desk.options("out/t.csv"), Role.SINK) == [message]
    with pytest.raises(InvalidArgument) as raised:
        await ADAPTER.sink(desk.options("out/t.csv")).begin(pa.schema([("n", pa.int64())]))
    assert str(raised.value) == message


@pytest.mark.parametrize("mode", ["replace", "append"])
async def test_a_pipe_or_a_device_is_neither_replaced_nor_waited_for(desk: Desk, mode: str) -> None:
    os.mkfifo(desk.base / "t.csv")
    options = replace(desk.options("t.csv"), mode=mode)
    message = "t.csv is not a regular file; a sink is a file that can be replaced or added to, so name another place"
    assert ADAPTER.check(options, Role.SINK) == [message]
    with pytest.raises(InvalidArgument) as raised:
        if mode == "append":
            await ADAPTER.value_sink(options).write(SinkValue(1, 1, pa.record_batch({"n": [1]})), {})
        else:
            await ADAPTER.sink(options).begin(pa.schema([("n", pa.int64())]))
    assert str(raised.value) == message
    assert (desk.base / "t.csv").is_fifo()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_directory_that_may_not_be_written_is_named_with_the_remedy(desk: Desk) -> None:
    closed = desk.base / "closed"
    closed.mkdir(mode=0o500)
    message = (
        f"closed/t.csv cannot be written: directory {closed} is not writable by this user; change its permissions or choose another place"
    )
    assert ADAPTER.check(desk.options("closed/t.csv"), Role.SINK) == [message]
    with pytest.raises(InvalidArgument) as raised:
        await ADAPTER.sink(desk.options("closed/t.csv")).begin(pa.schema([("n", pa.int64())]))
    assert str(raised.value) == message


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="a directory in which not even root makes files")
async def test_a_place_that_the_system_refuses_is_named(desk: Desk) -> None:
    with pytest.raises(InvalidArgument, match=r"^/proc/out/t\.csv cannot be written: .*choose another place$"):
        await ADAPTER.sink(desk.options("/proc/out/t.csv")).begin(pa.schema([("n", pa.int64())]))


async def test_a_name_that_leaves_no_room_for_the_file_beside_it_is_refused(desk: Desk) -> None:
    with pytest.raises(InvalidArgument, match=r"y\.csv cannot be written: File name too long; choose another place$"):
        await ADAPTER.sink(desk.options("y" * 250 + ".csv")).begin(pa.schema([("n", pa.int64())]))


async def test_what_a_dead_writer_left_is_removed_and_what_a_living_one_writes_is_not(desk: Desk) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    desk.file(f".t.csv.tmp-{int(gone.stdout)}", "left")
    living = desk.file(f".t.csv.tmp-{os.getppid()}", "at work")
    await desk.write("t.csv", pa.RecordBatch.from_pydict({"n": [1]}))
    assert desk.hidden == [living.name]


async def test_an_aborted_sink_leaves_nothing(desk: Desk) -> None:
    for name in ("t.csv", "t.csv.gz", "t.parquet"):
        sink = ADAPTER.sink(desk.options(name))
        await sink.begin(pa.schema([("n", pa.int64())]))
        await sink.write(pa.RecordBatch.from_pydict({"n": [1]}))
        assert desk.hidden == [f".{name}.tmp-{os.getpid()}"]
        await sink.abort()
    assert list(desk.base.iterdir()) == []


async def test_a_link_is_followed_and_permissions_are_kept(desk: Desk) -> None:
    target = desk.file("real/t.csv", "old")
    target.chmod(0o640)
    (desk.base / "t.csv").symlink_to(target)
    await desk.write("t.csv", pa.RecordBatch.from_pydict({"n": [1]}))
    assert (desk.base / "t.csv").is_symlink()
    assert target.read_text() == "n\n1\n"
    assert target.stat().st_mode & 0o777 == 0o640


async def test_python_reads_the_same_rows(desk: Desk) -> None:
    rows = [{"a": 'q"uote', "b": "com,ma"}, {"a": "new\r\nline", "b": "ünï"}]
    await desk.write("t.csv", pa.RecordBatch.from_pylist(rows))
    with (desk.base / "t.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == rows
