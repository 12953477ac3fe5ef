"""Single flipped bits in every file of a store: `verify` finds each, or nothing ever reads it; and none is ever served.

300 of them here, as many as `LINKD_FLIPS` says in `make soak`.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from figures import keep_figure

from linkd.errors import Error, LinkNotFound
from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import Dropped, Record, RunEnded, SourceMoved
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.files import LocalFiles
from linkd.store.offline.verification import verify
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import SampleValue, sample_value

FLIPS = int(os.environ.get("LINKD_FLIPS", "300"))
PARTS = 4
SEED = 7
FIGURE = "bit flips"
"""Counted: what `verify` finds, what only a reader does, what nothing reads, and what is served wrong, of which there is none."""
LIMITS = StoreLimits(
    inline_payload_max_bytes=1_000,
    frame_inline_max_bytes=2_000,
    group_max_bytes=8_000,
    journal_file_max_bytes=32 * 1024,
    preallocate_bytes=8 * 1024,
    journal_files_kept=2,
    checkpoint_frames=1_000,
    checkpoint_at_close_frames=1_000,
)
KINDS = ("journal", "segments", "checkpoints", "envelopes", "_commits", "catalog.db", "format.json")

Served = dict[str, list[tuple[int, int, bytes]]]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a store says: its values with their payloads, its state, its records, and what it finds by id and by time."""

    values: Served
    kept: tuple[Kept, ...]
    records: tuple[tuple[int, tuple[Record, ...]], ...]
    found: tuple[object, ...]


def keep() -> Sequence[Kept]:
    one = sample_value("flown", 1)
    return [HomeKept(7, 70), SchemaMessage(one.envelope.schema_id, one.schema)]


async def append(store: Store, *values: SampleValue) -> None:
    """One frame, in which a source says where it stands behind them: a record of a commit."""
    first = values[0].envelope
    moved = SourceMoved(first.link, first.generation, bytes([first.position.sequence]), "digest", first.position.sequence, 0, False)
    records = [moved, *(one for value in values for one in (value.schema_kept, value.stored))]
    future = store.append(records, [value.payload for value in values])
    store.commit_waiting()
    await future


async def make(directory: Path) -> None:
    """A store in which there is some of everything: values in the journal, bulk, copies out of the journal, and a dropped generation."""
    store = Store.open(directory, limits=LIMITS)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False, keep=keep)
    for sequence in range(1, 4):
        await append(store, sample_value("totals", sequence, 200))
    dropped = store.append([Dropped("totals", 1, 1, 3, "superseded by generation 2", 1)])
    store.commit_waiting()
    await dropped
    await asyncio.sleep(0)
    store.tidy()
    for sequence in range(1, 30):
        await append(store, sample_value("flown", sequence, 10), sample_value("late", sequence, 3))
    store.tidy()
    for sequence in range(30, 38):
        await append(store, sample_value("flown", sequence, 10 if sequence % 3 else 300), sample_value("totals", sequence, 3, generation=2))
    ended = store.append([RunEnded(7, "done", 1)])
    store.commit_waiting()
    await ended
    await store.close()


async def answers(directory: Path) -> Answers:
    """Opens the store as a home does and asks it everything. Raises what it raises."""
    store = Store.open(directory, limits=LIMITS)
    try:
        kept, records = store.kept, tuple(store.replay())
        values: Served = {}
        for link in ("flown", "late", "totals"):
            values[link] = []
            for envelope, place in store.values(link, 4 if link == "totals" else 1):
                metadata, body = await store.read_payload(envelope, place)
                values[link].append((envelope.position.sequence, envelope.created_at_ns, metadata + bytes(body)))
        one, other = sample_value("flown", 9).envelope, sample_value("totals", 2).envelope
        found = (await by_id(store, one.id), await by_id(store, other.id), await read(store, store.last_before("flown", 11_500)))
        return Answers(values, kept, records, found)
    finally:
        await store.close()


async def by_id(store: Store, identity: bytes) -> object:
    """As a home answers: nothing found is an error."""
    found = store.find(identity.hex())
    if not found:
        raise LinkNotFound(f"there is no value {identity.hex()}")
    return [await read(store, one) for one in found]


async def read(store: Store, found: tuple[Envelope, Place] | None) -> object:
    """A value and what it holds, wherever that was read: of one whose row is damaged the journal may still have a copy."""
    if found is None or found[1].kind is PlaceKind.DROPPED:
        return found
    metadata, body = await store.read_payload(*found)
    return found[0], metadata + bytes(body)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pristine") / "s"
    asyncio.run(make(directory))
    return directory


def files_of(directory: Path, kind: str) -> list[Path]:
    path = directory / kind
    return sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]


def flipped(pristine: Path, directory: Path, chance: random.Random) -> str:
    """A copy with one bit changed; says where."""
    shutil.copytree(pristine, directory)
    path = chance.choice(files_of(directory, chance.choice(KINDS)))
    content = bytearray(path.read_bytes())
    at, bit = chance.randrange(len(content)), chance.randrange(8)
    content[at] ^= 1 << bit
    path.write_bytes(content)
    return f"{path.relative_to(directory)} at {at}, bit {bit}"


def test_a_whole_directory_is_found_whole(pristine: Path) -> None:
    found = verify(LocalFiles(), pristine)
    assert not found.findings
    assert (found.frames, found.rows) == (28, 77)
    assert all(files_of(pristine, kind) for kind in KINDS)


@pytest.mark.parametrize("part", range(PARTS))
async def test_every_flipped_bit_is_found_or_read_by_nothing_and_none_is_served(pristine: Path, memory_path: Path, part: int) -> None:
    chance = random.Random(SEED * PARTS + part)
    expected = await answers(Path(shutil.copytree(pristine, memory_path / "whole")))
    counts = dict.fromkeys(("flips", "found_by_verify", "found_at_first_use", "in_bytes_that_nothing_reads", "served_wrong"), 0)
    for number in range(FLIPS // PARTS):
        directory = memory_path / str(number)
        where = flipped(pristine, directory, chance)
        is_found = finds(directory)
        served = await served_of(directory)
        wrong = served is not None and served != expected
        counts["flips"] += 1
        counts[outcome(is_found=is_found, is_refused=served is None, wrong=wrong)] += 1
        if wrong:
            keep_figure(FIGURE, **counts)
        assert not wrong, f"served wrong: {where}"
        shutil.rmtree(directory)
    keep_figure(FIGURE, **counts)


ONCE_MISTAKEN = [
    *((at, 3) for at in (15475, 15488, 15519, 15529, 15660, 20475)),  # hid values
    *((3544, 2), (15303, 2), (39688, 0), (3480, 7), (3663, 7), (3705, 7)),  # hid what there was at a time, or were met with another error
]


@pytest.mark.parametrize(("at", "bit"), ONCE_MISTAKEN)
async def test_bits_of_the_index_that_were_once_mistaken(pristine: Path, tmp_path: Path, at: int, bit: int) -> None:
    expected = await answers(Path(shutil.copytree(pristine, tmp_path / "whole")))
    directory = Path(shutil.copytree(pristine, tmp_path / "s"))
    content = bytearray((directory / "catalog.db").read_bytes())
    content[at] ^= 1 << bit
    (directory / "catalog.db").write_bytes(content)
    finds(directory)
    assert await served_of(directory) in (None, expected)


def outcome(*, is_found: bool, is_refused: bool, wrong: bool) -> str:
    if wrong:
        return "served_wrong"
    if is_found:
        return "found_by_verify"
    return "found_at_first_use" if is_refused else "in_bytes_that_nothing_reads"


def finds(directory: Path) -> bool:
    """Whether `verify` says that something is wrong."""
    try:
        return bool(verify(LocalFiles(), directory).findings)
    except Error:
        return True


async def served_of(directory: Path) -> Answers | None:
    """What a store says after a flip; None if it refuses by an error that names what is wrong."""
    try:
        return await answers(directory)
    except Error:
        return None
