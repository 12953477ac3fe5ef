"""What a file that is replaced may overwrite: its own work and what nobody recorded, never what somebody else has changed."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from linkd_adapters.file import ADAPTER
from linkd_adapters.file.intent import intent_path

from linkd.errors import Conflict
from linkd.plugin.contract import NO_RECORD, LinkOptions, Sink, SinkResult

if TYPE_CHECKING:
    from conftest import Desk

CHANGED = (
    r"^t\.csv was changed by somebody else since linkd wrote it \(4 bytes then, 9 now\): "
    r"move it away to keep it, or give links\.totals `overwrite: true` to have it replaced$"
)


@pytest.fixture
def options(desk: Desk) -> LinkOptions:
    return desk.options("t.csv", link="totals")


@pytest.fixture
def path(desk: Desk) -> Path:
    return desk.base / "t.csv"


async def put(sink: Sink, number: int, last: dict[str, str] | None = None, *, committed: bool = True) -> SinkResult:
    batch = pa.RecordBatch.from_pydict({"n": [number]})
    await sink.begin(batch.schema)
    await sink.write(batch)
    try:
        result = await sink.finish(NO_RECORD if last is None else last)
    except Conflict:
        await sink.abort()
        raise
    if committed:
        await sink.committed()
    return result


async def test_a_file_that_nothing_is_recorded_of_is_overwritten_as_by_any_program(desk: Desk, options: LinkOptions, path: Path) -> None:
    path.write_text("somebody's\n")
    await ADAPTER.sink(options).check(NO_RECORD)
    await put(ADAPTER.sink(options), 1)
    assert path.read_text() == "n\n1\n"
    assert desk.hidden == []


async def test_what_was_recorded_and_is_as_it_was_is_replaced(desk: Desk, options: LinkOptions, path: Path) -> None:
    record = (await put(ADAPTER.sink(options), 1)).record
    await ADAPTER.sink(options).check(record)
    await put(ADAPTER.sink(options), 2, record)
    assert path.read_text() == "n\n2\n"
    assert desk.hidden == []


async def test_a_file_that_somebody_edited_is_not_lost(desk: Desk, options: LinkOptions, path: Path) -> None:
    record = (await put(ADAPTER.sink(options), 1)).record
    path.write_text("n\n1\nmine\n")
    with pytest.raises(Conflict, match=CHANGED):
        await ADAPTER.sink(options).check(record)
    with pytest.raises(Conflict, match=CHANGED):
        await put(ADAPTER.sink(options), 2, record)
    assert path.read_text() == "n\n1\nmine\n"
    assert desk.hidden == []


async def test_an_edit_that_keeps_the_size_is_seen(options: LinkOptions, path: Path) -> None:
    record = (await put(ADAPTER.sink(options), 1)).record
    path.write_text("n\n7\n")
    os.utime(path, ns=(0, int(record["mtime_ns"]) + 1))
    with pytest.raises(Conflict, match=r"since linkd wrote it \(its content is another\)"):
        await ADAPTER.sink(options).check(record)


async def test_an_edit_during_the_run_is_seen_before_the_file_is_replaced(options: LinkOptions, path: Path) -> None:
    record = (await put(ADAPTER.sink(options), 1)).record
    sink = ADAPTER.sink(options)
    await sink.check(record)
    await sink.begin(pa.schema([("n", pa.int64())]))
    path.write_text("n\n1\nmine\n")
    with pytest.raises(Conflict, match=CHANGED):
        await sink.finish(record)
    await sink.abort()
    assert path.read_text() == "n\n1\nmine\n"


async def test_a_file_that_was_only_touched_or_copied_back_is_its_own(options: LinkOptions, path: Path) -> None:
    record = (await put(ADAPTER.sink(options), 1)).record
    copy = path.with_name("copy.csv")
    shutil.copyfile(path, copy)
    copy.replace(path)
    os.utime(path, ns=(0, 0))
    await put(ADAPTER.sink(options), 2, record)
    assert path.read_text() == "n\n2\n"


async def test_a_file_that_was_moved_away_is_written_anew(options: LinkOptions, path: Path) -> None:
    record = (await put(ADAPTER.sink(options), 1)).record
    path.rename(path.with_name("kept.csv"))
    await put(ADAPTER.sink(options), 2, record)
    assert path.read_text() == "n\n2\n"


async def test_overwrite_replaces_whatever_stands_there(options: LinkOptions, path: Path) -> None:
    record = (await put(ADAPTER.sink(options), 1)).record
    path.write_text("n\n1\nmine\n")
    sink = ADAPTER.sink(replace(options, overwrite=True))
    await sink.check(record)
    await put(sink, 2, record)
    assert path.read_text() == "n\n2\n"


async def test_a_record_of_another_place_says_nothing_of_this_one(desk: Desk, options: LinkOptions, path: Path) -> None:
    record = (await put(ADAPTER.sink(options), 1)).record
    other = desk.file("other.csv", "somebody's\n")
    await put(ADAPTER.sink(desk.options("other.csv", link="totals")), 2, record)
    assert other.read_text() == "n\n2\n"
    assert path.read_text() == "n\n1\n"


async def test_a_worker_killed_between_the_rename_and_the_commit_left_its_own_work(desk: Desk, options: LinkOptions, path: Path) -> None:
    record = (await put(ADAPTER.sink(options), 1)).record
    await put(ADAPTER.sink(options), 22, record, committed=False)
    assert desk.hidden == [intent_path(path).name]
    await ADAPTER.sink(options).check(record)
    await put(ADAPTER.sink(options), 3, record)
    assert path.read_text() == "n\n3\n"
    assert desk.hidden == []


async def test_a_worker_killed_behind_the_commit_leaves_nothing_for_long(desk: Desk, options: LinkOptions) -> None:
    record = (await put(ADAPTER.sink(options), 1)).record
    record = (await put(ADAPTER.sink(options), 2, record, committed=False)).record
    await ADAPTER.sink(options).check(record)
    assert desk.hidden == []


async def test_a_record_of_before_sizes_were_kept_goes_by_the_digest(options: LinkOptions, path: Path) -> None:
    made = (await put(ADAPTER.sink(options), 1)).record
    record = {key: made[key] for key in ("path", "rows", "digest")}
    await ADAPTER.sink(options).check(record)
    path.write_text("n\n1\nmine\n")
    with pytest.raises(Conflict):
        await ADAPTER.sink(options).check(record)
