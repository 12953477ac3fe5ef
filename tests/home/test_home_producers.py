"""Numbered publishes over gRPC: repeated ones happen once, over restarts too; named producers fence each other."""

from __future__ import annotations

import asyncio

import pytest
from raw_client import RawClient, arrow_message
from small_pipeline import Connect

from linkd.errors import Conflict, InvalidArgument, NotAllowed, ProducerFenced, ProducerForgotten, ProducerSetBack
from linkd.telemetry.events import ProducerRefused, PublishRepeated
from linkd.testing.home import InProcessHome
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2

SCHEMA, ONE = arrow_message({"n": [1]})
_, TWO = arrow_message({"n": [2, 3]})


def numbered(
    sequence: int, payload: bytes = ONE, *, name: str = "~one", epoch: int = 1, link: str = "events", more: bool = False
) -> pb.PublishRequest:
    value = pb.PublishValue(
        link=link,
        format=value_pb2.ARROW,
        schema=SCHEMA,
        payload_bytes=len(payload),
        data=payload,
        more=more,
        producer=value_pb2.Producer(id=name, epoch=epoch, sequence=sequence),
    )
    return pb.PublishRequest(value=value)


async def acks_of(client: RawClient, *messages: pb.PublishRequest) -> list[pb.PublishResponse]:
    """Of one stream, that ends behind them."""
    stream = client.stream(methods.PUBLISH)
    for message in messages:
        await stream.write(message)
    await stream.done_writing()
    acks = []
    while (ack := await stream.read()) is not None:
        acks.append(ack)
    return acks


async def test_a_publish_that_comes_again_is_answered_as_it_was(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    first, second = await acks_of(client, numbered(1), numbered(2, TWO))
    again = await acks_of(client, numbered(1), numbered(2, TWO), numbered(3))
    assert [(ack.first.sequence, ack.rows, ack.id, ack.repeated) for ack in again[:2]] == [
        (1, 1, first.id, True),
        (2, 2, second.id, True),
    ]
    assert (again[2].first.sequence, again[2].repeated, again[2].acked) == (3, False, 3)
    assert await client.numbers("events") == [1, 2, 3, 1]


async def test_a_repeat_is_recognised_behind_a_seal_and_a_restart(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await acks_of(client, numbered(1, more=True), numbered(1, TWO))
    await client.call(methods.SEAL, pb.SealRequest(link="events"))
    await open_home.restart(crash=True)
    again = await connect(open_home)
    await again.publish("events", {"n": 4})
    [ack] = await acks_of(again, numbered(1, more=True), numbered(1, TWO))
    assert (ack.repeated, ack.acked, ack.first.sequence, ack.last.sequence, ack.rows) == (True, 2, 1, 2, 3)
    assert len([event for event in open_home.events.heard if isinstance(event, PublishRepeated)]) == 1


async def test_the_same_publish_over_several_connections_at_once_happens_once(open_home: InProcessHome, connect: Connect) -> None:
    clients = [await connect(open_home) for _ in range(6)]
    answers = await asyncio.gather(*(acks_of(client, numbered(1), numbered(2, TWO)) for client in clients))
    assert {tuple(ack.first.sequence for ack in acks) for acks in answers} == {(1, 2)}
    assert [sum(not acks[index].repeated for acks in answers) for index in (0, 1)] == [1, 1]
    assert await clients[0].numbers("events") == [1, 2, 3]


async def test_other_content_under_a_number_is_a_conflict_and_told(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await acks_of(client, numbered(1))
    with pytest.raises(Conflict, match=r"publish 1 again with other content: .* events@1 was stored"):
        await acks_of(client, numbered(1, TWO))
    with pytest.raises(Conflict):
        await acks_of(client, numbered(1, more=True), numbered(1))
    assert await client.numbers("events") == [1]
    assert [event.reason for event in open_home.events.heard if isinstance(event, ProducerRefused)] == ["conflict", "conflict"]


async def test_a_gap_and_a_stranger_are_refused(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await acks_of(client, numbered(1))
    with pytest.raises(ProducerSetBack, match="sent its publish 4, and its last one was 1"):
        await acks_of(client, numbered(4))
    with pytest.raises(ProducerForgotten):
        await acks_of(client, numbered(2, name="~other"))
    with pytest.raises(ProducerForgotten, match="open it again"):
        await acks_of(client, numbered(1, name="sensor-7"))


async def test_a_refused_publish_leaves_its_number_to_the_next(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await acks_of(client, numbered(1))
    bad = numbered(2)
    bad.value.attributes.update({f"a{n}": "" for n in range(100)})
    with pytest.raises(InvalidArgument, match="attributes"):
        await acks_of(client, bad)
    [ack] = await acks_of(client, numbered(2))
    assert (ack.repeated, ack.first.sequence) == (False, 2)


async def test_a_publish_is_of_one_producer_and_one_link(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    with pytest.raises(InvalidArgument, match="all values of a publish have the same producer"):
        await acks_of(client, numbered(1, more=True), numbered(2))
    with pytest.raises(InvalidArgument, match="goes to one link"):
        await acks_of(client, numbered(1, more=True), numbered(1, link="others"))
    with pytest.raises(InvalidArgument, match="cannot be the name of a producer"):
        await acks_of(client, numbered(1, name="no name"))


async def test_opening_a_name_fences_the_one_before(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    first = await client.call(methods.OPEN_PRODUCER, pb.OpenProducerRequest(id="sensor-7"))
    assert (first.epoch, first.next_sequence) == (1, 1)
    await acks_of(client, numbered(1, name="sensor-7"))
    await open_home.restart()
    client = await connect(open_home)
    second = await client.call(methods.OPEN_PRODUCER, pb.OpenProducerRequest(id="sensor-7"))
    assert (second.epoch, second.next_sequence) == (2, 2)
    with pytest.raises(ProducerFenced, match="opened by another program"):
        await acks_of(client, numbered(2, name="sensor-7", epoch=1))
    [ack] = await acks_of(client, numbered(2, name="sensor-7", epoch=2))
    assert ack.first.sequence == 2
    with pytest.raises(InvalidArgument, match="cannot be the name of a producer"):
        await client.call(methods.OPEN_PRODUCER, pb.OpenProducerRequest(id="~one"))


async def test_tasks_have_no_producers(home: InProcessHome, connect: Connect) -> None:
    client = await connect(home, "double")
    with pytest.raises(NotAllowed, match="whose commits happen once without a producer"):
        await client.call(methods.OPEN_PRODUCER, pb.OpenProducerRequest(id="sensor-7"))
