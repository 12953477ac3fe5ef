"""A directory that is followed: each file that comes into it once, whole, in order, whatever is killed when."""

from __future__ import annotations

import asyncio
import os
import time
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from linkd_adapters.file import ADAPTER
from linkd_adapters.file.completeness import is_being_written, is_complete
from linkd_adapters.file.csv_reader import CsvReader
from linkd_adapters.file.directory_follow import FollowingDirectory
from linkd_adapters.file.location import locate

from linkd.errors import BadRow, SchemaMismatch, SourceChanged
from linkd.limits import ROWS_PER_VALUE
from linkd.plugin.contract import LinkOptions, Role, SourceBatch
from linkd.testing.adapter_conformance import read_all

if TYPE_CHECKING:
    from conftest import Desk

DEADLINE_S = 20
SCHEMA = pa.schema([("n", pa.int64())])


def incoming(desk: Desk, **keys: object) -> LinkOptions:
    return replace(desk.options("incoming/"), growing=True, **keys)


def come(desk: Desk, name: str, *rows: object) -> Path:
    """A file with these rows, renamed into the directory when it is complete."""
    written = desk.file(f"elsewhere/{name}", "n\n" + "".join(f"{row}\n" for row in rows))
    target = desk.base / "incoming" / name
    target.parent.mkdir(exist_ok=True)
    return written.rename(target)


def look(desk: Desk, position: bytes | None = None, **keys: object) -> list[SourceBatch]:
    """What a follower that begins at `position` is given at once."""
    options = incoming(desk, **keys)
    return list(FollowingDirectory(options, locate(options), CsvReader(options), SCHEMA, position).batches())


def rows_of(batches: list[SourceBatch]) -> list[object]:
    return [row for batch in batches for row in batch.data.column(0).to_pylist()]


async def test_each_file_that_comes_is_taken_once_when_nobody_writes_it_any_more(desk: Desk) -> None:
    come(desk, "1.csv", 1)
    given: list[object] = []
    happened = asyncio.Event()
    stopping = asyncio.Event()
    source = ADAPTER.source(incoming(desk))
    survey = await source.survey()

    async def follow() -> None:
        async with aclosing(source.follow(survey, None, stopping)) as batches:
            async for batch in batches:
                given.extend(rows_of([batch]))
                happened.set()

    async def until(*rows: object) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while len(given) < len(rows):
                await happened.wait()
                happened.clear()
        assert given == list(rows)

    async with asyncio.TaskGroup() as group:
        following = group.create_task(follow())
        await until(1)
        with (desk.base / "incoming" / "2.csv").open("w") as slow:
            slow.write("n\n2\n")
            slow.flush()
            come(desk, "3.csv", 3)
            await until(1, 3)
            slow.write("2\n")
        await until(1, 3, 2, 2)
        come(desk, ".4.csv.tmp", 4).rename(desk.base / "incoming" / "4.csv")
        await until(1, 3, 2, 2, 4)
        stopping.set()
        async with asyncio.timeout(DEADLINE_S):
            await following


def test_whoever_is_killed_at_any_batch_goes_on_behind_it(desk: Desk) -> None:
    for number in range(3):
        come(desk, f"{number}.csv", *range(number * 100_000, number * 100_000 + ROWS_PER_VALUE + 10))
    batches = look(desk)
    assert len(batches) == 6
    everything = rows_of(batches)
    for index, batch in enumerate(batches):
        assert rows_of(batches[: index + 1]) + rows_of(look(desk, batch.position)) == everything
    assert [batch.rows_read for batch in batches][-1] == len(everything)


def test_what_was_taken_may_be_moved_away_and_comes_again_only_as_another_file(desk: Desk) -> None:
    come(desk, "1.csv", 1)
    come(desk, "2.csv", 2)
    taken = look(desk)[-1].position
    (desk.base / "incoming" / "1.csv").unlink()
    assert look(desk, taken) == []
    come(desk, "3.csv", 3)
    later = look(desk, taken)
    assert rows_of(later) == [3]
    come(desk, "1.csv", 11)
    assert rows_of(look(desk, later[-1].position)) == [11]


async def test_a_run_that_ends_goes_on_where_one_that_followed_stood_and_the_other_way_round(desk: Desk) -> None:
    come(desk, "1.csv", 1)
    followed = look(desk)[-1]
    come(desk, "2.csv", 2)
    ending = ADAPTER.source(desk.options("incoming/"))
    assert await ending.begins_with(followed.position)
    survey = await ending.survey()
    rest = await read_all(ending, survey, followed.position)
    assert rows_of(rest) == [2]
    assert [batch.final for batch in rest] == [False, True]
    assert rest[-1].digest == survey.digest
    whole = (await read_all(ending, survey))[-1]
    come(desk, "3.csv", 3)
    assert rows_of(look(desk, whole.position)) == [3]
    assert await ADAPTER.source(incoming(desk)).begins_with(whole.position)
    (desk.base / "incoming" / "1.csv").write_text("n\n100\n")
    assert not await ending.begins_with(whole.position)


async def test_a_directory_may_be_empty_and_waits_for_its_first_file(desk: Desk) -> None:
    (desk.base / "incoming").mkdir()
    source = ADAPTER.source(incoming(desk))
    assert ADAPTER.check(incoming(desk), Role.SOURCE) == []
    assert not await source.exists()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        group.create_task(source.appeared())
        come(desk, "1.csv", 1)
    assert (await source.survey()).rows == 1


async def test_parquet_files_are_taken_as_they_come(desk: Desk) -> None:
    (desk.base / "incoming").mkdir()
    pq.write_table(pa.table({"n": [1]}), desk.base / "incoming" / "1.parquet")
    source, stopping = ADAPTER.source(incoming(desk)), asyncio.Event()
    given: list[object] = []
    async with asyncio.timeout(DEADLINE_S), aclosing(source.follow(await source.survey(), None, stopping)) as batches:
        async for batch in batches:
            given.extend(rows_of([batch]))
            if len(given) == 2:
                stopping.set()
            else:
                pq.write_table(pa.table({"n": [2]}), desk.base / "incoming" / "2.parquet")
    assert given == [1, 2]


def test_what_does_not_fit_is_named_and_nothing_behind_it_is_taken(desk: Desk) -> None:
    come(desk, "1.csv", 1)
    first = look(desk)[-1].position
    come(desk, "2.csv", "two")
    with pytest.raises(BadRow, match=r"^incoming/2.csv:2: column n: 'two' is not int64"):
        look(desk, first)
    [batch] = look(desk, first, on_bad_row="reject")
    assert batch.rejects.to_pylist()[0]["file"] == "incoming/2.csv"
    desk.file("incoming/2.csv", "n,more\n1,2\n")
    with pytest.raises(
        SchemaMismatch, match=r"^incoming/2.csv has more, which the files before it had not \(they have n\): move it away, or"
    ):
        look(desk, first)


def test_a_file_that_is_another_one_when_reading_goes_on_in_it_is_told_so(desk: Desk) -> None:
    path = come(desk, "1.csv", *range(ROWS_PER_VALUE + 10))
    middle = look(desk)[0].position
    path.write_text("n\n1\n")
    with pytest.raises(SourceChanged, match=r"^incoming/1.csv changed while it was read"):
        look(desk, middle)
    path.unlink()
    with pytest.raises(SourceChanged, match=r"^incoming/1.csv is gone, and was read in part: put it back, or run again"):
        look(desk, middle)


def test_where_the_system_does_not_tell_a_file_is_complete_when_it_was_not_changed_for_a_time(tmp_path: Path) -> None:
    path = tmp_path / "1.csv"
    path.write_text("n\n1\n")
    assert not is_complete(path, told=False)
    before_s = time.time() - 10
    os.utime(path, (before_s, before_s))
    assert is_complete(path, told=False)
    assert not is_complete(tmp_path / "gone.csv")
    with path.open("a"):
        assert is_being_written(path) in (True, None)
    assert is_being_written(path) in (False, None)
