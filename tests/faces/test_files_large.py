"""Programs that know only files and values of any size: raw files that no value holds, and files and directories as values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from file_runs import FileRuns, file_runs, said

import linkd
from linkd.core.artifact_references import cells_of
from linkd.errors import SchemaMismatch, TaskFailed
from linkd.limits import MIB

SIZE = 80 * MIB
"""More than a value may have."""
RAW = f"""
pipeline: p
wiring: |
  (start*)   make   (blob)
  (blob)     copy   (copied)
  (blob)     count  (counted)
  (blob)     piped  (gone)
  (blob)     flows  (flown)
tasks:
  make:  {{run: "cat $LINKD_IN/start.raw > /dev/null; head -c {SIZE} /dev/zero > $LINKD_OUT/blob.raw", format: raw}}
  copy:  {{run: "cp $LINKD_IN/blob.raw $LINKD_OUT/copied.raw", format: raw}}
  count: {{run: "(echo size; wc -c < $LINKD_IN/blob.raw) > $LINKD_OUT/counted.csv", each: true, format: {{blob: raw}}}}
  piped: {{pipe: "wc -c", format: raw}}
  flows: {{run: "wc -c < $LINKD_IN/blob.raw > $LINKD_OUT/flown.raw", files: stream, format: raw}}
"""


async def test_a_raw_file_of_any_size_is_one_value_and_comes_whole_to_every_program(tmp_path: Path) -> None:
    async with file_runs(tmp_path, RAW) as runs:
        await runs.client.publish("start", b"go")
        await runs.begin()
        for task in ("make", "copy", "count", "piped", "flows"):
            assert await runs.run_task(task) == 0
        [blob] = [value async for value in runs.client.read("blob")]
        [copied] = [value async for value in runs.client.read("copied")]
        [cell] = cells_of(blob.envelope.attributes)
        assert (blob.envelope.rows, cell.column, cell.size_bytes) == (1, "bytes", SIZE)
        assert cells_of(copied.envelope.attributes) == (cell,)
        assert (await blob.save(tmp_path / "saved")).stat().st_size == SIZE
        assert await runs.rows("counted") == [{"size": SIZE}]
        for link in ("gone", "flown"):
            assert [int(row["bytes"]) for row in await runs.rows(link)] == [SIZE]
        assert runs.spilled() == []


FILES = """
pipeline: p
wiring: |
  (photos*)  turn  (made)
tasks:
  turn: {run: "COMMAND", format: FORMAT}
"""


def files(command: str, kind: str = "file", more: str = "") -> str:
    return FILES.replace('"COMMAND"', f"'{command}'").replace("FORMAT", kind + more)


@asynccontextmanager
async def photos(path: Path, command: str, kind: str = "file") -> AsyncIterator[FileRuns]:
    """A task over a link whose values are files, of which one is there."""
    text = files(command, kind)
    (path / "photo.jpg").write_bytes(b"a photo")
    async with file_runs(path, text) as runs:
        await runs.client.publish("photos", linkd.File(path / "photo.jpg"))
        await runs.begin()
        yield runs


async def test_a_file_is_found_under_the_name_of_the_link_and_what_is_made_is_a_file(tmp_path: Path) -> None:
    async with photos(tmp_path, "tr a-z A-Z < $LINKD_IN/photos > $LINKD_OUT/made") as runs:
        assert await runs.run_task("turn") == 0
        [value] = [value async for value in runs.client.read("made")]
        file = value.file()
        assert (file.name, file.size_bytes, file.is_directory) == ("made", 7, False)
        assert (await value.save(tmp_path / "got")).read_bytes() == b"A PHOTO"
        assert "photos@1" in str(await runs.client.trace("made@last"))
        assert runs.spilled() == []


async def test_a_directory_is_taken_and_given_as_it_is(tmp_path: Path) -> None:
    command = "mkdir $LINKD_OUT/made && cp -r $LINKD_IN/photos/. $LINKD_OUT/made && rm $LINKD_OUT/made/b/two"
    folder = tmp_path / "album"
    (folder / "b").mkdir(parents=True)
    (folder / "one").write_text("1")
    (folder / "b" / "two").write_text("2")
    async with file_runs(tmp_path, files(command, more=", each: true")) as runs:
        await runs.client.publish("photos", linkd.File(folder))
        await runs.begin()
        assert await runs.run_task("turn") == 0
        [value] = [value async for value in runs.client.read("made")]
        assert value.file().is_directory
        await value.save(tmp_path / "got")
        assert sorted(str(path.relative_to(tmp_path / "got")) for path in (tmp_path / "got").rglob("*")) == ["b", "one"]


async def test_a_raw_file_of_files_has_their_bytes(tmp_path: Path) -> None:
    async with photos(tmp_path, "cat $LINKD_IN/photos.raw $LINKD_IN/photos.raw > $LINKD_OUT/made.raw", kind="raw") as runs:
        (tmp_path / "photo.jpg").write_bytes(b", and another")
        assert await runs.run_task("turn") == 0
        assert await runs.rows("made") == [{"bytes": b"a photoa photo"}]


async def test_several_files_for_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"a photo")
    async with file_runs(tmp_path, files("cat $LINKD_IN/photos > $LINKD_OUT/made")) as runs:
        for _ in range(2):
            await runs.client.publish("photos", linkd.File(tmp_path / "photo.jpg"))
        await runs.begin()
        with pytest.raises(TaskFailed) as refused:
            await runs.run_task("turn")
    assert str(refused.value) == (
        "turn: photos holds several files, and $LINKD_IN/photos is one (photos@2 is the second): add `each: true` to run it for each of them"
    )


async def test_rows_are_no_files_and_directories_have_no_bytes(tmp_path: Path) -> None:
    for kind, data, told in (
        (
            "file",
            [{"n": 1}],
            "$LINKD_IN/photos: photos@1 is no file: `format: file` is for values that are (linkd.File); write another format",
        ),
        (
            "raw",
            linkd.File(tmp_path, name="album"),
            "$LINKD_IN/photos.raw: photos@1 is a directory (album), which has no bytes: write `format: {photos: file}`",
        ),
    ):
        path = tmp_path / kind
        path.mkdir()
        async with file_runs(path, files("true $LINKD_IN", kind)) as runs:
            await runs.client.publish("photos", data)
            await runs.begin()
            with pytest.raises(SchemaMismatch) as refused:
                await runs.run_task("turn")
        assert str(refused.value) == told


async def test_a_directory_with_a_link_that_leads_out_of_it_is_no_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async with photos(tmp_path, "mkdir $LINKD_OUT/made; ln -s /etc/passwd $LINKD_OUT/made/x; cat $LINKD_IN/photos > /dev/null") as runs:
        with said(capfd) as lines:
            assert await runs.run_task("turn") == 1
        assert "x" in lines[0]
        assert "out of the directory" in lines[0]
        assert await runs.rows("made") == []
