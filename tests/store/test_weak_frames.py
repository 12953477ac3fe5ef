"""Frames that are acked before they are durable, and a store that finds no room."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from linkd.errors import StorageFailed
from linkd.limits import PAGE_BYTES
from linkd.model.kept import HomeKept, SchemaMessage
from linkd.model.values import Durability, PlaceKind
from linkd.store.committer import Committed
from linkd.store.journal_format import file_name
from linkd.store.journal_reader import recover
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.faulty_files import FaultyFiles
from linkd.testing.sample_values import SampleValue, sample_value

DIRECTORY = Path("/store")
JOURNAL = DIRECTORY / "journal"
LIMITS = StoreLimits(
    inline_payload_max_bytes=1_000, frame_inline_max_bytes=2_000, preallocate_bytes=16 * 1024, catalog_idle_s=1_000, full_look_s=0.01
)
SMALL, BULK = 10, 400
NEVER_S = math.inf
DEADLINE_S = 10


class Clock:
    """A monotonic clock that somebody moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class CountingFiles(FaultyFiles):
    """Counts the syncs of files, and says when there was one."""

    def __init__(self) -> None:
        super().__init__()
        self.syncs = 0
        self.synced = threading.Event()

    def _step(self, operation: str, path: str) -> None:
        super()._step(operation, path)
        if operation == "sync" and Path(path).suffix:
            self.syncs += 1
            self.synced.set()


def opened(
    files: FaultyFiles, catalog: Path, *, now_s: Callable[[], float] | None = None, thread: bool = False, limits: StoreLimits = LIMITS
) -> tuple[Store, list[int]]:
    """A started store, and the LSNs of the frames it found."""
    store = Store.open(DIRECTORY, files, limits=limits, catalog_path=catalog, now_s=now_s or Clock())
    lsns = [lsn for lsn, _ in store.replay()]
    store.start(asyncio.get_running_loop(), thread=thread)
    return store, lsns


def append(store: Store, value: SampleValue, within_s: float) -> asyncio.Future[Committed]:
    return store.append([value.schema_kept, value.stored], [value.payload], sync_within_s=within_s)


async def commit(store: Store, value: SampleValue, within_s: float) -> Committed:
    future = append(store, value, within_s)
    store.commit_waiting()
    return await future


async def test_a_frame_that_need_not_be_durable_is_acked_without_a_sync(memory_path: Path) -> None:
    files = CountingFiles()
    store, _ = opened(files, memory_path / "one.db")
    assert (await commit(store, sample_value("a", 1, SMALL), 0.0)).durability is Durability.FSYNC
    before = files.syncs
    for number, rows in enumerate((SMALL, BULK, SMALL), 2):
        assert (await commit(store, sample_value("a", number, rows), NEVER_S)).durability is Durability.MEMORY
    assert files.syncs == before
    found = list(store.values("a"))
    assert [place.kind for _, place in found] == [PlaceKind.JOURNAL, PlaceKind.JOURNAL, PlaceKind.SEGMENT, PlaceKind.JOURNAL]
    for envelope, place in found:
        await store.read_payload(envelope, place)
    assert (await commit(store, sample_value("a", 5, SMALL), 0.0)).durability is Durability.FSYNC
    assert files.syncs == before + 2  # the segment's, and the journal's: with it all before is durable
    again, lsns = opened(files.crash(1), memory_path / "two.db")
    assert lsns == [1, 2, 3, 4, 5]
    await again.close()
    await store.close()


async def test_an_interval_is_kept_by_the_clock(memory_path: Path) -> None:
    files, clock = CountingFiles(), Clock()
    store, _ = opened(files, memory_path / "one.db", now_s=clock)
    await commit(store, sample_value("a", 1, SMALL), 0.0)
    before = files.syncs
    assert (await commit(store, sample_value("a", 2, SMALL), 0.5)).durability is Durability.INTERVAL
    clock.now_s += 0.4
    await commit(store, sample_value("a", 3, SMALL), 0.5)
    assert files.syncs == before
    clock.now_s += 0.11
    store.commit_waiting()  # half a second behind the oldest of them, nobody waits for more
    assert files.syncs == before + 1
    clock.now_s += 10
    store.commit_waiting()
    assert files.syncs == before + 1
    again, lsns = opened(files.crash(7), memory_path / "two.db")
    assert lsns == [1, 2, 3]
    await again.close()
    await store.close()


async def test_the_thread_wakes_when_a_sync_is_due(memory_path: Path) -> None:
    files = CountingFiles()
    store, _ = opened(files, memory_path / "one.db", now_s=time.monotonic, thread=True)
    await append(store, sample_value("a", 1, SMALL), 0.0)
    files.synced.clear()
    await append(store, sample_value("a", 2, SMALL), 0.02)
    assert await asyncio.to_thread(files.synced.wait, DEADLINE_S)
    files.synced.clear()
    await append(store, sample_value("a", 3, SMALL), NEVER_S)
    assert not files.synced.is_set()
    await store.close()


async def test_what_no_sync_reached_may_be_lost_with_the_power_and_stays_without(memory_path: Path) -> None:
    files = FaultyFiles()
    store, _ = opened(files, memory_path / "one.db")
    await commit(store, sample_value("a", 1, SMALL), 0.0)
    for number in range(2, 12):
        await commit(store, sample_value("a", number, BULK if number % 3 == 0 else SMALL), NEVER_S)
    found = []
    for seed in range(20):
        again, lsns = opened(files.crash(seed), memory_path / f"power-{seed}.db")
        assert lsns == list(range(1, len(lsns) + 1))
        for envelope, place in again.values("a"):
            await again.read_payload(envelope, place)
        assert not again.recovery.clean
        found.append(len(lsns))
        await again.close()
    assert min(found) < 11
    again, lsns = opened(files.kill(), memory_path / "killed.db")
    assert lsns == list(range(1, 12))
    await again.close()
    await store.close()


async def test_a_hole_in_what_was_not_synced_ends_the_journal_and_what_follows_is_void(memory_path: Path) -> None:
    files = FaultyFiles()
    store, _ = opened(files, memory_path / "one.db")
    await commit(store, sample_value("a", 1, SMALL), 0.0)
    for number in (2, 3, 4):
        await commit(store, sample_value("a", number, SMALL), NEVER_S)
    files.flip(JOURNAL / file_name(1), 3 * PAGE_BYTES + 200)  # of frame 3; frame 4 is whole
    after = files.kill()
    again, lsns = opened(after, memory_path / "two.db")
    assert lsns == [1, 2]
    assert again.recovery.voided
    assert "not acknowledged as durable" in again.recovery.notes[0]
    await commit(again, sample_value("a", 3, SMALL, incarnation=2), 0.0)
    await again.close()
    third, lsns = opened(after, memory_path / "three.db")
    assert (lsns, third.recovery.voided, third.recovery.clean) == ([1, 2, 3], False, True)
    assert [envelope.position.incarnation for envelope, _ in third.values("a")] == [1, 1, 2]
    await third.close()
    await store.close()


async def test_a_payload_that_was_not_synced_takes_its_frame_with_it(memory_path: Path) -> None:
    files = FaultyFiles()
    store, _ = opened(files, memory_path / "one.db")
    await commit(store, sample_value("a", 1, SMALL), 0.0)
    await commit(store, sample_value("a", 2, BULK), NEVER_S)
    await commit(store, sample_value("a", 3, SMALL), NEVER_S)
    segment = DIRECTORY / "segments" / "a" / "00000001.arrow"
    files.flip(segment, files.size(segment) - 100)
    again, lsns = opened(files.kill(), memory_path / "two.db")
    assert lsns == [1]
    assert again.recovery.voided
    await again.close()
    await store.close()


async def test_frames_go_on_behind_the_last_durable_one_after_a_failed_sync(memory_path: Path) -> None:
    files = FaultyFiles()
    store, _ = opened(files, memory_path / "one.db")
    await commit(store, sample_value("a", 1, SMALL), 0.0)
    await commit(store, sample_value("a", 2, SMALL), NEVER_S)
    files.fail_a_sync()
    with pytest.raises(StorageFailed, match="Input/output error"):
        await commit(store, sample_value("a", 3, SMALL), 0.0)
    with pytest.raises(StorageFailed):
        append(store, sample_value("a", 3, SMALL), NEVER_S)
    await store.close()
    again, lsns = opened(files.kill(), memory_path / "two.db")
    assert (lsns, again.recovery.voided) == ([1], True)
    assert (await commit(again, sample_value("a", 2, SMALL, incarnation=2), 0.0)).lsn == 2
    await again.close()
    third, lsns = opened(files.kill(), memory_path / "three.db")
    assert lsns == [1, 2]
    await third.close()


async def test_where_syncs_have_no_effect_no_ack_says_they_had(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", volatile=True)
    list(store.replay())
    store.start(asyncio.get_running_loop())
    assert (await append(store, sample_value("a", 1, SMALL), 0.0)).durability is Durability.MEMORY
    await store.close()


@pytest.mark.parametrize("thread", [False, True], ids=["steps", "thread"])
@pytest.mark.parametrize("rows", [SMALL, BULK])
async def test_a_full_volume_is_waited_for(memory_path: Path, rows: int, thread: bool) -> None:
    files = FaultyFiles()
    store = Store.open(DIRECTORY, files, limits=dataclasses.replace(LIMITS, preallocate_bytes=4096), catalog_path=memory_path / "one.db")
    list(store.replay())
    told: list[str] = []
    changed = asyncio.Event()

    def tell(why: str) -> None:
        told.append(why)
        changed.set()

    store.start(asyncio.get_running_loop(), thread=thread, on_full=tell)
    first = append(store, sample_value("a", 1, rows), 0.0)
    if not thread:
        store.commit_waiting()
    await first
    files.fill(1_000)
    waiting = [append(store, sample_value("a", number, rows), 0.0) for number in (2, 3)]
    if not thread:
        store.commit_waiting()
    async with asyncio.timeout(DEADLINE_S):
        await changed.wait()
        assert "No space left on device" in store.full
        assert not any(future.done() for future in waiting)
        changed.clear()
        files.fill(None)
        if not thread:
            store.commit_waiting()
        assert [committed.lsn for committed in await asyncio.gather(*waiting)] == [2, 3]
        await changed.wait()
    assert [bool(why) for why in told] == [True, False]
    assert store.full == ""
    for envelope, place in store.values("a"):
        await store.read_payload(envelope, place)
    await store.close()
    again, lsns = opened(files.crash(3), memory_path / "two.db")
    assert (lsns, again.recovery.clean) == ([1, 2, 3], True)
    await again.close()


async def test_what_cannot_be_taken_back_from_a_full_volume_ends_the_commits_and_nobody_waits_for_ever(memory_path: Path) -> None:
    files = FaultyFiles()
    store = Store.open(DIRECTORY, files, limits=dataclasses.replace(LIMITS, preallocate_bytes=4096), catalog_path=memory_path / "one.db")
    list(store.replay())
    store.start(asyncio.get_running_loop())
    await append(store, sample_value("a", 1, SMALL), 0.0)
    files.fill(1_000)  # enough for a new segment file, and not for what is to go into it
    files.refuse("delete", "Input/output error")
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(StorageFailed, match=r"cannot delete .*Input/output error"):
            await append(store, sample_value("a", 2, BULK), 0.0)
        await store.close()


@pytest.mark.parametrize("room_bytes", [0, 500, 3_000, 5_000])
async def test_a_store_that_closes_on_a_full_volume_has_kept_what_it_acked(memory_path: Path, room_bytes: int) -> None:
    files = FaultyFiles()
    store = Store.open(DIRECTORY, files, limits=dataclasses.replace(LIMITS, preallocate_bytes=4096), catalog_path=memory_path / "one.db")
    list(store.replay())
    full = asyncio.Event()
    store.start(asyncio.get_running_loop(), on_full=lambda _: full.set())
    await append(store, sample_value("a", 1, SMALL), 0.0)
    files.fill(room_bytes)
    waiting = [append(store, sample_value("a", number, BULK), 0.0) for number in range(2, 9)]
    async with asyncio.timeout(DEADLINE_S):
        await full.wait()
        await store.close()
    acked = [number for number, future in enumerate(waiting, 2) if future.exception() is None]
    again, lsns = opened(files.crash(3), memory_path / "two.db")
    assert set(acked) <= set(lsns)
    assert [envelope.position.sequence for envelope, _ in again.values("a")] == lsns
    await again.close()


async def test_the_reserve_of_the_journal_takes_small_frames_when_the_volume_is_full(memory_path: Path) -> None:
    files = FaultyFiles()
    store, _ = opened(files, memory_path / "one.db")
    await commit(store, sample_value("a", 1, SMALL), 0.0)
    files.fill(0)
    assert (await commit(store, sample_value("a", 2, SMALL), 0.0)).lsn == 2
    assert store.full == ""
    assert recover(files.crash(1), JOURNAL).end.next_lsn == 3
    await store.close()


@pytest.mark.parametrize("calls", range(0, 75, 7))
async def test_names_that_a_killed_process_left_are_durable_before_anything_rests_on_them(memory_path: Path, calls: int) -> None:
    """It made a directory, a journal file or a checkpoint and ended before the name was synced: the next one on the same boot sees it all."""
    limits = dataclasses.replace(
        LIMITS, journal_file_max_bytes=24 * 1024, preallocate_bytes=4096, journal_files_kept=1, checkpoint_frames=2
    )
    schemas = [SchemaMessage(one.envelope.schema_id, one.schema) for one in (sample_value("a", 1),)]
    files = FaultyFiles()
    number = 0
    for life in range(3):
        if life < 2:
            files.cut_power_after(calls)
        try:
            store = Store.open(DIRECTORY, files, limits=limits, catalog_path=memory_path / f"{life}.db")
            list(store.replay())
            store.start(asyncio.get_running_loop(), thread=False, keep=lambda: [HomeKept(1, 1), *schemas])
            number = max((envelope.position.sequence for envelope, _ in store.values("a")), default=0)
            for _ in range(4):
                number += 1
                await commit(store, sample_value("a", number, BULK if number % 2 else SMALL), 0.0)
                store.tidy()
            store._catalog.close()
        except StorageFailed:
            pass
        files = files.kill()
    for seed in range(3):
        again = Store.open(DIRECTORY, files.crash(seed), limits=limits, catalog_path=memory_path / f"after-{seed}.db")
        list(again.replay())
        found = [envelope.position.sequence for envelope, _ in again.values("a")]
        assert found[-4:] == list(range(number - 3, number + 1))
        again._catalog.close()
