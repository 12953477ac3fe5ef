"""Publishing over gRPC: every format, order and atomicity, refusals, and that nothing is left behind."""

from __future__ import annotations

import asyncio

import pytest
from raw_client import RawClient, Stream, arrow_message, arrow_table, rows_value, until, whole_value
from small_pipeline import Connect

from linkd.errors import Draining, Error, InvalidArgument, LinkNotFound, NotAllowed, SchemaMismatch, ValueTooLarge
from linkd.limits import STREAM_FRAME_MAX_BYTES, VALUE_SIZE_MAX_BYTES
from linkd.testing.home import InProcessHome
from linkd.wire import arrow_ipc, methods
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2


def chunked(link: str, schema: bytes, payload: bytes) -> list[pb.PublishRequest]:
    value = pb.PublishValue(
        link=link, format=value_pb2.ARROW, schema=schema, payload_bytes=len(payload), data=payload[:STREAM_FRAME_MAX_BYTES]
    )
    rest = range(STREAM_FRAME_MAX_BYTES, len(payload), STREAM_FRAME_MAX_BYTES)
    return [pb.PublishRequest(value=value), *(pb.PublishRequest(chunk=payload[at : at + STREAM_FRAME_MAX_BYTES]) for at in rest)]


async def acks_of(stream: Stream, *messages: pb.PublishRequest) -> list[pb.PublishResponse]:
    for message in messages:
        await stream.write(message)
    await stream.done_writing()
    acks = []
    while (ack := await stream.read()) is not None:
        acks.append(ack)
    return acks


async def test_rows_are_acked_with_position_durability_and_place(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    ack = await client.publish("events", {"n": 1, "text": "a"}, {"n": 2, "text": None})
    assert (ack.acked, ack.link, ack.rows, ack.generation) == (1, "events", 2, 1)
    assert (ack.first.incarnation, ack.first.sequence, ack.last.sequence) == (1, 1, 1)
    assert (ack.durability, ack.place) == (value_pb2.FSYNC, "home")
    [value] = await client.read("events")
    assert value.rows() == [{"n": 1, "text": "a"}, {"n": 2, "text": None}]
    assert value.envelope.id == ack.id
    assert len(ack.id) == 16


async def test_an_arrow_message_travels_as_it_is(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    schema, payload = arrow_message({"n": [1, 2, 3]})
    [ack] = await acks_of(client.stream(methods.PUBLISH), *chunked("events", schema, payload))
    assert ack.rows == 3
    [value] = await client.read("events", format=value_pb2.ARROW)
    assert arrow_table(value.header.schema, value.payload).to_pydict() == {"n": [1, 2, 3]}


async def test_a_value_of_20_mb_goes_and_comes_in_chunks(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    schema, payload = arrow_message({"n": list(range(2_500_000))})
    messages = chunked("events", schema, payload)
    assert len(messages) > 19
    [ack] = await acks_of(client.stream(methods.PUBLISH), *messages)
    assert ack.rows == 2_500_000
    stream = client.stream(methods.READ, pb.ReadRequest(link="events", format=value_pb2.ARROW))
    await stream.read()
    value = await whole_value(stream, await stream.read())
    assert arrow_table(value.header.schema, value.payload).equals(arrow_table(schema, payload))
    await until(lambda: open_home.is_idle)


async def test_a_whole_arrow_stream_is_as_many_values_as_it_has_batches(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    schema, first = arrow_message({"n": [1]})
    _, second = arrow_message({"n": [2]})
    content = b"".join((schema, first, second, arrow_ipc.EOS))
    [ack] = await acks_of(client.stream(methods.PUBLISH), *chunked("events", b"", content))
    assert (ack.acked, ack.rows, ack.first.sequence, ack.last.sequence) == (1, 2, 1, 2)
    assert await client.numbers("events") == [1, 2]


async def test_an_arrow_stream_without_a_batch_is_a_value_without_rows(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    schema, _ = arrow_message({"n": [1]})
    [ack] = await acks_of(client.stream(methods.PUBLISH), *chunked("events", b"", schema + arrow_ipc.EOS))
    assert (ack.rows, ack.last.sequence) == (0, 1)


async def test_opaque_bytes_come_back_as_they_went(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    value = pb.PublishValue(link="blobs", format=value_pb2.BYTES, payload_bytes=4, data=b"\x00\xff\n!")
    await acks_of(client.stream(methods.PUBLISH), pb.PublishRequest(value=value))
    [got] = await client.read("blobs", format=value_pb2.BYTES)
    assert got.payload == b"\x00\xff\n!"


async def test_columns_cannot_be_read_as_bytes(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await client.publish("events", {"n": 1})
    with pytest.raises(InvalidArgument, match="events@1 has columns"):
        await client.read("events", format=value_pb2.BYTES)


async def test_values_with_more_are_visible_together_with_the_last_across_links(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    stream = client.stream(methods.PUBLISH)
    await stream.write(rows_value("left", {"n": 1}, more=True))
    await stream.write(rows_value("right", {"n": 2}, more=True))
    await until(lambda: len(open_home.home.ledger.links) == 2)
    assert await client.numbers("left") == []
    [ack] = await acks_of(stream, rows_value("left", {"n": 3}))
    assert (ack.acked, ack.link, ack.first.sequence, ack.last.sequence) == (3, "left", 1, 2)
    assert (await client.numbers("left"), await client.numbers("right")) == ([1, 3], [2])


async def test_values_with_more_are_dropped_if_the_last_does_not_come(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    assert await acks_of(client.stream(methods.PUBLISH), rows_value("events", {"n": 1}, more=True)) == []
    assert await client.numbers("events") == []
    await until(lambda: open_home.is_idle)


async def test_acks_come_in_the_order_of_the_values(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    acks = await acks_of(client.stream(methods.PUBLISH), *(rows_value(f"link{n % 3}", {"n": n}) for n in range(60)))
    assert [(ack.acked, ack.link) for ack in acks] == [(n + 1, f"link{n % 3}") for n in range(60)]
    assert await client.numbers("link1") == list(range(1, 60, 3))


async def test_what_came_before_a_refused_value_is_acked(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    stream = client.stream(methods.PUBLISH)
    for n in range(20):
        await stream.write(rows_value("events", {"n": n}))
    await stream.write(rows_value("events", {"n": "twenty"}))
    acked = 0
    with pytest.raises(SchemaMismatch, match="n"):
        while (ack := await stream.read()) is not None:
            acked = ack.acked
    assert acked == 20
    assert await client.numbers("events") == list(range(20))
    await until(lambda: open_home.is_idle)


async def test_a_refused_publish_holds_no_memory(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await client.publish("events", {"n": 1})
    schema, payload = arrow_message({"n": ["text"] * 50_000})
    for _ in range(3):
        with pytest.raises(SchemaMismatch):
            await acks_of(client.stream(methods.PUBLISH), *chunked("events", schema, payload))
    await until(lambda: open_home.is_idle)


async def test_a_schema_widens_value_by_value_within_one_publish(open_home: InProcessHome, connect: Connect) -> None:
    """A column of which only nulls were seen gets its type from the first value that has one."""
    client = await connect(open_home)
    await client.publish("events", {"a": None, "b": None})
    await acks_of(
        client.stream(methods.PUBLISH), rows_value("events", {"a": 1, "b": None}, more=True), rows_value("events", {"a": 2, "b": "x"})
    )
    assert [row for value in await client.read("events") for row in value.rows()] == [
        {"a": None, "b": None},
        {"a": 1, "b": None},
        {"a": 2, "b": "x"},
    ]


async def test_two_first_values_of_different_schemas_at_once_both_count(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await asyncio.gather(*(client.publish("events", {"n": n if n % 2 else None}) for n in range(8)))
    numbers = await client.numbers("events")
    assert sorted(n for n in numbers if n is not None) == [1, 3, 5, 7]
    assert numbers.count(None) == 4


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (pb.PublishRequest(chunk=b"x"), InvalidArgument),
        (pb.PublishRequest(), InvalidArgument),
        (pb.PublishRequest(value=pb.PublishValue(link="events", payload_bytes=1, data=b"xx")), InvalidArgument),
        (pb.PublishRequest(value=pb.PublishValue(link="events", payload_bytes=2, data=b"x")), InvalidArgument),
        (pb.PublishRequest(value=pb.PublishValue(link="events", payload_bytes=VALUE_SIZE_MAX_BYTES * 2)), ValueTooLarge),
        (pb.PublishRequest(value=pb.PublishValue(link="events", format=99, payload_bytes=1, data=b"x")), InvalidArgument),  # type: ignore[arg-type]
        (pb.PublishRequest(value=pb.PublishValue(link="events", format=value_pb2.ARROW, payload_bytes=4, data=b"junk")), Error),
        (pb.PublishRequest(value=pb.PublishValue(link="events", format=value_pb2.ARROW)), Error),
        (pb.PublishRequest(value=pb.PublishValue(link="events", format=value_pb2.ROWS, payload_bytes=4, data=b"junk")), InvalidArgument),
        (pb.PublishRequest(value=pb.PublishValue(link="Bad Name", format=value_pb2.BYTES)), InvalidArgument),
        (pb.PublishRequest(value=pb.PublishValue(link="a" * 41, format=value_pb2.BYTES)), InvalidArgument),
    ],
)
async def test_nonsense_is_refused_and_leaves_nothing(
    open_home: InProcessHome, connect: Connect, message: pb.PublishRequest, error: type[Error]
) -> None:
    client = await connect(open_home)
    with pytest.raises(error) as caught:
        await acks_of(client.stream(methods.PUBLISH), message)
    assert caught.value.code != "internal"
    await until(lambda: open_home.is_idle)
    await client.publish("events", {"n": 1})


async def test_a_client_that_goes_away_in_the_middle_of_a_value_leaves_nothing(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    stream = client.stream(methods.PUBLISH)
    await stream.write(pb.PublishRequest(value=pb.PublishValue(link="events", payload_bytes=30_000_000, data=b"x" * 1000)))
    await until(lambda: open_home.home.memory.used_bytes == 30_000_000)
    stream.cancel()
    await until(lambda: open_home.is_idle)
    assert "events" not in open_home.home.ledger.links


async def test_clients_that_vanish_at_any_moment_leave_nothing(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    for turns in range(0, 40, 3):
        stream = client.stream(methods.PUBLISH)
        for n in range(5):
            await stream.write(rows_value("events", {"n": n}, more=n % 2 == 0))
        for _ in range(turns):
            await asyncio.sleep(0)
        stream.cancel()
    await until(lambda: open_home.is_idle)
    sequences = [value.sequence for value in await client.read("events")]
    assert sequences == list(range(1, len(sequences) + 1))


async def test_values_wait_for_memory_and_all_get_it(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    open_home.home.memory.size_bytes = 3_000_000
    schema, payload = arrow_message({"n": list(range(300_000))})
    await asyncio.gather(*(acks_of(client.stream(methods.PUBLISH), *chunked(f"link{n}", schema, payload)) for n in range(5)))
    assert open_home.home.memory.used_bytes == 0


async def test_an_idle_stream_does_not_hold_up_a_drain(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    stream = client.stream(methods.PUBLISH)
    await stream.write(rows_value("events", {"n": 1}))
    await stream.read()
    open_home.home.stop_sessions()
    with pytest.raises(Draining):
        await stream.read()
    await until(lambda: open_home.is_idle)


async def test_attributes_travel_and_are_bounded(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await acks_of(client.stream(methods.PUBLISH), rows_value("events", {"n": 1}, attributes={"origin": "test"}))
    [value] = await client.read("events")
    assert dict(value.envelope.attributes) == {"origin": "test"}
    with pytest.raises(InvalidArgument, match="attributes"):
        await acks_of(client.stream(methods.PUBLISH), rows_value("events", {"n": 1}, attributes={str(n): "" for n in range(65)}))


async def test_a_sealed_link_is_reopened_by_the_next_publish_under_open(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await client.publish("events", {"n": 1})
    first = await client.call(methods.SEAL, pb.SealRequest(link="events"))
    again = await client.call(methods.SEAL, pb.SealRequest(link="events"))
    assert first == again
    assert (first.generation, first.last_sequence) == (1, 1)
    ack = await client.publish("events", {"n": 2})
    assert (ack.generation, ack.first.sequence) == (1, 2)
    assert (await client.describe("events")).links[0].current.state == "growing"


async def test_sealing_what_is_not_there_is_refused(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    with pytest.raises(LinkNotFound):
        await client.call(methods.SEAL, pb.SealRequest(link="events"))


async def test_outsiders_append_to_open_links_only(home: InProcessHome, connect: Connect) -> None:
    client: RawClient = await connect(home)
    await client.publish("numbers", {"n": 1})
    for link in ("doubled", "names", "total"):
        with pytest.raises(NotAllowed):
            await client.publish(link, {"n": 1})
    with pytest.raises(LinkNotFound, match="nummbers"):
        await client.publish("nummbers", {"n": 1})
