"""What the messages of a stored Arrow file claim, against what Arrow makes of them."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.errors import InvalidArgument
from linkd.wire.arrow_file import ReadAt, stored_messages, stream_extent

tables = st.lists(st.lists(st.tuples(st.integers(-5, 5), st.sampled_from([None, "a", "bb"])), max_size=5), max_size=3)


def written(batches: list[list[tuple[int, str | None]]], *, is_file: bool, compression: str | None) -> bytes:
    schema = pa.schema([("n", pa.int64()), ("s", pa.dictionary(pa.int8(), pa.string()))])
    sink = pa.BufferOutputStream()
    new = pa.ipc.new_file if is_file else pa.ipc.new_stream
    with new(sink, schema, options=pa.ipc.IpcWriteOptions(compression=compression, unify_dictionaries=is_file)) as writer:
        rows = [{"n": n, "s": s} for batch in batches for n, s in batch]
        writer.write_table(pa.Table.from_pylist(rows, schema=schema), max_chunksize=3)
    return bytes(sink.getvalue())


def reading(content: bytes) -> ReadAt:
    return lambda offset, size_bytes: content[offset : offset + size_bytes]


@given(tables, st.booleans(), st.sampled_from([None, "lz4", "zstd"]))
def test_rows_are_counted_and_unpacked_sizes_told(
    batches: list[list[tuple[int, str | None]]], is_file: bool, compression: str | None
) -> None:
    content = written(batches, is_file=is_file, compression=compression)
    found = list(stored_messages(reading(content), *stream_extent(reading(content), len(content))))
    table = (pa.ipc.open_file if is_file else pa.ipc.open_stream)(content).read_all()
    assert sum(message.rows for message in found) == table.num_rows
    assert sum(message.unpacked_bytes for message in found) >= 8 * table.num_rows


@given(tables, st.booleans(), st.data())
def test_what_is_cut_short_is_refused_or_has_fewer_rows(
    batches: list[list[tuple[int, str | None]]], is_file: bool, data: st.DataObject
) -> None:
    content = written(batches, is_file=is_file, compression=None)
    cut = content[: data.draw(st.integers(1, len(content) - 1))]
    try:
        rows = sum(message.rows for message in stored_messages(reading(cut), *stream_extent(reading(cut), len(cut))))
    except InvalidArgument:
        return
    assert not is_file
    assert rows <= sum(map(len, batches))


@pytest.mark.parametrize("is_file", [True, False])
def test_damage_is_an_error_of_ours(is_file: bool) -> None:
    content = written([[(1, "a")] * 4], is_file=is_file, compression="lz4")
    refused = 0
    for place in range(len(content)):
        odd = content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
        try:
            list(stored_messages(reading(odd), *stream_extent(reading(odd), len(odd))))
        except InvalidArgument:
            refused += 1
    assert 0 < refused < len(content)
