"""All commits are read once and in order, whatever of the journal goes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pyarrow as pa

from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import OutputRange, SnapshotCommitted
from linkd.model.values import Parent
from linkd.store.commit_log import CHAIN_START, DIRECTORY, check_chain
from linkd.store.commit_records import CommitRecords
from linkd.store.files import LocalFiles
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import sample_value

LIMITS = StoreLimits(
    inline_payload_max_bytes=1_000,
    frame_inline_max_bytes=2_000,
    group_max_bytes=8_000,
    journal_file_max_bytes=32 * 1024,
    preallocate_bytes=16 * 1024,
    journal_files_kept=1,
    checkpoint_at_close_frames=1_000,
)


def keep() -> Sequence[Kept]:
    one = sample_value("flown", 1)
    return [HomeKept(7, 70), SchemaMessage(one.envelope.schema_id, one.schema)]


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Store]:
    store = Store.open(directory, limits=LIMITS)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False, keep=keep)
    try:
        yield store
    finally:
        await store.close()


async def commit(store: Store, numbers: Sequence[int]) -> None:
    for number in numbers:
        value = sample_value("flown", number, 10)
        portions, outputs = (Parent("flights", 1, 1, number, number),), (OutputRange("flown", 1, 1, number, number),)
        done = SnapshotCommitted("clean", 1, number.to_bytes(8, "big"), number, 1, portions, outputs, 1, number * 10**9)
        future = store.append([value.schema_kept, value.stored, done], [value.payload])
        store.commit_waiting()
        await future


def attempts(batches: Sequence[pa.RecordBatch]) -> list[int]:
    return [int.from_bytes(row["snapshot_id"], "big") for batch in batches for row in batch.to_pylist()]


async def test_what_is_folded_and_what_is_only_in_the_journal_are_one_chain(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    async with opened(directory) as store:
        assert list(store.commit_records(store.written_lsn).batches()) == []
        await commit(store, range(1, 41))
        store.tidy()
        await commit(store, range(41, 43))
        assert len(list((directory / DIRECTORY).iterdir())) > 1
        batches = list(store.commit_records(store.written_lsn).batches())
        assert attempts(batches) == list(range(1, 43))
        check_chain(batches, CHAIN_START)
    async with opened(directory) as store:
        again = list(store.commit_records(store.written_lsn).batches())
        assert attempts(again) == list(range(1, 43))
        assert check_chain(again, CHAIN_START) == batches[-1].column("chain")[-1].as_py()


async def test_a_reading_goes_on_where_the_journal_that_it_was_in_is_gone(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    async with opened(directory) as store:
        await commit(store, range(1, 61))
        oldest = store._reader.oldest
        reading = CommitRecords(LocalFiles(), directory / DIRECTORY, store._reader, store.written_lsn, rows=7).batches()
        read = [next(reading)]
        await commit(store, range(61, 91))
        store.tidy()
        assert store._reader.oldest > oldest
        read += reading
        assert attempts(read) == list(range(1, 61)), "up to where it was begun, each once"
        check_chain(read, CHAIN_START)
