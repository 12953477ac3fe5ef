"""What is sound: exactly what Arrow's own full validation takes."""

from __future__ import annotations

import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.sound_columns import check_columns
from linkd.limits import TEXT_LOOKED_AT_BYTES

LONG = b"twelve chars" * (TEXT_LOOKED_AT_BYTES // 12 + 1)


def texts(offsets: list[int], characters: bytes, nulls: bytes | None = None) -> pa.RecordBatch:
    """A column of texts, sound or not."""
    where = pa.py_buffer(struct.pack(f"<{len(offsets)}i", *offsets))
    validity = pa.py_buffer(nulls) if nulls is not None else None
    column = pa.StringArray.from_buffers(len(offsets) - 1, where, pa.py_buffer(characters), validity)
    return pa.RecordBatch.from_arrays([column], ["s"])


def is_refused(batch: pa.RecordBatch, *, by_arrow: bool) -> bool:
    try:
        batch.validate(full=True) if by_arrow else check_columns(batch)
    except pa.ArrowInvalid:
        return True
    return False


@given(
    st.lists(st.one_of(st.integers(0, len(LONG)), st.integers(-(2**31), 2**31 - 1)), min_size=1, max_size=6),
    st.booleans(),
    st.sampled_from([b"", "é".encode(), b"\xff"]),
    st.booleans(),
)
def test_it_takes_what_arrow_takes_and_refuses_what_arrow_refuses(inner: list[int], ordered: bool, odd: bytes, with_null: bool) -> None:
    offsets = [0, *(sorted(inner) if ordered else inner)]
    try:
        batch = texts(offsets, odd + LONG, b"\xfe" if with_null else None)
    except pa.ArrowInvalid:  # not even made by Arrow
        return
    assert is_refused(batch, by_arrow=False) == is_refused(batch, by_arrow=True)


def test_a_text_that_is_cut_inside_a_character_is_refused_however_long_the_column_is() -> None:
    characters = LONG + "é".encode()
    check_columns(texts([0, len(LONG), len(characters)], characters))
    with pytest.raises(pa.ArrowInvalid):
        check_columns(texts([0, len(LONG) + 1, len(characters)], characters))


@pytest.mark.parametrize("at", [0, TEXT_LOOKED_AT_BYTES - 1, TEXT_LOOKED_AT_BYTES, len(LONG)])
def test_a_byte_that_is_no_character_is_found_wherever_it_lies(at: int) -> None:
    characters = LONG[:at] + b"\xff" + LONG[at:]
    with pytest.raises(pa.ArrowInvalid):
        check_columns(texts([0, len(characters)], characters))


def test_other_columns_are_looked_at_as_before() -> None:
    check_columns(pa.record_batch({"n": [1, None], "s": ["a", None], "b": [b"\xff", b""], "l": [["a"], []]}))
    inner = pa.StringArray.from_buffers(1, pa.py_buffer(struct.pack("<2i", 0, 1)), pa.py_buffer(b"\xff"))
    nested = pa.ListArray.from_arrays(pa.array([0, 1], pa.int32()), inner)
    with pytest.raises(pa.ArrowInvalid):
        check_columns(pa.RecordBatch.from_arrays([nested], ["l"]))
