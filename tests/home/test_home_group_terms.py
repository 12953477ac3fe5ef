"""Consumer groups over gRPC: leases that end, values that are asked back, dead letters, keys, places to begin at, seeks."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from raw_client import Got, RawClient, Stream, ack, next_value, send_ack, until, whole_value
from small_pipeline import Connect

import linkd.aio
from linkd.errors import InvalidArgument, LeaseLost, LinkNotFound, NotAllowed
from linkd.home.changes import group_topic
from linkd.model.records import Dropped
from linkd.testing.clock import FakeClock
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb


async def fill(client: RawClient, count: int, first: int = 1) -> None:
    for n in range(first, first + count):
        await client.publish("events", {"n": n, "k": n % 3})


async def value_of(stream: Stream) -> Got:
    value = await next_value(stream)
    assert value is not None
    return value


async def message_of(stream: Stream, kind: str) -> Any:
    """The next message of that kind; confirmations are skipped."""
    while (message := await stream.read()).WhichOneof("message") == "ack_done" != kind:
        continue
    assert message.WhichOneof("message") == kind, message
    return getattr(message, kind)


async def start(stream: Stream, value: Got, *, room: bool = True) -> None:
    """The program has the value; with `room` as much may come again."""
    credit_bytes = value.header.payload_bytes if room else 0
    await stream.write(pb.SubscribeRequest(started=pb.Started(token=value.header.token, credit_bytes=credit_bytes)))


async def nack(stream: Stream, value: Got, reason: str, delay_ms: int = 0) -> None:
    said = pb.Nack(position=value.envelope.position, token=value.header.token, delay_ms=delay_ms, reason=reason)
    await stream.write(pb.SubscribeRequest(nack=said))


async def test_a_hang_is_taken_over_when_its_lease_ends_and_its_late_ack_is_refused_alone(tmp_path: Path, connect: Connect) -> None:
    clock = FakeClock()
    async with running_home(tmp_path / "state", clock=clock, supervised=False) as home:
        client = await connect(home)
        await fill(client, 3)
        hung = await client.subscribe("events", says_started=True, lease_ms=5_000)
        values = [await value_of(hung) for _ in range(3)]
        await start(hung, values[0])
        group = home.home.ledger.groups["g", "events"]
        await until(lambda: len(group.deadlines) == 1)
        other = await client.subscribe("events", says_started=True)
        clock.advance(4.0)
        await hung.write(pb.SubscribeRequest(renew=pb.Renew()))
        await until(lambda: group.deadlines.next_s() == clock.monotonic_s() + 5.0)
        clock.advance(4.5)
        assert group.leases[1].session is not None
        clock.advance(1.0)
        home.home.changes.announce([group_topic("g", "events")])  # who waits for time is not woken by this clock
        taken = [await value_of(other) for _ in range(3)]
        assert [(value.sequence, value.header.attempt) for value in taken] == [(1, 2), (2, 1), (3, 1)]
        recall = await message_of(hung, "recall")
        assert list(recall.tokens) == [values[1].header.token, values[2].header.token]
        await send_ack(hung, values[0])
        assert (await message_of(hung, "refused")).token == values[0].header.token
        for value in taken:
            await start(other, value)
            await ack(other, value)
        assert group.cursor.done_sequence == 3


async def test_what_failed_too_often_is_a_dead_letter_also_over_restarts_and_the_rest_goes_on(
    open_home: InProcessHome, connect: Connect
) -> None:
    client = await connect(open_home)
    await fill(client, 3)
    stream = await client.subscribe("events", says_started=True, max_attempts=2, credit_bytes=1)
    value = await value_of(stream)
    await start(stream, value, room=False)
    await nack(stream, value, "first", 100)
    await message_of(stream, "ack_done")
    await open_home.restart(crash=True)
    client = await connect(open_home)
    stream = await client.subscribe("events", says_started=True, credit_bytes=1)
    again = await value_of(stream)
    assert again.sequence == 1
    await start(stream, again, room=False)
    await nack(stream, again, "second")
    following = await value_of(stream)
    assert following.sequence == 2
    await open_home.home.barrier()
    [letter] = [row for got in await client.read("events.dead") for row in got.rows()]
    told = {name: letter[name] for name in ("link", "sequence", "consumer", "attempts", "reason")}
    assert told == {"link": "events", "sequence": 1, "consumer": "g", "attempts": 2, "reason": "second"}
    await open_home.restart()
    client = await connect(open_home)
    stream = await client.subscribe("events", says_started=True)
    assert [(await value_of(stream)).sequence for _ in range(2)] == [2, 3]
    assert len(await client.read("events.dead")) == 1
    with pytest.raises(NotAllowed, match="dead letters"):
        await client.publish("events.dead", {"n": 1})


@pytest.mark.parametrize("order", ["link", "none", "key"])
async def test_behind_a_restart_what_was_given_back_for_some_time_waits_for_all_of_it_again(
    order: str, tmp_path: Path, connect: Connect
) -> None:
    clock = FakeClock()
    async with running_home(tmp_path / "state", clock=clock, supervised=False) as home:
        client = await connect(home)
        await fill(client, 1)
        stream = await client.subscribe("events", says_started=True, order=order, key="k" if order == "key" else "")
        value = await value_of(stream)
        await start(stream, value)
        await nack(stream, value, "later", 60_000)
        await message_of(stream, "ack_done")
        clock.advance(50.0)
        for _ in range(2):  # out of the journal, and out of a checkpoint
            await home.restart()
            stream = await (await connect(home)).subscribe("events", says_started=True)
            group = home.home.ledger.groups["g", "events"]
            await until(lambda group=group: len(group.members) == 1)  # type: ignore[misc]
            clock.advance(59.0)
            home.home.changes.announce([group_topic("g", "events")])
            await asyncio.sleep(0)
            assert group.waiting == {1}
        clock.advance(1.0)
        home.home.changes.announce([group_topic("g", "events")])
        again = await value_of(stream)
        assert (again.sequence, again.header.attempt) == (1, 2)


async def test_credit_is_charged_with_what_is_sent_in_the_form_that_was_asked_for(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    text = "x" * 1_000
    for _ in range(4):
        await client.publish("events", *({"text": text, "n": n} for n in range(20)))
    size_bytes = [len(got.payload) for got in await client.read("events")]
    stream = await client.subscribe("events", says_started=True, credit_bytes=sum(size_bytes[:2]))
    values = [await value_of(stream) for _ in range(2)]
    await open_home.home.barrier()
    assert len(open_home.home.ledger.groups["g", "events"].leases) == 2, "as many bytes as JSON were sent as there was credit for"
    await start(stream, values[0])
    assert (await value_of(stream)).sequence == 3


async def test_the_keys_of_a_large_value_are_found_within_the_memory_there_is(open_home: InProcessHome, connect: Connect) -> None:
    client, memory = await connect(open_home), open_home.home.memory
    await client.publish("events", *({"k": n % 50, "text": "x" * 200} for n in range(10_000)))
    await memory.take(memory.size_bytes)
    stream = await client.subscribe("events", says_started=True, order="key", key="k")
    await until(lambda: bool(memory._waiting))
    assert not open_home.home.ledger.groups["g", "events"].leases, "it is not looked into before there is room for it"
    memory.give(memory.size_bytes)
    assert (await value_of(stream)).sequence == 1
    await until(lambda: memory.used_bytes == 0)


async def test_the_payload_of_a_dead_letter_is_the_value_as_an_arrow_stream(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 1)
    stream = await client.subscribe("events", says_started=True, max_attempts=1)
    value = await value_of(stream)
    await nack(stream, value, "no")
    await until(lambda: open_home.home.ledger.groups["g", "events"].cursor.done_sequence == 1)
    await open_home.home.barrier()
    [(envelope, place)] = open_home.home.store.values("events.dead")
    metadata, body = await open_home.home.store.read_payload(envelope, place)
    schema = open_home.home.ledger.schema_of(envelope)
    batch = pa.ipc.read_record_batch(
        pa.py_buffer(b"\xff\xff\xff\xff" + len(metadata).to_bytes(4, "little") + metadata + body), pa.ipc.read_schema(pa.py_buffer(schema))
    )
    inner = pa.ipc.open_stream(batch.column("payload")[0].as_py()).read_all()
    assert inner.to_pylist() == [{"n": 1, "k": 1}]


async def test_a_nack_asks_back_what_the_program_has_not_seen_before_it_is_confirmed(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 3)
    stream = await client.subscribe("events", says_started=True)
    values = [await value_of(stream) for _ in range(3)]
    await start(stream, values[0])
    await nack(stream, values[0], "not now")
    kinds, again = [], None
    while len(kinds) < 3:
        message = await stream.read()
        kinds.append(message.WhichOneof("message"))
        if kinds[-1] == "value":
            again = await whole_value(stream, message)
    assert kinds.index("recall") < kinds.index("ack_done")
    assert again is not None
    assert again.sequence == 1
    await stream.write(pb.SubscribeRequest(released=pb.Released(tokens=[value.header.token for value in values[1:]])))
    assert [((value := await value_of(stream)).sequence, value.header.attempt) for _ in range(2)] == [(2, 1), (3, 1)]


async def test_an_idle_member_gets_of_what_a_busy_one_has_in_reserve(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 4)
    busy = await client.subscribe("events", says_started=True, order="none")
    values = [await value_of(busy) for _ in range(4)]
    await start(busy, values[0])
    idle = await client.subscribe("events", says_started=True)
    tokens = list((await message_of(busy, "recall")).tokens)
    assert tokens == [values[2].header.token, values[3].header.token]
    await busy.write(pb.SubscribeRequest(released=pb.Released(tokens=tokens)))
    assert [(await value_of(idle)).sequence for _ in range(2)] == [3, 4]


async def test_values_of_one_key_stay_in_order_while_others_go_on(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 6)  # keys 1 2 0 1 2 0
    left = await client.subscribe("events", says_started=True, order="key", key="k", credit_bytes=1)
    right = await client.subscribe("events", says_started=True)
    first = await value_of(left)
    others = [await value_of(right) for _ in range(4)]
    assert (first.sequence, [value.sequence for value in others]) == (1, [2, 3, 5, 6])
    leases = open_home.home.ledger.groups["g", "events"].leases
    assert 4 not in leases or leases[4].session is None
    await send_ack(left, first)
    await until(lambda: 4 in leases and leases[4].session is not None)
    with pytest.raises(InvalidArgument, match="no column 'x'"):
        await client.subscribe("events", "h", order="key", key="x")


@pytest.mark.parametrize(
    ("start", "first"), [("earliest", 1), ("latest", 5), ("3", 3), ("events@4", 4), ("last", 4), ("2027-01-15T08:00:20Z", 3)]
)
async def test_a_new_group_begins_where_it_says(tmp_path: Path, connect: Connect, start: str, first: int) -> None:
    clock = FakeClock()  # 2027-01-15T08:00:00Z
    async with running_home(tmp_path / "state", clock=clock, supervised=False) as home:
        client = await connect(home)
        for n in range(1, 5):
            await fill(client, 1, n)
            clock.advance(10.0)
        stream = await client.subscribe("events", start=start)
        await fill(client, 1, 5)
        assert (await value_of(stream)).sequence == first


@pytest.mark.parametrize("start", ["0", "9", "numbers@1", "yesterday"])
async def test_a_place_that_is_none_is_refused(open_home: InProcessHome, connect: Connect, start: str) -> None:
    client = await connect(open_home)
    await fill(client, 2)
    with pytest.raises(InvalidArgument, match="events"):
        await client.subscribe("events", start=start)


async def test_members_of_one_group_have_the_same_terms_and_need_not_say_them(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 1)
    await client.subscribe("events", order="none", max_attempts=3)
    await open_home.restart()
    client = await connect(open_home)
    await client.subscribe("events")
    for different in ({"order": "link"}, {"max_attempts": 4}, {"lease_ms": 5_000}):
        with pytest.raises(InvalidArgument, match="the group g of events has"):
            await client.subscribe("events", **different)
    for wrong in ({"order": "key"}, {"order": "best"}, {"lease_ms": 10}, {"order": "none", "key": "n"}):
        with pytest.raises(InvalidArgument):
            await client.subscribe("events", "h", **wrong)


async def test_a_seek_voids_what_is_on_lease_and_the_group_goes_on_there(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 4)
    stream = await client.subscribe("events", says_started=True)
    values = [await value_of(stream) for _ in range(4)]
    await ack(stream, values[0])
    answer = await client.call(methods.SEEK, pb.SeekRequest(group="g", link="events", to="3"))
    assert (answer.next_sequence, answer.run_generation) == (3, 1)
    await message_of(stream, "recall")
    await send_ack(stream, values[2])
    seen = []
    while len(seen) < 3:
        message = await stream.read()
        kind = message.WhichOneof("message")
        seen.append(message.value.envelope.position.sequence if kind == "value" else kind)
    assert sorted(map(str, seen)) == ["3", "4", "refused"]
    await open_home.restart()
    group = open_home.home.ledger.groups["g", "events"]
    assert (group.cursor.done_sequence, group.run_generation) == (2, 1)
    client = await connect(open_home)
    with pytest.raises(LinkNotFound, match="did you mean `g`"):
        await client.call(methods.SEEK, pb.SeekRequest(group="gg", link="events", to="latest"))


async def test_what_was_dropped_before_the_group_had_it_is_told_once_and_settled(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await fill(client, 5)
    stream = await client.subscribe("events", credit_bytes=1, says_started=True)
    value = await value_of(stream)
    await open_home.home.written(open_home.home.admit([Dropped("events", 1, 2, 3, "age")]))
    await send_ack(stream, value)
    dropped = await message_of(stream, "dropped")
    assert (dropped.first, dropped.last, dropped.reason) == (2, 3, "age")
    assert (await value_of(stream)).sequence == 4
    assert open_home.home.ledger.groups["g", "events"].cursor.done_sequence == 3


async def test_a_program_gets_values_in_order_through_a_nack_and_a_late_ack_costs_it_that_value_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    async with (
        running_home(tmp_path / "state", clock=clock, supervised=False) as home,
        linkd.aio.connect(home.endpoint) as one,
        linkd.aio.connect(home.endpoint) as another,
    ):
        for n in range(5):
            await one.publish("events", [{"n": n}])
        values = one.subscribe("events", "g", lease_s=60.0, max_attempts=9)
        first = await anext(values)
        await first.nack(reason="not yet")
        second = await anext(values)
        assert (second.envelope.position.sequence, second.attempt) == (1, 2)
        others = another.subscribe("events", "g")
        ready = asyncio.create_task(anext(others))
        group = home.home.ledger.groups["g", "events"]
        await until(lambda: len(group.members) == 2 and len(group.deadlines) == 1)
        clock.advance(61.0)
        home.home.changes.announce([group_topic("g", "events")])
        taken = await ready
        assert (taken.envelope.position.sequence, taken.attempt) == (1, 3)
        with pytest.raises(LeaseLost, match="events@1"):
            await second.ack()
        await taken.ack()
        others.close()
        assert (await anext(values)).envelope.position.sequence == 2
        await home.home.written(home.home.admit([Dropped("events", 1, 3, 5, "size")]))
        await one.publish("events", [{"n": 5}])
        home.home.changes.announce([group_topic("g", "events")])
        await one.seek("events", "g", 1)
        async for value in values:
            with contextlib.suppress(LeaseLost):  # what it had in hand when the group was moved
                await value.ack()
            if value.envelope.position.sequence == 6:
                break
        assert values.lost_values == 3
        assert "events@3..5 never came to the consumer group g: size" in caplog.text
