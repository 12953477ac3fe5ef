"""The adapter worker against a real home: what it publishes, what it writes, and what is left when it, or the home, is gone."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from linkd.app.adapter_events import AdapterEvents
from linkd.app.adapter_worker import Crew, Settings
from linkd.app.layout import layout_of
from linkd.client.calls import Endpoint
from linkd.client.description import Description, LinkDescription, TaskDescription
from linkd.client.encoding import encode
from linkd.client.session import Client
from linkd.client.worker import SourceStep, connected, dial_to, publishing
from linkd.errors import BadRow, ConnectionFailed, Error, InvalidArgument
from linkd.testing.forked_programs import Program, start_program
from linkd.testing.home import running_home as home_without_a_run
from linkd.testing.home_process import HomeUnderTest, home_beside, plain_environment, running_home

COPY = """
pipeline: copy
wiring: |
  (rows)  count  (counted)
links:
  rows: {from: rows.csv, to: out/copy.csv}
  counted: {to: out/counted.csv}
tasks:
  count: {sql: "SELECT count(*) AS rows FROM rows"}
"""
ROWS = 150_000
"""Three values."""


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    return write(tmp_path / "copy.yaml", COPY)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def write_rows(directory: Path, count: int = ROWS) -> None:
    write(directory / "rows.csv", "id,name\n" + "".join(f"{number},name {number}\n" for number in range(count)))


@dataclass
class Worker:
    """A worker process, and what it has told so far."""

    process: Program
    events: list[dict[str, Any]] = field(default_factory=list)

    async def exit_code(self) -> int:
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            while line := await self.process.stdout.readline():
                self.events.append(json.loads(line))
            return await self.process.wait()

    def told(self, event: str) -> list[dict[str, Any]]:
        return [told for told in self.events if told["event"] == event]


@asynccontextmanager
async def worker_for(home: HomeUnderTest) -> AsyncIterator[Worker]:
    process = await start_program("linkd.app.adapter_worker", plain_environment(), stdin=subprocess.PIPE)
    assert process.stdin is not None
    try:
        process.stdin.write(home.adapter_settings())
        yield Worker(process)
    finally:
        process.stdin.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


def link(told: Description, name: str) -> LinkDescription:
    return next(link for link in told.links if link.name == name)


def task(told: Description, name: str) -> TaskDescription:
    return next(task for task in told.tasks if task.name == name)


async def ids_of(home: HomeUnderTest, name: str) -> list[int]:
    async with home.connect() as connection:
        ids: list[int] = (await Client(connection).read(name).to_table()).column("id").to_pylist()
        return ids


async def end_count(home: HomeUnderTest) -> None:
    """Ends the task between the links, so that every link is sealed; its output holds one row."""
    async with home.connect("count") as connection:
        async for snapshot in Client(connection, task="count").snapshots():
            async with snapshot:
                await snapshot.publish("counted", {"rows": [len(snapshot["rows"])]})
    await home.task_exited("count")


async def test_everything_goes_from_the_source_through_the_links_to_the_sinks(pipeline: Path, tmp_path: Path) -> None:
    write_rows(tmp_path)
    async with home_beside(pipeline, tmp_path / "state") as home:
        async with worker_for(home) as worker:
            await asyncio.gather(worker_done := asyncio.ensure_future(worker.exit_code()), end_count(home))
            assert worker_done.result() == 0
        told = await home.described()
        assert await ids_of(home, "rows") == list(range(ROWS))
    assert (tmp_path / "out/copy.csv").read_text() == (tmp_path / "rows.csv").read_text()
    assert (tmp_path / "out/counted.csv").read_text() == f"rows\n{ROWS}\n"
    assert all(each.ended for each in told.tasks)
    [survey], [done] = worker.told("survey"), worker.told("source_done")
    assert (survey["rows"], done["rows_read"], done["rows_rejected"]) == (ROWS, ROWS, 0)
    assert {made["link"]: made["rows"] for made in worker.told("sink_done")} == {"rows": ROWS, "counted": 1}
    assert not worker.told("failed")


async def test_the_home_keeps_what_tells_the_next_run_that_the_file_is_unchanged(pipeline: Path, tmp_path: Path) -> None:
    write_rows(tmp_path, 3)
    async with home_beside(pipeline, tmp_path / "state") as home, worker_for(home) as worker:
        await home.until(lambda told: task(told, "from:rows").ended)
        state = link(await home.described(), "rows").source_state
    stat = (tmp_path / "rows.csv").stat()
    assert state is not None
    assert (state.rows_read, state.final) == (3, True)
    kept = {name: state.attributes[name] for name in ("path", "size_bytes", "mtime_ns", "inode")}
    assert kept == {
        "path": str(tmp_path / "rows.csv"),
        "size_bytes": str(stat.st_size),
        "mtime_ns": str(stat.st_mtime_ns),
        "inode": str(stat.st_ino),
    }
    assert worker.process.returncode is not None


async def test_a_worker_that_is_killed_at_work_is_continued_and_no_row_comes_twice(pipeline: Path, tmp_path: Path) -> None:
    write_rows(tmp_path)
    async with home_beside(pipeline, tmp_path / "state") as home:
        async with worker_for(home) as first:
            await home.until(lambda told: link(told, "rows").values > 0)
            first.process.kill()
            await first.process.wait()
        async with worker_for(home) as second:
            await asyncio.gather(done := asyncio.ensure_future(second.exit_code()), end_count(home))
            assert done.result() == 0
        assert await ids_of(home, "rows") == list(range(ROWS))
    assert (tmp_path / "out/copy.csv").read_text() == (tmp_path / "rows.csv").read_text()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["copy.csv", "counted.csv"]


async def test_a_worker_that_meets_the_next_home_of_its_run_before_this_is_told_of_the_run_does_its_work(
    pipeline: Path, tmp_path: Path
) -> None:
    write_rows(tmp_path, 3)
    async with home_beside(pipeline, tmp_path / "state") as first:
        pass
    async with (
        home_without_a_run(tmp_path / "state", layout=layout_of(pipeline, {}), supervised=False) as second,
        connected(dial_to(Endpoint(second.endpoint, second.token()))) as connection,
    ):
        home = HomeUnderTest(second.endpoint, tmp_path / "state", pipeline, connection, first.tokens)
        async with worker_for(home) as worker, asyncio.timeout(30):
            await home.until(lambda told: task(told, "to:rows").ended or worker.process.returncode is not None)
            assert worker.process.returncode is None
    assert (tmp_path / "out/copy.csv").read_text() == (tmp_path / "rows.csv").read_text()


async def test_a_worker_with_nothing_left_to_do_ends_at_once(pipeline: Path, tmp_path: Path) -> None:
    write_rows(tmp_path, 3)
    async with home_beside(pipeline, tmp_path / "state") as home:
        async with worker_for(home) as first:
            await asyncio.gather(first.exit_code(), end_count(home))
        (tmp_path / "out/copy.csv").unlink()
        async with worker_for(home) as second:
            assert await second.exit_code() == 0
        assert second.events == []
    assert not (tmp_path / "out/copy.csv").exists()


async def test_rows_that_do_not_fit_go_to_the_rejects_in_the_same_step(tmp_path: Path) -> None:
    pipeline = write(
        tmp_path / "copy.yaml",
        COPY.replace("rows: {from: rows.csv,", "rows: {from: rows.csv, schema: {id: int64, name: string}, on_bad_row: reject,"),
    )
    write(tmp_path / "rows.csv", "id,name\n1,one\nzwei,two\n3,three\n")
    async with home_beside(pipeline, tmp_path / "state") as home:
        async with worker_for(home) as worker:
            await home.until(lambda told: task(told, "to:rows").ended)
        told = await home.described()
        rejects, rows = link(told, "rows.rejects"), link(told, "rows")
        async with home.connect() as connection:
            [reject] = await Client(connection).read("rows.rejects").rows()
    assert worker.process.returncode is not None
    assert (reject["line"], reject["column"], reject["text"]) == (3, "id", "zwei,two")
    assert rejects.read is not None
    assert (rejects.read.state, rejects.read.rows) == ("sealed", 1)
    assert rows.source_state is not None
    assert (rows.source_state.rows_read, rows.source_state.rows_rejected) == (3, 1)
    assert (tmp_path / "out/copy.csv").read_text() == "id,name\n1,one\n3,three\n"


async def test_a_file_with_a_header_and_no_rows_gives_a_sink_with_the_header(pipeline: Path, tmp_path: Path) -> None:
    write(tmp_path / "rows.csv", "id,name\n")
    async with home_beside(pipeline, tmp_path / "state") as home, worker_for(home):
        await home.until(lambda told: task(told, "to:rows").ended)
    assert (tmp_path / "out/copy.csv").read_text() == "id,name\n"


async def test_a_source_that_is_not_there_stops_the_worker_by_name(pipeline: Path, tmp_path: Path) -> None:
    async with home_beside(pipeline, tmp_path / "state") as home, worker_for(home) as worker:
        assert await worker.exit_code() == 2
    [failed] = worker.told("failed")
    assert (failed["task"], failed["code"], failed["exit_code"]) == ("from:rows", "invalid_argument", 2)
    assert failed["message"].startswith("rows.csv does not exist")
    assert list((tmp_path / "out").glob("*")) == []


async def test_a_file_that_is_not_the_one_that_was_begun_stops_the_run_by_name(pipeline: Path, tmp_path: Path) -> None:
    write_rows(tmp_path, 3)
    async with home_beside(pipeline, tmp_path / "state") as home:
        batch = pa.record_batch({"id": pa.array([0]), "name": ["of another file"]})
        payloads = encode("rows", batch, schema=b"", declared=False, inputs=())
        async with home.connect("adapters") as connection, publishing(connection, 1) as stream:
            position = b'{"digest":"another digest","row":1,"offset":9,"line":2,"size_bytes":9}'
            await stream.send_step(SourceStep("rows", payloads, (), position, "another digest", 1, 0, final=False))
            await stream.flush()
        async with worker_for(home) as worker:
            assert await worker.exit_code() == 3
    [failed] = worker.told("failed")
    assert (failed["task"], failed["code"]) == ("from:rows", "source_changed")
    assert failed["message"] == (
        "rows.csv is not the file that 1 rows of rows were read from: it changed while the run went on; run again to read it anew"
    )


OPEN = """
pipeline: inbox
wiring: |
  (events*)  count  (counted)
links:
  events: {to: events.csv}
tasks:
  count: {sql: "SELECT count(*) AS n FROM events"}
"""


async def test_a_sink_of_a_link_without_columns_says_so(tmp_path: Path) -> None:
    async with home_beside(write(tmp_path / "inbox.yaml", OPEN), tmp_path / "state") as home, worker_for(home) as worker:
        assert await worker.exit_code() == 3
    [failed] = worker.told("failed")
    assert failed["task"] == "to:events"
    assert failed["message"] == "events has no columns: nothing was published to it; give links.events.schema"
    assert not (tmp_path / "events.csv").exists()


async def test_a_column_that_gets_its_type_half_way_has_it_in_the_whole_sink(tmp_path: Path) -> None:
    pipeline = write(tmp_path / "inbox.yaml", OPEN)
    async with home_beside(pipeline, tmp_path / "state") as home, home.connect() as connection:
        client = Client(connection)
        await client.publish("events", [{"id": 1, "size": None}])
        await client.publish("events", [{"id": 2, "size": 7}])
        await client.publish("events", [{"id": 3, "size": None}])
        await client.close()
    async with home_beside(pipeline, tmp_path / "state", fresh=False) as home, worker_for(home) as worker:
        assert await worker.exit_code() == 0
    assert (tmp_path / "events.csv").read_text() == "id,size\n1,\n2,7\n3,\n"


@pytest.mark.parametrize("how", ["its supervisor goes", "TERM"])
async def test_a_worker_ends_and_leaves_nothing_half_written_when(how: str, pipeline: Path, tmp_path: Path) -> None:
    write_rows(tmp_path, 3)
    async with home_beside(pipeline, tmp_path / "state") as home, worker_for(home) as worker:
        await home.until(lambda told: task(told, "to:counted").connections == 1 and task(told, "to:rows").ended)
        assert worker.process.stdin is not None
        if how == "TERM":
            worker.process.send_signal(signal.SIGTERM)
        else:
            worker.process.stdin.close()
        assert await worker.exit_code() == 130
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["copy.csv"]


async def test_a_worker_whose_home_is_killed_says_so_once_and_exits_with_5(pipeline: Path, tmp_path: Path) -> None:
    write_rows(tmp_path, 3)
    async with running_home(pipeline, tmp_path / "state") as home, worker_for(home) as worker:
        await home.until(lambda told: task(told, "to:counted").connections == 1)
        home.kill()
        assert await worker.exit_code() == 5
    [failed] = worker.told("failed")
    assert failed["code"] == "connection_failed"


def test_settings_that_are_not_the_supervisors_are_refused() -> None:
    for line in (b"", b"{}", b"[]", b'{"endpoint": "unix:/x"}'):
        with pytest.raises(InvalidArgument, match="is a part of `linkd run`"):
            Settings.parse(line)
    assert "secret" not in repr(Settings.parse(b'{"endpoint": "unix:/x", "token": "secret", "pipeline": "p.yaml"}'))


@dataclass
class _Work:
    """Work that waits, and fails if it is told to."""

    name: str
    holds: bool = False
    failure: Error | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    outcome: str = ""

    async def run(self) -> None:
        self.begun.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.outcome = "cancelled"
            raise
        if self.failure is not None:
            raise self.failure
        self.outcome = "done"


async def test_a_failure_cancels_what_holds_nothing_and_waits_for_the_rest() -> None:
    lines: list[str] = []
    bad, waiting, holding = _Work("from:a", failure=BadRow("a.csv:2: no")), _Work("to:b"), _Work("from:c", holds=True)
    crew = Crew([bad, waiting, holding], AdapterEvents(lines.append), asyncio.Event())
    running = asyncio.create_task(crew.run())
    await asyncio.gather(*(work.begun.wait() for work in (bad, waiting, holding)))
    bad.go.set()
    await crew.stopping.wait()
    assert not running.done()
    holding.go.set()
    assert await running == 3
    assert (waiting.outcome, holding.outcome) == ("cancelled", "done")
    assert [json.loads(line)["task"] for line in lines] == ["from:a"]


async def test_the_first_failure_is_the_workers_and_a_lost_home_is_told_once() -> None:
    lines: list[str] = []
    works = [_Work(f"to:{name}", holds=True, failure=ConnectionFailed("linkd went away")) for name in "abc"]
    for work in works:
        work.go.set()
    assert await Crew(works, AdapterEvents(lines.append), asyncio.Event()).run() == 5
    assert len(lines) == 1
