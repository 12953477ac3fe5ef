"""Shared files against power cuts and kills at any call: seeded runs of writers that lay values into files, readers that hold them, and retention.

What was acked is there, of `memory` links unless the power failed; Arrow readers see it; and whoever holds a value sees the same bytes for ever,
whatever linkd is through with, and whoever still writes to a file of an earlier life.

Rerun one seed: pytest tests/simulation/test_shared_file_crashes.py -k "seeds-40" (a test runs some seeds from its number on).
"""

from __future__ import annotations

import asyncio
import functools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest

from linkd.errors import StorageFailed
from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import Dropped, HomeStarted, Record
from linkd.model.values import Place, PlaceKind
from linkd.store.committer import Committed
from linkd.store.files import File
from linkd.store.segment_format import directory_name, file_name
from linkd.store.shared_files import PlacedPayload
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.faulty_files import FaultyFiles
from linkd.testing.sample_values import SampleValue, sample_value
from linkd.testing.sample_writer import SampleWriter
from linkd.wire import arrow_ipc

DIRECTORY = Path("/store")
SEGMENTS = DIRECTORY / "segments"
LIMITS = StoreLimits(
    inline_payload_max_bytes=300,
    frame_inline_max_bytes=600,
    group_max_bytes=10_000,
    journal_file_max_bytes=24 * 1024,
    preallocate_bytes=8 * 1024,
    journal_files_kept=1,
    checkpoint_frames=9,
    checkpoint_at_close_frames=4,
    segment_file_max_bytes=8 * 1024,
    segment_roll_min_bytes=2 * 1024,
    shared_padding_max_bytes=2 * 1024,
    catalog_batch_values=5,
    catalog_tail_max_values=7,
    open_files_max=2,
)
SHARED_BYTES = 12 * 1024
VOLATILE = {"a": False, "b": True}
KINDS = (*("place",) * 8, *("commit",) * 5, *("drop",) * 3, "give up", "close", "forsake", "read", "read", "let go", "let go", "tidy")
SEEDS_PER_TEST = 10
STEPS = 100
LIVES = 5

made = functools.lru_cache(maxsize=None)(sample_value)
Key = tuple[str, int]


@dataclass
class Reader:
    """Somebody has this value mapped. `file_id` of None: nobody will hear that it is released."""

    file: File
    offset: int
    content: bytes
    file_id: int | None

    def is_unchanged(self) -> bool:
        return self.file.pread(len(self.content), self.offset) == self.content


@dataclass
class Zombie:
    """A writer of an earlier life, which goes on as if nothing had happened."""

    file: File
    offset: int

    def write(self) -> None:
        if self.offset + 500 < self.file.size():
            self.file.pwrite(b"\x55" * 400, self.offset)
            self.offset += 500


@dataclass
class World:
    """What was submitted, what was acked, and what somebody holds."""

    chance: random.Random
    catalog: Path
    files: FaultyFiles = field(default_factory=FaultyFiles)
    sequences: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VOLATILE, 0))
    values: dict[Key, SampleValue] = field(default_factory=dict)
    acked: set[Key] = field(default_factory=set)
    leaving: set[Key] = field(default_factory=set)
    readers: list[Reader] = field(default_factory=list)
    zombies: list[Zombie] = field(default_factory=list)
    store: Store | None = None
    writers: list[SampleWriter] = field(default_factory=list)
    staged: list[tuple[SampleValue, PlacedPayload]] = field(default_factory=list)
    boot: int = 1
    known_boot: str = ""

    def keep(self) -> Sequence[Kept]:
        one = made("a", 1, 60)
        return [HomeKept(1, 0, boot=self.known_boot), SchemaMessage(one.envelope.schema_id, one.schema)]

    def recovered(self, store: Store) -> bool:
        """Whether everything has to be there: what a home decides by the boot that it finds recorded."""
        self.known_boot = next((one.boot for one in store.kept if isinstance(one, HomeKept)), "")
        for _, records in store.replay():
            for record in records:
                self.known_boot = record.boot if isinstance(record, HomeStarted) else self.known_boot
        return store.recovery.clean or (self.known_boot == str(self.boot) and not store.recovery.voided)

    def next_value(self, link: str) -> SampleValue:
        sequence = self.sequences[link] = self.sequences[link] + 1
        value = self.values[link, sequence] = made(link, sequence, self.chance.choice((60, 120, 200)))
        return value


async def live(world: World) -> None:
    """One life of a home, up to where the power fails or it ends; it may end properly."""
    store = world.store = Store.open(DIRECTORY, world.files, limits=LIMITS, catalog_path=world.catalog)
    kept_all = world.recovered(store)
    lost = [] if kept_all else store.volatile_values()
    check(world, store, {(link, sequence) for link, first, last in lost for sequence in range(first, last + 1)}, kept_all=kept_all)
    store.start(asyncio.get_running_loop(), thread=False, keep=world.keep)
    if not kept_all or world.known_boot != str(world.boot):
        world.known_boot = str(world.boot)
        drops = [Dropped(link, 1, first, last, "lost", forgotten=True) for link, first, last in lost]
        await append(world, store, [HomeStarted(world.known_boot), *drops], [])
    for link, first, last in lost:
        world.leaving |= {(link, sequence) for sequence in range(first, last + 1)}
    for _ in range(world.chance.randint(5, STEPS)):
        await step(world, store)
        for reader in world.readers:
            assert reader.is_unchanged(), "what a reader holds has changed"
    await store.close()


async def step(world: World, store: Store) -> None:
    """Something that writers, readers or retention do."""
    chance = world.chance
    for zombie in world.zombies:
        zombie.write()
    kind = chance.choice(KINDS)
    if kind == "place":
        await place(world, store)
    elif kind == "commit" and world.staged:
        count = chance.randint(1, len(world.staged))
        some, world.staged = world.staged[:count], world.staged[count:]
        some.sort(key=lambda one: one[0].envelope.position.sequence)
        await append(world, store, [], some)
    elif kind == "give up" and world.staged:
        value, payload = world.staged.pop(chance.randrange(len(world.staged)))
        payload.discard()
        del world.values[value.envelope.link, value.envelope.position.sequence]
    elif kind in ("close", "forsake") and world.writers:
        writer = chance.choice(world.writers)
        if kind == "forsake":
            world.writers.remove(writer)
            store.shared.forsake(writer)
        elif writer.file is not None:
            store.shared.unshare(writer.file, reusable=chance.random() < 0.8)
            writer.file = None
    elif kind == "drop":
        await drop(world, store)
    elif kind == "read":
        read(world, store)
    elif kind == "let go" and world.readers:
        reader = chance.choice(world.readers)
        if reader.file_id is not None:
            world.readers.remove(reader)
            store.shared.released(reader.file_id, 1)
    elif kind == "tidy":
        store.tidy()


async def place(world: World, store: Store) -> None:
    chance = world.chance
    link = chance.choice(tuple(VOLATILE))
    mine = [writer for writer in world.writers if writer.file is None or writer.file.link == link]
    if not mine or (chance.random() < 0.05 and len(world.writers) < 4):
        mine = [SampleWriter(store, world.files, SEGMENTS, head_bytes=chance.choice((16, 900, 900, 900)))]
        world.writers += mine
    writer, value = mine[-1], world.next_value(link)
    gap_bytes = chance.choice((0, 0, 0, 3_000))
    if writer.file is None or not writer.has_room(value) or writer.end + 6_500 > SHARED_BYTES:
        if writer.file is not None:
            store.shared.unshare(writer.file, reusable=True)
        await writer.open(value, volatile=VOLATILE[link], size_bytes=SHARED_BYTES)
    world.staged.append((value, await writer.place(value, gap_bytes=gap_bytes)))


async def append(world: World, store: Store, said: list[Record], staged: list[tuple[SampleValue, PlacedPayload]]) -> None:
    """One frame for each link, acked as soon as that link asks for."""
    acks: list[tuple[list[Key], asyncio.Future[Committed]]] = []
    if said:
        acks.append(([], store.append(said)))
    for link, is_volatile in VOLATILE.items():
        some = [(value, payload) for value, payload in staged if value.envelope.link == link]
        if some:
            records = [record for value, _ in some for record in (value.schema_kept, value.stored)]
            within_s = math.inf if is_volatile else 0.0
            keys = [(link, value.envelope.position.sequence) for value, _ in some]
            acks.append((keys, store.append(records, [payload for _, payload in some], sync_within_s=within_s)))
    store.commit_waiting()
    await asyncio.wait([ack for _, ack in acks])
    await asyncio.sleep(0)
    world.acked.update(key for keys, ack in acks if ack.exception() is None for key in keys)
    for _, ack in acks:
        ack.result()


async def drop(world: World, store: Store) -> None:
    """The oldest of a link."""
    link = world.chance.choice(tuple(VOLATILE))
    there = [envelope.position.sequence for envelope, place in store.values(link) if place.kind is not PlaceKind.DROPPED]
    if there:
        first, last = there[0], there[world.chance.randint(len(there) // 2, len(there) - 1)]
        staged = [value.envelope.position.sequence for value, _ in world.staged if value.envelope.link == link]
        last = min([last, *(sequence - 1 for sequence in staged)])
        if first <= last:
            world.leaving |= {(link, sequence) for sequence in range(first, last + 1)}
            await append(world, store, [Dropped(link, 1, first, last, "age", forgotten=True)], [])
            if world.chance.random() < 0.8:
                store.tidy()


def read(world: World, store: Store) -> None:
    link = world.chance.choice(tuple(VOLATILE))
    there = [
        one for one in store.values(link) if one[1].kind is PlaceKind.SEGMENT and (link, one[0].position.sequence) not in world.leaving
    ]
    if not there:
        return
    envelope, place = world.chance.choice(there)
    located = store.shared.located(envelope, place)
    if located is not None:
        content = body(world.values[link, envelope.position.sequence])
        file = world.files.open(SEGMENTS / directory_name(link) / file_name(place.file))
        reader = Reader(file, located.offset, content, located.id)
        assert reader.is_unchanged(), "what a reader holds has changed"
        world.readers.append(reader)


def body(value: SampleValue) -> bytes:
    return bytes(arrow_ipc.read_message(value.payload).body)


def check(world: World, store: Store, lost: set[Key], *, kept_all: bool) -> None:
    """What a start finds; `lost` is what it drops then, unless it `kept_all`."""
    for reader in world.readers:
        assert reader.is_unchanged(), "what a reader holds has changed"
    there = {
        (link, one[0].position.sequence): one[1] for link in VOLATILE for one in store.values(link) if one[1].kind is not PlaceKind.DROPPED
    }
    assert set(there) <= set(world.values), "what was never submitted is there"
    missing = world.acked - set(there) - world.leaving
    assert not missing or (not kept_all and all(VOLATILE[link] for link, _ in missing)), f"{missing} were acked and are gone"
    world.leaving |= missing
    sound = {key: place for key, place in there.items() if key not in lost | world.leaving}
    for (link, sequence), place in sound.items():
        assert stored(world, link, place) == world.values[link, sequence].payload, f"{link}@{sequence}"
    check_arrow(world, sound)


def stored(world: World, link: str, place: Place) -> bytes:
    """The payload as it lies in its file."""
    if place.kind is PlaceKind.JOURNAL:
        return world.files.open(DIRECTORY / "journal" / f"{place.file:016d}.journal").pread(place.size_bytes, place.offset)
    file = world.files.open(SEGMENTS / directory_name(link) / file_name(place.file))
    stamped = file.pread(place.metadata_bytes, place.offset + 8)
    metadata = arrow_ipc.unstamp(stamped, place.size_bytes - place.body_bytes - 8)
    return arrow_ipc.prefix(len(metadata)) + metadata + file.pread(place.body_bytes, place.offset + 8 + place.metadata_bytes)


def check_arrow(world: World, there: dict[Key, Place]) -> None:
    """Any Arrow tool sees them, in order."""
    by_file: dict[tuple[str, int], list[int]] = {}
    for (link, sequence), place in sorted(there.items()):
        if place.kind is PlaceKind.SEGMENT:
            by_file.setdefault((link, place.file), []).append(sequence)
    for (link, number), expected in by_file.items():
        file = world.files.open(SEGMENTS / directory_name(link) / file_name(number))
        batches = [batch for batch in pa.ipc.open_stream(file.pread(file.size(), 0)) if batch.num_rows]
        seen = [batch.column(0)[0].as_py() for batch in batches]
        assert seen == sorted(seen)
        assert set(expected) <= set(seen), f"{link}/{number} shows {seen}"
        assert all((link, sequence) in world.values for sequence in seen)


async def run(seed: int, directory: Path) -> World:
    """A history of lives, each judged as it goes; the last one ends properly."""
    chance = random.Random(seed)
    world = World(chance, directory / f"{seed}.db")
    for life in range(LIVES):
        cut = chance.random() < 0.7
        if cut:
            world.files.cut_power_after(chance.randint(1, 400))
        try:
            await live(world)
        except StorageFailed as end:
            if "power is cut" not in str(end):
                raise
        after(world, killed=not cut or chance.random() < 0.4, seed=seed * 10 + life)
        if chance.random() < 0.2:
            world.catalog = directory / f"{seed}.{life}.db"
    await live(world)
    return world


def after(world: World, *, killed: bool, seed: int) -> None:
    """The process has ended, and perhaps the machine: then nobody has anything mapped any more."""
    if world.store is not None:
        world.store._catalog.close()
        world.store = None
    files = world.files.kill() if killed else world.files.crash(seed)
    if killed:
        world.zombies = [
            Zombie(files.open(writer.path), writer.end + 1_200)
            for writer in world.writers
            if writer.file is not None and writer.path.name in files.list(writer.path.parent)
        ]
        for reader in world.readers:
            reader.file_id = None
    else:
        world.zombies = []
        world.readers = []
    for value, _ in world.staged:
        del world.values[value.envelope.link, value.envelope.position.sequence]
    world.files, world.writers, world.staged = files, [], []
    world.boot += not killed


@pytest.mark.parametrize("first", range(0, 40, SEEDS_PER_TEST), ids=lambda first: f"seeds-{first}")
async def test_nothing_that_was_acked_is_lost_and_nothing_that_is_held_changes(memory_path: Path, first: int) -> None:
    for seed in range(first, first + SEEDS_PER_TEST):
        world = await run(seed, memory_path)
        assert world.acked
        assert all(reader.is_unchanged() for reader in world.readers)
