"""Text files that are followed: every line once and in order, whatever is done to the file and whenever it is killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linkd_adapters.file import ADAPTER
from linkd_adapters.file.csv_reader import CsvReader
from linkd_adapters.file.follow import Following
from linkd_adapters.file.location import locate
from thoroughness import examples

from linkd.errors import BadRow, InvalidArgument, SchemaMismatch, SourceChanged
from linkd.limits import ROWS_PER_VALUE
from linkd.plugin.contract import LinkOptions, Role, Source, SourceBatch, Survey
from linkd.testing.adapter_conformance import read_all

if TYPE_CHECKING:
    from conftest import Desk

DEADLINE_S = 20
SCHEMA = pa.schema([("n", pa.int64())])


@dataclass
class Follower:
    """Who follows, in the background, and what it was given."""

    source: Source
    survey: Survey
    batches: list[SourceBatch] = field(default_factory=list)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    given: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def run(self, position: bytes | None) -> None:
        async with aclosing(self.source.follow(self.survey, position, self.stopping)) as batches:
            async for batch in batches:
                async with self.given:
                    self.batches.append(batch)
                    self.given.notify_all()

    @property
    def rows(self) -> list[object]:
        return [row for batch in self.batches for row in batch.data.column(0).to_pylist()]

    @property
    def notes(self) -> list[str]:
        return [note for batch in self.batches for note in batch.notes]

    async def until(self, *rows: object) -> None:
        async with asyncio.timeout(DEADLINE_S), self.given:
            await self.given.wait_for(lambda: len(self.rows) >= len(rows))
        assert self.rows == list(rows)


@asynccontextmanager
async def following(options: LinkOptions, position: bytes | None = None, schema: pa.Schema | None = None) -> AsyncIterator[Follower]:
    source = ADAPTER.source(options)
    survey = await source.survey()
    follower = Follower(source, replace(survey, schema=schema) if schema is not None else survey)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(follower.run(position))
        yield follower
        follower.stopping.set()
        async with asyncio.timeout(DEADLINE_S):
            await task


def growing(desk: Desk, name: str = "app.csv", **keys: object) -> LinkOptions:
    return replace(desk.options(name), growing=True, **keys)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


async def test_what_is_there_comes_first_and_then_what_is_added(desk: Desk) -> None:
    path = desk.file("app.csv", "n\n1\n2\n")
    async with following(growing(desk)) as follower:
        await follower.until(1, 2)
        append(path, "3\n")
        await follower.until(1, 2, 3)
        append(path, "4\n5\n")
        await follower.until(1, 2, 3, 4, 5)
    assert not any(batch.final for batch in follower.batches)
    first, last = follower.batches[0], follower.batches[-1]
    assert first.attributes == {"file": "app.csv", "first_line": "2", "last_line": "3"}
    assert last.attributes["last_line"] == "6"
    assert (last.rows_read, last.rows_rejected) == (5, 0)


async def test_a_line_waits_until_it_is_whole(desk: Desk) -> None:
    path = desk.file("app.csv", 'n,s\n1,one\n2,"tw')
    async with following(growing(desk)) as follower:
        await follower.until(1)
        append(path, 'o\nlines"')
        append(path, ",\n3,thr".replace(",", "", 1))
        await follower.until(1, 2)
    assert follower.batches[-1].data.column("s").to_pylist()[-1] == "two\nlines"


async def test_json_lines_grow_too(desk: Desk) -> None:
    path = desk.file("app.jsonl", '{"n": 1}\n{"n"')
    async with following(growing(desk, "app.jsonl")) as follower:
        await follower.until(1)
        append(path, ': 2}\n{"n": 3}\n')
        await follower.until(1, 2, 3)
    assert follower.batches[-1].attributes["last_line"] == "3"


async def test_a_backlog_comes_in_values_of_the_usual_size(desk: Desk) -> None:
    desk.file("app.csv", "n\n" + "".join(f"{number}\n" for number in range(ROWS_PER_VALUE + 5)))
    async with following(growing(desk)) as follower:
        await follower.until(*range(ROWS_PER_VALUE + 5))
    assert [batch.data.num_rows for batch in follower.batches] == [ROWS_PER_VALUE, 5]


async def test_it_goes_on_behind_any_position_after_a_kill(desk: Desk) -> None:
    path = desk.file("app.csv", "n\n1\n2\n")
    async with following(growing(desk)) as first:
        await first.until(1, 2)
    append(path, "3\n")
    async with following(growing(desk), first.batches[-1].position) as second:
        await second.until(3)
    assert second.batches[-1].rows_read == 3
    assert second.batches[-1].attributes["first_line"] == "4"


@pytest.mark.parametrize("alive", [True, False])
async def test_a_rotated_file_is_read_to_its_end_before_the_new_one(desk: Desk, alive: bool) -> None:
    path = desk.file("app.csv", "n\n1\n")

    def rotate() -> None:
        append(path, "2\n3")  # its last line never gets an end
        path.rename(desk.base / "app.csv.1")
        desk.file("app.csv", "n\n4\n")

    async with following(growing(desk)) as first:
        await first.until(1)
        if alive:
            rotate()
            await first.until(1, 2, 3, 4)
    if not alive:
        rotate()
        async with following(growing(desk), first.batches[-1].position) as second:
            await second.until(2, 3, 4)
        assert list(dict.fromkeys(batch.attributes["file"] for batch in second.batches)) == ["app.csv.1", "app.csv"]
        assert second.notes == []


async def test_files_that_came_and_went_meanwhile_are_read_in_their_order(desk: Desk) -> None:
    desk.file("app.csv.3", "n\n100\n")  # of before
    os.utime(desk.base / "app.csv.3", ns=(0, 10**9))
    path = desk.file("app.csv", "n\n1\n")
    async with following(growing(desk)) as first:
        await first.until(1)
    os.utime(path, ns=(0, 2 * 10**9))
    path.rename(desk.base / "app.csv.2")
    os.utime(desk.file("app.csv.1", "n\n2\n"), ns=(0, 3 * 10**9))
    desk.file("app.csv", "n\n3\n")
    async with following(growing(desk), first.batches[-1].position) as second:
        await second.until(2, 3)
    assert [batch.attributes["file"] for batch in second.batches if batch.data.num_rows] == ["app.csv.1", "app.csv"]
    assert second.notes == []


@pytest.mark.parametrize("alive", [True, False])
async def test_a_file_that_is_cut_is_read_again_from_its_start_with_a_note(desk: Desk, alive: bool) -> None:
    path = desk.file("app.csv", "n\n1\n2\n")
    async with following(growing(desk)) as first:
        await first.until(1, 2)
        if alive:
            path.write_text("n\n3\n")
            await first.until(1, 2, 3)
            assert first.notes == ["app.csv was cut, or written anew, behind line 3: it is read from its start, and what it has is added"]
    if not alive:
        path.write_text("n\n3\n")
        async with following(growing(desk), first.batches[-1].position) as second:
            await second.until(3)
        [note] = second.notes
        assert note.startswith(
            "app.csv is not the file that was read to line 3, and that one is not there any more: it is read from its start"
        )


async def test_a_file_written_anew_over_the_same_inode_is_seen_though_it_is_longer(desk: Desk) -> None:
    path = desk.file("app.csv", "n\n1\n2\n")
    async with following(growing(desk)) as follower:
        await follower.until(1, 2)
        path.write_text("n\n7\n8\n9\n")
        await follower.until(1, 2, 7, 8, 9)
    assert follower.notes == ["app.csv was cut, or written anew, behind line 3: it is read from its start, and what it has is added"]


@pytest.mark.parametrize("alive", [True, False])
async def test_a_copy_made_before_the_file_was_cut_is_read_to_its_end(desk: Desk, alive: bool) -> None:
    path = desk.file("app.csv", "n\n1\n")

    def copytruncate() -> None:
        append(path, "2\n")
        shutil.copyfile(path, desk.base / "app.csv.1")
        path.write_text("n\n3\n")

    async with following(growing(desk)) as first:
        await first.until(1)
    if alive:
        copytruncate()
    position = first.batches[-1].position
    if not alive:
        copytruncate()
    async with following(growing(desk), position) as second:
        await second.until(2, 3)
    assert [batch.attributes["file"] for batch in second.batches if batch.data.num_rows] == ["app.csv.1", "app.csv"]
    assert second.notes == []


async def test_an_editor_that_writes_the_file_anew_with_more_behind_repeats_nothing(desk: Desk) -> None:
    path = desk.file("app.csv", "n\n1\n2\n")
    async with following(growing(desk)) as follower:
        await follower.until(1, 2)
        desk.file("app.csv.new", "n\n1\n2\n3\n").rename(path)
        await follower.until(1, 2, 3)
    assert follower.notes == []


async def test_a_file_that_is_gone_is_waited_for(desk: Desk) -> None:
    path = desk.file("app.csv", "n\n1\n")
    async with following(growing(desk)) as follower:
        await follower.until(1)
        path.unlink()
        desk.file("other.csv", "x\n")
        desk.file("app.csv", "n\n2\n")
        await follower.until(1, 2)
    assert follower.batches[-1].attributes == {"file": "app.csv", "first_line": "2", "last_line": "2"}


async def test_a_new_file_with_other_columns_stops_it_by_name(desk: Desk) -> None:
    path = desk.file("app.csv", "n\n1\n")
    source = ADAPTER.source(growing(desk))
    survey = await source.survey()
    path.rename(desk.base / "app.csv.1")
    desk.file("app.csv", "n,m\n2,3\n")
    with pytest.raises(SchemaMismatch, match=r"^app\.csv has the columns n, m, and flights has n: what is added to a source must have"):
        async with asyncio.timeout(DEADLINE_S), aclosing(source.follow(survey, None, asyncio.Event())) as batches:
            async for _ in batches:
                pass


async def test_rows_that_do_not_fit_stop_it_by_line_or_are_rejected(desk: Desk) -> None:
    path = desk.file("app.csv", "n\n1\n")
    async with following(growing(desk, on_bad_row="reject")) as follower:
        await follower.until(1)
        append(path, "two\n3\n")
        await follower.until(1, 3)
    rejects = follower.batches[-1].rejects
    assert rejects is not None
    assert rejects.column("line").to_pylist() == [3]
    assert follower.batches[-1].rows_rejected == 1
    source = ADAPTER.source(growing(desk))
    with pytest.raises(BadRow, match=r"^app\.csv:3: column n: 'two' is not int64"):
        async with asyncio.timeout(DEADLINE_S), aclosing(source.follow(follower.survey, None, asyncio.Event())) as batches:
            async for _ in batches:
                pass


async def test_a_finite_run_goes_on_where_following_stopped_and_the_other_way_round(desk: Desk) -> None:
    path = desk.file("app.csv", "n\n1\n2\n")
    async with following(growing(desk)) as follower:
        await follower.until(1, 2)
    source = ADAPTER.source(desk.options("app.csv"))
    assert follower.batches[-1].digest == (await source.survey()).digest
    append(path, "3\n4")
    survey = await source.survey()
    assert await source.begins_with(follower.batches[-1].position)
    [batch] = await read_all(source, survey, follower.batches[-1].position)
    assert (batch.data.column(0).to_pylist(), batch.rows_read, batch.final) == ([3, 4], 4, True)
    assert await read_all(source, survey, batch.position) != []
    append(path, "\n5\n")
    assert await source.begins_with(batch.position)
    async with following(growing(desk), batch.position) as again:
        await again.until(5)


async def test_a_last_line_that_was_read_without_its_end_and_goes_on_is_another_file(desk: Desk) -> None:
    path = desk.file("app.csv", "n\n1\n2")
    source = ADAPTER.source(desk.options("app.csv"))
    [batch] = await read_all(source, await source.survey())
    append(path, "00\n3\n")
    assert not await source.begins_with(batch.position)
    with pytest.raises(SourceChanged):
        await read_all(source, await source.survey(), batch.position)


async def test_a_file_that_is_another_does_not_begin_with_what_was_read(desk: Desk) -> None:
    path = desk.file("app.csv", "n\n1\n2\n")
    source = ADAPTER.source(desk.options("app.csv"))
    [batch] = await read_all(source, await source.survey())
    assert await source.begins_with(batch.position)
    path.write_text("n\n1\n7\n8\n")
    assert not await source.begins_with(batch.position)
    path.unlink()
    assert not await source.begins_with(batch.position)


async def test_what_is_not_there_yet_is_waited_for_until_its_types_can_be_told(desk: Desk) -> None:
    source = ADAPTER.source(growing(desk))
    assert ADAPTER.check(growing(desk), Role.SOURCE) == []
    assert not await source.exists()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        waiting = group.create_task(source.appeared())
        path = desk.file("app.csv", "n\n")
        assert not await source.exists()
        append(path, "1\n")
        await waiting
    assert await source.exists()
    assert (await source.survey()).schema == SCHEMA


async def test_a_declared_source_needs_no_row_to_begin(desk: Desk) -> None:
    path = desk.file("app.csv", "n\n")
    options = growing(desk, schema={"n": "int64"})
    assert await ADAPTER.source(options).exists()
    async with following(options) as follower:
        append(path, "1\n")
        await follower.until(1)


async def test_a_directory_that_is_not_there_is_named(desk: Desk) -> None:
    options = growing(desk, "logs/app.csv")
    [problem] = ADAPTER.check(options, Role.SOURCE)
    assert problem == f"logs/app.csv does not exist: there is no directory {desk.base}/logs"
    with pytest.raises(InvalidArgument, match="there is no directory"):
        await ADAPTER.source(options).appeared()


@pytest.mark.parametrize("name", ["t.csv.gz", "t.parquet", "t-*.csv", "t.arrow"])
async def test_what_has_an_end_is_not_followed(desk: Desk, name: str) -> None:
    assert not ADAPTER.source(growing(desk, name)).can_follow


async def test_a_source_with_an_end_is_watched_until_it_holds_something_else(desk: Desk) -> None:
    desk.file("t-1.csv", "n\n1\n")
    source = ADAPTER.source(growing(desk, "t-*.csv"))
    stat, digest = await source.stat(), await source.digest()
    async with asyncio.timeout(DEADLINE_S), asyncio.TaskGroup() as group:
        waiting = group.create_task(source.changed(stat, digest))
        os.utime(desk.base / "t-1.csv")
        desk.file("t-2.csv", "n\n2\n")
        assert await waiting == "t-*.csv changed"


# -- a life of a log file, with kills, against what was written to it -------------------------------------------------------------------------
WRITES = st.tuples(st.just("write"), st.integers(1, 4), st.booleans())
EVENTS = st.one_of(
    WRITES,
    st.tuples(st.sampled_from(["rotate", "copytruncate", "rewrite", "kill", "look"]), st.integers(0, 2), st.booleans()),
)


@dataclass
class Log:
    """A log file as its writer sees it. `lines` is all that was ever written; times are given, for those of the system are coarse."""

    base: Path
    lines: list[int] = field(default_factory=list)
    half: str = ""
    now_ns: int = 10**9

    def __post_init__(self) -> None:
        self.path = self.base / "app.csv"
        self.path.write_text("n\n")

    def write(self, count: int, ends: bool) -> None:
        numbers = range(len(self.lines), len(self.lines) + count)
        text = "".join(f"{number}\n" for number in numbers)[len(self.half) :]
        self.half = "" if ends else str(numbers[-1])
        append(self.path, text if ends else text[:-1])
        self.lines.extend(numbers if ends else numbers[:-1])
        if not ends:
            self.pending = numbers[-1]
        self._tick(self.path)

    def end_line(self) -> None:
        if self.half:
            append(self.path, "\n")
            self.lines.append(self.pending)
            self.half = ""
            self._tick(self.path)

    def shift(self) -> None:
        for number in range(20, 0, -1):
            old = self.base / f"app.csv.{number}"
            if old.exists():
                old.rename(self.base / f"app.csv.{number + 1}")

    def rotate(self) -> None:
        self.end_line()
        self.shift()
        self.path.rename(self.base / "app.csv.1")
        self.path.write_text("n\n")
        self._tick(self.path)

    def copytruncate(self) -> None:
        self.end_line()
        self.shift()
        shutil.copyfile(self.path, self.base / "app.csv.1")
        self._tick(self.base / "app.csv.1")
        os.truncate(self.path, 0)
        append(self.path, "n\n")
        self._tick(self.path)

    def rewrite(self) -> None:
        """As an editor does: another inode with the same content."""
        new = self.base / "new"
        shutil.copyfile(self.path, new)
        new.replace(self.path)
        self._tick(self.path)

    def _tick(self, path: Path) -> None:
        self.now_ns += 10**9
        os.utime(path, ns=(self.now_ns, self.now_ns))


@contextmanager
def follower_of(base: Path, position: bytes | None) -> Iterator[Following]:
    options = LinkOptions("log", "app.csv", base, growing=True)
    following = Following(options, locate(options), CsvReader(options), SCHEMA, position)
    try:
        yield following
    finally:
        following.close()


@settings(max_examples=examples(150))
@given(st.lists(EVENTS, max_size=25))
def test_every_line_is_read_once_and_in_order_through_all_that_happens_to_a_log(events: list[tuple[str, int, bool]]) -> None:
    """Between two looks one thing happens to the name, for of what is cut twice in between nothing is left on the disk."""
    with tempfile.TemporaryDirectory() as directory:
        log = Log(Path(directory))
        read: list[int] = []
        position: bytes | None = None
        pending = [("write", 1, True), ("look", 0, False), *events]
        while pending:
            with follower_of(log.base, position) as following:
                while pending:
                    what, number, flag = pending.pop(0)
                    if what == "write":
                        log.write(number, flag)
                    elif what == "kill":
                        break
                    else:
                        if what != "look":
                            getattr(log, what)()
                        for index, batch in enumerate(following.batches()):
                            read.extend(batch.data.column(0).to_pylist())
                            position = batch.position
                            if flag and index == number:  # the batches behind this one are given the next time
                                break
        log.end_line()
        with follower_of(log.base, position) as following:
            for batch in following.batches():
                read.extend(batch.data.column(0).to_pylist())
                position = batch.position
    assert read == log.lines
    assert position is None or json.loads(position)["row"] == len(read)
