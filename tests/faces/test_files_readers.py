"""What is seen while programs read and write files: a test for each sentence of "What is seen meanwhile" in docs/files.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from file_runs import FileRuns, file_runs

ROWS = 70_000
"""Of a file: more than a value takes, so that an output is several."""
PIPELINE = """
pipeline: p
wiring: |
  (words*)  copy  (copied)
  (words*)  one   (ones)
tasks:
  copy: {run: 'cp $LINKD_IN/words.csv $LINKD_OUT/copied.csv; rm $LINKD_IN/words.csv; HOLD'}
  one: {run: 'cp $LINKD_IN/words.csv $LINKD_OUT/ones.csv; HOLD', each: true}
"""
HOLD = "touch PLACE/written; until [ -e PLACE/go ]; do sleep 0.01; done; rm PLACE/written; exit $(cat PLACE/go)"


def pipeline(place: Path) -> str:
    return PIPELINE.replace("HOLD", HOLD.replace("PLACE", str(place)))


def let_go(place: Path, code: int = 0) -> None:
    (place / "going").write_text(str(code))
    (place / "going").rename(place / "go")


@asynccontextmanager
async def written(runs: FileRuns, task: str) -> AsyncIterator[asyncio.Task[int]]:
    """A run of the task whose program has written its file and not exited."""
    (runs.path / "go").unlink(missing_ok=True)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(runs.run_task(task))
        await has_written(runs.path)
        yield running


async def has_written(place: Path) -> None:
    while not (place / "written").exists():
        await asyncio.sleep(0.01)


async def words(runs: FileRuns, link: str) -> list[str]:
    return [row["word"] for row in await runs.rows(link)]


async def test_a_file_is_what_was_sealed_and_a_copy_of_it(tmp_path: Path) -> None:
    async with file_runs(tmp_path, pipeline(tmp_path)) as runs:
        await runs.client.publish("words", [{"word": "early"}])
        await runs.begin()
        await runs.client.publish("words", [{"word": "late"}])
        let_go(tmp_path)
        assert await runs.run_task("copy") == 0
        assert await words(runs, "copied") == ["early"]
        assert await words(runs, "words") == ["early", "late"]  # though the program has removed its file


async def test_a_new_generation_is_seen_when_it_is_committed_and_by_who_begins_then(tmp_path: Path) -> None:
    async with file_runs(tmp_path, pipeline(tmp_path)) as runs:
        await runs.client.publish("words", {"word": ["old"] * ROWS})
        await runs.begin()
        let_go(tmp_path)
        assert await runs.run_task("copy") == 0
        await runs.client.publish("words", [{"word": "new"}])
        await runs.begin(again=("copy",))
        async with written(runs, "copy") as running:
            assert await words(runs, "copied") == ["old"] * ROWS
            reading = aiter(runs.client.read("copied"))
            first = await anext(reading)
            let_go(tmp_path)
            assert await running == 0
        rest = [len(value) async for value in reading]
        assert len(first) + sum(rest) == ROWS
        assert await words(runs, "copied") == [*["old"] * ROWS, "new"]


async def test_a_run_that_fails_changes_nothing_for_readers(tmp_path: Path) -> None:
    async with file_runs(tmp_path, pipeline(tmp_path)) as runs:
        await runs.client.publish("words", [{"word": "old"}])
        await runs.begin()
        let_go(tmp_path)
        assert await runs.run_task("copy") == 0
        await runs.client.publish("words", [{"word": "new"}])
        await runs.begin(again=("copy",))
        let_go(tmp_path, 3)
        assert await runs.run_task("copy") == 3
        assert await words(runs, "copied") == ["old"]


async def test_runs_add_to_a_generation_one_by_one_and_an_older_one_is_read_until_it_is_complete(tmp_path: Path) -> None:
    async with file_runs(tmp_path, pipeline(tmp_path)) as runs:
        for word in ("a", "b"):
            await runs.client.publish("words", [{"word": word}])
        await runs.begin()
        async with written(runs, "one") as running:
            assert await words(runs, "ones") == []
            let_go(tmp_path)
            assert await running == 0
        assert await words(runs, "ones") == ["a", "b"]
        await runs.client.publish("words", [{"word": "c"}])
        await runs.begin(again=("one",))
        async with written(runs, "one") as running:
            assert await words(runs, "ones") == ["a", "b"]
            following = aiter(runs.client.read("ones", follow=True))
            coming = asyncio.ensure_future(anext(following))
            let_go(tmp_path)
            assert (await coming).envelope.generation == 2  # only who follows sees the new one grow
            assert await running == 0
        assert await words(runs, "ones") == ["a", "b", "c"]


async def test_while_there_is_no_older_generation_what_is_committed_is_read(tmp_path: Path) -> None:
    async with file_runs(tmp_path, pipeline(tmp_path)) as runs:
        for word in ("a", "b"):
            await runs.client.publish("words", [{"word": word}])
        await runs.begin()
        async with written(runs, "one") as running:
            following = aiter(runs.client.read("ones", follow=True))
            coming = asyncio.ensure_future(anext(following))
            let_go(tmp_path)
            assert (await coming).first_rows(2) == [{"word": "a"}]
            assert await running == 0
        assert await words(runs, "ones") == ["a", "b"]
