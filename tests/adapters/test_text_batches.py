"""Blocks and batches: the same whatever the sizes of reads, and the same when reading was interrupted."""

from __future__ import annotations

import io

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkd_adapters.file.blocks import blocks
from linkd_adapters.file.csv_rows import Layout, text_rows, typed_rows
from linkd_adapters.file.position import FilePosition, position_in
from linkd_adapters.file.records import Grammar
from linkd_adapters.file.rows import Rows, fitted
from linkd_adapters.file.text_batches import cut, file_batch

from linkd.errors import BadRow

SCHEMA = pa.schema([("a", pa.int64()), ("b", pa.string())])
START = FilePosition("d" * 64, 0, 0, 0, 1)
CSV = Grammar()

line_ends = st.sampled_from(["\n", "\r\n", "\r", "\n\n"])
rows = st.sampled_from(["1,x", '2,"y\nz"', '"3","""q"""', ",", "4", "no,w", "5,a,b", '6,"u\r\nv,"', "7,e\0f"])
texts = st.lists(st.tuples(rows, line_ends), max_size=12).map(lambda parts: "".join(row + end for row, end in parts).encode())


def read(text: bytes, start: FilePosition, block_bytes: int) -> list[tuple[object, ...]]:
    stream = io.BytesIO(text)
    stream.seek(start.offset)
    found = []
    layout = Layout(tuple(SCHEMA.names), ())
    given_blocks = blocks(stream.read, CSV, "t.csv", start.line, start.offset, block_bytes=block_bytes)
    fitting = (typed_rows(block, layout, SCHEMA) for block in given_blocks)
    for parts, final in cut(fitting, rows_max=3, size_max_bytes=24):
        batch = file_batch(parts, final, SCHEMA, start.place)
        start = start.behind(batch, final=final)
        rejects = [(reject.line, reject.column, reject.reason, reject.text) for reject in batch.rejects]
        found.append((batch.data.to_pylist(), rejects, start.row, start.rejected, final, dict(batch.attributes), start))
    return found


def without_position(found: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return [batch[:-1] for batch in found]


@given(texts, st.integers(1, 30))
def test_batches_do_not_depend_on_how_the_file_is_read(text: bytes, block_bytes: int) -> None:
    assert without_position(read(text, START, block_bytes)) == without_position(read(text, START, 1 << 20))


@given(texts, st.integers(1, 30), st.integers(1, 30))
def test_reading_on_behind_any_batch_gives_the_others(text: bytes, before: int, after: int) -> None:
    found = read(text, START, before)
    for index, batch in enumerate(found[:-1]):
        position = batch[-1]
        assert isinstance(position, FilePosition)
        again = position_in("t.csv", START.digest, position.encode())
        assert without_position(read(text, again, after)) == without_position(found[index + 1 :])


@given(texts)
def test_a_batch_is_full_unless_it_is_the_last_or_its_next_row_would_not_fit(text: bytes) -> None:
    found = read(text, START, 1 << 20)
    counts = [batch[2] for batch in found]
    assert all(isinstance(count, int) and count <= 3 * (index + 1) for index, count in enumerate(counts))
    assert [batch[4] for batch in found] == [False] * (len(found) - 1) + [True]
    assert all(batch[0] or batch[1] for batch in found[:-1])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7])
def test_a_last_batch_is_never_empty_unless_the_file_is(count: int) -> None:
    found = read(b"1,x\n" * count, START, 1 << 20)
    sizes = [len(batch[0]) for batch in found if isinstance(batch[0], list)]
    assert sum(sizes) == count
    assert sizes[:-1] == [3] * (len(sizes) - 1)
    assert sizes[-1] > 0 or len(sizes) == 1


def test_a_row_longer_than_a_block_is_read_whole() -> None:
    long = "x" * 1_000
    assert read(f"1,{long}\n2,y\n".encode(), START, 7)[0][0] == [{"a": 1, "b": long}]


@pytest.mark.parametrize(
    ("text", "limit", "message"),
    [
        (b'1,x\n2,"y\n3,z\n', 1 << 20, "t.csv:2: the row that begins here never ends; is a quote left open at line 2?"),
        (b"1,x\n2," + b"y" * 3 * 2**20, 2 << 20, "t.csv:2: the row that begins here is longer than 2 MiB; is a quote left open at line 2?"),
    ],
)
def test_a_row_without_an_end_is_named_by_where_it_begins(text: bytes, limit: int, message: str) -> None:
    with pytest.raises(BadRow) as raised:
        list(blocks(io.BytesIO(text).read, CSV, "t.csv", 1, 0, row_max_bytes=limit))
    assert str(raised.value) == message


def test_rows_are_split_with_their_rejects() -> None:
    block = next(blocks(io.BytesIO(b"1,x\nno,y\n3\n4,z\n").read, CSV, "t.csv", 1, 0))
    whole: Rows = fitted(text_rows(block, Layout(("a", "b"), ())), SCHEMA)
    for row in range(whole.count + 1):
        left, right = whole.split(row)
        assert (left.count, right.count) == (row, 4 - row)
        assert left.data.to_pylist() + right.data.to_pylist() == [{"a": 1, "b": "x"}, {"a": 4, "b": "z"}]
        assert [reject.line for reject in (*left.rejects, *right.rejects)] == [2, 3]
        assert all(0 <= reject.row < right.count for reject in right.rejects)
