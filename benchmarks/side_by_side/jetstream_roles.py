"""What users of NATS JetStream write: nats-py's pipelined `publish_async`, one `publish` after the other, and pull consumers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import nats
from nats.js.api import ConsumerConfig, DeliverPolicy, StorageType, StreamConfig

from side_by_side import records
from side_by_side.role import done, play, ready

IN_FLIGHT = 1_000
"""Publishes without an ack."""
STREAM = "records"
FETCH_TIMEOUT_S = 60.0


@asynccontextmanager
async def jetstream(url: str, storage: str) -> AsyncIterator[Any]:
    """A connection, and the stream in `storage` (`file` or `memory`)."""
    client = await nats.connect(url, max_reconnect_attempts=0)
    try:
        context = client.jetstream(publish_async_max_pending=IN_FLIGHT)
        await context.add_stream(StreamConfig(name=STREAM, subjects=[STREAM], storage=StorageType(storage), num_replicas=1))
        yield context
    finally:
        await client.close()


async def _publish_all(url: str, storage: str, payloads: list[Any], encoded: bool) -> None:
    async with jetstream(url, storage) as context:
        began_ns = ready()
        acks = [await context.publish_async(STREAM, payload if encoded else json.dumps(payload).encode()) for payload in payloads]
        await context.publish_async_completed()
        ended_ns = time.monotonic_ns()
        for ack in acks:
            ack.result()  # raises what was refused
        done(began_ns=began_ns, ended_ns=ended_ns)


def publish_records(url: str, shape: str, count: int, seed: int, storage: str = "file") -> None:
    """Small records one by one, up to `IN_FLIGHT` of them without an ack; dicts as JSON, for whoever reads them wants them back."""
    made = records.byte_records(count, seed) if shape == "bytes" else records.dict_records(count, seed)
    asyncio.run(_publish_all(url, storage, made, shape == "bytes"))


def publish_messages(url: str, count: int, seed: int, storage: str = "file") -> None:
    """1,000 rows in each message, packed before the clock runs."""
    asyncio.run(_publish_all(url, storage, records.messages(count, seed), True))


def publish_one_by_one(url: str, count: int, seed: int, storage: str = "file") -> None:
    async def publish() -> None:
        made = records.byte_records(count, seed)
        async with jetstream(url, storage) as context:
            await context.publish(STREAM, made[0])
            ready()
            took_ns = []
            for record in made:
                began_ns = time.monotonic_ns()
                await context.publish(STREAM, record)
                took_ns.append(time.monotonic_ns() - began_ns)
            done(took_ns=took_ns)

    asyncio.run(publish())


def publish_stamped(url: str, count: int, interval_s: float, storage: str = "file") -> None:
    async def publish() -> None:
        async with jetstream(url, storage) as context:
            ready()
            for _ in range(count):
                await asyncio.sleep(interval_s)
                await context.publish(STREAM, records.stamped(time.monotonic_ns()))
            done()

    asyncio.run(publish())


def take_stamped(url: str, group: str, count: int, storage: str = "file") -> None:
    """A pull consumer that asks for the next one when it has acked the last."""

    async def take() -> None:
        async with jetstream(url, storage) as context:
            config = ConsumerConfig(deliver_policy=DeliverPolicy.NEW)
            values = await context.pull_subscribe(STREAM, durable=group, stream=STREAM, config=config)
            ready()
            took_ns = []
            for _ in range(count):
                [message] = await values.fetch(1, timeout=FETCH_TIMEOUT_S)
                took_ns.append(time.monotonic_ns() - records.stamp_of(message.data))
                await message.ack()
            done(took_ns=took_ns)

    asyncio.run(take())


if __name__ == "__main__":
    play({role.__name__: role for role in (publish_records, publish_messages, publish_one_by_one, publish_stamped, take_stamped)})
