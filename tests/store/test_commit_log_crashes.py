"""What was committed is said once and in one chain, whenever power fails: by `_commits` or by the journal."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from linkd.errors import StorageFailed
from linkd.limits import LINEAGE_KEPT_S
from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import SnapshotCommitted
from linkd.store.commit_log import DIRECTORY, check_chain, file_name, file_number, read_file
from linkd.store.journal_reader import JournalReader, recover
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.faulty_files import FaultyFiles
from linkd.testing.sample_values import sample_value
from linkd.wire.frames import decode_frame

STORE = Path("/s")
LIMITS = StoreLimits(
    inline_payload_max_bytes=1_000,
    frame_inline_max_bytes=2_000,
    group_max_bytes=8_000,
    journal_file_max_bytes=16 * 1024,
    preallocate_bytes=8 * 1024,
    journal_files_kept=1,
    checkpoint_frames=1_000,
    checkpoint_at_close_frames=1_000,
)
LIVES = 3


def keep() -> Sequence[Kept]:
    one = sample_value("flown", 1)
    return [HomeKept(7, 70), SchemaMessage(one.envelope.schema_id, one.schema)]


def commit(number: int, leap_s: float) -> SnapshotCommitted:
    """Made a second after the one before it; every 12 commits so much later."""
    at_ns = int((number + number // 12 * leap_s) * 1e9)
    return SnapshotCommitted("clean", 1, number.to_bytes(8, "big"), number, 1, (), (), 0, at_ns, {})


def number_of(record: SnapshotCommitted) -> int:
    return int.from_bytes(record.snapshot_id, "big")


def said(files: FaultyFiles) -> list[int]:
    """Every commit that `_commits` says, behind each other, and behind them those that only the journal says."""
    found: list[int] = []
    numbers = [number for name in files.list(STORE / DIRECTORY) if (number := file_number(name)) is not None]
    chain = None
    for number in sorted(numbers):
        start, batches = read_file(files, STORE / DIRECTORY / file_name(number))
        rows = list(batches)
        assert chain in (None, start), "the chain leads from file to file"
        chain = check_chain(rows, start)
        records = [decode_frame(record.as_py())[0] for batch in rows for record in batch.column("record")]
        found += [number_of(record) for record in records if isinstance(record, SnapshotCommitted)]
    journal = recover(files, STORE / "journal")
    for header, frame in JournalReader(files, STORE / "journal", journal.headers).frames(0, journal.end.next_lsn):
        if header.number not in numbers:
            found += [number_of(one) for one in decode_frame(frame.records) if isinstance(one, SnapshotCommitted)]
    return found


async def work(files: FaultyFiles, catalog: Path, acked: list[int], leap_s: float, calls: int = 1_000_000) -> None:
    """A life: many commits, and the journal files that they fill go, until power fails after so many calls."""
    store = Store.open(STORE, files, limits=LIMITS, catalog_path=catalog)
    try:
        list(store.replay())
        store.start(asyncio.get_running_loop(), thread=False, keep=keep)
        store.tidy()
        files.cut_power_after(calls)
        while True:
            number = max(said(files), default=0) + 1
            for one in range(number, number + 6):
                value = sample_value("flown", one, 10)
                future = store.append([value.schema_kept, value.stored, commit(one, leap_s)], [value.payload])
                store.commit_waiting()
                await future
                acked.append(one)
            store.tidy()
    finally:
        store._catalog.close()


class CutAtDeletion(FaultyFiles):
    """Power fails when so many files of `_commits` were deleted and another one is."""

    deletions = 1

    def unlink(self, path: Path) -> None:
        if path.parent == STORE / DIRECTORY and file_number(path.name) is not None:
            self.deletions -= 1
            if self.deletions < 0:
                self.cut_power_after(0)
        super().unlink(path)


@pytest.mark.parametrize("leap_s", [0, 2 * LINEAGE_KEPT_S], ids=["all are kept", "old ones go"])
@pytest.mark.parametrize("seed", range(8))
def test_every_commit_is_said_once_and_in_one_chain_whenever_power_fails(memory_path: Path, seed: int, leap_s: float) -> None:
    chance, files = random.Random(seed), FaultyFiles()
    for life in range(LIVES):
        acked: list[int] = []
        with pytest.raises(StorageFailed):
            asyncio.run(work(files, memory_path / f"{life}.db", acked, leap_s, chance.randrange(300)))
        files = files.crash(chance.randrange(2**32))
        there = said(files)
        assert there == list(range(there[0] if leap_s and there else 1, max(there, default=0) + 1))
        assert not acked or acked[-1] <= there[-1]


def test_what_is_too_old_goes_from_the_beginning_of_the_chain_whenever_power_fails(memory_path: Path) -> None:
    files = CutAtDeletion()
    with pytest.raises(StorageFailed, match="cannot delete /s/_commits"):
        asyncio.run(work(files, memory_path / "catalog.db", [], 2 * LINEAGE_KEPT_S))
    for seed in range(16):
        there = said(files.crash(seed))
        assert there == list(range(there[0], there[-1] + 1))
