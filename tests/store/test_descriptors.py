"""What a sync says of a file it says to the descriptor that wrote: a failed write-back is told to those who had the file open, once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import Dropped, SnapshotCommitted
from linkd.store.files import Bytes, File, LocalFiles
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import sample_value

LIMITS = StoreLimits(
    inline_payload_max_bytes=300,
    frame_inline_max_bytes=600,
    journal_file_max_bytes=24 * 1024,
    preallocate_bytes=8 * 1024,
    journal_files_kept=1,
    checkpoint_frames=9,
    checkpoint_at_close_frames=4,
    segment_file_max_bytes=8 * 1024,
    segment_roll_min_bytes=2 * 1024,
    open_files_max=2,
)
PREFIX_BYTES = 8
WEAK_S = 1_000.0


@dataclass
class Handle:
    """A descriptor that remembers what it wrote and did not sync."""

    path: Path
    file: File
    left: dict[Path, list[int]]
    unsynced: list[int] = field(default_factory=list)

    def pwrite(self, data: Bytes, offset: int) -> None:
        self.file.pwrite(data, offset)
        self.unsynced.append(len(data))

    def pwritev(self, parts: Sequence[Bytes], offset: int) -> None:
        self.file.pwritev(parts, offset)
        self.unsynced.append(sum(map(len, parts)))

    def reserve(self, size_bytes: int) -> None:
        self.file.reserve(size_bytes)
        self.unsynced.append(size_bytes)

    def truncate(self, length: int) -> None:
        self.file.truncate(length)

    def begin_sync(self, start: int, size_bytes: int) -> None:
        self.file.begin_sync(start, size_bytes)

    def datasync(self) -> None:
        self.file.datasync()
        self.unsynced.clear()

    def close(self) -> None:
        self.file.close()
        if self.unsynced:
            self.left.setdefault(self.path, []).extend(self.unsynced)
            self.unsynced = []

    def pread(self, length: int, offset: int) -> bytes:
        return self.file.pread(length, offset)

    def size(self) -> int:
        return self.file.size()


class WatchedFiles(LocalFiles):
    """`left`: by file, the lengths of the writes whose descriptor was closed without a sync behind them."""

    def __init__(self) -> None:
        self.left: dict[Path, list[int]] = {}

    def create(self, path: Path) -> File:
        return Handle(path, super().create(path), self.left)

    def open(self, path: Path, *, writable: bool = False) -> File:
        file = super().open(path, writable=writable)
        return Handle(path, file, self.left) if writable else file


def keep() -> Sequence[Kept]:
    one = sample_value("a", 1)
    return [HomeKept(1, 0), SchemaMessage(one.envelope.schema_id, one.schema)]


async def test_no_descriptor_is_closed_between_a_write_and_its_sync_but_for_prefixes_which_a_start_writes_again(tmp_path: Path) -> None:
    files = WatchedFiles()
    for life in range(2):
        store = Store.open(tmp_path / "s", files, limits=LIMITS, catalog_path=tmp_path / "catalog.db")
        list(store.replay())
        store.start(asyncio.get_running_loop(), thread=False, keep=keep)
        for number in range(1, 60):
            sequence, generation = life * 60 + number, 2 * life + 1 + number // 30
            for link in "abcd":  # more links than files stay open
                value = sample_value(link, sequence, 4 if number % 2 else 100, generation=generation)
                commit = SnapshotCommitted("clean", 1, value.envelope.id, sequence, 1, (), (), 0, 1, {})
                within_s = WEAK_S if link in "cd" else 0.0
                store.append([value.schema_kept, value.stored, commit], [value.payload], sync_within_s=within_s)
            if number % 5 == 0:  # not the number of values that a file holds
                store.commit_waiting()
            if number == 40:
                store.append([Dropped("a", 1, life * 60 + 1, life * 60 + 29, "because", 2 * life + 1)])
                dropped = store.append([Dropped("b", 1, life * 60 + 1, life * 60 + 10, "because")])
                store.commit_waiting()
                await dropped
                await asyncio.sleep(0)
                store.tidy()
        await store.close()
    segments = {path for path in files.left if path.is_relative_to(tmp_path / "s" / "segments")}
    assert segments, "prefixes were left to a later sync"
    assert {size for path in segments for size in files.left[path]} == {PREFIX_BYTES}
    assert {path.relative_to(tmp_path / "s").parts[0] for path in files.left} == {"segments"}
