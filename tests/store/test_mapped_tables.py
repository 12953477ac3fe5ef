"""Whoever has mapped a segment file, as any Arrow tool does, keeps what it saw: files are never used again, whatever becomes of their values."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import Dropped
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import sample_value

SMALL, BULK = 10, 400
"""Rows of a value that lies in the journal, and of one that lies in a segment, under `LIMITS`."""
LIMITS = StoreLimits(
    inline_payload_max_bytes=1_000,
    frame_inline_max_bytes=2_000,
    journal_file_max_bytes=32 * 1024,
    preallocate_bytes=16 * 1024,
    journal_files_kept=1,
    checkpoint_at_close_frames=1_000,
    segment_file_max_bytes=16 * 1024,
    segment_roll_min_bytes=2 * 1024,
)


def keep() -> Sequence[Kept]:
    one = sample_value("flown", 1)
    return [HomeKept(7, 70), SchemaMessage(one.envelope.schema_id, one.schema)]


def opened(directory: Path) -> Store:
    store = Store.open(directory, limits=LIMITS)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False, keep=keep)
    return store


def append(store: Store, first: int, last: int, generation: int) -> None:
    """Values of every kind, of the same sizes in each generation: a file that was used again would fit exactly."""
    for sequence in range(first, last + 1):
        value = sample_value("flown", sequence, BULK if sequence % 3 else SMALL, generation=generation)
        store.append([value.schema_kept, value.stored], [value.payload])
        if sequence % 8 == 0 or sequence == last:
            store.commit_waiting()


async def drop(store: Store, first: int, last: int, generation: int = 0) -> None:
    dropped = store.append([Dropped("flown", 1, first, last, "superseded", generation, forgotten=True)])
    store.commit_waiting()
    await dropped
    await asyncio.sleep(0)
    store.tidy()


def segments(directory: Path) -> set[Path]:
    return set((directory / "segments" / "flown").iterdir())


def mapped(paths: set[Path]) -> list[pa.Table]:
    """Tables over the pages of these files: nothing of them is copied."""
    before = pa.total_allocated_bytes()
    tables = [pa.ipc.open_stream(pa.memory_map(str(path))).read_all() for path in sorted(paths)]
    assert pa.total_allocated_bytes() == before
    return tables


def rows(tables: list[pa.Table]) -> list[list[int]]:
    return [table.column(0).to_pylist() for table in tables]


async def test_a_mapped_table_stays_what_it_was_when_its_values_are_dropped_and_ten_times_as_many_are_written(tmp_path: Path) -> None:
    store = opened(tmp_path / "s")
    used: set[Path] = set()
    tables: list[pa.Table] = []
    for generation in range(1, 12):
        first, last = 60 * generation - 59, 60 * generation
        append(store, first, last, generation)
        now = segments(tmp_path / "s")
        assert not used & now, "a file that was used is not used again"
        if not tables:
            tables = mapped(now)
            seen = rows(tables)
            assert sum(map(len, seen)) == 40 * BULK
        used |= now
        await drop(store, first, last, generation)
        assert not used & segments(tmp_path / "s")
        assert rows(tables) == seen
    await store.close()


async def test_a_mapped_table_stays_what_it_was_while_its_file_grows_and_is_mended_and_moved(tmp_path: Path) -> None:
    store = opened(tmp_path / "s")
    append(store, 1, 8, generation=1)
    store.tidy()
    tables = mapped(segments(tmp_path / "s"))
    seen = rows(tables)
    append(store, 9, 10, generation=1)
    assert rows(tables) == seen
    store._catalog.close()  # as it is left by kill -9, and somebody's interrupted write behind its end
    for path in segments(tmp_path / "s"):
        with path.open("ab") as file:
            file.write(b"\x55" * 4_000)
    longer = mapped(segments(tmp_path / "s"))
    seen_longer = rows(longer)
    store = opened(tmp_path / "s")
    assert "cut" in str(store.recovery.notes)
    append(store, 11, 40, generation=1)
    await drop(store, 1, 20)
    store.tidy()
    append(store, 41, 80, generation=1)
    await store.close()
    assert (rows(tables), rows(longer)) == (seen, seen_longer)
