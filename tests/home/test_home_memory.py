"""Memory of the home: whatever is held of payloads is taken from one budget, and given back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from raw_client import FRAME_BYTES, RawClient, arrow_message, next_value, send_ack, until
from small_pipeline import Connect

from linkd.home.budget import Budget
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2


async def test_memory_is_given_in_order_and_a_share_never_waits() -> None:
    budget = Budget(100)
    share = budget.share(50)
    assert share.size_bytes == 25
    assert share.try_take(20)
    assert not share.try_take(6), "a quarter is the most"
    await budget.take(70)
    waiting = asyncio.create_task(budget.take(20), name="the second")
    later = asyncio.create_task(budget.take(1), name="the third")
    await asyncio.sleep(0)
    assert not waiting.done()
    assert not later.done(), "a small one does not overtake"
    share.give(20)
    await asyncio.gather(waiting, later)
    assert not share.try_take(10), "nothing is left"
    budget.give(91)
    assert (budget.used_bytes, share.used_bytes) == (0, 0)


async def test_what_is_larger_than_the_memory_goes_alone_and_a_waiter_may_leave() -> None:
    budget = Budget(100)
    await budget.take(1)
    large = asyncio.create_task(budget.take(1_000), name="the large one")
    behind = asyncio.create_task(budget.take(5), name="behind it")
    await asyncio.sleep(0)
    assert not behind.done()
    budget.give(1)
    await large
    await asyncio.sleep(0)
    assert not behind.done()
    behind.cancel()
    await asyncio.gather(behind, return_exceptions=True)
    budget.give(1_000)
    assert budget.used_bytes == 0


async def test_a_value_larger_than_all_memory_is_taken_when_nothing_else_is(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    open_home.home.memory.size_bytes = 100
    ack = await client.publish("events", {"text": "x" * 200})
    assert ack.first.sequence == 1
    await until(lambda: open_home.is_idle)


async def publish_large(client: RawClient) -> None:
    """A value of 1.6 MB, in pieces."""
    schema, payload = arrow_message({"n": list(range(200_000))})
    stream = client.stream(methods.PUBLISH)
    value = pb.PublishValue(link="numbers", format=value_pb2.ARROW, schema=schema, payload_bytes=len(payload))
    await stream.write(pb.PublishRequest(value=value))
    for start in range(0, len(payload), FRAME_BYTES):
        await stream.write(pb.PublishRequest(chunk=payload[start : start + FRAME_BYTES]))
    await stream.read()
    await stream.done_writing()


async def test_rows_for_a_slow_reader_wait_on_disk_and_not_in_memory(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await publish_large(client)
    reading = client.stream(methods.READ, pb.ReadRequest(link="numbers", format=value_pb2.ROWS))
    await reading.read()  # what is read
    header = (await reading.read()).value
    staging = open_home.home.store._staging
    assert header.payload_bytes > FRAME_BYTES
    assert staging.in_files_bytes == header.payload_bytes
    assert open_home.home.memory.used_bytes == 0, "the reader may take as long as it likes"
    have = 0
    while have < header.payload_bytes:
        have += len((await reading.read()).chunk)
    await until(lambda: staging.in_files_bytes == 0)


async def test_a_backlog_beyond_the_memory_is_drained_in_order_while_more_comes(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", memory_bytes=256 << 10, supervised=False) as home:
        client = await connect(home)
        text = "x" * 40_000
        for number in range(30):
            await client.publish("events", {"n": number, "text": text})
        stream = await client.subscribe("events", credit_bytes=100_000)
        seen = []
        for number in range(30, 60):
            value = await next_value(stream)
            assert value is not None
            seen.append(value.rows()[0]["n"])
            while (await client.describe()).groups[0].lag_values != 30:
                pass  # the last ack is on its way
            await client.publish("events", {"n": number, "text": text})
            await send_ack(stream, value)
        assert seen == list(range(30))
        while len(seen) < 60:
            value = await next_value(stream)
            assert value is not None
            seen.append(value.rows()[0]["n"])
            await send_ack(stream, value)
        assert seen == list(range(60))
        await until(lambda: home.home.memory.used_bytes == 0)


@pytest.mark.parametrize("form", [value_pb2.ROWS, value_pb2.ARROW])
async def test_a_reader_that_goes_away_leaves_nothing(open_home: InProcessHome, connect: Connect, form: value_pb2.Format) -> None:
    client = await connect(open_home)
    await publish_large(client)
    for _ in range(3):
        reading = client.stream(methods.READ, pb.ReadRequest(link="numbers", format=form))
        await reading.read()
        await reading.read()
        reading.cancel()
    await until(lambda: open_home.is_idle)
    assert open_home.home.memory.used_bytes == 0
