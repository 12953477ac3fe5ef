"""Durable small records: everybody's own call for one record, with as many in flight as it allows; and peers whose user packs them himself."""

from __future__ import annotations

from typing import Any

from side_by_side.entrants import Bar, Entrant, Figures, Scenario, published
from side_by_side.processes import Processes
from side_by_side.records import MESSAGE_ROWS, RECORD_BYTES
from side_by_side.servers import FSYNC, home, nats_server, redis_server
from side_by_side.sizes import Sizes

REDIS, JETSTREAM, JETSTREAM_SYNCED = "Redis always", "JetStream", "JetStream always"
NOT_SYNCED = "acks before anything is synced: sync_interval is 2 minutes by default"


def by_linkd(shape: str, count: int) -> Any:
    def once(processes: Processes, seed: int) -> Figures:
        arguments = {"endpoint": home(processes).endpoint, "link": FSYNC, "shape": shape, "count": count, "seed": seed}
        return published(processes, processes.role("linkd_roles", "publish_records", **arguments), count, RECORD_BYTES)

    return once


def by_jetstream(shape: str, count: int, *, always: bool) -> Any:
    """`shape` of records, or `messages`."""

    def once(processes: Processes, seed: int) -> Figures:
        url = nats_server(processes, sync_always=always)
        if shape == "messages":
            producer = processes.role("jetstream_roles", "publish_messages", url=url, count=count, seed=seed)
            return published(processes, producer, count * MESSAGE_ROWS, RECORD_BYTES)
        producer = processes.role("jetstream_roles", "publish_records", url=url, shape=shape, count=count, seed=seed)
        return published(processes, producer, count, RECORD_BYTES)

    return once


def by_redis(shape: str, count: int) -> Any:
    def once(processes: Processes, seed: int) -> Figures:
        path = redis_server(processes)
        if shape == "messages":
            producer = processes.role("redis_roles", "publish_messages", path=path, count=count, seed=seed)
            return published(processes, producer, count * MESSAGE_ROWS, RECORD_BYTES)
        producer = processes.role("redis_roles", "publish_records", path=path, shape=shape, count=count, seed=seed)
        return published(processes, producer, count, RECORD_BYTES)

    return once


def scenarios(sizes: Sizes) -> list[Scenario]:
    def peers(shape: str) -> list[Entrant]:
        return [
            Entrant(REDIS, by_redis(shape, sizes.records)),
            Entrant(JETSTREAM, by_jetstream(shape, sizes.records // 3, always=False), note=NOT_SYNCED),
            Entrant(JETSTREAM_SYNCED, by_jetstream(shape, sizes.slow_records, always=True)),
        ]

    def bars(ours: str, redis: float, jetstream: float) -> tuple[Bar, ...]:
        return Bar("records_s", ours, redis, (REDIS,)), Bar("records_s", ours, jetstream, (JETSTREAM,))

    one_by_one = "records of 100 bytes through a publisher, each durable; peers: publish_async of 1,000 in flight, pipelines of 1,000 XADD"
    plain = [Entrant(f"linkd, {shape}", by_linkd(shape, sizes.records)) for shape in ("bytes", "tuples")]
    packed = [
        Entrant("linkd", by_linkd("bytes", sizes.records), note="record by record"),
        Entrant(REDIS, by_redis("messages", sizes.messages)),
        Entrant(JETSTREAM_SYNCED, by_jetstream("messages", sizes.messages, always=True)),
    ]
    return [
        Scenario(
            "durable records: bytes, tuples",
            one_by_one,
            [*plain, *peers("bytes")],
            (*bars("linkd, bytes", 15, 25), *bars("linkd, tuples", 15, 25)),
        ),
        Scenario(
            "durable records: dicts",
            one_by_one,
            [Entrant("linkd", by_linkd("dicts", sizes.records)), *peers("dicts")],
            bars("linkd", 5, 10),
        ),
        Scenario(
            "durable records, packed by peers",
            "records of 100 bytes, one by one to linkd; to peers in messages of 1,000 that were made before",
            packed,
            (Bar("records_s", "linkd", 1.3, (JETSTREAM_SYNCED,)), Bar("records_s", "linkd", 1.3, (REDIS,))),
        ),
    ]
