"""What users of Redis Streams write: XADD in pipelines, one XADD after the other, and consumer groups."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import redis

from side_by_side import records
from side_by_side.role import done, play, ready

PIPELINE_RECORDS = 1_000
STREAM = "records"
FIELD = "record"
BLOCK_MS = 60_000


def _add_all(path: str, entries: Iterable[Any], pipeline_records: int) -> None:
    with redis.Redis(unix_socket_path=path) as client:
        client.ping()
        began_ns = ready()
        pipeline = client.pipeline(transaction=False)
        for entry in entries:
            pipeline.xadd(STREAM, entry if isinstance(entry, dict) else {FIELD: entry})
            if len(pipeline) == pipeline_records:
                pipeline.execute()
        pipeline.execute()
        done(began_ns=began_ns, ended_ns=time.monotonic_ns())


def publish_records(path: str, shape: str, count: int, seed: int) -> None:
    """Small records in pipelines of 1,000; of dicts each key is a field."""
    _add_all(path, records.byte_records(count, seed) if shape == "bytes" else records.dict_records(count, seed), PIPELINE_RECORDS)


def publish_messages(path: str, count: int, seed: int) -> None:
    """1,000 rows in each entry, packed before the clock runs; ten entries in a pipeline, 1 MB."""
    _add_all(path, records.messages(count, seed), 10)


def publish_one_by_one(path: str, count: int, seed: int) -> None:
    made = records.byte_records(count, seed)
    with redis.Redis(unix_socket_path=path) as client:
        client.xadd(STREAM, {FIELD: made[0]})
        ready()
        took_ns = []
        for record in made:
            began_ns = time.monotonic_ns()
            client.xadd(STREAM, {FIELD: record})
            took_ns.append(time.monotonic_ns() - began_ns)
        done(took_ns=took_ns)


def publish_stamped(path: str, count: int, interval_s: float) -> None:
    with redis.Redis(unix_socket_path=path) as client:
        client.ping()
        ready()
        for _ in range(count):
            time.sleep(interval_s)
            client.xadd(STREAM, {FIELD: records.stamped(time.monotonic_ns())})
        done()


def take_stamped(path: str, group: str, count: int) -> None:
    """A consumer of a group that asks for the next one when it has acked the last."""
    with redis.Redis(unix_socket_path=path) as client:
        client.xgroup_create(STREAM, group, id="$", mkstream=True)
        ready()
        took_ns = []
        for _ in range(count):
            [(_, [(number, entry)])] = client.xreadgroup(group, "one", {STREAM: ">"}, count=1, block=BLOCK_MS)
            took_ns.append(time.monotonic_ns() - records.stamp_of(entry[FIELD.encode()]))
            client.xack(STREAM, group, number)
        done(took_ns=took_ns)


if __name__ == "__main__":
    play({role.__name__: role for role in (publish_records, publish_messages, publish_one_by_one, publish_stamped, take_stamped)})
