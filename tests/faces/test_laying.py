"""A message is laid however its publisher has cut it."""

from __future__ import annotations

from itertools import pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from linkd.core.payload import payload
from linkd.faces.laying import _message
from linkd.wire.arrow_ipc import PREFIX_BYTES, read_message

MESSAGE = bytes(payload(pa.record_batch({"n": list(range(100)), "s": ["x"] * 100}))[1])


@given(st.lists(st.integers(0, len(MESSAGE)), max_size=8))
def test_metadata_and_body_are_found_wherever_it_was_cut(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(MESSAGE)]
    message = _message([memoryview(MESSAGE)[start:end] for start, end in pairwise(bounds)])
    whole = read_message(MESSAGE)
    assert message is not None
    assert message.metadata == whole.metadata
    assert b"".join(message.body) == bytes(whole.body)
    assert message.body_bytes == len(whole.body)


@given(st.integers(0, len(MESSAGE)))
def test_what_ends_inside_its_metadata_is_not_laid(size_bytes: int) -> None:
    message = _message([MESSAGE[:size_bytes]])
    assert (message is None) == (size_bytes < PREFIX_BYTES + len(read_message(MESSAGE).metadata))
