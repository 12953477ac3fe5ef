"""Endless filters: rows are committed as they come, with the values that they were made of."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from file_runs import file_runs
from test_pipe import pipe


async def test_rows_are_committed_as_the_program_writes_them(tmp_path: Path) -> None:
    async with file_runs(tmp_path, pipe("grep --line-buffered -v bob", commit="line")) as runs:
        await runs.begin(follow=True)
        running = asyncio.create_task(runs.run_task("keep"))
        coming = aiter(runs.client.read("kept", follow=True))
        for name in ("ann", "bob", "zoe", "eve"):
            await runs.client.publish("people", [{"name": name, "age": 1}])
            if name != "bob":
                value = await asyncio.wait_for(anext(coming), 20)
                assert value.rows() == [{"name": name, "age": 1}]
        lineage = str(await runs.client.trace("kept@2"))
        assert "people@3" in lineage or "people@2" in lineage
        await coming.aclose()
        running.cancel()
        await asyncio.wait((running,))


async def test_at_the_end_of_a_run_all_of_it_is_committed(tmp_path: Path) -> None:
    for commit in ("line", "none"):
        home = tmp_path / commit
        home.mkdir()
        async with file_runs(home, pipe("grep --line-buffered -v bob", commit=commit)) as runs:
            for number in range(30):
                await runs.client.publish("people", [{"name": "bob" if number % 3 == 1 else f"n{number}", "age": number}] * 50)
            await runs.begin()
            assert await asyncio.wait_for(runs.run_task("keep"), 60) == 0
            rows = await runs.rows("kept")
            assert [row["age"] for row in rows] == [number for number in range(30) if number % 3 != 1 for _ in range(50)]


FILTER = """while read line; do
  echo "$line"
  if test "$line" = n,60 && ! test -e reached; then touch reached; sleep 60; fi
done"""


async def test_what_was_in_hand_when_the_process_was_killed_comes_again_and_nothing_is_lost(tmp_path: Path) -> None:
    async with file_runs(tmp_path, pipe(FILTER, commit="line")) as runs:
        for number in range(20):
            await runs.client.publish("people", [{"name": "n", "age": 5 * number + part} for part in range(5)])
        await runs.begin()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "linkd.faces.files.task", cwd=tmp_path, env=runs.environment("keep")
        )
        async with asyncio.timeout(60):
            while not (tmp_path / "reached").exists():
                await asyncio.sleep(0.01)
            process.kill()
            await process.wait()
            before = [row["age"] for row in await runs.rows("kept")]
            assert before == list(range(len(before)))
            assert await runs.run_task("keep") == 0
        ages = [row["age"] for row in await runs.rows("kept")]
        assert ages[: len(before)] == before
        assert sorted(set(ages)) == list(range(100))
        assert ages[len(before) :] == list(range(ages[len(before)], 100)), "what was in hand comes again, from the first of it"
