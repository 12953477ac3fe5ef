"""The store against power cuts: seeded runs with a crash at any call, held against a list of what was submitted and what was acked.

Generations are dropped and forgotten on the way, checkpoints are made, the journal is recycled, the index is lost. Links have each durability;
power fails, or the process alone ends, or a sync fails, or there is no room for a while.

Rerun one seed: pytest tests/simulation/test_store_crashes.py -k "seeds-17" (a test runs ten seeds from its number on).
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest
from thoroughness import examples

from linkd.core.durability import started
from linkd.core.ledger import Ledger
from linkd.core.links import Link
from linkd.errors import LinkNotFound, StateDamaged, StorageFailed, StorageFull
from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import Dropped, HomeStarted, LinkOpened, Record, RunEnded, ValueStored
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
    journal_file_max_bytes=24 * 1024,
    preallocate_bytes=8 * 1024,
    journal_files_kept=1,
    checkpoint_frames=9,
    checkpoint_at_close_frames=4,
    segment_file_max_bytes=8 * 1024,
    catalog_batch_values=5,
    catalog_tail_max_values=7,
    open_files_max=2,
)
INTERVAL_S = 0.5
WITHIN_S = {"a": 0.0, "b": math.inf, "c.rejects": INTERVAL_S}
"""Each link, and how soon behind their ack its values are synced."""
LINKS = tuple(WITHIN_S)
WEAK = ("b", "c.rejects")
SEEDS, SEEDS_PER_TEST = examples(100), 10

made = functools.lru_cache(maxsize=None)(sample_value)

Key = tuple[str, int]


@dataclass
class Frame:
    """A frame as submitted: its records without places, its payloads, and what became of it. `said` is what a start had to say.

    It has to be synced at `due_s`, before it is acked if that is minus infinity.
    """

    values: list[SampleValue]
    drops: list[Dropped]
    mark: int
    said: list[Record] = field(default_factory=list)
    due_s: float = -math.inf
    acked: bool = False
    surely_failed: bool = False

    @property
    def within_s(self) -> float:
        return 0.0 if self.drops or self.said else min((WITHIN_S[one.link] for one in self.envelopes), default=0.0)

    @property
    def envelopes(self) -> list[Envelope]:
        return [value.envelope for value in self.values]


@dataclass
class Model:
    """What the store ought to hold: frames in order. Those that were durable must be there after any crash.

    `gone` are the generations that were dropped, with whether their envelopes are forgotten. `positions` has every value that anybody can have
    seen, whatever became of it. All that was due before `looked_s` is synced.
    """

    frames: list[Frame] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    gone: dict[Key, bool] = field(default_factory=dict)
    incarnations: dict[str, int] = field(default_factory=dict)
    positions: dict[tuple[str, int, int], Frame] = field(default_factory=dict)
    now_s: float = 0.0
    looked_s: float = -math.inf
    boot: int = 1
    faults: list[BaseException] = field(default_factory=list)
    """What callbacks met."""

    def next_frame(self, chance: random.Random) -> Frame:
        values = []
        for _ in range(chance.choice((0, 1, 1, 1, 2, 3))):
            link = chance.choice(LINKS)
            sequence = self.sequences[link] = self.sequences.get(link, 0) + 1
            if chance.random() < 0.15:
                self.generations[link] = self.generations.get(link, 1) + 1
            rows = chance.choice((1, 4, 40, 200))
            column = "m" if chance.random() < 0.1 else "n"
            generation, incarnation = self.generations.get(link, 1), self.incarnations.get(link, 1)
            values.append(made(link, sequence, rows, generation=generation, column=column, incarnation=incarnation))
        return self._framed(Frame(values, self._drops(chance), mark=len(self.frames) + 1))

    def start_frame(self, *, clean: bool, voided: bool) -> Frame | None:
        """What a home records when it starts, decided as it does."""
        ledger = Ledger()
        for record in (one for frame in self.frames for one in frame.said if isinstance(one, HomeStarted)):
            ledger.boot, ledger.weak_links = record.boot, record.weak_links
        for link in LINKS:
            last = self.sequences.get(link, 0)
            ledger.links[link] = Link(link, self.incarnations.get(link, 1), last + 1, last)
        records = started(ledger, boot=str(self.boot), clean=clean, voided=voided, weak=WEAK, now_ns=1)
        if not records:
            return None
        self.incarnations.update((one.link, one.incarnation) for one in records if isinstance(one, LinkOpened))
        return self._framed(Frame([], [], len(self.frames) + 1, records))

    def _framed(self, frame: Frame) -> Frame:
        frame.due_s = self.now_s + frame.within_s if frame.within_s else -math.inf
        self.frames.append(frame)
        return frame

    def seen(self, frame: Frame) -> None:
        """The values of the frame may be seen from now on: each has a position that no other ever had."""
        for envelope in frame.envelopes:
            position = (envelope.link, envelope.position.incarnation, envelope.position.sequence)
            assert self.positions.setdefault(position, frame) is frame, f"two values at {position}"

    def _drops(self, chance: random.Random) -> list[Dropped]:
        """At times an older generation goes, and at times one that was dropped is forgotten."""
        link = chance.choice(LINKS)
        older = [one for one in range(1, self.generations.get(link, 1)) if not self.gone.get((link, one), False)]
        if not older or chance.random() < 0.6:
            return []
        generation = chance.choice(older)
        forgotten = (link, generation) in self.gone or chance.random() < 0.5
        self.gone[link, generation] = forgotten
        sequences = [one.position.sequence for one in self.envelopes(link) if one.generation == generation] or [1, 0]
        return [Dropped(link, 1, sequences[0], sequences[-1], "because", generation, forgotten)]

    def envelopes(self, link: str) -> list[Envelope]:
        return [envelope for frame in self.frames for envelope in frame.envelopes if envelope.link == link]

    def survived(self, count: int) -> None:
        """After a crash the first `count` frames are there: they are what there is."""
        self.frames = self.frames[:count]
        self.sequences.clear()
        self.generations.clear()
        self.gone.clear()
        self.incarnations.clear()
        self.looked_s = -math.inf
        for frame in self.frames:
            frame.acked, frame.due_s = True, -math.inf  # a start syncs what it finds
            self.seen(frame)
            self.incarnations.update((one.link, one.incarnation) for one in frame.said if isinstance(one, LinkOpened))
            for envelope in frame.envelopes:
                self.sequences[envelope.link] = envelope.position.sequence
                self.generations[envelope.link] = envelope.generation
            for drop in frame.drops:
                self.gone[drop.link, drop.generation] = drop.forgotten

    def keep(self) -> Sequence[Kept]:
        """What a checkpoint has of the home: how many frames there were, and the schemas."""
        schemas = [made("a", 1, 1, column=column) for column in ("n", "m")]
        return [HomeKept(len(self.frames), 0), *(SchemaMessage(one.envelope.schema_id, one.schema) for one in schemas)]


def submit(store: Store, frame: Frame, model: Model) -> None:
    records: list[Record] = [*frame.said, *(value.schema_kept for value in frame.values)]
    records += [RunEnded(frame.mark, "done", 1), *(value.stored for value in frame.values), *frame.drops]
    future = store.append(records, [value.payload for value in frame.values], sync_within_s=frame.within_s)

    def settled(done: asyncio.Future[Committed]) -> None:
        problem = done.exception()
        frame.acked = problem is None
        if frame.acked:
            model.seen(frame)
        frame.surely_failed = problem is not None and "known only after" not in str(problem)

    future.add_done_callback(settled)


async def answered() -> None:
    """Futures of a group are resolved in a callback, and their callbacks run in the next turns."""
    for _ in range(3):
        await asyncio.sleep(0)


async def settle(store: Store, model: Model) -> None:
    """Raises `StorageFailed` if the store takes nothing more."""
    store.commit_waiting()
    await answered()
    await store.room()
    if not store.full:
        model.looked_s = model.now_s


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


def placed(store: Store) -> dict[str, list[tuple[str, int]]]:
    """The values that the index says lie in each segment file."""
    found: dict[str, list[tuple[str, int]]] = {}
    for link in LINKS:
        for envelope, place in store.values(link):
            if place.kind is PlaceKind.SEGMENT:
                found.setdefault(f"{link}/{place.file:08d}.arrow", []).append((link, envelope.position.sequence))
    return found


async def check_everything(store: Store, files: FaultyFiles, model: Model, *, tidied: bool) -> None:
    """The store holds exactly the model's frames, payloads and all, and Arrow readers see exactly its values in segments.

    What was cut is gone: neither journal nor segments have anything behind their ends. What was dropped is gone when the store was `tidied`.
    """
    held = {f"{link}/{file.file:08d}.arrow": (file, link) for link, file in store._holdings.files()}
    seen, expected = visible(files), placed(store)
    for name, (file, _) in held.items():
        assert seen[name] == expected.get(name, [])
        assert files.size(DIRECTORY / "segments" / name) == file.end + 8
    if tidied:
        assert seen.keys() == held.keys()
    for link in LINKS:
        found = {envelope.position.sequence: (envelope, place) for envelope, place in store.values(link)}
        assert list(found) == sorted(found)
        for value in (value for frame in model.frames for value in frame.values if value.envelope.link == link):
            forgotten = model.gone.get((link, value.envelope.generation))
            envelope, place = found.pop(value.envelope.position.sequence, (None, None))
            if forgotten and (tidied or envelope is None):
                assert envelope is None
                continue
            assert envelope == value.envelope
            if forgotten is None:
                metadata, body = await store.read_payload(envelope, place)
                assert value.payload[8:] == metadata + bytes(body)
            elif tidied:
                assert place.kind is PlaceKind.DROPPED
                with pytest.raises(LinkNotFound, match="was dropped"):
                    await store.read_payload(envelope, place)
        assert found == {}


def check_survivors(model: Model, count: int, replayed: list[tuple[Record, ...]], *, power: bool = True) -> None:
    """What came back is a beginning of what was submitted, whole frame by whole frame, and holds all that was durable.

    Without loss of `power` it holds all that was acked. The first `count` frames are those of the checkpoint.
    """
    for frame, records in zip(model.frames[count:], replayed, strict=False):
        assert [record.epoch for record in records if isinstance(record, RunEnded)] == [frame.mark]
        assert [record.envelope for record in records if isinstance(record, ValueStored)] == frame.envelopes
        assert [record for record in records if isinstance(record, Dropped)] == frame.drops
        assert [record for record in records if isinstance(record, LinkOpened | HomeStarted)] == frame.said
    there = count + len(replayed)
    assert there <= len(model.frames)
    lost = [frame.mark for frame in model.frames[there:] if frame.acked and (not power or frame.due_s <= model.looked_s)]
    assert lost == []
    resurrected = [frame.mark for frame in model.frames[:there] if frame.surely_failed]
    assert resurrected == []


def frames_kept(store: Store) -> int:
    return store.kept[0].epoch if store.kept and isinstance(store.kept[0], HomeKept) else 0


def check_seen_before(store: Store, model: Model, before: dict[str, list[tuple[str, int]]]) -> None:
    """What an Arrow reader saw before a crash it sees afterwards, unless it was dropped."""
    after = placed(store)
    generation_of = {
        (envelope.link, envelope.position.sequence): envelope.generation for link in LINKS for envelope in model.envelopes(link)
    }
    for name, seen in before.items():
        if any((link, generation_of[link, sequence]) not in model.gone for link, sequence in seen):
            assert seen == after[name][: len(seen)]


async def run(seed: int, catalog: Path) -> list[BaseException]:
    """A history of six lives, each judged as it goes; what went wrong where nobody could be told is in the list."""
    chance = random.Random(seed)
    files, model, power = FaultyFiles(), Model(), True
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: model.faults.append(context["exception"]))
    limits = dataclasses.replace(LIMITS, catalog_tail_max_values=chance.choice((7, 60)), unsynced_max_bytes=chance.choice((20_000, 10**9)))
    for _ in range(6):
        if chance.random() < 0.2:
            files.cut_power_after(chance.randrange(8))  # in the middle of opening, which is repeated then
        if chance.random() < 0.2:
            catalog.unlink(missing_ok=True)
        before = {place: seen for place, seen in visible(files).items() if seen}
        try:
            store = Store.open(DIRECTORY, files, limits=limits, catalog_path=catalog, now_s=lambda: model.now_s)
            count = frames_kept(store)
            replayed = [records for _, records in store.replay()]
            assert recover(files, DIRECTORY / "journal").cut_bytes == 0
        except StorageFailed:
            files, power = files.crash(chance.randrange(2**32)), True
            model.boot += 1
            continue
        found = store.recovery
        check_survivors(model, count, replayed, power=power or found.voided)
        model.survived(count + len(replayed))
        check_seen_before(store, model, before)
        await check_everything(store, files, model, tidied=False)
        store.start(asyncio.get_running_loop(), thread=False, keep=model.keep)
        try:
            begin = model.start_frame(clean=found.clean, voided=found.voided)
            if begin is not None:
                submit(store, begin, model)
                await settle(store, model)
            await work(store, files, model, chance)
        except StorageFailed:
            pass
        files, power = await end(store, files, model, chance)
    return model.faults


async def end(store: Store, files: FaultyFiles, model: Model, chance: random.Random) -> tuple[FaultyFiles, bool]:
    """The store is closed properly, or not; then power fails, or not."""
    if chance.random() < 0.5:
        await store.close()
    else:
        store._catalog.close()
    await answered()
    if chance.random() < 0.3:
        return files.kill(), False
    model.boot += 1
    return files.crash(chance.randrange(2**32)), True


async def work(store: Store, files: FaultyFiles, model: Model, chance: random.Random) -> None:
    """Commits, and tidies up now and then, until power fails, a sync does, or it is enough."""
    if chance.random() < 0.5:
        store.tidy()
        await check_everything(store, files, model, tidied=True)
    if chance.random() < 0.7:
        files.cut_power_after(chance.randrange(120))
    for _ in range(chance.randrange(1, 14)):
        if chance.random() < 0.03:
            files.fail_a_sync()
        full = chance.random() < 0.1
        files.fill(chance.randrange(12_000) if full else None)
        model.now_s += chance.choice((0.0, 0.1, INTERVAL_S))
        for _ in range(chance.choice((1, 1, 2, 5))):
            frame = model.next_frame(chance)
            try:
                submit(store, frame, model)
            except StorageFailed:
                model.frames.remove(frame)  # refused at once, never in line
                raise
        await settle(store, model)
        assert full or not store.full
        if chance.random() < 0.4:
            try:
                store.tidy()
            except StorageFull:
                assert full
                continue
            await store.room()  # raises if power failed behind the last ack
            if all(one.acked for one in model.frames):
                await check_everything(store, files, model, tidied=not full)
    files.fill(None)
    await settle(store, model)
    assert all(one.acked for one in model.frames)


@pytest.mark.parametrize("first", range(0, SEEDS, SEEDS_PER_TEST), ids=lambda first: f"seeds-{first}")
def test_what_was_acked_survives_any_power_cut(memory_path: Path, first: int) -> None:
    for seed in range(first, first + SEEDS_PER_TEST):
        assert asyncio.run(run(seed, memory_path / f"{seed}.db")) == []


@pytest.mark.parametrize("seed", [278, 365, 1113, 3537])
def test_seeds_that_found_something(memory_path: Path, seed: int) -> None:
    """278: a segment that was begun twice after the volume was full. 365: a journal file whose name a killed process had not synced.
    1113: values of weak links behind a clean stop, of which a power cut left nothing: the journal ended with the seal, as if none had been.
    3537: copies whose checkpoint found no room, and whose generation was dropped before it did."""
    assert asyncio.run(run(seed, memory_path / "catalog.db")) == []


@pytest.mark.parametrize("seed", range(30))
def test_a_flipped_bit_is_found_or_harmless(memory_path: Path, seed: int) -> None:
    """After a clean stop: either the store says where it is damaged, or every frame and payload is what it was."""

    async def flipped() -> None:
        chance = random.Random(seed)
        files, model = FaultyFiles(), Model()
        store = Store.open(DIRECTORY, files, limits=LIMITS, catalog_path=memory_path / "one.db")
        list(store.replay())
        store.start(asyncio.get_running_loop(), thread=False, keep=model.keep if seed % 2 else None)
        for _ in range(12):
            submit(store, model.next_frame(chance), model)
            await settle(store, model)
        store.tidy()
        await store.close()
        folder = DIRECTORY / chance.choice(("journal", "checkpoints") if seed % 2 else ("journal",))
        name = chance.choice(files.list(folder))
        content = files.open(folder / name).pread(files.size(folder / name), 0)
        files.flip(folder / name, chance.choice([at for at, byte in enumerate(content) if byte]), chance.randrange(8))
        damage = ""
        try:
            again = Store.open(DIRECTORY, files, limits=LIMITS, catalog_path=memory_path / "two.db")
            count = frames_kept(again)
            replayed = [records for _, records in again.replay()]
            assert count + len(replayed) == len(model.frames)
            check_survivors(model, count, replayed)
            await check_everything(again, files, model, tidied=False)
            await again.close()
        except StateDamaged as found:
            damage = str(found)
        if damage:
            assert name in damage

    asyncio.run(flipped())
