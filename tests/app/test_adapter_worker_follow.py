"""The adapter worker in a run that follows, and sinks that take value by value: nothing twice, nothing lost, whatever is killed when."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linkd.app.adapter_worker import Settings
from linkd.client.session import Client
from linkd.testing.forked_programs import Program, start_program
from linkd.testing.home_process import HomeUnderTest, home_beside, plain_environment

DEADLINE_S = 30
_LOOK_INTERVAL_S = 0.02

PIPELINE = """
pipeline: follow
wiring: |
  (rows, names)  count  (counted)
links:
  rows: {from: rows.csv, to: out/log.csv, mode: append}
  names: {from: names.csv, to: out/names.csv}
tasks:
  count: {sql: "SELECT count(*) AS rows FROM rows, names"}
"""
PACKED = """
pipeline: packed
wiring: |
  (rows)  count  (counted)
links:
  rows: {from: "rows-*.csv", to: out/parts.parquet, mode: parts}
tasks:
  count: {sql: "SELECT count(*) AS rows FROM rows"}
"""
INCOMING = """
pipeline: incoming
wiring: |
  (rows)  count  (counted)
links:
  rows: {from: incoming/, to: out/log.csv, mode: append}
tasks:
  count: {sql: "SELECT count(*) AS rows FROM rows"}
"""


@dataclass
class Worker:
    """A worker process, and what it has told so far."""

    process: Program
    events: list[dict[str, Any]] = field(default_factory=list)

    async def listen(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.events.append(json.loads(line))

    def told(self, event: str) -> list[dict[str, Any]]:
        return [told for told in self.events if told["event"] == event]

    async def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        async with asyncio.timeout(DEADLINE_S):
            return await self.process.wait()


@asynccontextmanager
async def worker_for(home: HomeUnderTest) -> AsyncIterator[Worker]:
    process = await start_program("linkd.app.adapter_worker", plain_environment(), stdin=subprocess.PIPE)
    assert process.stdin is not None
    worker = Worker(process)
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.listen())
        try:
            process.stdin.write(home.adapter_settings())
            yield worker
        finally:
            process.stdin.close()
            if process.returncode is None:
                process.kill()
            await process.wait()


async def until(true: Callable[[], bool], worker: Worker) -> None:
    """Returns when it is so: files are looked at again and again, for nobody tells of them here."""
    async with asyncio.timeout(DEADLINE_S):
        while not true():
            assert not worker.told("failed"), worker.events
            await asyncio.sleep(_LOOK_INTERVAL_S)


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def content(path: Path) -> str:
    return path.read_text() if path.exists() else ""


async def test_files_are_followed_and_sinks_go_on_through_kills_of_the_worker(tmp_path: Path) -> None:
    (tmp_path / "follow.yaml").write_text(PIPELINE)
    rows, names = tmp_path / "rows.csv", tmp_path / "names.csv"
    log, copy = tmp_path / "out/log.csv", tmp_path / "out/names.csv"
    rows.write_text("id\n1\n2\n")
    every_ms = {"to:names": 50}
    async with home_beside(tmp_path / "follow.yaml", tmp_path / "state", every_ms=every_ms) as home:
        async with worker_for(home) as first:
            await until(lambda: bool(first.told("waiting")), first)
            names.write_text("name\nann\n")
            await until(lambda: content(log) == "id\n1\n2\n" and content(copy) == "name\nann\n", first)
            append(rows, "3\n")
            append(names, "bob\n")
            await until(lambda: content(log) == "id\n1\n2\n3\n" and content(copy) == "name\nann\nbob\n", first)
            first.process.kill()
        append(rows, "4\n")
        rows.rename(tmp_path / "rows.csv.1")
        rows.write_text("id\n5\n")
        async with worker_for(home) as second:
            await until(lambda: content(log) == "id\n1\n2\n3\n4\n5\n", second)
            rows.write_text("id\n6\n")
            await until(lambda: content(log).endswith("5\n6\n"), second)
            assert await second.end() == 130
        assert [told["what"] for told in second.told("note")] == [
            "rows.csv was cut, or written anew, behind line 2: it is read from its start, and what it has is added"
        ]
        async with home.connect() as connection:
            ids = (await Client(connection).read("rows").to_table()).column("id").to_pylist()
        assert ids == [1, 2, 3, 4, 5, 6]
        told = {task.name: task for task in (await home.described()).tasks}
        assert told["to:names"].last_commit_attributes["path"] == str(copy)
        assert told["to:names"].execution > 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["log.csv", "names.csv"]


async def test_a_source_with_an_end_is_read_once_and_its_change_is_told(tmp_path: Path) -> None:
    (tmp_path / "packed.yaml").write_text(PACKED)
    (tmp_path / "rows-1.csv").write_text("id\n1\n")
    async with home_beside(tmp_path / "packed.yaml", tmp_path / "state", every_ms={}) as home:
        async with worker_for(home) as worker:
            parts = tmp_path / "out/parts.parquet"
            await until(lambda: parts.is_dir() and any(parts.iterdir()), worker)
            await until(lambda: bool(worker.told("source_done")), worker)
        async with worker_for(home) as again:
            (tmp_path / "rows-2.csv").write_text("id\n2\n")
            await until(lambda: bool(again.told("changed")), again)
        assert again.told("changed") == [{"event": "changed", "link": "rows", "what": "rows-*.csv changed"}]
        assert again.told("survey") == []


async def test_a_finite_run_appends_what_comes_and_shows_parts_when_all_is_there(tmp_path: Path) -> None:
    pipeline = tmp_path / "both.yaml"
    pipeline.write_text(PACKED.replace("rows-*.csv", "rows.csv").replace("counted:", "counted: "))
    (tmp_path / "rows.csv").write_text("id\n" + "".join(f"{number}\n" for number in range(100_000)))
    async with home_beside(pipeline, tmp_path / "state") as home:
        async with worker_for(home) as worker:
            await home.until(lambda told: next(task for task in told.tasks if task.name == "to:rows").commits > 0)
            worker.process.kill()
        async with worker_for(home) as worker:
            async with asyncio.timeout(DEADLINE_S):
                assert await worker.process.wait() == 0, worker.events
            assert {task.name: task.ended for task in (await home.described()).tasks}["to:rows"]
    names = sorted(path.name for path in (tmp_path / "out/parts.parquet").iterdir())
    assert names == ["part-000001-0000000001.parquet", "part-000001-0000000002.parquet"]


async def test_a_sink_that_finds_its_file_changed_stops_the_run_by_name(tmp_path: Path) -> None:
    (tmp_path / "follow.yaml").write_text(PIPELINE)
    (tmp_path / "rows.csv").write_text("id\n1\n")
    (tmp_path / "names.csv").write_text("name\nann\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/log.csv").write_text("mine\n")
    async with home_beside(tmp_path / "follow.yaml", tmp_path / "state") as home, worker_for(home) as worker:
        async with asyncio.timeout(DEADLINE_S):
            assert await worker.process.wait() == 3
    [failed] = worker.told("failed")
    assert (failed["task"], failed["code"]) == ("to:rows", "conflict")
    assert failed["message"].startswith("out/log.csv is there already, and this pipeline did not write it: move it away")


def test_settings_say_whether_the_run_follows_and_who_takes_part() -> None:
    line = {"endpoint": "unix:/x", "token": "secret", "pipeline": "p.yaml", "params": {"year": "2013"}, "follow": True, "tasks": ["from:a"]}
    settings = Settings.parse(json.dumps(line).encode())
    assert (settings.params, settings.follow, settings.tasks) == ({"year": "2013"}, True, {"from:a"})


async def test_each_file_that_comes_into_a_directory_is_taken_once_through_kills_of_the_worker(tmp_path: Path) -> None:
    (tmp_path / "incoming.yaml").write_text(INCOMING)
    incoming, log = tmp_path / "incoming", tmp_path / "out/log.csv"
    incoming.mkdir()
    async with home_beside(tmp_path / "incoming.yaml", tmp_path / "state", every_ms={}) as home:
        async with worker_for(home) as first:
            await until(lambda: bool(first.told("waiting")), first)
            (incoming / "1.csv").write_text("id\n1\n")
            await until(lambda: content(log) == "id\n1\n", first)
            (incoming / "3.csv").write_text("id\n3\n")
            first.process.kill()
        (incoming / "4.csv").write_text("id\n4\n")
        async with worker_for(home) as second:
            await until(lambda: content(log) == "id\n1\n3\n4\n", second)
            (incoming / "1.csv").unlink()
            (incoming / "2.csv").write_text("id\n2\n")
            await until(lambda: content(log) == "id\n1\n3\n4\n2\n", second)
            assert await second.end() == 130
    assert content(log) == "id\n1\n3\n4\n2\n"
