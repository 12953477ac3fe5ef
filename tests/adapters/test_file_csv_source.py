"""CSV files as users have them: what they become, where they are cut, how they are packed."""

from __future__ import annotations

import datetime
import gzip
import io
import zipfile
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from linkd.errors import DataFault, InvalidArgument, SourceChanged
from linkd.limits import ROWS_PER_VALUE
from linkd.testing.adapter_conformance import read_all, summary

if TYPE_CHECKING:
    from conftest import Desk

UTC = datetime.UTC


def zipped(members: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return data.getvalue()


async def test_types_come_from_all_values_and_nulls_from_empty_fields(desk: Desk) -> None:
    desk.file(
        "f.csv",
        "i,f,b,d,t,z,s,code,none\n"
        "1,1,true,2013-01-01,2013-01-01 10:00:00,2013-01-01T10:00:00Z,x,007,\n"
        ',2.5,FALSE,,,2013-01-01T12:00:00+02:00,"",008,""\n',
    )
    survey = await desk.survey(desk.options("f.csv"))
    assert survey.schema == pa.schema(
        [
            ("i", pa.int64()),
            ("f", pa.float64()),
            ("b", pa.bool_()),
            ("d", pa.date32()),
            ("t", pa.timestamp("s")),
            ("z", pa.timestamp("s", "UTC")),
            ("s", pa.string()),
            ("code", pa.string()),
            ("none", pa.string()),
        ]
    )
    assert survey.rows == 2
    assert survey.notes == ()
    ten = datetime.datetime(2013, 1, 1, 10)
    first = {"i": 1, "f": 1.0, "b": True, "d": ten.date(), "t": ten, "z": ten.replace(tzinfo=UTC), "s": "x", "code": "007", "none": None}
    second = dict.fromkeys(first, None) | {"f": 2.5, "b": False, "z": ten.replace(tzinfo=UTC), "code": "008"}
    assert await desk.rows(desk.options("f.csv")) == [first, second]


async def test_nulls_are_null_in_columns_of_every_type(desk: Desk) -> None:
    desk.file("f.csv", 'n,s\nNA,NA\n5,"NA"\n-,NAB\n')
    assert await desk.rows(desk.options("f.csv", nulls=("NA", "-"))) == [
        {"n": None, "s": None},
        {"n": 5, "s": None},
        {"n": None, "s": "NAB"},
    ]


async def test_a_note_says_which_value_made_a_column_string(desk: Desk) -> None:
    desk.file("f.csv", 'text,delay\n"two\nlines",1\n' + "x,2\n" * 1_500 + "x,abc\nx,3\n")
    survey = await desk.survey(desk.options("f.csv"))
    assert survey.notes == ("column delay is string because of line 1,504: 'abc' is not a number",)
    assert survey.schema.field("delay").type == pa.string()


async def test_times_that_no_unit_holds_together_stay_text(desk: Desk) -> None:
    desk.file("f.csv", "t\n1500-01-01T00:00:00\n" + "2013-01-01T00:00:00\n" * 60_000 + "2013-01-01T00:00:00.000000001\n")
    survey = await desk.survey(desk.options("f.csv"))
    assert survey.schema.field("t").type == pa.string()
    assert survey.notes == ("column t is string: its times need nanoseconds, which end in 1677 and 2262, and one lies beyond",)


async def test_declared_types_are_taken_and_nothing_is_inferred(desk: Desk) -> None:
    desk.file("f.csv", "code,n,d,t,day\n007, 5 ,1.50,10:30:00,2013-01-01\n")
    schema = {"day": "timestamp[us]", "t": "time64[us]", "d": "decimal(10, 2)", "n": "int8", "code": "string"}
    survey = await desk.survey(desk.options("f.csv", schema=schema))
    assert survey.schema.names == ["code", "n", "d", "t", "day"]
    assert survey.rows is None
    (row,) = await desk.rows(desk.options("f.csv", schema=schema))
    assert row["code"] == "007"
    assert (row["n"], str(row["d"]), row["t"], row["day"]) == (5, "1.50", datetime.time(10, 30), datetime.datetime(2013, 1, 1))


@pytest.mark.parametrize(
    "text", ["a,b\r\n1,x\r\n2,y\r\n", "a,b\r1,x\r2,y", "\ufeffa,b\n1,x\n2,y", "\n\na,b\n\n1,x\n\n2,y\n\n", '"a","b"\n"1","x"\n2,y\n']
)
async def test_line_ends_marks_and_quotes_of_all_kinds_mean_the_same(desk: Desk, text: str) -> None:
    desk.file("f.csv", text)
    assert await desk.rows(desk.options("f.csv")) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("f.csv.gz", gzip.compress(b"a,b\n1,x\n", mtime=0)),
        ("f.csv", gzip.compress(b"a,b\n1,", mtime=0) + gzip.compress(b"x\n", mtime=0)),
        ("f.csv.zip", zipped({"f.csv": b"a,b\n1,x\n", "__MACOSX/f": b"clutter", "d/": b""})),
        ("f.csv.zip", b"a,b\n1,x\n"),
    ],
    ids=["gzip", "two of gzip", "zip", "none"],
)
async def test_packing_is_told_by_content_not_by_name(desk: Desk, name: str, content: bytes) -> None:
    desk.file(name, content)
    assert await desk.rows(desk.options(name)) == [{"a": 1, "b": "x"}]


async def test_a_header_without_rows_gives_one_batch_of_no_rows(desk: Desk) -> None:
    desk.file("f.csv", "a,b\n")
    (batch,) = await desk.batches(desk.options("f.csv"))
    assert (batch.data.num_rows, batch.data.schema, batch.final) == (0, pa.schema([("a", pa.string()), ("b", pa.string())]), True)
    assert batch.attributes == {"file": "f.csv"}
    (typed,) = await desk.batches(desk.options("f.csv", schema={"a": "int64", "b": "date"}))
    assert typed.data.schema == pa.schema([("a", pa.int64()), ("b", pa.date32())])


@pytest.mark.parametrize("rows", [ROWS_PER_VALUE - 1, ROWS_PER_VALUE, ROWS_PER_VALUE + 1])
async def test_batches_have_a_fixed_number_of_rows(desk: Desk, rows: int) -> None:
    desk.file("f.csv", "n\n" + "".join(f"{row}\n" for row in range(rows)))
    batches = await desk.batches(desk.options("f.csv"))
    assert [batch.data.num_rows for batch in batches] == ([rows] if rows <= ROWS_PER_VALUE else [ROWS_PER_VALUE, rows - ROWS_PER_VALUE])
    assert [batch.final for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert batches[0].attributes == {"file": "f.csv", "first_line": "2", "last_line": str(min(rows, ROWS_PER_VALUE) + 1)}


async def test_rejected_rows_do_not_shift_cuts_and_nothing_is_lost_on_the_way_on(desk: Desk) -> None:
    lines = [f"{row},x" if row % 1_000 else "bad" for row in range(ROWS_PER_VALUE * 2 + 5)]
    desk.file("f.csv", "n,s\n" + "\n".join(lines))
    options = desk.options("f.csv", on_bad_row="reject")
    batches = await desk.batches(options)
    assert [batch.rows_read for batch in batches] == [ROWS_PER_VALUE, 2 * ROWS_PER_VALUE, 2 * ROWS_PER_VALUE + 5]
    for batch in batches:
        assert batch.rejects is not None or batch.final
    assert sum(batch.data.num_rows for batch in batches) + batches[-1].rows_rejected == len(lines)
    source = desk.source(options)
    again = await read_all(source, await source.survey(), batches[0].position)
    assert [summary(batch) for batch in again] == [summary(batch) for batch in batches[1:]]


async def test_a_field_of_ten_megabytes_is_a_field(desk: Desk) -> None:
    big = "x" * 10_000_000
    desk.file("f.csv", f'a,b\n1,"{big}"\n2,y\n')
    rows = await desk.rows(desk.options("f.csv"))
    assert [row["a"] for row in rows] == [1, 2]
    assert rows[0]["b"] == big


async def test_a_touched_file_is_not_a_changed_one(desk: Desk) -> None:
    path = desk.file("f.csv", "a\n1\n")
    source = desk.source(desk.options("f.csv"))
    survey = await source.survey()
    path.write_bytes(path.read_bytes())
    assert len(await read_all(source, survey)) == 1


async def test_a_changed_file_is_named_rather_than_its_rows_blamed(desk: Desk) -> None:
    path = desk.file("f.csv", "a\n1\n")
    source = desk.source(desk.options("f.csv"))
    survey = await source.survey()
    path.write_text("a\nx\n")
    with pytest.raises(SourceChanged) as raised:
        await read_all(source, survey)
    assert str(raised.value) == "f.csv changed while it was read; nothing of it is complete, so run again to read it anew"


async def test_a_file_that_changes_while_it_is_read_gives_no_final_batch(desk: Desk) -> None:
    path = desk.file("f.csv", "a\n" + "1\n" * (ROWS_PER_VALUE + 1))
    source = desk.source(desk.options("f.csv"))
    batches = source.read(await source.survey(), None)
    assert not (await anext(batches)).final
    with path.open("r+b") as file:
        file.seek(-2, io.SEEK_END)
        file.write(b"7\n")
    with pytest.raises(SourceChanged):
        await anext(batches)


async def test_a_fifo_is_refused_for_it_cannot_be_read_twice(desk: Desk) -> None:
    import os

    os.mkfifo(desk.base / "f.csv")
    with pytest.raises(InvalidArgument, match=r"f\.csv is not a regular file; a source is read twice, so write it to a file first"):
        await desk.survey(desk.options("f.csv"))


async def test_damaged_packing_is_damage_of_the_file(desk: Desk) -> None:
    desk.file("f.csv.gz", gzip.compress(b"a,b\n" + b"1,x\n" * 10_000, mtime=0)[:-20])
    with pytest.raises(DataFault, match=r"f\.csv\.gz: the compressed data is damaged or cut short \(.*\); get the file again"):
        await desk.survey(desk.options("f.csv.gz"))
