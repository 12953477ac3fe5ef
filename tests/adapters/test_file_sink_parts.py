"""Directories as sinks: a file for each value, and never parts of two generations before the same reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pyarrow.dataset as pa_dataset
import pytest
from linkd_adapters.file import ADAPTER

from linkd.errors import Conflict
from linkd.plugin.contract import NO_RECORD, LinkOptions, Role, SinkValue, ValueSink

if TYPE_CHECKING:
    from conftest import Desk


def part_options(desk: Desk, name: str = "out/totals/", kind: str | None = "parquet") -> LinkOptions:
    return LinkOptions("totals", name, desk.base, kind, mode="parts")


def parting(desk: Desk, name: str = "out/totals/", kind: str | None = "parquet") -> ValueSink:
    return ADAPTER.value_sink(part_options(desk, name, kind))


def value(generation: int, sequence: int, *numbers: int) -> SinkValue:
    return SinkValue(generation, sequence, pa.RecordBatch.from_pydict({"n": list(numbers)}, pa.schema([("n", pa.int64())])))


async def commits(sink: ValueSink, *values: SinkValue, last: dict[str, str] | None = None) -> dict[str, str]:
    record = dict(NO_RECORD if last is None else last)
    for one in values:
        record = (await sink.write(one, record)).record
    return record


def seen(desk: Desk) -> list[int]:
    """What DuckDB sees by the natural pattern."""
    return sorted(row[0] for row in duckdb.sql(f"SELECT n FROM '{desk.base}/out/totals/*.parquet'").fetchall())


async def test_each_value_is_a_file_of_its_own_named_after_its_place(desk: Desk) -> None:
    record = await commits(parting(desk), value(1, 41, 1, 2), value(1, 42, 3))
    directory = desk.base / "out/totals"
    assert sorted(path.name for path in directory.iterdir()) == ["part-000001-0000000041.parquet", "part-000001-0000000042.parquet"]
    assert seen(desk) == [1, 2, 3]
    assert pa_dataset.dataset(str(directory)).count_rows() == 3
    assert Path(record["path"]).samefile(directory / "part-000001-0000000042.parquet")


@pytest.mark.parametrize(("name", "kind", "part"), [("t.csv.gz", None, ".csv.gz"), ("t/", "jsonl", ".jsonl"), ("t.pq", None, ".pq")])
async def test_parts_are_named_after_the_location_or_the_format(desk: Desk, name: str, kind: str | None, part: str) -> None:
    await commits(parting(desk, name, kind), value(1, 1, 1))
    assert [path.name for path in (desk.base / name).iterdir()] == [f"part-000001-0000000001{part}"]
    assert ADAPTER.check(part_options(desk, name, kind), Role.SINK) == []


async def test_a_directory_without_a_format_is_refused(desk: Desk) -> None:
    [problem] = ADAPTER.check(part_options(desk, kind=None), Role.SINK)
    assert problem == "out/totals/ does not tell the format of what is to be written; say format: csv, jsonl, parquet or arrow"


async def test_readers_see_the_old_generation_until_all_of_the_new_one_is_there(desk: Desk) -> None:
    sink = parting(desk)
    record = await commits(sink, value(1, 1, 1), value(1, 2, 2))
    await sink.caught_up(1)
    record = await commits(sink, value(2, 3, 30), value(2, 4, 40), last=record)
    assert seen(desk) == [1, 2]
    await sink.caught_up(2)
    assert seen(desk) == [30, 40]
    await sink.caught_up(2)
    await commits(sink, value(3, 5, 5), last=record)
    await sink.caught_up(3)
    assert seen(desk) == [5]
    assert sorted(path.name for path in (desk.base / "out/.totals.linkd").iterdir()) == ["gen-000002", "gen-000003"]


async def test_a_generation_without_values_is_an_empty_directory(desk: Desk) -> None:
    sink = parting(desk)
    await commits(sink, value(1, 1, 1))
    await sink.caught_up(2)
    assert list((desk.base / "out/totals").iterdir()) == []


async def test_a_value_that_is_written_again_has_the_same_name_and_bytes(desk: Desk) -> None:
    record = await commits(parting(desk), value(1, 1, 1))
    first = await parting(desk).write(value(1, 2, 2), record)
    again = await parting(desk).write(value(1, 2, 2), record)
    assert (first.path, first.digest) == (again.path, again.digest)
    assert seen(desk) == [1, 2]


async def test_parts_of_a_state_that_was_removed_do_not_mix_with_the_new_ones(desk: Desk) -> None:
    await commits(parting(desk), value(1, 1, 1), value(1, 2, 2))
    await commits(parting(desk), value(1, 1, 7))
    assert seen(desk) == [7]


async def test_parts_that_were_taken_away_are_not_missed(desk: Desk) -> None:
    record = await commits(parting(desk), value(1, 1, 1))
    Path(record["path"]).unlink()
    await parting(desk).check(record)
    await commits(parting(desk), value(1, 2, 2), last=record)
    assert seen(desk) == [2]


async def test_a_part_that_somebody_changed_stops_it_by_name(desk: Desk) -> None:
    record = await commits(parting(desk), value(1, 1, 1))
    Path(record["path"]).write_bytes(b"mine")
    with pytest.raises(Conflict, match=r"^out/totals/part-000001-0000000001\.parquet was changed by somebody else"):
        await parting(desk).write(value(1, 2, 2), record)
    overwriting = ADAPTER.value_sink(replace(part_options(desk), overwrite=True))
    await overwriting.check(record)


async def test_what_somebody_else_put_in_the_place_is_left_alone(desk: Desk) -> None:
    (desk.base / "out/totals").mkdir(parents=True)
    await parting(desk).check(NO_RECORD)
    kept = desk.file("out/totals/notes.txt", "mine")
    with pytest.raises(Conflict, match=r"^out/totals/ is a directory that linkd did not make, and holds files: move it away"):
        await parting(desk).check(NO_RECORD)
    kept.unlink()
    await commits(parting(desk), value(1, 1, 1))
    assert seen(desk) == [1]


async def test_a_file_or_a_link_of_that_name_is_left_alone(desk: Desk) -> None:
    desk.file("totals.parquet", "mine")
    (desk.base / "elsewhere").mkdir()
    (desk.base / "link.parquet").symlink_to("elsewhere")
    with pytest.raises(Conflict, match=r"^totals\.parquet is a file, and mode: parts makes a directory"):
        await parting(desk, "totals.parquet", None).check(NO_RECORD)
    with pytest.raises(Conflict, match=r"^link\.parquet is a link to elsewhere"):
        await parting(desk, "link.parquet", None).check(NO_RECORD)
