from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from linkd.wire.chunks import ChunkMessage, chunk_in
from linkd.wire.v1 import links_pb2 as pb

STREAMED = (pb.PublishRequest, pb.SubscribeResponse, pb.SnapshotsResponse, pb.ReadResponse)


@pytest.mark.parametrize("kind", STREAMED)
@given(st.binary(max_size=300))
@example(b"x" * 127)
@example(b"x" * 128)
@example(b"x" * 20_000)
def test_a_chunk_is_what_protobuf_makes_of_it(kind: type[pb.PublishRequest], data: bytes) -> None:
    for parts in ((memoryview(data),), (data[:5], memoryview(data)[5:])):
        assert ChunkMessage(kind, parts).SerializeToString() == kind(chunk=data).SerializeToString()
    came = chunk_in(kind, kind(chunk=data).SerializeToString())
    assert came is not None
    assert (came.WhichOneof("message"), bytes(came.chunk)) == ("chunk", data)


@pytest.mark.parametrize("kind", STREAMED)
@given(st.binary(max_size=300))
def test_whatever_is_taken_for_a_chunk_protobuf_takes_for_the_same(kind: type[pb.PublishRequest], data: bytes) -> None:
    came = chunk_in(kind, data)
    if came is not None:
        assert kind.FromString(data).chunk == bytes(came.chunk)


def test_all_else_is_left_to_protobuf() -> None:
    whole = pb.PublishRequest(chunk=b"abc").SerializeToString()
    for other in (b"", whole[:-1], whole + b"\x08\x01", pb.PublishRequest(value=pb.PublishValue(link="a")).SerializeToString()):
        assert chunk_in(pb.PublishRequest, other) is None
    assert chunk_in(pb.PublishResponse, b"\x12\x01a") is None, "a class without chunks"
