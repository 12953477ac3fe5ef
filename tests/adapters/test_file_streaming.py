"""Rows as streams: what is written is read back, all at once, typed by itself, or in whatever pieces it comes."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from linkd_adapters.file.adapter import FileAdapter

from linkd.errors import InvalidArgument, SchemaMismatch
from linkd.plugin.contract import LinkOptions

ADAPTER = FileAdapter()
SCHEMA = pa.schema([("n", pa.int64()), ("text", pa.string())])
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=6)
ROWS = st.lists(st.fixed_dictionaries({"n": st.none() | st.integers(-(2**63), 2**63 - 1), "text": st.none() | TEXTS}), max_size=12)


def options(kind: str) -> LinkOptions:
    return LinkOptions("kept", "kept", Path(), format=kind, written="keep (stdout)")


def written(rows: list[dict[str, object]], kind: str) -> bytes:
    encoder = ADAPTER.row_encoder(options(kind), SCHEMA)
    return encoder.head() + encoder.rows(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
@given(rows=ROWS, cuts=st.lists(st.integers(0, 200), max_size=5))
def test_rows_survive_the_way_in_whatever_pieces(kind: str, rows: list[dict[str, object]], cuts: list[int]) -> None:
    text = written(rows, kind)
    whole = ADAPTER.row_decoder(options(kind)).typed(io.BytesIO(text).read, SCHEMA)
    assert [row for batch in whole for row in batch.to_pylist()] == rows
    decoder = ADAPTER.row_decoder(options(kind))
    pieces = [text[begin:end] for begin, end in pairwise([0, *sorted(min(cut, len(text)) for cut in cuts), len(text)])]
    fed = [batch for piece in pieces for batch in decoder.fed(piece, SCHEMA)] + decoder.fed_all(SCHEMA)
    assert [row for batch in fed for row in batch.to_pylist()] == rows


def test_what_was_spooled_is_typed_as_a_source_is() -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "spooled"
        path.write_bytes(b"n,day\n1,2013-01-01\n2.5,\n")
        found = ADAPTER.row_decoder(options("csv")).inferred(path)
        assert found.schema == pa.schema([("n", pa.float64()), ("day", pa.date32())])
        assert [batch.num_rows for batch in found.batches] == [2]


def test_a_format_without_streams_and_columns_that_it_cannot_hold_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="parquet has no streams"):
        ADAPTER.row_decoder(options("parquet"))
    with pytest.raises(SchemaMismatch, match=r"keep \(stdout\): column parts is .*, which CSV cannot hold"):
        ADAPTER.row_encoder(options("csv"), pa.schema([("parts", pa.list_(pa.int64()))]))
