"""Programs whose files are streams: in whatever order they open them, and what is wrong with opening them twice, or never."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest
from file_runs import file_runs, said

from linkd.faces.files.fifo_runs import run_fifos

NEED_NOT = "write `files: {both_four: whole}` for a file, where it need not be opened"
FIRST, IS_FIRST = "first=$(ls -i OUT)", '[ "$(ls -i OUT)" = "$first" ]'
"""What a program says that waits, behind its opening of a stream, until linkd has put the one in its place that nobody is to open."""
LEFT = [{"name": f"{'x' * 200}{number}"} for number in range(4000)]
RIGHT = [{"name": "theirs"}]


def two(*commands: str, modes: object = "stream") -> str:
    """A pipeline with a program for each command, `one`, `two`, ..., over two links; the output of `one` is `both`, of others `both_NAME`."""
    names = ("one", "two", "three", "four", "five", "six")[: len(commands)]
    stars = ("*" if place == 0 else "" for place in range(len(names)))
    wiring = "\n".join(f"  (ours{star}, theirs{star}) {name} (both_{name})" for name, star in zip(names, stars, strict=True))
    tasks = {
        name: {"run": command.replace("OUT", f"$LINKD_OUT/both_{name}.csv"), "files": modes}
        for name, command in zip(names, commands, strict=True)
    }
    return f"pipeline: p\nwiring: |\n{wiring}\ntasks: {json.dumps(tasks)}\n"


async def test_a_program_reads_its_streams_in_any_order_and_writes_one(tmp_path: Path) -> None:
    orders = ("cat $LINKD_IN/ours.csv $LINKD_IN/theirs.csv", "tail -q -n +2 $LINKD_IN/theirs.csv $LINKD_IN/ours.csv | sed 1iname")
    pasted = "paste -d, $LINKD_IN/ours.csv $LINKD_IN/theirs.csv | sed 1s/name,name/l,r/"
    async with file_runs(tmp_path, two(*(f"({command}) > OUT" for command in (*orders, pasted)))) as runs:
        await runs.client.publish("ours", LEFT)
        await runs.client.publish("theirs", RIGHT)
        await runs.begin()
        for name in ("one", "two", "three"):
            assert await asyncio.wait_for(runs.run_task(name), 60) == 0
        assert await runs.rows("both_one") == [*LEFT, {"name": "name"}, *RIGHT]
        assert await runs.rows("both_two") == [*RIGHT, *LEFT]
        assert (await runs.rows("both_three"))[:2] == [{"l": LEFT[0]["name"], "r": "theirs"}, {"l": LEFT[1]["name"], "r": None}]
        lineage = str(await runs.client.trace("both_one@last"))
        assert "ours@1" in lineage
        assert "theirs@1" in lineage
        assert runs.spilled() == []


async def test_a_stream_is_opened_once_and_an_output_at_all(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    again = "opened {} a second time: a stream can be {} once only; write `files: {{{}: whole}}` for a file, which may be opened again"
    cases = {
        "one": (
            "head -1 $LINKD_IN/ours.csv > /dev/null; cat $LINKD_IN/ours.csv $LINKD_IN/theirs.csv > OUT",
            again.format("$LINKD_IN/ours.csv", "read", "ours"),
        ),
        "two": ("paste $LINKD_IN/ours.csv $LINKD_IN/ours.csv > OUT", again.format("$LINKD_IN/ours.csv", "read", "ours")),
        "three": (
            f"{FIRST}; echo name > OUT; cat $LINKD_IN/theirs.csv > /dev/null; while {IS_FIRST}; do :; done; echo x >> OUT; exec sleep 50",
            again.format("$LINKD_OUT/both_three.csv", "written", "both_three"),
        ),
        "four": (
            "cat $LINKD_IN/ours.csv > /dev/null",
            f"exited with code 0 and never opened $LINKD_OUT/both_four.csv, which is a stream; {NEED_NOT}",
        ),
    }
    async with file_runs(tmp_path, two(*(command for command, _ in cases.values()))) as runs:
        await runs.client.publish("ours", LEFT)
        await runs.client.publish("theirs", RIGHT)
        await runs.begin()
        for name, (_, message) in cases.items():
            with said(capfd) as lines:
                assert await asyncio.wait_for(runs.run_task(name), 60) == 1
            assert f"{name} {message}" in lines
            assert await runs.rows(f"both_{name}") == []


async def test_a_program_that_fails_leaves_nothing_whatever_it_opened(tmp_path: Path) -> None:
    command = "head -3 $LINKD_IN/ours.csv > OUT; exit 7"
    async with file_runs(tmp_path, two(command, modes={"ours": "stream", "both_one": "stream"})) as runs:
        await runs.client.publish("ours", LEFT)
        await runs.client.publish("theirs", RIGHT)
        await runs.begin()
        assert await asyncio.wait_for(runs.run_task("one"), 60) == 7
        assert await runs.rows("both_one") == []
        assert runs.spilled() == []


async def test_files_and_streams_go_together(tmp_path: Path) -> None:
    command = "cat $LINKD_IN/theirs.csv $LINKD_IN/theirs.csv > OUT; cat $LINKD_IN/ours.csv > /dev/null"
    async with file_runs(tmp_path, two(command, modes={"ours": "stream"})) as runs:
        await runs.client.publish("ours", LEFT)
        await runs.client.publish("theirs", RIGHT)
        await runs.begin()
        assert await asyncio.wait_for(runs.run_task("one"), 60) == 0
        assert await runs.rows("both_one") == [*RIGHT, {"name": "name"}, *RIGHT]


async def test_a_stream_that_is_never_opened_is_named_with_what_to_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with file_runs(tmp_path, two("cat $LINKD_IN/ours.csv > OUT; exec cat waits_for_ever")) as runs:
        os.mkfifo(tmp_path / "waits_for_ever")
        await runs.client.publish("ours", LEFT)
        await runs.client.publish("theirs", RIGHT)
        await runs.begin()
        with said(capfd) as lines:
            assert await asyncio.wait_for(run_fifos(runs.task("one"), runs.dial("one"), open_timeout_s=0.3), 60) == 1
        remedy = "write `files: {theirs: whole}` for a file, where it need not be opened"
        assert f"one has for 0.3 s not opened $LINKD_IN/theirs.csv, which is a stream; {remedy}" in lines
        assert await runs.rows("both_one") == []
