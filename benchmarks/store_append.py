"""How fast the store takes commits: `python benchmarks/store_append.py [--large] [--dir DIR]`.

Measured on the event loop that a home would use, with the real committer thread and real syncs: frames of one small value with many in
flight, one durable append after the other, and bulk values, as bytes and laid into shared files by their publisher, of which the values are
dropped as soon as they are committed, so that the files come round. The medium matters most: give `--dir` on the one you care for.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import mmap
import os
import statistics
import sys
import time
from pathlib import Path

import uvloop
from rounds import scratch_directory

from linkd.limits import SHARED_FILE_BYTES
from linkd.model.records import Dropped
from linkd.model.terms import AT_ONCE_S, NEVER_S
from linkd.store.committer import Committed, GroupCommitted
from linkd.store.shared_files import SharedFile
from linkd.store.store import Store
from linkd.testing.sample_values import SampleValue, sample_value
from linkd.wire import arrow_ipc

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


async def _placed(store: Store, value: SampleValue, count: int, *, volatile: bool) -> tuple[float, float, float]:
    """Seconds in which the publisher lays all values into their files, linkd looks at them, and linkd commits them."""
    message = arrow_ipc.read_message(value.payload)
    metadata, body, link = message.metadata, message.body, value.envelope.link
    file: SharedFile | None = None
    mapped: dict[int, mmap.mmap] = {}
    owner, end, first = object(), 0, 1
    laid_s = placed_s = 0.0
    acks: list[asyncio.Future[Committed]] = []
    started = time.perf_counter()
    for sequence in range(1, count + 1):
        offset = (end + 4_096 + 63) // 64 * 64
        if file is None or offset + len(body) + 8 > file.size_bytes:
            if file is not None:
                store.shared.unshare(file, reusable=True)
                await acks[-1]
                await store.append([Dropped(link, 1, first, sequence - 1, "size", forgotten=True)])
                first = sequence
            file = await store.shared.share(
                link, value.envelope.schema_id, value.schema, 1, volatile=volatile, owner=owner, size_bytes=SHARED_FILE_BYTES
            )
            if file.id not in mapped:
                descriptor = store.shared.descriptor(file.id, writable=True)
                mapped[file.id] = mmap.mmap(descriptor, file.size_bytes)
                os.close(descriptor)
            offset = (file.start + 4_096 + 63) // 64 * 64
        begun = time.perf_counter()
        mapped[file.id][offset : offset + len(body)] = body
        laid = time.perf_counter()
        payload = await store.shared.placed(file, offset, len(body), metadata)
        placed_s, laid_s, end = placed_s + time.perf_counter() - laid, laid_s + laid - begun, offset + len(body)
        await store.room()
        acks.append(store.append([_at(value, sequence).stored], [payload], sync_within_s=NEVER_S if volatile else AT_ONCE_S))
    await acks[-1]
    seconds = time.perf_counter() - started
    store.shared.forsake(owner)
    return laid_s, placed_s, seconds - laid_s - placed_s


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
    for durability, volatile in (("durable", False), ("volatile", True)):
        value = sample_value(durability, 1, BULK_ROWS)
        await store.append([value.schema_kept])
        laid_s, placed_s, rest_s = await _placed(store, value, count, volatile=volatile)
        rate = count * len(value.payload) / (placed_s + rest_s) / 1e6
        print(
            f"the same, {durability}, in shared files: {rate:,.0f} MB/s beside the publisher's own {laid_s / count * 1e6:,.0f} us a value; "
            f"checked in {placed_s / count * 1e6:,.0f} us, the rest in {rest_s / count * 1e6:,.0f} us"
        )
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
    with scratch_directory(arguments.dir) as directory:
        uvloop.run(_measure(Path(directory), arguments.large))


if __name__ == "__main__":
    main()
