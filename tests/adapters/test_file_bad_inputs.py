"""What can be wrong with a file, and the exact words for it."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING

import pytest
from linkd_adapters.file import ADAPTER

from linkd.errors import EXIT_BAD_DATA, EXIT_USAGE, BadRow, DataFault, Error, InvalidArgument, SchemaMismatch
from linkd.limits import REJECT_TEXT_MAX_BYTES
from linkd.plugin.contract import Role

if TYPE_CHECKING:
    from conftest import Desk

RENAME = "name the encoding of the file, for example encoding: cp1252"
SAY_FORMAT = "say format: csv, jsonl, parquet or arrow"
HINT = "(on_bad_row: reject sends such rows to flights.rejects)"

FILES: list[tuple[bytes, type[Error], str]] = [
    (b"", DataFault, "f.csv has no header; its first line must name the columns"),
    (b"\n\n", DataFault, "f.csv has no header; its first line must name the columns"),
    (b"a,,b,\n1,2,3,4\n", DataFault, "f.csv: columns 2, 4 have no name in the header; name every column"),
    (b"a,b,a\n", DataFault, "f.csv: the header names a more than once; every column needs a name of its own"),
    (b"na\xefve\n1\n", DataFault, f"f.csv:1: the header is not UTF-8 (byte 0xef); {RENAME}"),
    (b"\xff\xfea\0", DataFault, "f.csv is UTF-16; say encoding: utf-16"),
    (b"a,b\n1,2\n3\n", BadRow, f"f.csv:3: 1 field where the header has 2 {HINT}"),
    (b'a,b\n"1\n1",2\n3,4,5\n', BadRow, f"f.csv:4: 3 fields where the header has 2 {HINT}"),
    (b"a,b\n1,2\0\n", BadRow, f"f.csv:2: byte 4 of the row is NUL, which no text has; remove it, or {RENAME} {HINT}"),
    (b"a,b\n1,caf\xe9\n", BadRow, f"f.csv:2: byte 6 of the row, 0xe9, is not UTF-8; {RENAME} {HINT}"),
    (b'a,b\n1,2\n3,"4\n', BadRow, "f.csv:3: the row that begins here never ends; is a quote left open at line 3?"),
    (b"PK\x03\x04...", DataFault, "f.csv: the zip archive cannot be read: File is not a zip file; unpack it yourself and name the file"),
]


@pytest.mark.parametrize(("content", "kind", "message"), FILES)
async def test_a_bad_file_is_refused_in_these_words(desk: Desk, content: bytes, kind: type[Error], message: str) -> None:
    desk.file("f.csv", content)
    with pytest.raises(kind) as raised:
        await desk.survey(desk.options("f.csv"))
    assert type(raised.value) is kind
    assert str(raised.value) == message
    assert raised.value.exit_code == EXIT_BAD_DATA


DECLARED: list[tuple[str, str, str]] = [
    ("int64", "abc", "column n: 'abc' is not int64"),
    ("int64", "1.5", "column n: '1.5' is not int64"),
    ("int8", "300", "column n: '300' is not int8"),
    ("float64", "1e999", "column n: '1e999' is not float64"),
    ("bool", "maybe", "column n: 'maybe' is not bool"),
    ("date", "2013-02-30", "column n: '2013-02-30' is not date32"),
    ("time64[us]", "25:00:00", "column n: '25:00:00' is not time64[us]"),
    ("timestamp[s]", "2013-01-01T10:00:00Z", "column n: '2013-01-01T10:00:00Z' is not timestamp[s]"),
    ("timestamp[s, UTC]", "2013-01-01T10:00:00", "column n: '2013-01-01T10:00:00' is not timestamp[s, UTC]"),
    ("decimal(4, 2)", "1.234", "column n: '1.234' is not decimal(4, 2)"),
    ("int64", "y" * 99, f"column n: '{'y' * 39}…' is not int64"),
]


@pytest.mark.parametrize(("kind", "text", "problem"), DECLARED)
async def test_a_text_that_is_not_of_the_declared_type_is_named_by_its_line(desk: Desk, kind: str, text: str, problem: str) -> None:
    desk.file("f.csv", f'note,n\n"two\nlines",\nx,{text}\ny,\n')
    options = desk.options("f.csv", schema={"n": kind, "note": "string"})
    with pytest.raises(BadRow) as raised:
        await desk.batches(options)
    assert str(raised.value) == f"f.csv:4: {problem} {HINT}"


async def test_a_wrong_value_in_row_200000_stops_behind_the_batches_before_it(desk: Desk) -> None:
    lines = ["7"] * 200_010
    lines[199_999] = "abc"
    desk.file("data/flights.csv", "distance\n" + "\n".join(lines) + "\n")
    options = desk.options("data/flights.csv", schema={"distance": "int64"})
    source = desk.source(options)
    batches = source.read(await source.survey(), None)
    assert [(await anext(batches)).rows_read for _ in range(3)] == [65_536, 131_072, 196_608]
    with pytest.raises(BadRow) as raised:
        await anext(batches)
    assert str(raised.value) == f"data/flights.csv:200001: column distance: 'abc' is not int64 {HINT}"


async def test_rejected_rows_say_where_what_and_why(desk: Desk) -> None:
    content = b'a,b\n1,x\n2,"y\nz",\nno,w\n"3",nul\0\n,caf\xe9\n4,' + b"q" * 100_000 + b",\n5,ok\n"
    desk.file("f.csv", content)
    options = desk.options("f.csv", schema={"a": "int64", "b": "string"}, on_bad_row="reject")
    assert await desk.rows(options) == [{"a": 1, "b": "x"}, {"a": 5, "b": "ok"}]
    rejects = await desk.rejects(options)
    assert [(row["file"], row["line"], row["column"]) for row in rejects] == [
        ("f.csv", 3, None),
        ("f.csv", 5, "a"),
        ("f.csv", 6, None),
        ("f.csv", 7, None),
        ("f.csv", 8, None),
    ]
    assert [str(row["reason"]).split(";")[0] for row in rejects] == [
        "3 fields where the header has 2",
        "'no' is not int64",
        "byte 8 of the row is NUL, which no text has",
        "byte 5 of the row, 0xe9, is not UTF-8",
        "3 fields where the header has 2",
    ]
    assert [row["text"] for row in rejects[:4]] == ['2,"y\nz",', "no,w", '"3",nul\\x00', ",caf\\xe9"]
    assert len(str(rejects[4]["text"])) == REJECT_TEXT_MAX_BYTES


async def test_columns_that_are_not_the_declared_ones_are_both_listed(desk: Desk) -> None:
    desk.file("f.csv", "a,b,c\n")
    with pytest.raises(SchemaMismatch) as raised:
        await desk.survey(desk.options("f.csv", schema={"a": "int64", "z": "string"}))
    assert str(raised.value) == (
        "f.csv lacks z and has b, c, which schema: does not name; the file has the columns a, b, c, schema: declares a, z"
    )


PLACES: list[tuple[str, str]] = [
    ("fligths.csv", "fligths.csv does not exist; did you mean flights.csv.zip?"),
    ("data/flights.csv", "data/flights.csv does not exist; did you mean data/flights.csv.gz?"),
    ("dta/flights.csv", "dta/flights.csv does not exist: there is no directory {base}/dta"),
    ("zzz.csv", "zzz.csv does not exist in {base}"),
    ("folder.csv", "folder.csv has no file of format csv in it: it is empty"),
    ("x" * 300 + ".csv", "x" * 300 + ".csv cannot be read: File name too long; choose another place"),
    ("loop.csv", "loop.csv cannot be read: Too many levels of symbolic links; choose another place"),
    ("dangling.csv", "dangling.csv is a symbolic link to gone.csv, which does not exist; make it, or name another file"),
]


@pytest.mark.parametrize(("name", "message"), PLACES)
async def test_a_place_without_a_file_is_refused_with_what_may_be_meant(desk: Desk, name: str, message: str) -> None:
    desk.file("flights.csv.zip", b"")
    desk.file("data/flights.csv.gz", b"")
    (desk.base / "folder.csv").mkdir()
    (desk.base / "loop.csv").symlink_to("loop.csv")
    (desk.base / "dangling.csv").symlink_to("gone.csv")
    with pytest.raises(InvalidArgument) as raised:
        await desk.survey(desk.options(name))
    assert str(raised.value) == message.format(base=desk.base)
    assert raised.value.exit_code == EXIT_USAGE
    assert ADAPTER.check(desk.options(name), Role.SOURCE) == [str(raised.value)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_a_file_that_may_not_be_read_is_refused_with_the_remedy(desk: Desk) -> None:
    path = desk.file("f.csv", "a\n")
    path.chmod(0)
    with pytest.raises(InvalidArgument, match=r"f\.csv may not be read by this user; change its permissions: chmod u\+r"):
        await desk.survey(desk.options("f.csv"))


OPTIONS: list[tuple[str, dict[str, object], Role, str]] = [
    ("f.csv", {"format": "parquett"}, Role.SOURCE, "f.csv: `parquett` is not a format of files; did you mean `parquet`?"),
    ("f.csv", {"format": "xml"}, Role.SOURCE, "f.csv: `xml` is not a format of files; formats are csv, jsonl, parquet, arrow"),
    ("f.tsv", {}, Role.SOURCE, 'f.tsv is CSV with tabs; say format: csv and separator: "\\t"'),
    ("f.txt", {}, Role.SOURCE, f"f.txt: `.txt` does not tell the format; {SAY_FORMAT}"),
    ("f.xlsx", {}, Role.SOURCE, "f.xlsx is a spreadsheet, which linkd does not read; save the sheet as CSV (UTF-8) and name that"),
    (
        "f.csv.zst",
        {},
        Role.SOURCE,
        "f.csv.zst is packed with zstd, and linkd unpacks .gz and .zip; pack it anew with: zstdcat f.csv.zst | gzip > f.csv.gz",
    ),
    (
        "d/f.json",
        {},
        Role.SOURCE,
        (
            "d/f.json holds one JSON document, and linkd reads JSON lines, one object per line; make them with: "
            "jq -c '.[]' d/f.json > d/f.jsonl, or say format: jsonl if it has lines"
        ),
    ),
    ("flights", {}, Role.SINK, f"flights: a name without an extension does not tell the format; {SAY_FORMAT}"),
    ("f.parquet.gz", {}, Role.SINK, "f.parquet.gz: Parquet is compressed inside; unpack it, or write it without .gz"),
    ("f.csv.zip", {}, Role.SINK, "f.csv.zip: linkd reads .zip and does not write it; write f.csv.gz or f.csv"),
    ("f.csv", {"on_bad_row": "skip"}, Role.SOURCE, "links.flights.on_bad_row: `skip` is neither `stop` nor `reject`"),
]


@pytest.mark.parametrize(("name", "said", "role", "message"), OPTIONS)
def test_options_that_cannot_be_are_refused_before_anything_is_read(
    desk: Desk, name: str, said: dict[str, object], role: Role, message: str
) -> None:
    desk.file("f.csv", "a\n")
    options = desk.options(name, **said)  # type: ignore[arg-type]  # the table holds what a file may say
    assert ADAPTER.check(options, role) == [message]
    with pytest.raises(InvalidArgument) as raised:
        ADAPTER.source(options) if role is Role.SOURCE else ADAPTER.sink(options)
    assert str(raised.value) == message


def test_a_type_that_is_none_is_refused_where_it_stands(desk: Desk) -> None:
    desk.file("f.csv", "a\n")
    (problem,) = ADAPTER.check(desk.options("f.csv", schema={"a": "varchar"}), Role.SOURCE)
    assert problem.startswith("links.flights.schema.a: `varchar` is not a type")
    assert "`string`" in problem


async def test_an_archive_must_hold_exactly_one_file(desk: Desk) -> None:
    import zipfile

    with zipfile.ZipFile(desk.base / "f.zip", "w") as archive:
        for name in "abcde":
            archive.writestr(f"{name}.csv", "x\n1\n")
    with pytest.raises(DataFault) as raised:
        await desk.survey(desk.options("f.zip", format="csv"))
    assert str(raised.value) == (
        "f.zip holds 5 files (a.csv, b.csv, c.csv and 2 more); a zip archive must hold exactly one, so unpack it and name the file you mean"
    )


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
async def test_an_archive_with_a_flipped_byte_is_damaged_however_it_was_packed(desk: Desk, method: int) -> None:
    with zipfile.ZipFile(desk.base / "f.csv.zip", "w", method) as archive:
        archive.writestr("f.csv", "a\n" + "".join(f"{number}\n" for number in range(5_000)))
    content = bytearray((desk.base / "f.csv.zip").read_bytes())
    content[60:62] = bytes(byte ^ 0xFF for byte in content[60:62])
    desk.file("f.csv.zip", bytes(content))
    with pytest.raises(DataFault, match=r"^f\.csv\.zip: the compressed data is damaged or cut short \(.*\); get the file again$"):
        await desk.survey(desk.options("f.csv.zip"))
