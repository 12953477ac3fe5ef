"""Filters: rows on their standard input, rows on their standard output; what becomes of them, and what cannot be taken."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from file_runs import file_runs, said

PIPE = """
pipeline: p
wiring: |
  (people*)  keep  (kept)
links: {kept: KEPT}
tasks:
  keep: TASK
"""
PEOPLE = [{"name": "zoe", "age": 3}, {"name": "ann", "age": 41}, {"name": "bob", "age": None}]
TYPED = {"schema": {"name": "string", "age": "int64"}}


def pipe(command: str, *, kept: object = None, **keys: object) -> str:
    return PIPE.replace("KEPT", json.dumps(kept or {})).replace("TASK", json.dumps({"pipe": command, **keys}))


@pytest.mark.parametrize("kept", [None, TYPED])
@pytest.mark.parametrize("format_", ["csv", "jsonl"])
async def test_what_a_filter_lets_through_is_committed_with_its_lineage(tmp_path: Path, kept: object, format_: str) -> None:
    async with file_runs(tmp_path, pipe("grep -v ann", kept=kept, format=format_)) as runs:
        await runs.client.publish("people", PEOPLE[:1])
        await runs.client.publish("people", PEOPLE[1:])
        await runs.begin()
        assert await runs.run_task("keep") == 0
        assert await runs.rows("kept") == [PEOPLE[0], PEOPLE[2]]
        lineage = str(await runs.client.trace("kept@last"))
        assert "people@1" in lineage
        assert "people@2" in lineage
        assert (await runs.client.describe("kept")).links[0].current.state == "sealed"  # type: ignore[union-attr]
        assert runs.spilled() == []


async def test_bytes_go_through_raw_and_come_out_as_they_are(tmp_path: Path) -> None:
    content = bytes(range(256)) * 400
    async with file_runs(tmp_path, pipe("cat", format="raw")) as runs:
        await runs.client.publish("people", content)
        await runs.client.publish("people", b"tail")
        await runs.begin()
        assert await runs.run_task("keep") == 0
        assert await runs.rows("kept") == [{"bytes": content + b"tail"}]


BAD_ROWS = {
    "half": ("head -c 12", "half (stdout):2: 1 field where the header has 2"),
    "wrong_type": ("sed 's/^ann,41/ann,old/'", "wrong_type (stdout):3: column age: 'old' is not int64"),
    "wrong_count": ("sed 's/^ann,41/ann/'", "wrong_count (stdout):3: 1 field where the header has 2"),
    "no_text": (r"sed 's/^ann/\xff/'", "no_text (stdout):3: byte 1 of the row, 0xff, is not UTF-8; let the program write UTF-8"),
    "other": (
        "sed 1s/age/years/",
        "other (stdout) lacks age and has years, which the link has not: its header is name, years, and out_other has name, age",
    ),
    "open_quote": ("""sed 's/^ann/"ann/'""", "open_quote (stdout):3: the row that begins here never ends; is a quote left open at line 3?"),
    "flood": ("head -c 40000000 /dev/zero | tr '\\0' x >&2; exit 3", None),
    "missing": ("no_such_program_at_all", None),
    "killed": ("head -1; kill -9 $$", None),
}
GOOD = {
    "no_end": ("printf 'name,age\\nann,41'", [{"name": "ann", "age": 41}]),
    "header_only": ("head -1", []),
    "empty": ("true", []),
    "never_reads": ("printf 'name,age\\nx,1\\n'", [{"name": "x", "age": 1}]),
    "early": ("head -2", [{"name": "zoe", "age": 3}]),
}


def many(commands: dict[str, str]) -> str:
    """A pipeline with a filter for each command, all over one link; their outputs are `out_NAME`."""
    wiring = "\n".join(
        f"  (people*) {name} (out_{name})" if place == 0 else f"  (people) {name} (out_{name})" for place, name in enumerate(commands)
    )
    links = {f"out_{name}": TYPED for name in commands}
    tasks = {name: {"pipe": command} for name, command in commands.items()}
    return f"pipeline: p\nwiring: |\n{wiring}\nlinks: {json.dumps(links)}\ntasks: {json.dumps(tasks)}\n"


async def test_rows_that_cannot_be_taken_are_named_by_their_line_and_nothing_is_committed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with file_runs(tmp_path, many({name: command for name, (command, _) in BAD_ROWS.items()})) as runs:
        await runs.client.publish("people", PEOPLE)
        await runs.begin()
        for name, (_, message) in BAD_ROWS.items():
            with said(capfd) as lines:
                code = await runs.run_task(name)
            if message is not None:
                assert (code, message) in [(1, line) for line in lines], (name, lines)
            else:
                assert code == {"flood": 3, "missing": 127, "killed": 137}[name]
            assert await runs.rows(f"out_{name}") == []
        assert runs.spilled() == []


async def test_a_filter_may_end_early_write_nothing_and_leave_the_last_line_open(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with file_runs(tmp_path, many({name: command for name, (command, _) in GOOD.items()})) as runs:
        for _ in range(20):  # more than a pipe holds
            await runs.client.publish("people", [{"name": "zoe", "age": 3}] + [{"name": "n" * 1000, "age": 1}] * 100)
        await runs.begin()
        for name, (_, rows) in GOOD.items():
            assert await runs.run_task(name) == 0, name
            assert await runs.rows(f"out_{name}") == rows, name


async def test_a_child_that_keeps_the_output_open_is_waited_for(tmp_path: Path) -> None:
    async with file_runs(tmp_path, pipe("head -1; (read line < gate; echo bob,7) &", kept=TYPED)) as runs:
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        await runs.client.publish("people", PEOPLE)
        await runs.begin()
        running = asyncio.create_task(runs.run_task("keep"))
        await asyncio.to_thread(gate.write_text, "go\n")
        assert await asyncio.wait_for(running, 30) == 0
        assert await runs.rows("kept") == [{"name": "bob", "age": 7}]


async def test_a_filter_without_headers_has_the_columns_of_its_input(tmp_path: Path) -> None:
    async with file_runs(tmp_path, pipe("grep zoe", header=False)) as runs:
        await runs.client.publish("people", PEOPLE)
        await runs.begin()
        assert await runs.run_task("keep") == 0
        assert await runs.rows("kept") == PEOPLE[:1]


async def test_for_each_value_a_filter_runs_once(tmp_path: Path) -> None:
    async with file_runs(tmp_path, pipe("tail -n +2 | wc -l | sed '1i rows'", each=True)) as runs:
        await runs.client.publish("people", PEOPLE[:1])
        await runs.client.publish("people", PEOPLE[1:])
        await runs.begin()
        assert await runs.run_task("keep") == 0
        assert await runs.rows("kept") == [{"rows": 1}, {"rows": 2}]


async def test_a_filter_that_failed_leaves_nothing_and_runs_again(tmp_path: Path) -> None:
    async with file_runs(tmp_path, pipe("cat; test -e ready", kept=TYPED)) as runs:
        await runs.client.publish("people", PEOPLE)
        await runs.begin()
        assert await runs.run_task("keep") == 1
        assert await runs.rows("kept") == []
        (tmp_path / "ready").touch()
        await runs.begin()
        assert await runs.run_task("keep") == 0
        assert await runs.rows("kept") == PEOPLE
