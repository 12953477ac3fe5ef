"""Arrow IPC files and streams as a source."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
from linkd_adapters.file import ADAPTER

from linkd.errors import BadRow, DataFault, SchemaMismatch
from linkd.limits import ARROW_MESSAGE_MAX_BYTES
from linkd.plugin.contract import Role

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import Desk


def put(path: Path, table: pa.Table, compression: str | None = None, rows: int = 1_000) -> bytes:
    options = pa.ipc.IpcWriteOptions(compression=compression)
    new = pa.ipc.new_stream if path.suffix == ".arrows" else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as file, new(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return path.read_bytes()


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("name", ["f.arrow", "f.feather", "f.ipc", "f.arrows"])
async def test_files_and_streams_are_read_however_they_are_compressed(desk: Desk, name: str, compression: str | None) -> None:
    table = pa.table({"n": range(5_000), "s": [f"text {row % 9}" for row in range(5_000)]})
    put(desk.base / name, table, compression)
    survey = await desk.survey(desk.options(name))
    assert (survey.schema, survey.rows) == (table.schema, 5_000)
    (batch,) = await desk.batches(desk.options(name))
    assert batch.data.equals(table.combine_chunks().to_batches()[0])
    assert batch.attributes == {"file": name, "first_row": "1", "last_row": "5000"}


async def test_whether_it_is_a_stream_is_told_by_its_content(desk: Desk) -> None:
    table = pa.table({"n": [1, 2]})
    (desk.base / "f.arrow").write_bytes(put(desk.base / "f.arrows", table))
    assert await desk.rows(desk.options("f.arrow")) == [{"n": 1}, {"n": 2}]
    (desk.base / "open.arrows").write_bytes(put(desk.base / "f.arrows", table)[:-8])
    assert await desk.rows(desk.options("open.arrows")) == [{"n": 1}, {"n": 2}]


async def test_columns_come_in_the_plain_form_that_links_keep(desk: Desk) -> None:
    words = pa.array(["x", None, "x"]).dictionary_encode()
    nested = pa.StructArray.from_arrays([words, pa.array([[1], None, []], pa.large_list(pa.int8()))], ["word", "items"])
    views = pa.array(["a", "b", None], pa.string_view())
    table = pa.table({"d": words, "n": nested, "v": views}, metadata={"by": "me"})
    put(desk.base / "f.arrow", table, "lz4")
    survey = await desk.survey(desk.options("f.arrow"))
    plain = pa.struct([("word", pa.string()), ("items", pa.list_(pa.int8()))])
    assert survey.schema.equals(pa.schema([("d", pa.string()), ("n", plain), ("v", pa.string())]), check_metadata=True)
    assert (await desk.rows(desk.options("f.arrow")))[0] == {"d": "x", "n": {"word": "x", "items": [1]}, "v": "a"}


async def test_a_type_that_links_cannot_hold_is_refused_by_name(desk: Desk) -> None:
    union = pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])
    put(desk.base / "f.arrow", pa.table({"u": pa.ListArray.from_arrays([0, 1], union)}))
    with pytest.raises(SchemaMismatch, match=r"^f\.arrow: column u holds dense_union<.*>, which links cannot hold; cast it in the program"):
        await desk.survey(desk.options("f.arrow"))


async def test_declared_types_are_cast_to_and_misfits_named_by_row(desk: Desk) -> None:
    put(desk.base / "f.arrow", pa.table({"n": [1, 300]}))
    with pytest.raises(BadRow, match=r"^f\.arrow:2: column n: 300 is not int8"):
        await desk.batches(desk.options("f.arrow", schema={"n": "int8"}))


async def test_a_file_that_would_fill_memory_is_refused_before_it_does(desk: Desk) -> None:
    content = put(desk.base / "f.arrow", pa.table({"n": [0] * 100_000}), "zstd", rows=100_000)
    size = struct.pack("<q", 800_000)
    assert content.count(size) == 1, "the length of the only compressed buffer"
    desk.file("f.arrow", content.replace(size, struct.pack("<q", ARROW_MESSAGE_MAX_BYTES + 1)))
    with pytest.raises(DataFault) as raised:
        await desk.survey(desk.options("f.arrow"))
    assert str(raised.value) == (
        "f.arrow cannot be read as Arrow IPC: a record batch takes 1,073,741,825 bytes, and at most 1 GiB is read at once; "
        "write smaller ones (in pyarrow: write_table(table, max_chunksize=65536))"
    )


async def test_a_file_that_is_cut_short_is_refused_wherever_it_was_cut(desk: Desk) -> None:
    content = put(desk.base / "f.arrow", pa.table({"s": ["a", "b", "c"]}))
    for size_bytes in range(0, len(content) - 1, 7):
        desk.file("cut.arrow", content[:size_bytes])
        with pytest.raises(DataFault, match=r"^cut\.arrow "):
            await desk.batches(desk.options("cut.arrow"))


async def test_a_flipped_byte_is_an_error_or_another_value_but_never_a_crash(desk: Desk) -> None:
    content = put(desk.base / "f.arrow", pa.table({"s": ["a", "bb", None], "n": [[1], [2, 3], []]}), "lz4")
    places = range(0, len(content), 5)
    read = []
    for place in places:
        desk.file("odd.arrow", content[:place] + bytes([content[place] ^ 0x81]) + content[place + 1 :])
        with contextlib.suppress(DataFault):
            read.append(await desk.batches(desk.options("odd.arrow")))
    assert 0 < len(read) < len(places)
    assert all(batches[-1].final for batches in read)


def test_nulls_are_for_csv_only(desk: Desk) -> None:
    desk.file("f.feather", b"")
    options = desk.options("f.feather", nulls=("NA",))
    assert ADAPTER.check(options, Role.SOURCE) == ["f.feather: Arrow IPC has nulls of its own; nulls: is for CSV, so remove it"]


async def test_feather_version_1_is_refused_with_what_to_do(desk: Desk) -> None:
    desk.file("f.feather", b"FEA1....FEA1")
    with pytest.raises(DataFault, match=r"^f\.feather is Feather version 1, which is no Arrow IPC; write it anew with pandas"):
        await desk.survey(desk.options("f.feather"))


async def test_a_column_name_that_is_no_text_is_refused(desk: Desk) -> None:
    content = pa.schema([("name", pa.int64())]).serialize().to_pybytes()
    desk.file("f.arrows", content.replace(b"name", b"n\xffme"))
    with pytest.raises(DataFault, match=r"^f\.arrows: the name of a column is not UTF-8 \(b'n\\xffme'\); write it anew$"):
        await desk.survey(desk.options("f.arrows"))
