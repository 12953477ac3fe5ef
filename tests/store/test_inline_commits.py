"""Commits that the event loop makes by itself: when it does, when it leaves them to the thread, and that nothing else is another then."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from linkd.errors import StorageFailed
from linkd.limits import INLINE_COMMIT_MAX_FRAMES
from linkd.model.terms import AT_ONCE_S, NEVER_S
from linkd.store.committer import Committed
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.faulty_files import FaultyFiles
from linkd.testing.sample_values import sample_value

DIRECTORY = Path("/store")
LIMITS = StoreLimits(preallocate_bytes=16 * 1024, catalog_idle_s=0.01, inline_commit_max_s=60.0)
DEADLINE_S = 10


class WatchedFiles(FaultyFiles):
    """Knows in which threads files were synced, and says when the catalog's entries may be written."""

    def __init__(self) -> None:
        super().__init__()
        self.synced_by: list[int] = []

    def _step(self, operation: str, path: str) -> None:
        super()._step(operation, path)
        if operation == "sync" and Path(path).suffix:
            self.synced_by.append(threading.get_ident())


class Stores:
    """Opens a store with a committer's thread, and another life of it."""

    def __init__(self, catalogs: Path) -> None:
        self.files: FaultyFiles = WatchedFiles()
        self._catalogs = catalogs
        self.lsns: list[int] = []

    @property
    def synced_by(self) -> list[int]:
        assert isinstance(self.files, WatchedFiles)
        return self.files.synced_by

    async def after_a_power_cut(self, store: Store) -> list[int]:
        """The frames of the next life, while the one before was at work."""
        survivors = self.files.crash(1)
        await store.close()
        self.files = survivors
        await self.open().close()
        return self.lsns

    def open(self, limits: StoreLimits = LIMITS) -> Store:
        store = Store.open(DIRECTORY, self.files, limits=limits, catalog_path=self._catalogs / f"{id(self.files)}.db")
        self.lsns = [lsn for lsn, _ in store.replay()]
        store.start(asyncio.get_running_loop())
        return store

    async def ready(self, limits: StoreLimits = LIMITS) -> Store:
        """A store whose journal file is there: the thread makes it."""
        store = self.open(limits)
        await append(store, 1)
        while store._committer._inline.writing.locked():
            await asyncio.sleep(0)
        self.synced_by.clear()
        return store


@pytest.fixture
def stores(memory_path: Path) -> Stores:
    return Stores(memory_path)


def append(store: Store, sequence: int, rows: int = 10, *, sync_within_s: float = AT_ONCE_S) -> asyncio.Future[Committed]:
    value = sample_value("flown", sequence, rows)
    return store.append([value.schema_kept, value.stored], [value.payload], sync_within_s=sync_within_s)


async def test_a_frame_that_is_alone_is_committed_by_the_loop_and_indexed_by_the_thread(stores: Stores) -> None:
    store = await stores.ready()
    done = [await append(store, sequence) for sequence in (2, 3)]
    assert [committed.lsn for committed in done] == [2, 3]
    assert set(stores.synced_by) == {threading.get_ident()}
    async with asyncio.timeout(DEADLINE_S):
        while store._catalog.waiting:
            await asyncio.sleep(0.001)
    await store.close()
    await stores.open().close()
    assert len(stores.lsns) == 3


async def test_frames_of_one_turn_are_one_group_and_many_are_the_threads(stores: Stores) -> None:
    store = await stores.ready()
    few = [append(store, sequence) for sequence in (2, 3, 4)]
    await asyncio.gather(*few)
    assert stores.synced_by == [threading.get_ident()]
    many = [append(store, sequence) for sequence in range(5, 6 + INLINE_COMMIT_MAX_FRAMES)]
    await asyncio.gather(*many)
    assert stores.synced_by[1] != threading.get_ident()
    await store.close()


async def test_one_slow_commit_sends_those_that_follow_to_the_thread_for_a_while(stores: Stores) -> None:
    store = await stores.ready()
    inline = store._committer._inline
    inline.took(2 * LIMITS.inline_commit_max_s, 0.0, synced=True)
    await append(store, 2)
    assert threading.get_ident() not in stores.synced_by
    for _ in range(100):
        inline.took(0.0001, 0.0, synced=True)
    while inline.writing.locked():
        await asyncio.sleep(0)
    await append(store, 3)
    assert stores.synced_by[-1] == threading.get_ident()
    await store.close()


async def test_what_is_only_written_is_not_sent_to_the_thread_by_a_slow_sync(stores: Stores) -> None:
    store = await stores.ready()
    inline = store._committer._inline
    before = inline.made
    inline.took(2 * LIMITS.inline_commit_max_s, 0.0, synced=True)
    many = [append(store, sequence, sync_within_s=NEVER_S) for sequence in range(2, 3 + INLINE_COMMIT_MAX_FRAMES)]
    await asyncio.gather(*many)
    assert inline.made == before + 1
    slow_s = 2 * LIMITS.inline_commit_max_s
    inline.took(slow_s, slow_s, synced=False)
    await append(store, 3 + INLINE_COMMIT_MAX_FRAMES, sync_within_s=NEVER_S)
    assert inline.made == before + 1
    await store.close()


@pytest.mark.parametrize(("seconds", "goes_on"), [(0.01, True), (0.03, False)])
async def test_a_write_that_waited_for_the_processor_says_nothing_and_one_that_was_held_up_does(
    stores: Stores, seconds: float, goes_on: bool
) -> None:
    store = await stores.ready(replace(LIMITS, inline_commit_max_s=0.005, write_stalled_s=0.02))
    inline = store._committer._inline
    inline._slowest_s[False] = 0.0
    before = inline.made
    inline.took(seconds, 0.0001, synced=False)
    await append(store, 2, sync_within_s=NEVER_S)
    assert (inline.made > before) is goes_on
    await store.close()


async def test_without_a_time_for_it_the_loop_commits_nothing(stores: Stores) -> None:
    store = await stores.ready(replace(LIMITS, inline_commit_max_s=0.0))
    await append(store, 2)
    assert threading.get_ident() not in stores.synced_by
    await store.close()


async def test_a_sync_that_fails_in_the_loop_ends_the_store_as_one_in_the_thread_does(stores: Stores) -> None:
    store = await stores.ready()
    stores.files.fail_a_sync()
    with pytest.raises(StorageFailed, match="accepts nothing more; what it acknowledged is safe"):
        await append(store, 2)
    with pytest.raises(StorageFailed):
        append(store, 3)
    assert await stores.after_a_power_cut(store) == [1]


async def test_what_the_loop_acked_survives_a_power_cut(stores: Stores) -> None:
    store = await stores.ready()
    for sequence in range(2, 20):
        await append(store, sequence)
    assert set(stores.synced_by) == {threading.get_ident()}
    assert await stores.after_a_power_cut(store) == list(range(1, 20))
