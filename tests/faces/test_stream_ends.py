"""Our ends of pipes: whatever goes in comes out, in whatever pieces, and nobody waits for ever."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.client.publishing import KnownSchema
from linkd.faces.files.formats import StreamFormat
from linkd.faces.files.stream_ends import Receiving, Sending, Stopped
from linkd.limits import PAGE_BYTES, RAW_PIECE_BYTES
from linkd.plugin.registry import installed_adapters


@pytest.fixture
def ends() -> Iterator[tuple[Sending, Receiving]]:
    out, into = os.pipe()
    pair = Sending(into), Receiving(out)
    yield pair
    for end in pair:
        end.close()


@given(parts=st.lists(st.binary(max_size=3 * PAGE_BYTES), max_size=8), piece=st.integers(1, 2 * PAGE_BYTES))
def test_what_is_sent_in_parts_is_received_in_pieces_of_any_size(parts: list[bytes], piece: int) -> None:
    out, into = os.pipe()
    sending, receiving = Sending(into, PAGE_BYTES), Receiving(out)

    def send() -> None:
        assert sending.send(parts)
        sending.close()

    thread = threading.Thread(target=send)
    thread.start()
    received = []
    while content := receiving.read(piece):
        received.append(content)
    thread.join()
    receiving.close()
    assert b"".join(received) == b"".join(parts)
    assert all(len(content) == piece for content in received[:-1])


def test_a_reader_that_is_gone_is_no_error(ends: tuple[Sending, Receiving]) -> None:
    sending, receiving = ends
    receiving.close()
    assert not sending.send((b"anything",))


def test_a_wait_ends_when_it_is_stopped(ends: tuple[Sending, Receiving]) -> None:
    sending, receiving = ends
    for end, work in ((receiving, lambda: receiving.read(1)), (sending, lambda: sending.send((bytes(8 << 20),)))):
        threading.Timer(0.01, end.stop).start()
        with pytest.raises(Stopped):
            work()


def test_raw_is_cut_into_values_in_order(ends: tuple[Sending, Receiving]) -> None:
    sending, receiving = ends
    content = bytes(RAW_PIECE_BYTES) + b"tail"

    def send() -> None:
        sending.send((content,))
        sending.close()

    thread = threading.Thread(target=send)
    thread.start()
    raw = StreamFormat("kept", "raw", True, "keep (stdout)", installed_adapters().named("file"), print)
    values: list[pa.RecordBatch] = list(raw.decoded(receiving, KnownSchema(), None, directory=None))  # type: ignore[arg-type]  # it needs none
    thread.join()
    assert [len(value.column(0)[0].as_py()) for value in values] == [RAW_PIECE_BYTES, 4]
    assert b"".join(value.column(0)[0].as_py() for value in values) == content
