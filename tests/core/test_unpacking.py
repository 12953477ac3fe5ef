"""What a decoded column takes is known before it is decoded."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.casts import plain_array
from linkd.core.unpacking import unpacked_bytes
from linkd.errors import InvalidArgument

texts = st.lists(st.none() | st.text(max_size=20), max_size=30)


@given(texts)
def test_texts_count_as_often_as_they_occur(values: list[str | None]) -> None:
    column = pa.array(values, pa.string()).dictionary_encode()
    told = unpacked_bytes(pa.record_batch([column], ["text"]))
    assert told == 4 * len(values) + sum(len(text.encode()) for text in values if text is not None)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1, 2, 1] * 100).dictionary_encode(),
        pa.array([True, False, None] * 100).dictionary_encode(),
        pa.array([b"ab", b"cd"] * 100, pa.binary(2)).dictionary_encode(),
        pa.StructArray.from_arrays([pa.array(["a", "bb"] * 50).dictionary_encode(), pa.array([1, 2] * 50)], ["s", "n"]),
        pa.ListArray.from_arrays([0, 1, 100], pa.array(["a", "bb"] * 50).dictionary_encode()),
        pa.array(["plain", "text"]),
    ],
)
def test_what_is_told_is_no_less_than_what_the_decoded_values_take(column: pa.Array) -> None:
    assert unpacked_bytes(pa.record_batch([column], ["c"])) >= plain_array(column).nbytes * 0.9 - 16


def test_dictionaries_of_what_has_parts_are_refused_with_the_remedy() -> None:
    lists = pa.DictionaryArray.from_arrays(pa.array([0, 0]), pa.array([[1, 2]]))
    with pytest.raises(InvalidArgument, match=r"send it decoded, column\.dictionary_decode\(\)"):
        unpacked_bytes(pa.record_batch([lists], ["c"]))
