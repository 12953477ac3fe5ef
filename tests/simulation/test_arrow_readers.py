"""What any Arrow tool sees that opens a segment file by itself, at every instant of every write: committed values only, in order, without a gap.

A file system tells of each write to a segment before it happens. Whoever opens the file then, or while some sectors of the write are there and
others are not, sees what is tried here: pyarrow and polars read the bytes as they are, with nothing of linkd's.
"""

from __future__ import annotations

import asyncio
import dataclasses
import io
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars
import pyarrow as pa
import pytest

from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import Dropped, Record
from linkd.model.values import PlaceKind
from linkd.store.files import Bytes, File
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.faulty_files import SECTOR_BYTES, FaultyFiles
from linkd.testing.sample_values import SampleValue, sample_value
from linkd.testing.sample_writer import SampleWriter

DIRECTORY = Path("/store")
SEGMENTS = DIRECTORY / "segments"
LIMITS = StoreLimits(
    inline_payload_max_bytes=300,
    frame_inline_max_bytes=600,
    journal_file_max_bytes=24 * 1024,
    preallocate_bytes=8 * 1024,
    journal_files_kept=1,
    checkpoint_frames=9,
    checkpoint_at_close_frames=4,
    segment_file_max_bytes=12 * 1024,
    segment_roll_min_bytes=2 * 1024,
    open_files_max=2,
)
SHARED_LIMITS = dataclasses.replace(LIMITS, shared_padding_max_bytes=1_024)
LINKS = ("a", "b")
TORN_MAX = 6
"""Of each write so many mixtures of sectors that are there and sectors that are not."""


@dataclass
class Readers:
    """Look at a segment file whenever it changes. `lsns` has the frame of each value that was submitted, by link, in order.

    What is `wrong` is said at the end: an error in the middle of a write would be the disk's, for the store.
    """

    lsns: dict[str, dict[int, int]] = field(default_factory=lambda: {link: {} for link in LINKS})
    large: set[tuple[str, int]] = field(default_factory=set)
    seen: dict[Path, list[int]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    looks: int = 0
    store: Store | None = None

    def look(self, path: Path, content: bytes, *, torn: bool = False) -> None:
        self.looks += 1
        values = by_pyarrow(content)
        before = self.seen.get(path, [])
        self._check(torn or by_polars(content) == values, "polars and pyarrow see the same", path, values)
        self._check(values[: len(before)] == before, "what was seen is seen for good", path, values)
        if values:
            expected = self._committed_like(path.parent.name, values)
            self._check(values == expected, "committed values only, in order, without a gap", path, values)
        if not torn:
            self.seen[path] = values

    def _check(self, holds: bool, promise: str, path: Path, values: list[int]) -> None:
        if not holds:
            self.wrong.append(f"{promise}: {path} shows {values}")

    def _committed_like(self, link: str, values: list[int]) -> list[int]:
        """The committed values between the first and the last of these. Large ones have files of their own, and so have copies of small ones."""
        assert self.store is not None
        durable_lsn, large = self.store._committer._journal.durable_lsn, (link, values[0]) in self.large
        return [
            number
            for number, lsn in self.lsns[link].items()
            if lsn <= durable_lsn and values[0] <= number <= values[-1] and ((link, number) in self.large) == large
        ]


def by_pyarrow(content: bytes) -> list[int]:
    """The value of each batch; nothing of a file that is no stream yet."""
    try:
        return [batch.column(0)[0].as_py() for batch in pa.ipc.open_stream(content) if batch.num_rows]
    except (pa.ArrowInvalid, OSError):
        return []


def by_polars(content: bytes) -> list[int]:
    """The same, from the rows: each says the number of its value."""
    try:
        rows = polars.read_ipc_stream(io.BytesIO(content)).to_series().to_list()
    except (polars.exceptions.PolarsError, OSError):
        return []
    return list(dict.fromkeys(rows))


class WatchedFiles(FaultyFiles):
    """Shows a segment file to the readers before, within and after each write to it."""

    def __init__(self, readers: Readers) -> None:
        super().__init__()
        self._readers = readers
        self._watchers: list[WatchedFile] = []

    def create(self, path: Path) -> File:
        return self._watched(path, super().create(path))

    def open(self, path: Path, *, writable: bool = False) -> File:
        file = super().open(path, writable=writable)
        return self._watched(path, file) if writable else file

    def rename(self, source: Path, target: Path) -> None:
        super().rename(source, target)
        for watcher in self._watchers:
            if watcher.path == source:
                watcher.path = target
                watcher.look(watcher.content())

    def _watched(self, path: Path, file: File) -> File:
        if not path.is_relative_to(SEGMENTS):
            return file
        self._watchers.append(WatchedFile(path, file, self._readers))
        return self._watchers[-1]


@dataclass
class WatchedFile:
    path: Path
    file: File
    readers: Readers

    def pwrite(self, data: Bytes, offset: int) -> None:
        before = self.content()
        self.file.pwrite(data, offset)
        after = self.content()
        for torn in mixtures(before, after, offset, offset + len(data)):
            self.look(torn, torn=True)
        self.look(after)

    def look(self, content: bytes, *, torn: bool = False) -> None:
        """Nobody takes a spare file for a segment."""
        if self.path.suffix == ".arrow":
            self.readers.look(self.path, content, torn=torn)

    def pwritev(self, parts: Sequence[Bytes], offset: int) -> None:
        self.pwrite(b"".join(parts), offset)

    def reserve(self, size_bytes: int) -> None:
        self.file.reserve(size_bytes)
        self.look(self.content())

    def truncate(self, length: int) -> None:
        self.file.truncate(length)
        self.look(self.content())

    def content(self) -> bytes:
        return self.file.pread(self.file.size(), 0)

    def pread(self, length: int, offset: int) -> bytes:
        return self.file.pread(length, offset)

    def begin_sync(self, start: int, size_bytes: int) -> None:
        self.file.begin_sync(start, size_bytes)

    def datasync(self) -> None:
        self.file.datasync()

    def size(self) -> int:
        return self.file.size()

    def close(self) -> None:
        self.file.close()


def mixtures(before: bytes, after: bytes, start: int, end: int) -> list[bytes]:
    """The file while it is written: its length is the new one, and of the sectors of the write some are there."""
    sectors = list(range(start - start % SECTOR_BYTES, end, SECTOR_BYTES))
    chance = random.Random(f"{start} {end}")
    found = []
    for _ in range(min(TORN_MAX, 2 ** len(sectors))):
        content = bytearray(before) + bytes(max(len(after) - len(before), 0))
        for at in sectors:
            if chance.random() < 0.5:
                first, last = max(at, start), min(at + SECTOR_BYTES, end)
                content[first:last] = after[first:last]
        found.append(bytes(content))
    return found


def keep() -> list[Kept]:
    one = sample_value("a", 1)
    return [HomeKept(1, 0), SchemaMessage(one.envelope.schema_id, one.schema)]


async def write(files: FaultyFiles, readers: Readers, catalog: Path, chance: random.Random) -> None:
    """A few hundred values, small and large, one frame each; generations end and are dropped, files are recycled."""
    store = readers.store = Store.open(DIRECTORY, files, limits=LIMITS, catalog_path=catalog)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False, keep=keep)
    generations = dict.fromkeys(LINKS, 1)
    first_of = dict.fromkeys(LINKS, 1)
    for lsn in range(store._layout.next_lsn, store._layout.next_lsn + 150):
        link = chance.choice(LINKS)
        sequence = len(readers.lsns[link]) + 1
        records: list[Record] = []
        if chance.random() < 0.03:
            last, old = sequence - 1, generations[link]
            records.append(Dropped(link, 1, first_of[link], last, "because", old, forgotten=True))
            generations[link], first_of[link] = old + 1, sequence
        value = next_value(readers, link, sequence, generations[link], chance)
        readers.lsns[link][sequence] = lsn
        store.append([*records, value.schema_kept, value.stored], [value.payload])
        if chance.random() < 0.5:
            store.commit_waiting()
        if chance.random() < 0.1:
            store.tidy()
    await store.close()
    await asyncio.sleep(0)


def next_value(readers: Readers, link: str, sequence: int, generation: int, chance: random.Random) -> SampleValue:
    rows = chance.choice((1, 1, 4, 200))
    if rows == 200:
        readers.large.add((link, sequence))
    return sample_value(link, sequence, rows, generation=generation)


@pytest.mark.parametrize("seed", range(3))
async def test_an_arrow_reader_sees_committed_values_in_order_at_every_instant_of_a_write(memory_path: Path, seed: int) -> None:
    readers = Readers()
    files = WatchedFiles(readers)
    await write(files, readers, memory_path / "catalog.db", random.Random(seed))
    assert readers.wrong == []
    assert readers.looks > 500
    there = {
        (link, number)
        for link in LINKS
        for name in files.list(SEGMENTS / link)
        for number in by_pyarrow(files.open(SEGMENTS / link / name).pread(files.size(SEGMENTS / link / name), 0))
    }
    assert readers.store is not None
    in_segments = await stored_in_segments(readers.store, files, memory_path / "again.db")
    assert there == in_segments, "after a clean stop every value of a segment is seen"


async def stored_in_segments(closed: Store, files: FaultyFiles, catalog: Path) -> set[tuple[str, int]]:
    """The values that the store says lie in segments."""
    store = Store.open(DIRECTORY, files, limits=LIMITS, catalog_path=catalog)
    list(store.replay())
    found = {
        (link, envelope.position.sequence) for link in LINKS for envelope, place in store.values(link) if place.kind is PlaceKind.SEGMENT
    }
    await store.close()
    return found


async def lay(files: FaultyFiles, readers: Readers, catalog: Path, chance: random.Random) -> None:
    """Values that one publisher lays into files of its own, with gaps and some that are never committed; the files come round again."""
    store = readers.store = Store.open(DIRECTORY, files, limits=SHARED_LIMITS, catalog_path=catalog)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False, keep=keep)
    writer = SampleWriter(store, files, SEGMENTS)
    first = 1
    for lsn in range(1, 50):
        sequence = len(readers.lsns["a"]) + 1
        value = sample_value("a", sequence, chance.choice((60, 200)))
        if writer.file is None or writer.end > 6 * 1024:
            if writer.file is not None:
                store.shared.unshare(writer.file, reusable=True)
                store.append([Dropped("a", 1, first, sequence - 1, "age", forgotten=True)], durable=False)
                first = sequence
                store.commit_waiting()
                await asyncio.sleep(0)
                store.tidy()
            await writer.open(value, size_bytes=12 * 1024)
        placed = await writer.place(value, gap_bytes=chance.choice((0, 0, 2_000)))
        if chance.random() < 0.2:
            placed.discard()
            continue
        readers.large.add(("a", sequence))
        readers.lsns["a"][sequence] = store._layout.next_lsn
        store.append([value.schema_kept, value.stored], [placed])
        if chance.random() < 0.6 or lsn == 49:
            store.commit_waiting()
            await asyncio.sleep(0)
    await store.close()
    await asyncio.sleep(0)
    assert len({path.name for path in readers.seen}) > len({id(watcher.file._node) for watcher in files._watchers}), "files came round"


@pytest.mark.parametrize("seed", range(2))
async def test_an_arrow_reader_sees_the_same_of_files_that_their_publisher_writes(memory_path: Path, seed: int) -> None:
    readers = Readers()
    files = WatchedFiles(readers)
    await lay(files, readers, memory_path / "catalog.db", random.Random(seed))
    assert readers.wrong == []
    assert readers.looks > 500
