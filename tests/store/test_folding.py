"""Folding: after a clean stop every value that is kept lies in segments, where any Arrow program reads it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path

from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import Dropped
from linkd.model.values import PlaceKind
from linkd.store.files import Files, LocalFiles
from linkd.store.offline.verification import verify
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.faulty_files import FaultyFiles
from linkd.testing.plain_arrow import batches_in_segments
from linkd.testing.sample_values import SampleValue, sample_value

LIMITS = StoreLimits(
    inline_payload_max_bytes=1_000,
    frame_inline_max_bytes=2_000,
    group_max_bytes=8_000,
    journal_file_max_bytes=32 * 1024,
    preallocate_bytes=8 * 1024,
    journal_files_kept=2,
    checkpoint_frames=1_000,
    checkpoint_at_close_frames=1_000,
    fold_part_bytes=5_000,
)
DEADLINE_S = 20.0


class Clock:
    """Moves on by itself: each look at it takes a second."""

    def __init__(self, a_look_s: float = 0.0) -> None:
        self.now_s = 0.0
        self.a_look_s = a_look_s

    def __call__(self) -> float:
        self.now_s += self.a_look_s
        return self.now_s


def keep() -> Sequence[Kept]:
    one = sample_value("flown", 1)
    return [HomeKept(7, 70), SchemaMessage(one.envelope.schema_id, one.schema)]


def value_of(sequence: int) -> SampleValue:
    """Most are small; every fifth goes to a segment at once."""
    return sample_value("flown", sequence, 10 if sequence % 5 else 300)


def opened(directory: Path, files: Files | None = None, now_s: Callable[[], float] | None = None, *, thread: bool = False) -> Store:
    catalog = None if files is None else directory
    store = Store.open(directory if files is None else Path("/s"), files, limits=LIMITS, catalog_path=catalog, now_s=now_s or Clock())
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=thread, keep=keep)
    return store


async def publish(store: Store, first: int, last: int) -> None:
    for sequence in range(first, last + 1):
        value = value_of(sequence)
        future = store.append([value.schema_kept, value.stored], [value.payload])
        store.commit_waiting()
        await future


async def content(store: Store) -> list[int]:
    """The values there, each of them as it was published."""
    found = []
    for envelope, place in store.values("flown"):
        metadata, body = await store.read_payload(envelope, place)
        assert metadata + bytes(body) == value_of(envelope.position.sequence).payload[8:]
        found.append(envelope.position.sequence)
    return found


def places(store: Store) -> set[PlaceKind]:
    return {place.kind for _, place in store.values("flown")}


def by_arrow(directory: Path) -> list[int]:
    """The values that Arrow programs see, those of a file in order."""
    return sorted(batch.column(0)[0].as_py() for batch in batches_in_segments(directory, "flown"))


async def test_after_a_clean_stop_every_value_is_in_a_segment(tmp_path: Path) -> None:
    store = opened(tmp_path / "s", thread=True)
    await publish_in_thread(store, 1, 60)
    await store.close()
    assert by_arrow(tmp_path / "s") == list(range(1, 61))
    again = opened(tmp_path / "s")
    assert again.recovery.frames == 0, "the next start has nothing to read"
    assert places(again) == {PlaceKind.SEGMENT}
    await publish(again, 61, 70)
    await again.close()
    assert by_arrow(tmp_path / "s") == list(range(1, 71))
    assert not verify(LocalFiles(), tmp_path / "s").damage
    third = opened(tmp_path / "s")
    assert await content(third) == list(range(1, 71))
    await publish(third, 71, 120)
    third.tidy()  # which recycles files whose values were folded
    assert await content(third) == list(range(1, 121))
    await third.close()
    assert by_arrow(tmp_path / "s") == list(range(1, 121))


async def publish_in_thread(store: Store, first: int, last: int) -> None:
    for sequence in range(first, last + 1):
        value = value_of(sequence)
        await store.append([value.schema_kept, value.stored], [value.payload])


async def test_what_was_dropped_is_not_folded(tmp_path: Path) -> None:
    store = opened(tmp_path / "s")
    await publish(store, 1, 20)
    store.append([Dropped("flown", 1, 1, 12, "expired")])
    await store.close()
    assert [number for number in by_arrow(tmp_path / "s") if number % 5] == [13, 14, 16, 17, 18, 19]


async def test_what_there_was_no_time_for_is_folded_behind_the_next_start(tmp_path: Path) -> None:
    store = opened(tmp_path / "s", now_s=Clock(a_look_s=1.0))
    await publish(store, 1, 60)
    await store.close(fold_within_s=20)
    there = by_arrow(tmp_path / "s")
    small = [number for number in there if number % 5]
    assert 0 < len(small) < 48
    assert small == [number for number in range(1, small[-1] + 1) if number % 5], "what was folded counts, without a gap"
    again = opened(tmp_path / "s")
    assert await content(again) == list(range(1, 61))
    again.tidy()
    assert by_arrow(tmp_path / "s") == list(range(1, 61))
    await again.close()


async def test_an_index_that_is_lost_behind_a_fold_is_made_again_once(tmp_path: Path) -> None:
    store = opened(tmp_path / "s")
    await publish(store, 1, 30)
    expected = list(store.values("flown"))
    await store.close()
    (tmp_path / "s" / "catalog.db").unlink()
    again = opened(tmp_path / "s")
    assert [envelope for envelope, _ in again.values("flown")] == [envelope for envelope, _ in expected]
    assert places(again) == {PlaceKind.SEGMENT}
    assert await content(again) == list(range(1, 31))
    await again.close(0.0)
    assert not verify(LocalFiles(), tmp_path / "s").findings, "it is of the same time as the rest"


def made_again(catalog: Path) -> int:
    """Rows that were made from what lies in segments: those do not know their frame."""
    with contextlib.closing(sqlite3.connect(catalog)) as connection:
        return int(connection.execute("SELECT count(*) FROM value_rows WHERE lsn = 0").fetchone()[0])


async def test_power_that_fails_while_it_folds_loses_nothing(memory_path: Path) -> None:
    """At each write, sync and change of a name."""
    steps, number = 1, 0
    while number < steps:
        files = FaultyFiles()
        store = opened(memory_path / f"{number}.db", files)
        await publish(store, 1, 9)
        before = files.calls
        files.cut_power_after(number if number else 10_000)
        await store.close()
        await asyncio.sleep(0)
        steps = files.calls - before if not number else steps
        again = opened(memory_path / f"{number}.db", files.crash(number))
        assert await content(again) == list(range(1, 10))
        assert not made_again(memory_path / f"{number}.db"), "of an index that is current only what the fold moved is entered again"
        again.tidy()
        await again.close()
        number += 1
    assert steps > 10


async def test_a_fold_that_finds_no_room_leaves_the_rest_to_the_next_start(memory_path: Path) -> None:
    files = FaultyFiles()
    store = opened(memory_path / "one.db", files)
    await publish(store, 1, 30)
    files.fill(6_000)
    await store.close()
    files.fill(None)
    again = opened(memory_path / "one.db", files)
    assert await content(again) == list(range(1, 31))
    again.tidy()
    await again.close()
    last = opened(memory_path / "one.db", files)
    assert places(last) == {PlaceKind.SEGMENT}
    assert await content(last) == list(range(1, 31))
    await last.close()
