"""The store against power cuts: seeded runs with a crash at any call, held against a list of what was submitted and what was acked.

Rerun one seed: pytest tests/simulation/test_store_crashes.py -k "seeds-17" (a test runs ten seeds from its number on).
"""

from __future__ import annotations

import asyncio
import functools
import random
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest

from linkd.errors import StateDamaged, StorageFailed
from linkd.model.records import Record, RunEnded, ValueStored
from linkd.model.values import Envelope, PlaceKind
from linkd.store.committer import Committed
from linkd.store.journal_reader import recover
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.faulty_files import FaultyFiles
from linkd.testing.sample_values import SampleValue, sample_value

DIRECTORY = Path("/store")
LIMITS = StoreLimits(
    inline_payload_max_bytes=300,
    frame_inline_max_bytes=600,
    group_max_bytes=10_000,
    journal_file_max_bytes=64 * 1024,
    preallocate_bytes=8 * 1024,
    segment_file_max_bytes=8 * 1024,
    catalog_batch_values=5,
    catalog_tail_max_values=7,
)
LINKS = ("a", "b", "c.rejects")
SEEDS_PER_TEST = 10

made = functools.lru_cache(maxsize=None)(sample_value)


@dataclass
class Frame:
    """A frame as submitted: its records without places, its payloads, and what became of it."""

    values: list[SampleValue]
    mark: int
    acked: bool = False
    surely_failed: bool = False

    @property
    def envelopes(self) -> list[Envelope]:
        return [value.envelope for value in self.values]


@dataclass
class Model:
    """What the store ought to hold: frames in order. The first `acked` of them must be there after any crash."""

    frames: list[Frame] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)

    def next_frame(self, chance: random.Random) -> Frame:
        values = []
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            link = chance.choice(LINKS)
            sequence = self.sequences[link] = self.sequences.get(link, 0) + 1
            if chance.random() < 0.1:
                self.generations[link] = self.generations.get(link, 1) + 1
            rows = chance.choice((1, 4, 40, 200))
            column = "m" if chance.random() < 0.1 else "n"
            values.append(made(link, sequence, rows, generation=self.generations.get(link, 1), column=column))
        frame = Frame(values, mark=len(self.frames) + 1)
        self.frames.append(frame)
        return frame

    def survived(self, count: int) -> None:
        """After a crash the first `count` frames are there: they are what there is."""
        self.frames = self.frames[:count]
        self.sequences.clear()
        self.generations.clear()
        for frame in self.frames:
            frame.acked = True
            for envelope in frame.envelopes:
                self.sequences[envelope.link] = envelope.position.sequence
                self.generations[envelope.link] = envelope.generation


def submit(store: Store, frame: Frame) -> None:
    records: list[Record] = [value.schema_kept for value in frame.values]
    records += [RunEnded(frame.mark, "done", 1), *(value.stored for value in frame.values)]
    future = store.append(records, [value.payload for value in frame.values])

    def settled(done: asyncio.Future[Committed]) -> None:
        problem = done.exception()
        frame.acked = problem is None
        frame.surely_failed = problem is not None and "known only after" not in str(problem)

    future.add_done_callback(settled)


async def settle(store: Store) -> None:
    store.commit_waiting()
    for _ in range(3):  # futures of a group are resolved in a callback, and their callbacks run in the next turns
        await asyncio.sleep(0)


def visible(files: FaultyFiles) -> dict[str, list[tuple[str, int]]]:
    """What an Arrow reader sees in each segment file. One whose creation never became durable may be no stream at all."""
    found = {}
    for link in files.list(DIRECTORY / "segments"):
        for name in files.list(DIRECTORY / "segments" / link):
            path = DIRECTORY / "segments" / link / name
            content = files.open(path).pread(files.size(path), 0)
            try:
                batches = list(pa.ipc.open_stream(content))
            except (pa.ArrowInvalid, OSError):
                batches = []
            found[f"{link}/{name}"] = [(link, batch.column(0)[0].as_py()) for batch in batches]
    return found


def bulk_of(replayed: list[tuple[Record, ...]]) -> dict[str, list[tuple[str, int]]]:
    """The values that the journal says lie in each segment file."""
    found: dict[str, list[tuple[str, int]]] = {}
    for records in replayed:
        for record in records:
            if isinstance(record, ValueStored) and record.place.kind is PlaceKind.SEGMENT:
                link = record.envelope.link
                found.setdefault(f"{link}/{record.place.file:08d}.arrow", []).append((link, record.envelope.position.sequence))
    return found


async def check_everything(store: Store, files: FaultyFiles, model: Model, replayed: list[tuple[Record, ...]]) -> None:
    """The recovered store holds exactly the model's frames, payloads and all, and Arrow readers see exactly its bulk values.

    What was cut is gone: neither journal nor segments have anything behind their ends.
    """
    assert visible(files) == bulk_of(replayed)
    assert recover(files, DIRECTORY / "journal").cut_bytes == 0
    for name, head in store._placement._heads.items():
        assert files.size(DIRECTORY / "segments" / name / f"{head.file:08d}.arrow") == head.end + 8
    for link in LINKS:
        expected = [value for frame in model.frames for value in frame.values if value.envelope.link == link]
        found = list(store.values(link))
        assert [envelope for envelope, _ in found] == [value.envelope for value in expected]
        for value, (envelope, place) in zip(expected, found, strict=True):
            metadata, body = await store.read_payload(envelope, place)
            assert value.payload[8:] == metadata + bytes(body)


def check_survivors(model: Model, replayed: list[tuple[Record, ...]]) -> None:
    """What came back is a beginning of what was submitted, whole frame by whole frame, and holds all that was acked."""
    for frame, records in zip(model.frames, replayed, strict=False):
        assert [record.epoch for record in records if isinstance(record, RunEnded)] == [frame.mark]
        assert [record.envelope for record in records if isinstance(record, ValueStored)] == frame.envelopes
    assert len(replayed) <= len(model.frames)
    lost = [frame.mark for frame in model.frames[len(replayed) :] if frame.acked]
    assert lost == []
    resurrected = [frame.mark for frame in model.frames[: len(replayed)] if frame.surely_failed]
    assert resurrected == []


async def run(seed: int, catalog: Path) -> None:
    chance = random.Random(seed)
    files, model = FaultyFiles(), Model()
    for _ in range(4):
        if chance.random() < 0.2:
            files.cut_power_after(chance.randrange(8))  # in the middle of opening, which is repeated then
        before = {place: seen for place, seen in visible(files).items() if seen}
        try:
            store = Store.open(DIRECTORY, files, limits=LIMITS, catalog_path=catalog)
            replayed = [records for _, records in store.replay()]
        except StorageFailed:
            files = files.crash(chance.randrange(2**32))
            continue
        check_survivors(model, replayed)
        committed = bulk_of(replayed)
        for place, seen in before.items():
            assert seen == committed[place][: len(seen)]
        model.survived(len(replayed))
        await check_everything(store, files, model, replayed)
        store.start(asyncio.get_running_loop(), thread=False)
        clean = chance.random() < 0.2
        if not clean:
            files.cut_power_after(chance.randrange(60))
        try:
            for _ in range(chance.randrange(1, 12)):
                for _ in range(chance.choice((1, 1, 2, 5))):
                    submit(store, model.next_frame(chance))
                await settle(store)
        except StorageFailed:
            model.frames.pop()  # refused at once, never in line
        await store.close()
        await asyncio.sleep(0)
        files = files.crash(chance.randrange(2**32))


@pytest.mark.parametrize("first", range(0, 250, SEEDS_PER_TEST), ids=lambda first: f"seeds-{first}")
def test_what_was_acked_survives_any_power_cut(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + SEEDS_PER_TEST):
        asyncio.run(run(seed, tmp_path / f"{seed}.db"))


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_is_found_or_harmless(tmp_path: Path, seed: int) -> None:
    """After a clean stop: either the store says where it is damaged, or every frame and payload is what it was."""

    async def flipped() -> None:
        chance = random.Random(seed)
        files, model = FaultyFiles(), Model()
        store = Store.open(DIRECTORY, files, limits=LIMITS, catalog_path=tmp_path / "one.db")
        list(store.replay())
        store.start(asyncio.get_running_loop(), thread=False)
        for _ in range(12):
            submit(store, model.next_frame(chance))
            await settle(store)
        await store.close()
        name = chance.choice(files.list(DIRECTORY / "journal"))
        path = DIRECTORY / "journal" / name
        content = files.open(path).pread(files.size(path), 0)
        files.flip(path, chance.choice([at for at, byte in enumerate(content) if byte]), chance.randrange(8))
        damage = ""
        try:
            again = Store.open(DIRECTORY, files, limits=LIMITS, catalog_path=tmp_path / "two.db")
            replayed = [records for _, records in again.replay()]
        except StateDamaged as found:
            damage = str(found)
        if damage:
            assert f"{name}, offset" in damage
            return
        assert len(replayed) == len(model.frames)
        check_survivors(model, replayed)
        await check_everything(again, files, model, replayed)
        await again.close()

    asyncio.run(flipped())
