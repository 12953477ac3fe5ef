"""Queries and SQL tasks in processes of their own, against a real home."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from linkd.client.description import Description, LinkDescription, TaskDescription
from linkd.client.encoding import encode
from linkd.client.reading import Result, inserted
from linkd.client.session import Client
from linkd.client.worker import SourceStep, publishing
from linkd.errors import NotAllowed, QueryInvalid, SchemaMismatch
from linkd.limits import ROWS_PER_VALUE
from linkd.query.scratch import scratch_directory
from linkd.testing.forked_programs import Program, start_program
from linkd.testing.home_process import HomeUnderTest, home_beside, running_home

PIPELINE = """
pipeline: sums
wiring: |
  (rows, names)  total  (totals)
links:
  rows: {from: rows.csv}
  names: {from: names.csv}
tasks:
  total: {sql: "SELECT 1 AS never_read_here FROM rows"}
"""
TOTALS = "SELECT name, count(*) AS n, sum(size) AS size FROM rows JOIN names USING (id) GROUP BY name"
SLOW = "SELECT count(*) AS n FROM range(100000000000) t(i) WHERE i % 7 = 1 AND (SELECT count(*) FROM rows) > 0"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[HomeUnderTest]:
    pipeline = tmp_path / "sums.yaml"
    pipeline.write_text(PIPELINE)
    async with home_beside(pipeline, tmp_path / "state") as home:
        yield home


async def publish(home: HomeUnderTest, link: str, batches: Sequence[pa.RecordBatch]) -> None:
    """What a source does, to its end."""
    async with home.connect("adapters") as connection, publishing(connection, 2) as stream:
        rows = 0
        for number, batch in enumerate(batches, 1):
            rows += batch.num_rows
            payloads = encode(link, batch, schema=batch.schema.serialize().to_pybytes(), declared=True, inputs=())
            final = number == len(batches)
            await stream.send_step(SourceStep(link, payloads, (), str(number).encode(), "digest", rows, 0, final))
        await stream.flush()


async def publish_inputs(home: HomeUnderTest, rows: int = 1000) -> None:
    await publish(home, "names", [pa.record_batch({"id": [0, 1], "name": ["even", "odd"]})])
    half = rows // 2
    await publish(home, "rows", [_rows(0, half), _rows(half, rows)])


def _rows(first: int, end: int) -> pa.RecordBatch:
    return pa.record_batch({"id": [number % 2 for number in range(first, end)], "size": list(range(first, end))})


async def query(home: HomeUnderTest, sql: str, who: str = "") -> pa.Table:
    async with home.connect(who) as connection:
        return await Result(connection, sql).to_table()


@asynccontextmanager
async def sql_task(home: HomeUnderTest, sql: str) -> AsyncIterator[Program]:
    file = home.directory.parent / "total.sql"
    file.write_text(sql)
    environment = {**home.environment("total"), "LINKD_SQL_FILE": str(file), "LINKD_SPILL_DIR": str(home.directory / "spill")}
    process = await start_program("linkd.query.task", environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: Program) -> tuple[int | None, str]:
    """The exit code and what was said on standard error."""
    async with asyncio.timeout(60):
        said, complaint = await process.communicate()
    assert said == b""
    return process.returncode, complaint.decode()


async def run_task(home: HomeUnderTest, sql: str) -> tuple[int | None, str]:
    async with sql_task(home, sql) as process:
        return await ended(process)


def link(told: Description, name: str) -> LinkDescription:
    return next(link for link in told.links if link.name == name)


def task(told: Description, name: str = "total") -> TaskDescription:
    return next(task for task in told.tasks if task.name == name)


def scratch_of(home: HomeUnderTest) -> list[str]:
    return [path.name for path in (home.directory / "spill").glob("[!.]*")]


# -- queries ------------------------------------------------------------------------------------------------------------------------------
async def test_a_query_sees_all_rows_that_are_durable_at_the_call(home: HomeUnderTest) -> None:
    await publish_inputs(home)
    answer = await query(home, f"{TOTALS} ORDER BY name")
    assert answer.to_pylist() == [
        {"name": "even", "n": 500, "size": sum(range(0, 1000, 2))},
        {"name": "odd", "n": 500, "size": sum(range(1, 1000, 2))},
    ]


async def test_a_query_without_links_and_one_of_a_large_link_come_back_whole(home: HomeUnderTest) -> None:
    assert (await query(home, "SELECT 41 + 1 AS answer")).to_pylist() == [{"answer": 42}]
    await publish(home, "rows", [_rows(0, ROWS_PER_VALUE), _rows(ROWS_PER_VALUE, 3 * ROWS_PER_VALUE)])
    everything = await query(home, "SELECT * FROM rows")
    assert everything.column("size").to_pylist() == list(range(3 * ROWS_PER_VALUE))


async def test_a_query_that_cannot_run_says_why_in_the_callers_words(home: HomeUnderTest) -> None:
    await publish(home, "rows", [_rows(0, 1)])
    with pytest.raises(QueryInvalid, match="there is no link `row` for this query; did you mean `rows`"):
        await query(home, "SELECT * FROM row")
    with pytest.raises(QueryInvalid, match="syntax error"):
        await query(home, "SELEC 1")
    with pytest.raises(QueryInvalid, match="queries read links, not files"):
        await query(home, "SELECT * FROM read_csv('/etc/passwd')")
    with pytest.raises(SchemaMismatch, match=r"^names has no columns: nothing was published to it; give links\.names\.schema$"):
        await query(home, "SELECT * FROM names")


async def test_a_task_queries_its_inputs_and_nothing_else(home: HomeUnderTest) -> None:
    await publish(home, "rows", [_rows(0, 2)])
    assert (await query(home, "SELECT max(size) AS m FROM rows", "total")).to_pylist() == [{"m": 1}]
    with pytest.raises(QueryInvalid, match=r"there is no link `totals` for this query.*\n.*it may read: names, rows"):
        await query(home, "SELECT * FROM totals", "total")
    for who, complaint in (("", "rows is written by the pipeline itself"), ("total", "total may not publish to rows")):
        async with home.connect(who) as connection:
            with pytest.raises(NotAllowed, match=complaint):
                await inserted(connection, "INSERT INTO rows SELECT * FROM rows", None)


def test_directories_of_queries_that_were_killed_are_removed_by_the_next_one(tmp_path: Path) -> None:
    killed = tmp_path / "spill" / "1-dead"
    (killed / "rows").mkdir(parents=True)
    with scratch_directory(tmp_path / "spill") as mine:
        assert not killed.exists()
        with scratch_directory(tmp_path / "spill") as other:
            assert mine.is_dir()
            assert other.is_dir()
    assert not mine.exists()
    assert not other.exists()


# -- tasks --------------------------------------------------------------------------------------------------------------------------------
async def test_a_sql_task_takes_its_inputs_as_they_grow_and_seals_its_output_with_its_commit(home: HomeUnderTest) -> None:
    async with sql_task(home, TOTALS) as process:
        await home.until(lambda told: task(told).connections == 1)
        await publish_inputs(home)
        assert await ended(process) == (0, "")
    told = await home.described()
    totals = link(told, "totals").read
    assert totals is not None
    assert (totals.state, totals.values, totals.rows) == ("sealed", 1, 2)
    assert task(told).ended
    assert scratch_of(home) == []
    assert (await query(home, "SELECT * FROM totals")).column("n").to_pylist() == [500, 500]


async def test_a_sql_task_that_is_done_already_has_nothing_to_do(home: HomeUnderTest) -> None:
    await publish_inputs(home)
    assert await run_task(home, TOTALS) == (0, "")
    assert await run_task(home, TOTALS) == (0, "")
    assert link(await home.described(), "totals").values == 1


async def test_a_large_result_comes_in_values_of_equal_size_and_equal_inputs_give_equal_rows(home: HomeUnderTest) -> None:
    await publish_inputs(home, 2 * ROWS_PER_VALUE + 10)
    assert await run_task(home, "SELECT size, id FROM rows") == (0, "")
    async with home.connect() as connection:
        values = [value async for value in Client(connection).read("totals")]
    assert [len(value) for value in values] == [ROWS_PER_VALUE, ROWS_PER_VALUE, 10]
    assert [row["size"] for row in values[2].rows()] == list(range(2 * ROWS_PER_VALUE, 2 * ROWS_PER_VALUE + 10))


async def test_an_empty_result_is_one_value_of_no_rows(home: HomeUnderTest) -> None:
    await publish_inputs(home)
    assert await run_task(home, "SELECT id, size FROM rows WHERE size < 0") == (0, "")
    totals = link(await home.described(), "totals").read
    assert totals is not None
    assert (totals.values, totals.rows, totals.state) == (1, 0, "sealed")
    assert (await query(home, "SELECT * FROM totals")).column_names == ["id", "size"]


async def test_sql_that_cannot_run_fails_the_task_with_exit_code_1(home: HomeUnderTest) -> None:
    await publish_inputs(home)
    complaints = {
        "SELECT * FROM row": "there is no link `row` for this query; did you mean `rows`?",
        "SELECT nothing FROM rows": 'Referenced column "nothing" not found',
        "SELECT count(*) FROM rows": "the result has a column without a name",
        "SELECT CAST('x' || size AS INTEGER) AS n FROM rows": "Could not convert a string to INT32",
    }
    for sql, complaint in complaints.items():
        code, said = await run_task(home, sql)
        assert code == 1
        assert complaint in said
        assert "Traceback" not in said
    assert not task(await home.described()).ended


async def test_the_types_of_a_result_are_those_of_the_query_and_not_of_inputs_that_have_columns_of_the_same_name(
    home: HomeUnderTest,
) -> None:
    await publish_inputs(home)
    assert await run_task(home, "SELECT id, avg(size * 2.0) AS size FROM rows GROUP BY id") == (0, "")
    assert (await query(home, "SELECT size FROM totals")).schema.field("size").type == pa.float64()


async def test_a_sql_task_with_an_input_without_columns_names_it(tmp_path: Path) -> None:
    pipeline = tmp_path / "sums.yaml"
    pipeline.write_text("pipeline: sums\nwiring: (rows*) total (totals)\ntasks: {total: {sql: SELECT * FROM rows}}\n")
    async with home_beside(pipeline, tmp_path / "state") as home:
        code, said = await run_task(home, "SELECT * FROM rows")
    assert (code, said) == (1, "rows has no columns: nothing was published to it; give links.rows.schema\n")


async def test_a_sql_task_that_is_killed_while_it_takes_its_inputs_loses_and_repeats_nothing(home: HomeUnderTest) -> None:
    await publish(home, "names", [pa.record_batch({"id": [0, 1], "name": ["even", "odd"]})])
    async with sql_task(home, TOTALS) as killed:
        await home.until(lambda told: task(told).connections == 1)
        killed.kill()
        await killed.wait()
    await publish(home, "rows", [_rows(0, 500), _rows(500, 1000)])
    assert await run_task(home, TOTALS) == (0, "")
    assert scratch_of(home) == []
    assert [row["n"] for row in (await query(home, "SELECT * FROM totals")).to_pylist()] == [500, 500]


async def test_a_sql_task_that_is_killed_at_work_is_done_again_once(home: HomeUnderTest) -> None:
    await publish_inputs(home)
    async with sql_task(home, SLOW) as killed:
        await home.until(lambda told: task(told).leased == 1)
        killed.kill()
        await killed.wait()
    assert await run_task(home, TOTALS) == (0, "")
    told = await home.described()
    assert (task(told).commits, link(told, "totals").values) == (1, 1)
    assert [row["n"] for row in (await query(home, "SELECT * FROM totals")).to_pylist()] == [500, 500]


async def test_a_sql_task_ends_by_term_in_the_middle_of_its_query_and_cleans_up(home: HomeUnderTest) -> None:
    await publish_inputs(home)
    async with sql_task(home, SLOW) as process:
        await home.until(lambda told: task(told).leased == 1)
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == (130, "")
    assert scratch_of(home) == []


async def test_a_sql_task_of_an_earlier_run_is_fenced(tmp_path: Path) -> None:
    pipeline = tmp_path / "sums.yaml"
    pipeline.write_text(PIPELINE)
    async with home_beside(pipeline, tmp_path / "state") as home:
        old = home.tokens["total"]
    async with home_beside(pipeline, tmp_path / "state") as home:
        await publish_inputs(home)
        (home.directory / "tokens" / "total").write_text(old)
        code, said = await run_task(home, TOTALS)
    assert code == 1, said
    assert "this token is of run 1, and run 2 has begun" in said


async def test_a_sql_task_whose_home_is_killed_exits_with_5(tmp_path: Path) -> None:
    pipeline = tmp_path / "sums.yaml"
    pipeline.write_text(PIPELINE)
    async with running_home(pipeline, tmp_path / "state") as home, sql_task(home, TOTALS) as process:
        await home.until(lambda told: task(told).connections == 1)
        home.kill()
        code, said = await ended(process)
    assert code == 5
    assert "Traceback" not in said


async def test_a_sql_task_inserts_into_each_of_its_outputs_in_one_commit(tmp_path: Path) -> None:
    pipeline = tmp_path / "split.yaml"
    pipeline.write_text(
        "pipeline: split\nwiring: (rows) total (evens, odds)\n"
        "links: {rows: {from: rows.csv}, evens: {schema: {size: int64, id: int64}}}\n"
        "tasks: {total: {sql: SELECT 1 AS never_read_here}}\n"
    )
    async with home_beside(pipeline, tmp_path / "state") as home:
        await publish(home, "rows", [_rows(0, 10)])
        for sql, complaint in (
            ("SELECT * FROM rows", "a SELECT has one result, and the task 2 outputs: write INSERT INTO evens SELECT ...; INSERT INTO odds"),
            ("INSERT INTO evens FROM rows", "nothing is inserted into odds: add INSERT INTO odds SELECT ..."),
            ("INSERT INTO evens FROM rows; INSERT INTO odd FROM rows", "`odd` is no output of this task; did you mean `odds`?"),
            ("INSERT INTO evens FROM rows;\nINSERT INTO odds SELECT x FROM evens", "there is no link `evens` for this query"),
            ("INSERT INTO evens SELECT id FROM rows; INSERT INTO odds FROM rows", "evens: column `size` is missing"),
            ("INSERT INTO evens FROM rows; INSERT INTO odds FROM link('rows')", "a task reads its snapshot"),
        ):
            code, said = await run_task(home, sql)
            assert (code, complaint in said) == (1, True), said
        sql = """
            -- even ones, by position
            INSERT INTO evens (id, size) WITH e AS (SELECT id, size FROM rows WHERE id = 0) SELECT * FROM e;
            INSERT INTO odds /* by name */ BY NAME SELECT size, _seq AS value, 'odd; or not' AS what FROM rows WHERE id = 1;
        """
        assert await run_task(home, sql) == (0, "")
        told = await home.described()
        assert task(told).commits == 1
        assert (await query(home, "SELECT size, id FROM evens")).to_pylist() == [{"size": n, "id": 0} for n in range(0, 10, 2)]
        assert (await query(home, "SELECT * FROM odds")).to_pylist() == [
            {"size": n, "value": 1, "what": "odd; or not"} for n in range(1, 10, 2)
        ]


async def test_a_sql_task_over_windows_commits_for_each_and_looks_others_up(tmp_path: Path) -> None:
    pipeline = tmp_path / "windows.yaml"
    pipeline.write_text(
        "pipeline: windows\nwiring: (rows[2], names latest) total (totals)\nlinks: {rows: {from: rows.csv}, names: {from: names.csv}}\n"
        "tasks: {total: {sql: SELECT 1 AS never_read_here}}\n"
    )
    async with home_beside(pipeline, tmp_path / "state") as home:
        await publish(home, "names", [pa.record_batch({"id": [0, 1], "name": ["even", "odd"]})])
        await publish(home, "rows", [_rows(first, first + 10) for first in range(0, 50, 10)])
        assert await run_task(home, TOTALS) == (0, "")
        await home.task_exited("total")
        told = await home.described()
        totals = link(told, "totals").read
        assert totals is not None
        assert (task(told).commits, totals.state, totals.values) == (3, "sealed", 3)
        counts = await query(home, "SELECT _seq, name, n FROM totals ORDER BY _seq, name")
        assert counts.column_names == ["_seq", "name", "n"]
        assert counts.column("n").to_pylist() == [10, 10, 10, 10, 5, 5]
