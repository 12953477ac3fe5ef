"""Programs that know only files are not run for what they were given before: once for each snapshot, over whole files, as a pipe."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from file_runs import FileRuns, file_runs

from linkd.client.artifacts import File
from linkd.client.session import connect
from linkd.testing.home import InProcessHome

TASKS = ("double", "total", "shout")
PIPELINE = """
pipeline: p
wiring: |
  (numbers*)  double  (doubled)
  (doubled)   total   (sums)
  (doubled)   shout   (loud)
tasks:
  double:
    run: 'echo double >> RAN; awk "NR == 1 {print} NR > 1 {print 2 * \\$1}" $LINKD_IN/numbers.csv > $LINKD_OUT/doubled.csv'
    each: true
    parallel: 4
  total: {run: 'echo total >> RAN; awk "{s += \\$1} END {print \\"sum\\"; print s}" $LINKD_IN/doubled.csv > $LINKD_OUT/sums.csv'}
  shout: {pipe: "echo shout >> RAN; sed s/n/N/"}
"""


async def all_of(runs: FileRuns) -> None:
    for name in TASKS:
        async with asyncio.timeout(30):
            assert await runs.run_task(name) == 0


async def test_only_what_is_new_runs_and_what_it_makes_the_same_ends_there(tmp_path: Path) -> None:
    ran = tmp_path / "ran.txt"

    async def ran_since() -> list[str]:
        told = sorted(ran.read_text().split()) if ran.exists() else []
        ran.unlink(missing_ok=True)
        return told

    async with file_runs(tmp_path, PIPELINE.replace("RAN", str(ran))) as runs:
        for number in (3, 1, 2):
            await runs.client.publish("numbers", [{"n": number}])
        await runs.begin(memo=True)
        await all_of(runs)
        assert await ran_since() == ["double", "double", "double", "shout", "total"]
        await runs.begin(memo=True, again=TASKS)
        await all_of(runs)
        assert await ran_since() == []
        assert [row["n"] for row in await runs.rows("doubled")] == [6, 2, 4]
        assert (await runs.rows("sums"), [row["N"] for row in await runs.rows("loud")]) == ([{"sum": 12}], [6, 2, 4])
        assert {name: memo.recalled for name, memo in runs.home.home.memo.tasks.items()} == {"double": 3, "total": 1, "shout": 1}
        assert runs.spilled() == []

        await runs.client.publish("numbers", [{"n": 3}])
        await runs.client.publish("numbers", [{"n": 4}])
        await runs.begin(memo=True, again=TASKS)
        await all_of(runs)
        assert await ran_since() == ["double", "shout", "total"], "3 was doubled before"
        assert [row["n"] for row in await runs.rows("doubled")] == [6, 2, 4, 6, 8]
        assert await runs.rows("sums") == [{"sum": 26}]


async def test_a_file_whose_artifact_is_gone_is_made_again(tmp_path: Path) -> None:
    text = "pipeline: p\nwiring: |\n  (numbers*) make (made)\ntasks:\n  make: {run: [python, make.py], cache: true}\n"
    async with file_runs(tmp_path, text) as runs:
        await runs.client.publish("numbers", [{"n": 1}])
        content = File(tmp_path / "photo.jpg")
        content.path.write_bytes(os.urandom(300_000))
        for expected in (1, 0, 0, 0):
            await runs.begin(memo=True, again=("make",))
            assert await made(runs, content) == expected
        for _ in range(2):  # generations that name nothing take the place of those that do
            await runs.begin(again=("make",))
            assert await made(runs, None) == 1
        await evicted(runs.home)
        await runs.begin(memo=True, again=("make",))
        assert await made(runs, content) == 1


async def made(runs: FileRuns, content: File | None) -> int:
    """Works as the task `make` does, by a client of its own: how often it was handed something."""
    count = 0
    async with connect(runs.home.endpoint, token=runs.home.token("make")) as client:
        async for snapshot in client.snapshots():
            async with snapshot:
                count += 1
                await snapshot.publish("made", content if content is not None else [{"x": 1}])
    await runs.exited("make")
    return count


async def evicted(home: InProcessHome) -> None:
    """Everything that no value names makes room, as soon as the index knows that none does."""
    store = home.home.artifacts.store
    async with asyncio.timeout(10):
        while store.held_bytes:
            store.give_back_soon(2**40)
            await asyncio.sleep(0.01)
