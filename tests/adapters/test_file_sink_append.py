"""Files as sinks that grow: every row once, whatever is killed when, and never behind what somebody else wrote."""

from __future__ import annotations

import asyncio
import gzip
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from linkd_adapters.file import ADAPTER
from linkd_adapters.file.intent import intent_path
from thoroughness import examples

from linkd.core.pipeline import CsvDialect
from linkd.errors import Conflict, InvalidArgument, SchemaMismatch
from linkd.plugin.contract import NO_RECORD, LinkOptions, Role, SinkValue, ValueSink

if TYPE_CHECKING:
    from conftest import Desk


def appending(desk: Desk, name: str, *, overwrite: bool = False) -> ValueSink:
    return ADAPTER.value_sink(append_options(desk.base, name, overwrite=overwrite))


def append_options(base: Path, name: str, *, overwrite: bool = False) -> LinkOptions:
    return LinkOptions("events", name, base, mode="append", overwrite=overwrite)


def value(sequence: int, *numbers: int, generation: int = 1) -> SinkValue:
    return SinkValue(generation, sequence, pa.RecordBatch.from_pydict({"n": list(numbers)}, pa.schema([("n", pa.int64())])))


async def commits(sink: ValueSink, *values: SinkValue, last: dict[str, str] | None = None) -> dict[str, str]:
    """Writes and commits the values, one after the other; the record of the last."""
    record = dict(NO_RECORD if last is None else last)
    for one in values:
        record = (await sink.write(one, record)).record
    return record


async def test_values_stand_behind_one_another_under_one_header(desk: Desk) -> None:
    sink = appending(desk, "out/log.csv")
    record = await commits(sink, value(1, 1, 2), value(2), value(3, 3))
    assert (desk.base / "out/log.csv").read_text() == "n\n1\n2\n3\n"
    assert (record["rows"], record["size_bytes"], record["sequence"]) == ("1", "8", "3")
    await commits(appending(desk, "out/log.csv"), value(4, 4, generation=2), last=record)
    assert (desk.base / "out/log.csv").read_text() == "n\n1\n2\n3\n4\n"


async def test_a_value_without_rows_makes_a_file_with_the_header(desk: Desk) -> None:
    await commits(appending(desk, "log.csv"), value(1))
    assert (desk.base / "log.csv").read_text() == "n\n"


async def test_json_lines_and_packed_files_and_arrow_streams_grow_too(desk: Desk) -> None:
    for name in ("log.jsonl", "log.csv.gz", "log.jsonl.gz", "log.arrows"):
        await commits(appending(desk, name), value(1, 1, 2), value(2), value(3, 3))
    assert (desk.base / "log.jsonl").read_text() == '{"n":1}\n{"n":2}\n{"n":3}\n'
    assert gzip.decompress((desk.base / "log.csv.gz").read_bytes()) == b"n\n1\n2\n3\n"
    assert gzip.decompress((desk.base / "log.jsonl.gz").read_bytes()) == (desk.base / "log.jsonl").read_bytes()
    for name in ("log.csv.gz", "log.arrows"):
        assert await desk.rows(desk.options(name)) == [{"n": 1}, {"n": 2}, {"n": 3}]


@pytest.mark.parametrize("name", ["log.parquet", "log.arrow"])
async def test_formats_with_an_end_are_refused_with_the_remedy(desk: Desk, name: str) -> None:
    [problem] = ADAPTER.check(append_options(desk.base, name), Role.SINK)
    assert problem.startswith("links.events.mode: ")
    assert f"nothing can be appended to {name}; say mode: parts" in problem
    with pytest.raises(InvalidArgument, match="say mode: parts"):
        appending(desk, name)


async def test_encodings_that_begin_with_a_mark_are_refused(desk: Desk) -> None:
    options = replace(append_options(desk.base, "log.csv"), dialect=CsvDialect(encoding="utf-16"))
    [problem] = ADAPTER.check(options, Role.SINK)
    assert problem == "links.events.encoding: utf-16 begins a file with a mark, so nothing can be appended in it; say encoding: utf-8"


@pytest.mark.parametrize("left", ["the intent alone", "half of it", "all of it", "zeros"])
async def test_what_a_kill_left_behind_is_cut_off_and_written_again(desk: Desk, left: str) -> None:
    path = desk.base / "log.csv"
    sink = appending(desk, "log.csv")
    record = await commits(sink, value(1, 1))
    committed = path.stat().st_size
    await sink.write(value(2, 22, 23), record)
    whole = path.read_bytes()
    kept = {"the intent alone": committed, "half of it": committed + 2}.get(left, len(whole))
    path.write_bytes(whole[:kept] if left != "zeros" else whole[:committed] + bytes(len(whole) - committed))
    again = appending(desk, "log.csv")
    await again.check(record)
    await commits(again, value(2, 22, 23), value(3, 3), last=record)
    assert path.read_text() == "n\n1\n22\n23\n3\n"


async def test_a_kill_before_the_first_commit_leaves_nothing_of_somebodys(desk: Desk) -> None:
    await appending(desk, "log.csv").write(value(1, 1, 2), NO_RECORD)
    await commits(appending(desk, "log.csv"), value(1, 1, 2))
    assert (desk.base / "log.csv").read_text() == "n\n1\n2\n"


async def test_rows_that_somebody_added_stop_it_by_name(desk: Desk) -> None:
    path = desk.base / "log.csv"
    record = await commits(appending(desk, "log.csv"), value(1, 1))
    path.write_text(path.read_text() + "mine\n")
    expected = (
        r"^log\.csv was changed by somebody else since linkd appended to it \(4 bytes then, 9 now\): move it away to keep it, "
        r"or give links\.events `overwrite: true` to have rows appended behind what it holds$"
    )
    with pytest.raises(Conflict, match=expected):
        await appending(desk, "log.csv").check(record)
    with pytest.raises(Conflict, match=expected):
        await appending(desk, "log.csv").write(value(2, 2), record)
    assert path.read_text() == "n\n1\nmine\n"


async def test_a_shorter_file_and_another_end_of_the_same_size_stop_it(desk: Desk) -> None:
    path = desk.base / "log.csv"
    record = await commits(appending(desk, "log.csv"), value(1, 1), value(2, 2))
    for content in ("n\n1\n", "n\n1\n7\n"):
        path.write_text(content)
        with pytest.raises(Conflict, match="changed by somebody else"):
            await appending(desk, "log.csv").check(record)


async def test_a_file_that_nothing_is_recorded_of_is_not_added_to(desk: Desk) -> None:
    path = desk.file("log.csv", "n\n100\n")
    with pytest.raises(
        Conflict, match=r"^log\.csv is there already, and this pipeline did not write it: move it away, or give links\.events"
    ):
        await appending(desk, "log.csv").check(NO_RECORD)
    assert path.read_text() == "n\n100\n"


async def test_overwrite_goes_on_behind_whatever_is_there(desk: Desk) -> None:
    path = desk.file("log.csv", "n\n100")
    sink = appending(desk, "log.csv", overwrite=True)
    await sink.check(NO_RECORD)
    await sink.write(value(1, 1), NO_RECORD)
    record = await commits(sink, value(1, 1))  # as after a kill
    assert path.read_text() == "n\n100\n1\n"
    path.write_text("n\n7\n")
    await commits(sink, value(2, 2), last=record)
    assert path.read_text() == "n\n7\n2\n"


async def test_a_file_that_was_moved_away_is_begun_anew(desk: Desk) -> None:
    path = desk.base / "log.csv"
    record = await commits(appending(desk, "log.csv"), value(1, 1))
    path.rename(desk.base / "log-1.csv")
    await appending(desk, "log.csv").write(value(2, 2), record)
    record = await commits(appending(desk, "log.csv"), value(2, 2), last=record)  # as after a kill
    assert path.read_text() == "n\n2\n"
    await commits(appending(desk, "log.csv"), value(3, 3), last=record)
    assert path.read_text() == "n\n2\n3\n"


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.arrows"])
async def test_rows_of_other_columns_are_refused_and_the_file_stays(desk: Desk, name: str) -> None:
    record = await commits(appending(desk, name), value(1, 1))
    before = (desk.base / name).read_bytes()
    other = SinkValue(1, 2, pa.RecordBatch.from_pydict({"n": [1], "m": [2]}))
    with pytest.raises(SchemaMismatch, match=rf"^{name} has the columns n.*, and the rows that come have n.*, m.*: move it away"):
        await appending(desk, name).write(other, record)
    assert (desk.base / name).read_bytes() == before


async def test_a_sink_that_is_closed_leaves_its_file_alone(desk: Desk) -> None:
    sink = appending(desk, "log.csv")
    await commits(sink, value(1, 1))
    assert desk.hidden == [intent_path(desk.base / "log.csv").name]
    await sink.close()
    assert desk.hidden == []


@settings(max_examples=examples(60))
@given(
    st.lists(
        st.tuples(st.lists(st.integers(0, 10**6), max_size=4), st.sampled_from(["commit", "kill", "torn"]), st.floats(0, 1)),
        min_size=1,
        max_size=8,
    )
)
def test_every_row_is_there_once_and_in_order_however_often_it_is_killed(history: list[tuple[list[int], str, float]]) -> None:
    """A kill comes between the bytes and the commit: of the bytes any beginning is there, and the commit is not."""

    async def lived(base: Path) -> str:
        path = base / "log.csv"
        record = dict(NO_RECORD)
        for sequence, (numbers, outcome, share) in enumerate(history, 1):
            one = value(sequence, *numbers)
            if outcome != "commit":
                start = path.stat().st_size if path.exists() else 0
                await ADAPTER.value_sink(append_options(base, "log.csv")).write(one, record)
                if outcome == "torn":
                    content = path.read_bytes()
                    path.write_bytes(content[: start + int(share * (len(content) - start))])
            sink = ADAPTER.value_sink(append_options(base, "log.csv"))
            await sink.check(record)
            record = (await sink.write(one, record)).record
        return path.read_text()

    with tempfile.TemporaryDirectory() as directory:
        text = asyncio.run(lived(Path(directory)))
    assert text == "n\n" + "".join(f"{number}\n" for numbers, _, _ in history for number in numbers)
