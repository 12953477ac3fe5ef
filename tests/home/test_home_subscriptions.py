"""Consumer groups over gRPC: order, leases, acks and nacks, credit, members that come and go, ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from raw_client import RawClient, ack, nack, next_snapshot, next_value, send_ack, until
from small_pipeline import Connect

from linkd.errors import Draining, GenerationAbandoned, InvalidArgument, LeaseLost, LinkNotFound
from linkd.testing.clock import FakeClock
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2


async def fill(client: RawClient, count: int, link: str = "events") -> None:
    for n in range(1, count + 1):
        await client.publish(link, {"n": n})


async def seal(client: RawClient, link: str = "events") -> None:
    await client.call(methods.SEAL, pb.SealRequest(link=link))


async def test_values_come_in_order_and_end_behind_the_last_ack(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 5)
    await seal(client)
    stream = await client.subscribe("events")
    values = [await next_value(stream) for _ in range(5)]
    assert [value.rows()[0]["n"] for value in values if value] == [1, 2, 3, 4, 5]
    for value in values:
        assert value is not None
        await send_ack(stream, value)
    kinds = []
    while (message := await stream.read()) is not None:
        kinds.append(message.WhichOneof("message"))
    assert kinds == ["ack_done"] * 5 + ["end"]


async def test_a_new_group_waits_for_a_link_that_has_nothing_yet(home: InProcessHome, connect: Connect) -> None:
    client = await connect(home)
    stream = client.stream(methods.SUBSCRIBE)
    await stream.write(pb.SubscribeRequest(open=pb.SubscribeOpen(link="numbers", group="g", format=value_pb2.ROWS)))
    await until(lambda: bool(home.home.changes._watches))
    await client.publish("numbers", {"n": 7})
    assert (await stream.read()).opened.generation == 1
    value = await next_value(stream)
    assert value is not None
    assert value.rows() == [{"n": 7}]


async def test_an_acked_value_does_not_come_again_and_others_do(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 3)
    stream = await client.subscribe("events")
    first, second, _ = [await next_value(stream) for _ in range(3)]
    assert first
    assert second
    await ack(stream, second)
    stream.cancel()
    await until(lambda: not open_home.tasks_of_calls())
    again = await client.subscribe("events")
    came = [await next_value(again) for _ in range(2)]
    assert [(value.sequence, value.header.attempt) for value in came if value] == [(1, 2), (3, 2)]


async def test_two_members_share_and_one_takes_over_what_the_other_leaves(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 6)
    await seal(client)
    left = await client.subscribe("events", credit_bytes=1, order="none")
    right = await client.subscribe("events", credit_bytes=1)
    of_left, of_right = await next_value(left), await next_value(right)
    assert of_left
    assert of_right
    assert {of_left.sequence, of_right.sequence} == {1, 2}
    both = len(open_home.tasks_of_calls())
    left.cancel()
    await until(lambda: len(open_home.tasks_of_calls()) < both)
    await send_ack(right, of_right)
    seen = [of_right.sequence]
    while (value := await next_value(right)) is not None:
        seen.append(value.sequence)
        await send_ack(right, value)
    assert sorted(seen) == [1, 2, 3, 4, 5, 6]
    assert seen[1] == of_left.sequence


async def test_a_given_back_value_comes_before_newer_ones_with_its_attempt_counted(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 3)
    stream = await client.subscribe("events", credit_bytes=1)
    value = await next_value(stream)
    assert value is not None
    await nack(stream, value)
    again = await next_value(stream)
    assert again is not None
    assert (again.sequence, again.header.attempt) == (1, 2)
    assert again.header.token != value.header.token


async def test_a_delayed_nack_waits_by_the_clock_and_others_go_first(tmp_path: Path, connect: Connect) -> None:
    clock = FakeClock()
    async with running_home(tmp_path / "state", clock=clock, supervised=False) as home:
        client = await connect(home)
        await fill(client, 2)
        stream = await client.subscribe("events", credit_bytes=1, order="none")
        value = await next_value(stream)
        assert value is not None
        await nack(stream, value, delay_ms=60_000)
        second = await next_value(stream)
        assert second is not None
        assert second.sequence == 2
        await send_ack(stream, second)
        clock.advance(60.0)
        await client.publish("events", {"n": 3})
        again = await next_value(stream)
        assert again is not None
        assert again.sequence == 1


async def test_credit_bounds_what_is_sent_ahead(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 10)
    [first, *_] = await client.read("events")
    stream = await client.subscribe("events", credit_bytes=3 * len(first.payload))
    values = [await next_value(stream) for _ in range(3)]
    group = open_home.home.ledger.groups["g", "events"]
    assert len(group.leases) == 3
    await stream.write(pb.SubscribeRequest(credit_bytes=2 * len(first.payload)))
    values += [await next_value(stream) for _ in range(2)]
    assert len(group.leases) == 5


async def test_one_value_goes_however_little_credit_there_is(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 3)
    stream = await client.subscribe("events", credit_bytes=1)
    for n in (1, 2, 3):
        value = await next_value(stream)
        assert value is not None
        assert value.sequence == n
        await send_ack(stream, value)


async def test_a_late_ack_is_refused(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 1)
    stream = await client.subscribe("events")
    value = await next_value(stream)
    assert value is not None
    await nack(stream, value)
    newer = await next_value(stream)
    assert newer is not None
    await send_ack(stream, value)
    with pytest.raises(LeaseLost, match="events@1"):
        await stream.until_error()
    again = await client.subscribe("events")
    value = await next_value(again)
    assert value is not None
    assert value.header.attempt == 3


async def test_a_group_that_follows_goes_past_the_seal(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 1)
    await seal(client)
    stream = await client.subscribe("events", follow=True)
    value = await next_value(stream)
    assert value is not None
    await ack(stream, value)
    await client.publish("events", {"n": 2})
    value = await next_value(stream)
    assert value is not None
    assert value.sequence == 2


async def test_groups_do_not_know_of_each_other(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 1)
    for group in ("a", "b"):
        value = await next_value(await client.subscribe("events", group))
        assert value is not None
        assert value.header.attempt == 1


async def test_many_acks_are_made_durable_together(open_home: InProcessHome, connect: Connect) -> None:
    """Acks are confirmed in order, and none waits for the disk before the next is taken."""
    client = await connect(open_home)
    count = 200
    await asyncio.gather(*(client.publish("events", {"n": n}) for n in range(count)))
    await seal(client)
    stream = await client.subscribe("events")
    values = [await next_value(stream) for _ in range(count)]
    groups_before = sum(type(event).__name__ == "GroupSynced" for event in open_home.events.heard)
    for value in values:
        assert value is not None
        await send_ack(stream, value)
    confirmed = []
    while (message := await stream.read()).WhichOneof("message") == "ack_done":
        confirmed.append(message.ack_done.position.sequence)
    assert confirmed == [value.sequence for value in values if value]
    groups = sum(type(event).__name__ == "GroupSynced" for event in open_home.events.heard) - groups_before
    assert groups < count


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (pb.SubscribeRequest(credit_bytes=1), InvalidArgument),
        (pb.SubscribeRequest(open=pb.SubscribeOpen(link="nothing", group="g")), LinkNotFound),
        (pb.SubscribeRequest(open=pb.SubscribeOpen(link="numbers", group="")), InvalidArgument),
        (pb.SubscribeRequest(open=pb.SubscribeOpen(link="numbers", group="g/h")), InvalidArgument),
        (pb.SubscribeRequest(open=pb.SubscribeOpen(link="numbers", group="g" * 81)), InvalidArgument),
        (pb.SubscribeRequest(open=pb.SubscribeOpen(link="numbers", group="g", format=99)), InvalidArgument),  # type: ignore[arg-type]
    ],
)
async def test_a_wrong_opening_is_refused(
    home: InProcessHome, connect: Connect, message: pb.SubscribeRequest, error: type[Exception]
) -> None:
    client = await connect(home)
    stream = client.stream(methods.SUBSCRIBE)
    await stream.write(message)
    with pytest.raises(error):
        await stream.until_error()
    await until(lambda: home.is_idle)


async def test_a_consumer_that_vanishes_leaves_no_lease_and_no_task(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    schema_rows = [{"text": "x" * 1000} for _ in range(3000)]
    for _ in range(4):
        await client.publish("events", *schema_rows)
    for turns in range(0, 60, 4):
        stream = client.stream(methods.SUBSCRIBE)
        await stream.write(pb.SubscribeRequest(open=pb.SubscribeOpen(link="events", group="g")))
        for _ in range(turns):
            await asyncio.sleep(0)
        stream.cancel()
    group = open_home.home.ledger.groups["g", "events"]
    await until(lambda: open_home.is_idle and all(lease.session is None for lease in group.leases.values()))
    stream = await client.subscribe("events", credit_bytes=64 << 20)
    assert [value.sequence for value in [await next_value(stream) for _ in range(4)] if value] == [1, 2, 3, 4]
    stream.cancel()
    await until(lambda: not open_home.home.changes._watches)


async def test_a_slow_consumer_holds_no_memory(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    rows = [{"text": "x" * 1000} for _ in range(4000)]
    for _ in range(6):
        await client.publish("events", *rows)
    stream = await client.subscribe("events", format=value_pb2.ARROW, credit_bytes=64 << 20)
    await stream.read()
    await until(lambda: open_home.home.memory.used_bytes == 0)
    assert await client.read("events", last_values=1)
    stream.cancel()


async def test_a_drain_ends_subscriptions_at_once(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 1)
    stream = await client.subscribe("events")
    open_home.home.stop_sessions()
    with pytest.raises(Draining):
        await stream.until_error()


async def test_a_drain_confirms_the_acks_it_took_before_it_ends_a_subscription(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 30)
    stream = await client.subscribe("events")
    for value in [await next_value(stream) for _ in range(30)]:
        assert value is not None
        await send_ack(stream, value)
    group = open_home.home.ledger.groups["g", "events"]
    await until(lambda: group.cursor.done_sequence == 30)
    stopping = asyncio.create_task(open_home.stop(), name="stopping")
    confirmed = []
    with pytest.raises(Draining):
        while True:
            confirmed.append((await stream.read()).ack_done.position.sequence)
    assert confirmed == list(range(1, 31))
    await stopping
    await open_home.start()


async def test_a_group_of_a_superseded_generation_is_told_and_goes_on_with_the_next(home: InProcessHome, connect: Connect) -> None:
    outsider, run = await connect(home), await connect(home, "@run")
    await outsider.publish("numbers", {"n": 1})
    await run.begin()
    reading = await outsider.subscribe("doubled", "once")
    following = await outsider.subscribe("doubled", "always", follow=True)
    await home.restart()
    run = await connect(home, "@run")
    outsider = await connect(home)
    reading = await outsider.subscribe("doubled", "once")
    following = await outsider.subscribe("doubled", "always", follow=True)
    await run.begin("r2")
    with pytest.raises(GenerationAbandoned, match="doubled"):
        await reading.until_error()
    double = await connect(home, "double")
    snapshots = await double.snapshots()
    taken = await next_snapshot(snapshots)
    assert taken is not None
    staged = (await double.publish("doubled", {"n": 2}, stage=taken.ready)).staged
    await double.commit(taken.ready, staged)
    for stream in (following, await outsider.subscribe("doubled", "once")):
        value = await next_value(stream)
        assert value is not None
        assert (value.envelope.generation, value.rows()) == (2, [{"n": 2}])


async def test_a_task_is_no_group_to_be_moved(home: InProcessHome, connect: Connect) -> None:
    client = await connect(home)
    await client.publish("numbers", {"n": 1})
    with pytest.raises(LinkNotFound, match="double is a task and no consumer group"):
        await client.call(methods.SEEK, pb.SeekRequest(group="double", link="numbers", to="earliest"))
