"""Patterns and directories as sources: several files that are one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from linkd_adapters.file import ADAPTER

from linkd.errors import BadRow, InvalidArgument, SchemaMismatch, SourceChanged
from linkd.plugin.contract import Role
from linkd.testing.adapter_conformance import read_all, summary

if TYPE_CHECKING:
    from conftest import Desk


async def test_files_are_read_in_the_order_of_their_names_and_told_by_their_values(desk: Desk) -> None:
    desk.file("data/2013-02.csv", "n,s\n3,z\n")
    desk.file("data/2013-01.csv", "n,s\n1,x\n2,y\n")
    desk.file("data/2012-12.csv", "n,s\n0,w\n")
    desk.file("data/.2013-00.csv", "n,s\n9,hidden\n")
    batches = await desk.batches(desk.options("data/2013-*.csv"))
    assert [batch.data.to_pylist() for batch in batches] == [[{"n": 1, "s": "x"}, {"n": 2, "s": "y"}], [{"n": 3, "s": "z"}]]
    assert [dict(batch.attributes) for batch in batches] == [
        {"file": "data/2013-01.csv", "first_line": "2", "last_line": "3"},
        {"file": "data/2013-02.csv", "first_line": "2", "last_line": "2"},
    ]
    assert [(batch.rows_read, batch.final) for batch in batches] == [(2, False), (3, True)]


async def test_a_directory_is_its_visible_files_of_the_format(desk: Desk) -> None:
    for name in ("a.csv", "b.csv.gz", ".c.csv", "_SUCCESS", "deep/d.csv"):
        desk.file(f"data/{name}", f"n\n{len(name)}\n")
    assert [row["n"] for row in await desk.rows(desk.options("data"))] == [5, 8]
    assert [row["n"] for row in await desk.rows(desk.options("data/**/*.csv"))] == [5, 10]
    desk.file("data/e.jsonl", '{"n": 7}\n')
    (problem,) = ADAPTER.check(desk.options("data/"), Role.SOURCE)
    assert (
        problem
        == "data/ means files of several formats, such as data/a.csv (csv) and data/e.jsonl (jsonl); say format:, or narrow the pattern"
    )
    assert [row["n"] for row in await desk.rows(desk.options("data/", format="jsonl"))] == [7]


async def test_types_come_from_all_files_and_columns_go_by_name(desk: Desk) -> None:
    desk.file("1.csv", "a,b\n1,x\n")
    desk.file("2.csv", "c,b,a\n2013-01-01,y,2.5\n")
    desk.file("3.csv", "b,a\nz,oops\n")
    options = desk.options("*.csv")
    survey = await desk.survey(options)
    assert survey.schema == pa.schema([("a", pa.string()), ("b", pa.string()), ("c", pa.date32())])
    assert survey.notes == (
        "column a is string because of line 2 of 3.csv: 'oops' is not a number",
        "column c is missing in 1.csv and 1 more, so it is null there",
    )
    assert [row["a"] for row in await desk.rows(options)] == ["1", "2.5", "oops"]
    assert [part.name for part in survey.parts] == ["1.csv", "2.csv", "3.csv"]


async def test_a_declared_schema_holds_for_all_files(desk: Desk) -> None:
    desk.file("1.csv", "b,a\nx,1\n")
    desk.file("2.csv", "a\n2\n")
    assert await desk.rows(desk.options("*.csv", schema={"a": "int8", "b": "string"})) == [{"b": "x", "a": 1}, {"b": None, "a": 2}]
    with pytest.raises(SchemaMismatch, match=r"^1\.csv with 1 more has b, which schema: does not name; "):
        await desk.survey(desk.options("*.csv", schema={"a": "int8"}))


async def test_bad_rows_are_named_by_their_file(desk: Desk) -> None:
    desk.file("1.csv", "a\n1\n")
    desk.file("2.csv", "a\n2\nx\n")
    options = desk.options("*.csv", schema={"a": "int64"})
    with pytest.raises(BadRow, match=r"^2\.csv:3: column a: 'x' is not int64"):
        await desk.batches(options)
    rejecting = desk.options("*.csv", schema={"a": "int64"}, on_bad_row="reject")
    assert [(row["file"], row["line"]) for row in await desk.rejects(rejecting)] == [("2.csv", 3)]


async def test_files_without_rows_give_no_batches_but_the_final_one(desk: Desk) -> None:
    for name, rows in (("1", ""), ("2", "5\n"), ("3", ""), ("4", "")):
        desk.file(f"{name}.csv", f"n\n{rows}")
    source = desk.source(desk.options("*.csv"))
    survey = await source.survey()
    batches = await read_all(source, survey)
    assert [(batch.data.num_rows, batch.final, batch.attributes["file"]) for batch in batches] == [(1, False, "2.csv"), (0, True, "4.csv")]
    rest = await read_all(source, survey, batches[0].position)
    assert [summary(batch) for batch in rest] == [summary(batches[1])]


async def test_parquet_files_of_unlike_integers_take_the_wider_type(desk: Desk) -> None:
    pq.write_table(pa.table({"n": pa.array([1], pa.int8()), "s": ["x"]}), desk.base / "1.parquet")
    pq.write_table(pa.table({"n": pa.array([2], pa.int64())}), desk.base / "2.parquet")
    survey = await desk.survey(desk.options("*.parquet"))
    assert survey.schema == pa.schema([("n", pa.int64()), ("s", pa.string())])
    assert survey.rows == 2
    assert await desk.rows(desk.options("*.parquet")) == [{"n": 1, "s": "x"}, {"n": 2, "s": None}]
    pq.write_table(pa.table({"n": ["three"]}), desk.base / "3.parquet")
    with pytest.raises(SchemaMismatch) as raised:
        await desk.survey(desk.options("*.parquet"))
    assert str(raised.value) == "column n is string in 3.parquet and int64 in 1.parquet; write them with one type, or declare schema:"


async def test_what_happens_to_a_file_between_survey_and_reading_is_named(desk: Desk) -> None:
    first, second = desk.file("1.csv", "a\n1\n"), desk.file("2.csv", "a\n2\n")
    source = desk.source(desk.options("*.csv"))
    survey = await source.survey()
    third = desk.file("3.csv", "a\n3\n")
    with pytest.raises(SourceChanged) as raised:
        await read_all(source, survey)
    assert str(raised.value) == "*.csv changed while it was read: 3.csv came; run again to read it anew"
    third.unlink()
    second.write_text("a\n5\n")
    with pytest.raises(SourceChanged, match=r"^2\.csv changed while it was read"):
        await read_all(source, survey)
    first.unlink()
    with pytest.raises(SourceChanged, match=r"1\.csv went"):
        await read_all(source, survey)


async def test_digest_and_stat_see_names_as_well_as_contents(desk: Desk) -> None:
    desk.file("1.csv", "a\n1\n")
    path = desk.file("2.csv", "a\n2\n")
    source = desk.source(desk.options("*.csv"))
    stat, digest = await source.stat(), await source.digest()
    assert stat.size_bytes == 8
    path.rename(desk.base / "3.csv")
    assert await source.stat() != stat
    assert await source.digest() != digest


PLACES: list[tuple[str, str]] = [
    ("dta/*.csv", "dta/*.csv matches no file: there is no directory {base}/dta"),
    ("data/2014-*.csv", "data/2014-*.csv matches no file; did you mean 2013-01.csv?"),
    ("data/*.parquet", "data/*.parquet matches no file; {base}/data holds 2013-01.csv"),
    ("empty/", "empty/ has no file whose name ends in .csv, .jsonl, .parquet or .arrow in it: it is empty"),
    ("nowhere/", "nowhere/ does not exist in {base}"),
    ("odd/", "odd/ has no file whose name ends in .csv, .jsonl, .parquet or .arrow in it: it holds a.txt, b.txt, c.txt and 1 more"),
]


@pytest.mark.parametrize(("name", "message"), PLACES)
async def test_a_place_without_files_is_refused_with_what_may_be_meant(desk: Desk, name: str, message: str) -> None:
    desk.file("data/2013-01.csv", "a\n")
    (desk.base / "empty").mkdir()
    for letter in "abcd":
        desk.file(f"odd/{letter}.txt", "")
    with pytest.raises(InvalidArgument) as raised:
        await desk.survey(desk.options(name))
    assert str(raised.value) == message.format(base=desk.base)
    assert ADAPTER.check(desk.options(name), Role.SOURCE) == [str(raised.value)]


async def test_a_file_whose_name_looks_like_a_pattern_is_that_file(desk: Desk) -> None:
    desk.file("a[1].csv", "n\n1\n")
    desk.file("a1.csv", "n\n2\n")
    assert await desk.rows(desk.options("a[1].csv")) == [{"n": 1}]
