"""Programs that run once over whole files: what they find, what becomes of what they write, and what cannot be taken."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pyarrow as pa
import pytest
from file_runs import file_runs, is_gone, said

from linkd.app.run.own_programs import OWN_ENVIRONMENT
from linkd.client.publishing import KnownSchema
from linkd.core.disk import DiskState
from linkd.errors import ConnectionFailed, LeaseLost, SchemaMismatch, SessionFenced, SourceChanged, StorageFull
from linkd.faces.files.directories import translated
from linkd.faces.files.whole import run_whole
from linkd.faces.files.whole_files import output_batches
from linkd.home.conductor import Conductor
from linkd.limits import MIB
from linkd.plugin.registry import FILE, installed_adapters

SORT = """
pipeline: p
wiring: |
  (people*)  arrange  (arranged)
tasks:
  arrange: {run: "COMMAND"}
"""
HEAD_AND_SORT = "(head -1 $LINKD_IN/people.csv; tail -n +2 $LINKD_IN/people.csv | sort) > $LINKD_OUT/arranged.csv"
PEOPLE = [{"name": "zoe", "age": 3}, {"name": "ann", "age": 41}]


def sort(command: str = HEAD_AND_SORT, more: str = "") -> str:
    return SORT.replace('"COMMAND"', f"'{command}'{more}")


async def test_a_program_meets_complete_files_and_its_output_is_committed_with_its_lineage(tmp_path: Path) -> None:
    async with file_runs(tmp_path, sort()) as runs:
        await runs.client.publish("people", PEOPLE[:1])
        await runs.client.publish("people", PEOPLE[1:])
        await runs.begin()
        assert await runs.run_task("arrange") == 0
        assert await runs.rows("arranged") == [{"name": "ann", "age": 41}, {"name": "zoe", "age": 3}]
        lineage = await runs.client.trace("arranged@last")
        assert "people@1" in str(lineage)
        assert "people@2" in str(lineage)
        assert (await runs.client.describe("arranged")).links[0].current.state == "sealed"  # type: ignore[union-attr]
        assert runs.spilled() == []


async def test_every_format_goes_both_ways(tmp_path: Path) -> None:
    wiring = "".join(f"  (people*)  as_{kind}  ({kind}_out)\n" for kind in ("jsonl", "parquet", "arrow"))
    tasks = "".join(
        f'  as_{kind}: {{run: "cp $LINKD_IN/people.{kind} $LINKD_OUT/{kind}_out.{kind}", format: {kind}}}\n'
        for kind in ("jsonl", "parquet", "arrow")
    )
    async with file_runs(tmp_path, f"pipeline: p\nwiring: |\n{wiring}tasks:\n{tasks}") as runs:
        rows = pa.table({"n": pa.array([1, None], pa.int64()), "text": ["a,b", "ö"], "ok": [True, False]})
        await runs.client.publish("people", rows)
        await runs.begin()
        for kind in ("jsonl", "parquet", "arrow"):
            assert await runs.run_task(f"as_{kind}") == 0
            assert await runs.client.read(f"{kind}_out").to_table() == rows


async def test_raw_files_are_the_bytes_of_values_and_nothing_else(tmp_path: Path) -> None:
    text = "pipeline: p\nwiring: |\n  (blobs*)  pack  (packed)\ntasks: {pack: {run: cat $LINKD_IN/blobs.raw > $LINKD_OUT/packed.raw, format: raw}}\n"
    async with file_runs(tmp_path, text) as runs:
        for blob in (b"\x00\xff", b"", b"three\n"):
            await runs.client.publish("blobs", blob)
        await runs.begin()
        assert await runs.run_task("pack") == 0
        assert [row["bytes"] for row in await runs.rows("packed")] == [b"\x00\xffthree\n"]


async def test_raw_files_of_rows_are_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = "pipeline: p\nwiring: |\n  (people*)  pack  (packed)\ntasks: {pack: {run: 'true', files: whole, format: raw}}\n"
    async with file_runs(tmp_path, text) as runs:
        await runs.client.publish("people", PEOPLE)
        await runs.begin()
        with pytest.raises(SchemaMismatch) as refused:
            await runs.run_task("pack")
    assert str(refused.value) == (
        "$LINKD_IN/people.raw: raw files hold the bytes of values, and people has columns (name, age): write `format: csv`"
    )


async def test_columns_that_came_later_are_in_the_whole_file(tmp_path: Path) -> None:
    async with file_runs(tmp_path, sort("cp $LINKD_IN/people.csv $LINKD_OUT/arranged.csv")) as runs:
        await runs.client.publish("people", PEOPLE[:1])
        await runs.client.publish("people", [{**PEOPLE[1], "city": "Oslo"}])
        await runs.begin()
        assert await runs.run_task("arrange") == 0
        assert await runs.rows("arranged") == [{**PEOPLE[0], "city": None}, {**PEOPLE[1], "city": "Oslo"}]


async def test_the_types_are_those_of_the_whole_file_whatever_the_input_calls_so(tmp_path: Path) -> None:
    """`age` is a whole number in the input, and in all but the last row of what the program writes, which has several values."""
    command = "(echo age; seq 1 70000; echo 1.5) > $LINKD_OUT/arranged.csv"
    async with file_runs(tmp_path, sort(command)) as runs:
        await runs.client.publish("people", PEOPLE)
        await runs.begin()
        assert await runs.run_task("arrange") == 0
        table = await runs.client.read("arranged").to_table()
        assert (table.schema, table.num_rows, table["age"][-1].as_py()) == (pa.schema([("age", pa.float64())]), 70001, 1.5)


async def test_a_declared_schema_types_the_file(tmp_path: Path) -> None:
    text = sort('printf "name,age\\n007,1\\n" > $LINKD_OUT/arranged.csv').replace(
        "tasks:", "links: {arranged: {schema: {name: string, age: float64}}}\ntasks:"
    )
    async with file_runs(tmp_path, text) as runs:
        await runs.begin()
        assert await runs.run_task("arrange") == 0
        assert await runs.rows("arranged") == [{"name": "007", "age": 1.0}]


async def test_an_input_without_a_value_is_an_empty_file_and_an_empty_output_has_no_rows(tmp_path: Path) -> None:
    async with file_runs(tmp_path, sort("wc -c < $LINKD_IN/people.csv >&2; : > $LINKD_OUT/arranged.csv")) as runs:
        await runs.begin()
        assert await runs.run_task("arrange") == 0
        assert await runs.rows("arranged") == []


async def test_a_program_has_its_own_environment_and_not_the_way_to_linkd(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    task = "{run: env > $LINKD_OUT/arranged.csv; pwd >&2; exit 9, env: {COLOUR: red}}"
    async with file_runs(tmp_path, SORT.replace('{run: "COMMAND"}', task)) as runs:
        await runs.begin()
        with said(capfd) as lines:
            assert await runs.run_task("arrange", LINKD_PARAM_YEAR="2013") == 9
    assert lines[0] == str(tmp_path)
    [kept] = (tmp_path / "state" / "failed" / "arrange").iterdir()
    variables = dict(line.split("=", 1) for line in (kept / "out" / "arranged.csv").read_text().splitlines())
    ours = {name for name in variables if name.startswith("LINKD_")}
    assert ours == {"LINKD_IN", "LINKD_OUT", "LINKD_TASK", "LINKD_PARAM_YEAR"}
    assert (variables["COLOUR"], variables["LINKD_TASK"]) == ("red", "arrange")
    assert not OWN_ENVIRONMENT.keys() & variables.keys()


BLAME = "arrange wrote it, and nothing of this run was taken"
FAILURES = [
    ("exit 3", 3, []),
    ("exit 127", 127, []),
    ("kill -9 $$", 137, []),
    (
        "echo a > $LINKD_OUT/aranged.csv",
        1,
        [
            (
                "arrange wrote no $LINKD_OUT/arranged.csv, the file of its output arranged; did you mean arranged.csv where it wrote aranged.csv? "
                "(it wrote: aranged.csv)"
            )
        ],
    ),
    ("true # $LINKD_OUT", 1, ["arrange wrote no $LINKD_OUT/arranged.csv, the file of its output arranged: write it, if only an empty one"]),
    (
        "ln -s /etc/passwd $LINKD_OUT/arranged.csv",
        1,
        [
            (
                "arrange made $LINKD_OUT/arranged.csv a symbolic link: an output is a regular file; "
                "write what it is to hold into it (cp, not ln)"
            )
        ],
    ),
    (
        "mkdir $LINKD_OUT/arranged.csv",
        1,
        ["arrange made $LINKD_OUT/arranged.csv a directory: an output is a regular file; write what it is to hold into it (cp, not ln)"],
    ),
    (
        "rmdir $LINKD_OUT; ln -s /tmp $LINKD_OUT",
        1,
        ["arrange: $LINKD_OUT is a symbolic link now: it is linkd's, write into it and leave it where it is"],
    ),
    (
        "echo x > $LINKD_OUT/../../x",
        1,
        ["arrange wrote no $LINKD_OUT/arranged.csv, the file of its output arranged: write it, if only an empty one"],
    ),
    ("rm -r $LINKD_OUT", 1, ["arrange: $LINKD_OUT is gone: it is linkd's, write into it and leave it where it is"]),
    (
        'printf "name,age\\nann,41\\nbo" > $LINKD_OUT/arranged.csv',
        1,
        [f"$LINKD_OUT/arranged.csv:3: 1 field where the header has 2; {BLAME}"],
    ),
    (
        'printf "name,age\\nann,41\\nbob,7,Oslo\\nzoe,3\\n" > $LINKD_OUT/arranged.csv',
        1,
        [f"$LINKD_OUT/arranged.csv:3: 3 fields where the header has 2; {BLAME}"],
    ),
    (
        'printf "name,age\\nann,41\\nbo" > $LINKD_OUT/arranged.csv; kill -9 $$',
        137,
        [],
    ),
    (
        "ulimit -f 8; exec head -c 100000 /dev/zero > $LINKD_OUT/arranged.csv",
        153,
        [],
    ),
]


@pytest.mark.parametrize(("command", "code", "told"), FAILURES)
async def test_a_run_that_fails_leaves_nothing_and_says_why(
    command: str, code: int, told: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with file_runs(tmp_path, sort(f"cat $LINKD_IN/people.csv > /dev/null; {command}")) as runs:
        await runs.client.publish("people", PEOPLE)
        await runs.begin()
        with said(capfd) as lines:
            assert await runs.run_task("arrange") == code
        assert lines[: len(told)] == told
        assert "its files are in " in lines[-1]
        assert await runs.rows("arranged") == []
        assert await runs.rows("people") == PEOPLE
        assert runs.spilled() == []


async def test_half_a_parquet_file_is_no_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with file_runs(tmp_path, sort("head -c 200 $LINKD_IN/people.parquet > $LINKD_OUT/arranged.parquet", ", format: parquet")) as runs:
        await runs.client.publish("people", PEOPLE)
        await runs.begin()
        with said(capfd) as lines:
            assert await runs.run_task("arrange") == 1
        assert lines[0].startswith("$LINKD_OUT/arranged.parquet is no Parquet file, or is damaged: ")
        assert lines[0].endswith("; write it anew")
        assert await runs.rows("arranged") == []


async def test_what_is_no_output_is_dropped_with_a_note_and_what_is_left_running_is_ended(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = "rm $LINKD_IN/*; sleep 60 & echo $! >&2; touch $LINKD_OUT/.hidden $LINKD_OUT/log.txt; cp /dev/null $LINKD_OUT/arranged.csv"
    async with file_runs(tmp_path, sort(command)) as runs:
        await runs.client.publish("people", PEOPLE)
        await runs.begin()
        with said(capfd) as lines:
            assert await runs.run_task("arrange") == 0
        assert lines[1:] == ["arrange left .hidden, log.txt in $LINKD_OUT, which is no output and is dropped (outputs: arranged.csv)"]
        assert await is_gone(int(lines[0]))
        assert await runs.rows("people") == PEOPLE


async def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """By something that left the program's process group, and has the file open: its place nobody can reach any more."""
    (tmp_path / "out.csv").write_text("n\n" + "".join(f"{number}\n" for number in range(400_000)))
    async with file_runs(tmp_path, sort()) as runs:
        task, adapter = runs.task("arrange"), installed_adapters().named(FILE)
        batches = output_batches(task, "arranged", tmp_path / "out.csv", KnownSchema(), adapter)
        assert (await anext(batches)).num_rows
        os.truncate(tmp_path / "out.csv", 1_000_000)
        with pytest.raises(SourceChanged, match=r"^\$LINKD_OUT/out.csv changed while it was read"):
            async for _ in batches:
                pass


async def test_outputs_for_which_there_is_no_disk_fail_the_run_and_make_room(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its files would stay until it ends, and it would wait for the room that they take."""
    command = "head -c 20M /dev/zero > $LINKD_OUT/arranged.raw; until test -e seen; do sleep 0.02; done"
    async with file_runs(tmp_path, sort(command, ", format: {arranged: raw}"), disk_budget_bytes=16 * MIB) as runs:
        await runs.begin()
        with said(capfd) as lines:
            work = asyncio.create_task(run_whole(runs.task("arrange"), runs.dial("arrange"), room_timeout_s=0.1))
            async with asyncio.timeout(30):
                while runs.home.home.disk.state() is not DiskState.RESERVED:
                    await asyncio.sleep(0.01)
                (tmp_path / "seen").touch()
                assert await work == 1
        [line] = lines
        assert line == (
            "arrange: publishing is paused: linkd holds 21 MiB of the 16 MiB of disk that it may take; 20 MiB of that are the files of this run, "
            "which stay until its outputs are taken: give linkd more disk (--disk-budget), or let links retain less, and run again"
        )
        assert await runs.rows("arranged") == []
        assert runs.spilled() == []
        assert not (runs.home.directory / "failed").exists()


async def test_an_output_that_is_no_value_and_for_which_artifacts_have_no_room_fails_the_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    command = "truncate -s 80M $LINKD_OUT/arranged.raw"
    async with file_runs(tmp_path, sort(command, ", format: {arranged: raw}"), disk_budget_bytes=128 * MIB) as runs:
        await runs.begin()
        with said(capfd) as lines:
            assert await runs.run_task("arrange") == 1
        assert lines[0].startswith(
            "arrange: an artifact of 83,886,080 bytes does not fit: there are 0 MiB of the 64 MiB that artifacts may take"
        )
        assert runs.spilled() == []


def test_a_full_disk_is_told_as_such() -> None:
    with (
        pytest.raises(StorageFull) as refused,
        translated("the files of a run"),
        Path("/dev/full").open("wb", buffering=0) as file,
    ):
        file.write(b"x")
    assert str(refused.value) == "the files of a run: the disk: No space left on device; make room there, and run again"


async def test_a_task_that_is_ended_leaves_nothing_running(tmp_path: Path) -> None:
    command = f"sleep 60 & echo $$ $! > {tmp_path}/pids.new; mv {tmp_path}/pids.new {tmp_path}/pids; wait # $LINKD_OUT"
    async with file_runs(tmp_path, sort(command)) as runs:
        await runs.begin()
        work = asyncio.create_task(runs.run_task("arrange"))
        async with asyncio.timeout(20):
            while not (tmp_path / "pids").exists():
                await asyncio.sleep(0.01)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        for pid in (tmp_path / "pids").read_text().split():
            assert await is_gone(int(pid))
        assert runs.spilled() == []


async def test_in_a_run_that_follows_there_is_one_generation_after_the_other(tmp_path: Path) -> None:
    async with file_runs(tmp_path, sort()) as runs:
        await runs.begin(follow=True)
        conducting = asyncio.create_task(Conductor(runs.home.home).run())
        await runs.client.publish("people", PEOPLE[:1])
        work = asyncio.create_task(runs.run_task("arrange"))
        following = aiter(runs.client.read("arranged", follow=True))
        async with asyncio.timeout(20):
            assert (await anext(following)).first_rows(9) == PEOPLE[:1]
            await runs.client.publish("people", PEOPLE[1:])
            assert (await anext(following)).first_rows(9) == [PEOPLE[1], PEOPLE[0]]
        for task in (work, conducting):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_a_lease_that_is_over_ends_the_program_at_once(tmp_path: Path) -> None:
    command = f"echo $$ > {tmp_path}/pid; exec sleep 60 # $LINKD_OUT"
    async with file_runs(tmp_path, sort(command, ", lease: 1s, timeout: 500ms")) as runs:
        await runs.begin()
        with pytest.raises(LeaseLost) as lost:
            await asyncio.wait_for(runs.run_task("arrange"), 20)
        assert str(lost.value) == (
            "arrange: its lease is over: it worked for longer than its `timeout:`, or linkd heard nothing of it and handed its work out again; "
            "nothing was taken"
        )
        assert await is_gone(int((tmp_path / "pid").read_text()))
        assert runs.spilled() == []


@pytest.mark.parametrize("more", ["", ", each: true"])
async def test_a_task_that_loses_its_place_ends_its_program_and_takes_nothing(more: str, tmp_path: Path) -> None:
    command = f"echo $$ > {tmp_path}/pid.new; mv {tmp_path}/pid.new {tmp_path}/pid; sleep 60; # $LINKD_OUT"
    async with file_runs(tmp_path, sort(command, more)) as runs:
        await runs.client.publish("people", PEOPLE)
        await runs.begin()
        work = asyncio.create_task(runs.run_task("arrange"))
        async with asyncio.timeout(30):
            while not (tmp_path / "pid").exists():
                await asyncio.sleep(0.01)
            await runs.home.restart(crash=True)  # and another run has begun
            with pytest.raises((ConnectionFailed, SessionFenced)):
                await work
        assert await is_gone(int((tmp_path / "pid").read_text()))
        assert runs.spilled() == []
