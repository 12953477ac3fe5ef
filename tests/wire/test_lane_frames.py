"""Frames of the lane: whole whatever pieces they come in, and refused where they are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.errors import InvalidArgument
from linkd.limits import GRPC_MESSAGE_MAX_BYTES, LANE_READ_BYTES
from linkd.wire.lane import HEAD, Content, FrameKind, FrameReader, frame, head

KINDS = st.sampled_from(list(FrameKind))
FRAMES = st.lists(st.tuples(KINDS, st.binary(max_size=200)), max_size=20)


@given(FRAMES, st.data())
def test_frames_come_out_as_they_went_in_whatever_the_pieces(frames: list[tuple[FrameKind, bytes]], data: st.DataObject) -> None:
    stream = b"".join(frame(kind, content) for kind, content in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    reader = FrameReader()
    got: list[tuple[FrameKind, Content]] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += reader.feed(stream[start:end])
    assert got == frames
    assert reader.waiting_bytes == 0


@given(
    st.lists(
        st.tuples(KINDS, st.sampled_from([0, 1, 100, LANE_READ_BYTES - 9, LANE_READ_BYTES - 8, LANE_READ_BYTES - 7, 50_000])), max_size=9
    ),
    st.lists(st.integers(1, 40_000), min_size=1, max_size=9),
)
def test_a_socket_may_fill_as_much_of_the_room_as_it_likes(sizes: list[tuple[FrameKind, int]], reads: list[int]) -> None:
    frames = [(kind, bytes([number]) * size) for number, (kind, size) in enumerate(sizes)]
    stream = memoryview(b"".join(frame(kind, content) for kind, content in frames))
    reader = FrameReader()
    got: list[tuple[FrameKind, Content]] = []
    while stream:
        room = reader.room()
        count = min(reads[len(stream) % len(reads)], len(room), len(stream))
        assert count > 0
        room[:count], stream = stream[:count], stream[count:]
        got += reader.filled(count)
    assert got == frames, "content that was given stays what it was when more comes"
    assert reader.waiting_bytes == 0


def test_a_large_frame_comes_into_memory_of_its_own() -> None:
    reader = FrameReader()
    [*before] = reader.feed(frame(FrameKind.MESSAGE, b"small") + head(FrameKind.MESSAGE, 1_000_000) + b"x")
    assert before == [(FrameKind.MESSAGE, b"small")]
    room = reader.room()
    assert (len(room), reader.waiting_bytes) == (999_999, HEAD.size + 1)
    room[:] = bytes(len(room))
    [(_, content)] = reader.filled(len(room))
    assert isinstance(content, memoryview)
    assert content.obj is room.obj
    assert content[0] == ord("x")


@given(st.binary(min_size=1, max_size=300))
def test_whatever_comes_is_frames_or_refused_and_never_more_than_came(garbage: bytes) -> None:
    reader = FrameReader()
    try:
        got = list(reader.feed(garbage))
    except InvalidArgument:
        return
    assert sum(HEAD.size + len(content) for _, content in got) + reader.waiting_bytes == len(garbage)


def test_a_frame_that_says_it_is_larger_than_may_be_is_refused_at_its_head() -> None:
    with pytest.raises(InvalidArgument, match="4,194,305 bytes; at most 4,194,304"):
        list(FrameReader().feed(head(FrameKind.MESSAGE, GRPC_MESSAGE_MAX_BYTES + 1)))


@pytest.mark.parametrize("wrong", [b"GET / HT", bytes(8), b"\x00\x00\x00\x00\x02\x01\x00\x00", b"\x00\x00\x00\x00\x07\x00\x00\x00"])
def test_what_is_no_frame_is_refused(wrong: bytes) -> None:
    with pytest.raises(InvalidArgument, match="is no frame of it"):
        list(FrameReader().feed(wrong))
