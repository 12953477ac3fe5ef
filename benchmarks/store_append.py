"""How fast the store takes commits: `python benchmarks/store_append.py [--large] [--dir DIR]`.

Measured on the event loop that a home would use, with the real committer thread and real syncs: frames of one small value with many in
flight, one durable append after the other, and bulk values. The medium matters most: give `--dir` on the one you care for.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import statistics
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from linkd.store.committer import Committed, GroupCommitted
from linkd.store.store import Store
from linkd.testing.sample_values import SampleValue, sample_value

IN_FLIGHT = 1_000
BULK_ROWS = 512 * 1024
"""4 MiB."""


def _at(value: SampleValue, sequence: int) -> SampleValue:
    """The same payload at another sequence: building Arrow batches is not what is measured."""
    position = dataclasses.replace(value.envelope.position, sequence=sequence)
    identity = sequence.to_bytes(16, "big")
    return dataclasses.replace(value, envelope=dataclasses.replace(value.envelope, position=position, id=identity))


async def _many_in_flight(store: Store, value: SampleValue, count: int, first: int) -> float:
    values = [_at(value, sequence) for sequence in range(first, first + count)]
    started = time.perf_counter()
    waiting: list[asyncio.Future[Committed]] = []
    for stored in values:
        await store.room()
        waiting.append(store.append([stored.stored], [stored.payload]))
        if len(waiting) == IN_FLIGHT:
            await waiting[0]
            waiting = [future for future in waiting if not future.done()]
    await asyncio.gather(*waiting)
    return time.perf_counter() - started


async def _one_by_one(store: Store, value: SampleValue, count: int, first: int) -> list[float]:
    seconds = []
    for sequence in range(first, first + count):
        stored = _at(value, sequence)
        started = time.perf_counter()
        await store.append([stored.stored], [stored.payload])
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)


async def _bulk(store: Store, value: SampleValue, count: int, first: int) -> float:
    started = time.perf_counter()
    for sequence in range(first, first + count):
        await store.room()
        stored = _at(value, sequence)
        future = store.append([stored.stored], [stored.payload])
    await future
    return time.perf_counter() - started


async def _measure(directory: Path, large: bool) -> None:
    scale = 10 if large else 1
    groups: list[GroupCommitted] = []
    store = Store.open(directory / "store")
    for _ in store.replay():
        pass
    store.start(asyncio.get_running_loop(), on_group=groups.append)
    small, bulk = sample_value("small", 1), sample_value("bulk", 1, BULK_ROWS)
    await store.append([small.schema_kept, bulk.schema_kept])
    groups.clear()
    count = 20_000 * scale
    seconds = await _many_in_flight(store, small, count, 1)
    frames = statistics.mean(group.frames for group in groups)
    print(f"{IN_FLIGHT} in flight: {count / seconds:,.0f} frames/s of one {len(small.payload)} byte value ({frames:.0f} in a group)")
    latencies = await _one_by_one(store, small, 1_000 * scale, count + 1)
    p50, p99 = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    print(f"one durable append after the other: p50 {p50 * 1e6:,.0f} us, p99 {p99 * 1e6:,.0f} us")
    count = 64 * scale
    seconds = await _bulk(store, bulk, count, 1)
    print(f"bulk: {count * len(bulk.payload) / seconds / 1e6:,.0f} MB/s of {len(bulk.payload) / 2**20:.1f} MiB values, durable")
    started = time.perf_counter()
    await store.close()
    print(f"closed in {time.perf_counter() - started:.3f} s")
    started = time.perf_counter()
    store = Store.open(directory / "store")
    replayed = sum(1 for _ in store.replay())
    seconds = time.perf_counter() - started
    print(f"opened again in {seconds:.3f} s: {replayed / seconds:,.0f} frames/s replayed")
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--dir", type=Path, default=None)
    arguments = parser.parse_args()
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory(dir=arguments.dir) as directory:
        uvloop.run(_measure(Path(directory), arguments.large))


if __name__ == "__main__":
    main()
