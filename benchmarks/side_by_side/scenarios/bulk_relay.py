"""Bulk from one program to another: over linkd as it is, over plain gRPC, and durable, beside Flight, memcpy and the disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from side_by_side.batches import BATCH_BYTES
from side_by_side.entrants import Bar, Entrant, Figures, Scenario, handed_over, measured
from side_by_side.processes import Processes
from side_by_side.servers import FSYNC, MEMORY, flight_relay, home
from side_by_side.sizes import Sizes

GRPC = {"LINKD_TRANSPORT": "grpc"}
READ_ALONG, ACKED = "linkd", "linkd, acked"
FLIGHT = ("Flight tcp", "Flight uds")


def linkd_relay(link: str, sizes: Sizes, *, acked: bool = False, environment: Mapping[str, str] | None = None) -> Any:
    """A producer, the home, and a consumer that reads along (or, `acked`, takes every value with a durable cursor)."""

    def once(processes: Processes, seed: int) -> Figures:
        endpoint = home(processes).endpoint
        arguments = {"endpoint": endpoint, "link": link, "batches": sizes.batches}
        role, more = ("take_batches", {"group": "consumer"}) if acked else ("read_batches", {})
        consumer = processes.role("linkd_roles", role, environment, **arguments, **more)
        producer = processes.role("linkd_roles", "publish_batches", environment, **arguments, seed=seed)
        return handed_over(processes, producer, [consumer], sizes.batches * BATCH_BYTES)

    return once


def flight(sizes: Sizes, *, unix: bool) -> Any:
    def once(processes: Processes, seed: int) -> Figures:
        location = flight_relay(processes, unix=unix)
        consumer = processes.role("flight_roles", "read_batches", location=location, consumer=0)
        producer = processes.role("flight_roles", "publish_batches", location=location, batches=sizes.batches, seed=seed)
        return handed_over(processes, producer, [consumer], sizes.batches * BATCH_BYTES)

    return once


def limit(role: str, sizes: Sizes, **arguments: Any) -> Any:
    """The same amount, by nobody but the machine."""

    def once(processes: Processes, seed: int) -> Figures:
        size_bytes = sizes.batches * BATCH_BYTES
        place = {} if role == "copy" else {"directory": str(processes.directory)}
        [said], cpu_s = measured(processes, [processes.role("limit_roles", role, size_bytes=size_bytes, **place, **arguments)])
        seconds = (said["ended_ns"] - said["began_ns"]) / 1e9
        return {"mb_s": size_bytes / 1e6 / seconds, "cpu_s_per_gb": cpu_s / (size_bytes / 1e9), "seconds": seconds}

    return once


def scenarios(sizes: Sizes) -> list[Scenario]:
    def flights() -> list[Entrant]:
        return [Entrant(FLIGHT[0], flight(sizes, unix=False)), Entrant(FLIGHT[1], flight(sizes, unix=True))]

    amount = f"{sizes.batches * BATCH_BYTES / 1e9:.2f} GB in 4 MiB batches, one consumer that reads every column"
    memory = [
        Entrant(READ_ALONG, linkd_relay(MEMORY, sizes)),
        Entrant(ACKED, linkd_relay(MEMORY, sizes, acked=True)),
        *flights(),
        Entrant("memcpy", limit("copy", sizes)),
        Entrant("page cache", limit("write", sizes, sync=False)),
    ]
    synced = [
        Entrant(READ_ALONG, linkd_relay(FSYNC, sizes)),
        Entrant(ACKED, linkd_relay(FSYNC, sizes, acked=True)),
        Entrant("fdatasync", limit("write", sizes, sync=True), note="write, and fdatasync per 64 MiB"),
    ]
    grpc = [Entrant(READ_ALONG, linkd_relay(MEMORY, sizes, environment=GRPC)), *flights()]
    return [
        Scenario(
            "bulk relay, memory",
            amount,
            memory,
            (
                Bar("mb_s", READ_ALONG, 5.0, FLIGHT),
                Bar("mb_s", READ_ALONG, 0.45, ("memcpy",)),
                Bar("cpu_s_per_gb", READ_ALONG, 0.4, at_least=False),
            ),
        ),
        Scenario("bulk relay, fsync", amount, synced, (Bar("mb_s", READ_ALONG, 0.85, ("fdatasync",)),)),
        Scenario("bulk relay, plain gRPC", amount, grpc, (Bar("mb_s", READ_ALONG, 0.9, FLIGHT),)),
    ]
