"""The short path of a publish: what goes by it is the same in the end, and whatever is unusual does not go by it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import xxhash
from lane_writer import LaneWriter, lane_of, numbers, small_home
from raw_client import arrow_message, until
from small_pipeline import Connect

import linkd.aio
from linkd.errors import InvalidArgument
from linkd.home.at_once import AtOnce
from linkd.home.intake import ARROW, BYTES, ROWS, Incoming, Target, discard, prepare
from linkd.limits import HASHED_ON_LOOP_MAX_BYTES, INLINE_PAYLOAD_MAX_BYTES
from linkd.model.values import Producer
from linkd.store.placed_payload import PlacedPayload
from linkd.testing.home import InProcessHome
from linkd.wire.opaque import OPAQUE_SCHEMA_ID, OPAQUE_SCHEMA_MESSAGE, opaque_message
from linkd.wire.v1 import value_pb2

MESSAGE = opaque_message((b"abc",))
VALUE = Incoming("blobs", ARROW, (MESSAGE,), OPAQUE_SCHEMA_MESSAGE, producer=Producer("~me", 1, 2))


async def at_once(home: InProcessHome) -> AtOnce:
    """With a link of bytes to which `~me` has published once."""
    async with linkd.aio.connect(home.endpoint) as client:
        await client.publish("blobs", b"abc")
        await client.publish("rows", [{"a": 1}])
    known = home.home.ledger.producers.known
    mine = known[next(iter(known))]
    known["~me"] = replace(mine, id="~me", last_sequence=1)
    return AtOnce(home.home, allowed={"blobs", "rows"})


async def test_values_by_the_short_path_are_like_those_by_the_general_one(open_home: InProcessHome) -> None:
    async with linkd.aio.connect(open_home.endpoint) as client:
        acks = [await client.publish("blobs", b"abc") for _ in range(3)]
        values = [value async for value in client.read("blobs")]
    assert [ack.position.sequence for ack in acks] == [1, 2, 3]
    assert [value.bytes() for value in values] == [b"abc"] * 3
    first, *others = (replace(value.envelope, id=b"", created_at_ns=0, traceparent="") for value in values)
    for number, other in enumerate(others, 2):
        there = replace(first.position, sequence=number)
        assert other == replace(first, position=there, producer=replace(first.producer, sequence=number))


async def test_bytes_of_another_client_are_made_arrow_and_known_by_what_was_sent(open_home: InProcessHome) -> None:
    path = await at_once(open_home)
    as_arrow, as_bytes = path.prepare(VALUE), path.prepare(replace(VALUE, form=BYTES, parts=(b"abc",), schema=b""))
    assert as_arrow is not None
    assert as_bytes is not None
    assert (as_arrow[0].draft, as_arrow[0].payload.message()) == (as_bytes[0].draft, as_bytes[0].payload.message())
    assert as_arrow[1].request_xxh3 != as_bytes[1].request_xxh3


@pytest.mark.parametrize("size_bytes", [10, INLINE_PAYLOAD_MAX_BYTES + 1, HASHED_ON_LOOP_MAX_BYTES + 1])
async def test_bytes_of_any_size_become_the_same_message_whoever_makes_it_of_them(open_home: InProcessHome, size_bytes: int) -> None:
    content = bytes(range(256)) * (size_bytes // 256) + bytes(size_bytes % 256)
    message = opaque_message((content,))
    half = size_bytes // 2
    as_bytes = Incoming("blobs", BYTES, (content[:half], content[half:]))
    as_arrow = Incoming("blobs", ARROW, (message[:half], message[half:]), OPAQUE_SCHEMA_MESSAGE)
    for incoming in (as_bytes, as_arrow):
        for target in (Target(), Target(OPAQUE_SCHEMA_ID, OPAQUE_SCHEMA_MESSAGE)):
            [prepared] = await prepare(open_home.home, incoming, target)
            assert (prepared.draft.schema_id, prepared.draft.rows) == (OPAQUE_SCHEMA_ID, 1)
            assert prepared.draft.payload_xxh3 == xxhash.xxh3_64_intdigest(message)
            assert prepared.payload.message() == message
            discard([prepared])


async def test_whatever_is_unusual_takes_the_general_way(open_home: InProcessHome) -> None:
    path = await at_once(open_home)
    large = opaque_message((bytes(INLINE_PAYLOAD_MAX_BYTES),))
    unusual = [
        replace(VALUE, link="never"),
        replace(VALUE, link="rows"),
        replace(VALUE, form=ROWS, parts=(b'{"bytes": "YQ=="}',)),
        replace(VALUE, attributes={"a": "b"}),
        replace(VALUE, parts=(MESSAGE[:16], MESSAGE[16:])),
        replace(VALUE, parts=(large,)),
        replace(VALUE, schema=b""),
        replace(VALUE, producer=Producer("~me", 1, 1)),
        replace(VALUE, producer=Producer("~me", 1, 3)),
        replace(VALUE, producer=Producer("~me", 2, 2)),
        replace(VALUE, producer=Producer("~nobody", 1, 1)),
    ]
    assert [path.prepare(incoming) for incoming in unusual] == [None] * len(unusual)
    assert path.prepare(VALUE) is not None
    assert path.prepare(replace(VALUE, producer=Producer())) is not None


async def test_a_damaged_message_is_refused_as_everywhere(open_home: InProcessHome) -> None:
    path = await at_once(open_home)
    for damaged in (MESSAGE[:-8], MESSAGE + bytes(8), MESSAGE[:8] + b"\xff" + MESSAGE[9:]):
        with pytest.raises(InvalidArgument):
            path.prepare(replace(VALUE, parts=(damaged,)))


async def test_where_a_value_lies_is_looked_at_only_if_nothing_else_is_unusual(open_home: InProcessHome) -> None:
    path = await at_once(open_home)
    value = replace(VALUE, parts=())
    asked: list[str] = []

    def nowhere() -> PlacedPayload:
        asked.append("asked")
        raise InvalidArgument("it lies nowhere")

    unusual = [{"link": "never"}, {"schema": b""}, {"form": BYTES}, {"attributes": {"a": "b"}}, {"producer": Producer("~me", 1, 3)}]
    assert [path.publish(replace(value, **changes), nowhere) for changes in unusual] == [None] * len(unusual)
    assert not asked
    with pytest.raises(InvalidArgument, match="it lies nowhere"):
        path.publish(value, nowhere)


async def test_values_that_lie_where_they_stay_are_the_same_by_the_short_path(tmp_path: Path) -> None:
    async with small_home(tmp_path / "state") as home, lane_of(home) as channel, linkd.aio.connect(home.endpoint) as client:
        await client.publish("events", [{"n": 0}])
        writer = LaneWriter(channel, "events")
        await writer.reserve(numbers(1))
        _, message = arrow_message(numbers(1))
        for told in ({"schema": writer.schema}, {"schema": b""}, {"schema": b"", "attributes": {"a": "b"}}):
            placed = writer.lay(numbers(1))
            placed.xxh3 = xxhash.xxh3_64_intdigest(message)
            await writer.publish(placed, **told)
        with pytest.raises(InvalidArgument, match="must lie"):
            await writer.publish(placed, schema=b"")
        first, *others = [value async for value in client.read("events", first=2)]
        for number, other in enumerate(others, 3):
            assert other.to_table().equals(first.to_table())
            alike = replace(first.envelope, position=replace(first.envelope.position, sequence=number))
            for unlike in ("id", "created_at_ns", "attributes", "traceparent"):
                alike = replace(alike, **{unlike: getattr(other.envelope, unlike)})
            assert other.envelope == alike
        del first, others, other
    await until(lambda: home.is_idle)


async def test_a_reader_of_bytes_is_told_of_a_value_of_many_rows(open_home: InProcessHome, connect: Connect) -> None:
    async with linkd.aio.connect(open_home.endpoint) as client, client.publisher("blobs") as blobs:
        blobs.send_nowait(b"one")
        blobs.send_nowait(b"two")
    other = await connect(open_home)
    with pytest.raises(InvalidArgument, match="blobs@1 has 2 rows of opaque bytes, gathered by a publisher: ask for it as ARROW or ROWS"):
        await other.read("blobs", format=value_pb2.BYTES)
