"""Cutting payloads into messages and putting them together again are inverse, and no message is too large."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkd.client.payloads import Assembler, Payload, Publish, publish_messages
from linkd.errors import InternalFault
from linkd.limits import GRPC_MESSAGE_MAX_BYTES, STREAM_FRAME_MAX_BYTES
from linkd.wire.messages import ARROW
from linkd.wire.v1 import value_pb2 as pb


def _payload(size_bytes: int, schema: bytes = b"s") -> Payload:
    content = bytes(number % 251 for number in range(256)) * (size_bytes // 256 + 1)
    return Payload(ARROW, 1, size_bytes, lambda: (content[: size_bytes // 3], content[size_bytes // 3 : size_bytes]), schema)


@pytest.mark.parametrize("size_bytes", [0, 1, STREAM_FRAME_MAX_BYTES, STREAM_FRAME_MAX_BYTES + 1, 3 * STREAM_FRAME_MAX_BYTES + 17])
def test_a_published_value_is_its_messages_one_behind_the_other(size_bytes: int) -> None:
    payload = _payload(size_bytes)
    messages = list(publish_messages(Publish("flown", (payload,)), {}))
    assert messages[0].value.payload_bytes == size_bytes
    assert b"".join([messages[0].value.data, *(message.chunk for message in messages[1:])]) == b"".join(payload.content())
    assert len(messages) == 1 + size_bytes // STREAM_FRAME_MAX_BYTES, "what is left over by full chunks goes with the header"
    assert all(len(message.SerializeToString()) <= GRPC_MESSAGE_MAX_BYTES // 2 for message in messages)


def test_values_of_one_publish_say_that_more_follows_and_name_the_schema_once() -> None:
    sent: dict[str, bytes] = {}
    headers = [message.value for message in publish_messages(Publish("flown", (_payload(1), _payload(2), _payload(3))), sent)]
    assert [header.more for header in headers] == [True, True, False]
    assert [header.schema for header in headers] == [b"s", b"", b""]
    later = [message.value.schema for message in publish_messages(Publish("flown", (_payload(1), _payload(1, b"t"))), sent)]
    assert later == [b"", b"t"]


def test_only_values_for_a_commit_are_staged() -> None:
    [plain] = publish_messages(Publish("flown", (_payload(1),)), {})
    [staged] = publish_messages(Publish("flown", (_payload(1),), snapshot_id=b"id", token=7), {})
    assert not plain.value.HasField("stage")
    assert (staged.value.stage.snapshot_id, staged.value.stage.token) == (b"id", 7)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.binary(max_size=40), st.integers(1, 9)), max_size=8))
def test_an_assembler_gives_every_value_whole_and_with_the_schema_of_its_link(values: list[tuple[str, bytes, int]]) -> None:
    assembler = Assembler()
    told: set[str] = set()
    for link, content, cut in values:
        header = pb.Value(
            envelope=pb.Envelope(link=link),
            payload_bytes=len(content),
            data=content[:cut],
            schema=b"" if link in told else link.encode(),
        )
        told.add(link)
        arrived = assembler.value(header)
        for start in range(cut, len(content), cut):
            assert arrived is None
            arrived = assembler.chunk(content[start : start + cut])
        assert arrived is not None
        assert (arrived.payload, arrived.schema) == (content, link.encode())


def test_bytes_that_belong_to_no_value_are_a_defect() -> None:
    with pytest.raises(InternalFault, match="belong to no value"):
        Assembler().chunk(b"x")
    assembler = Assembler()
    assembler.value(pb.Value(payload_bytes=5))
    with pytest.raises(InternalFault, match="before the one before it was complete"):
        assembler.value(pb.Value(payload_bytes=1))
    with pytest.raises(InternalFault, match="more payload bytes than it had announced"):
        assembler.chunk(b"123456")
