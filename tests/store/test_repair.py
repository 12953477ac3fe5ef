"""`repair`: what is damaged is set aside and named, the rest is served, sequences stay in the order, and `verify` is content."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from linkd.core.checkpoint import keep as keep_ledger
from linkd.core.checkpoint import restored
from linkd.core.ledger import Ledger
from linkd.core.links import dropped_within
from linkd.errors import StateDamaged
from linkd.model.records import GenerationBegan, LinkOpened, Record
from linkd.model.values import PlaceKind
from linkd.store.files import LocalFiles
from linkd.store.offline.repair_plan import plan_repair
from linkd.store.offline.repairing import Repaired, carry_out
from linkd.store.offline.verification import verify
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.plain_arrow import batches_in_segments
from linkd.testing.sample_values import sample_value

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
FLIPS = 60
SEED = 11
LINKS = ("flown", "late")


class Pipeline:
    """A store with a ledger over it, as a home has them."""

    def __init__(self, directory: Path, limits: StoreLimits = LIMITS) -> None:
        self.store = Store.open(directory, limits=limits)
        self.ledger: Ledger = restored(self.store.kept, {})
        for _, records in self.store.replay():
            self.ledger.restore(records)
        self.store.start(asyncio.get_running_loop(), thread=False, keep=lambda: keep_ledger(self.ledger))

    async def admit(self, records: Sequence[Record], payloads: Sequence[bytes] = ()) -> None:
        future = self.store.append(records, payloads)
        self.ledger.apply(records)
        self.store.commit_waiting()
        await future
        self.ledger.durable(records)

    async def begin(self) -> None:
        for link in LINKS:
            await self.admit([LinkOpened(link, 1, 1, 1), GenerationBegan(link, 1, 1, 1, "clean", "1")])

    async def publish(self, sequence: int) -> None:
        values = [sample_value("flown", sequence, 10 if sequence % 3 else 300), sample_value("late", sequence)]
        schemas = [value.schema_kept for value in values] if sequence == 1 else []
        await self.admit([*schemas, *(value.stored for value in values)], [value.payload for value in values])

    async def content(self) -> dict[str, dict[int, bytes]]:
        """Every value of the links, by sequence. Whatever is not there was dropped, by the ledger's word."""
        found: dict[str, dict[int, bytes]] = {}
        for name in LINKS:
            link = self.ledger.links[name]
            generation = link.generations[1]
            found[name] = {}
            for envelope, place in self.store.values(name, 1, generation.last_sequence):
                if place.kind is PlaceKind.DROPPED:
                    continue  # what says where it came from is kept
                metadata, body = await self.store.read_payload(envelope, place)
                found[name][envelope.position.sequence] = metadata + bytes(body)
            gone = {n for one in dropped_within(link, 1, link.next_sequence) for n in range(one.first_sequence, one.last_sequence + 1)}
            assert set(found[name]) == set(range(1, generation.last_sequence + 1)) - gone
            assert all(one.reason == "damaged" for one in dropped_within(link, 1, link.next_sequence))
        return found


async def make(directory: Path) -> None:
    """Journal files with values that a checkpoint covers, values that none does, copies, and bulk."""
    pipeline = Pipeline(directory)
    await pipeline.begin()
    for sequence in range(1, 31):
        await pipeline.publish(sequence)
    pipeline.store.tidy()
    for sequence in range(31, 37):
        await pipeline.publish(sequence)
    await pipeline.store.close(0.0)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("pristine") / "s"
    asyncio.run(make(directory))
    return directory


def repair(directory: Path) -> Repaired:
    return carry_out(LocalFiles(), directory, plan_repair(LocalFiles(), directory), "now", 5)


async def mended(directory: Path) -> tuple[Repaired, dict[str, dict[int, bytes]]]:
    """Repairs it, and reads what is there then; `verify` has nothing to say, and the pipeline goes on."""
    repaired = await asyncio.to_thread(repair, directory)
    assert not verify(LocalFiles(), directory).damage
    in_segments = by_arrow(directory)
    pipeline = Pipeline(directory)
    found = await pipeline.content()
    assert in_segments == {link: sorted(values) for link, values in found.items()}, "all that is kept was folded"
    await pipeline.publish(pipeline.ledger.links["flown"].next_sequence)
    await pipeline.store.close()
    assert not verify(LocalFiles(), directory).damage
    return repaired, found


def by_arrow(directory: Path) -> dict[str, list[int]]:
    """The values in the segment files, as Arrow programs see them."""
    return {link: sorted(batch.column(0)[0].as_py() for batch in batches_in_segments(directory, link)) for link in LINKS}


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


async def test_whatever_bit_is_flipped_a_repair_loses_the_value_it_hits_and_keeps_the_rest(pristine: Path, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    whole = Pipeline(Path(shutil.copytree(pristine, tmp_path / "whole")))
    expected = await whole.content()
    await whole.store.close()
    total = sum(len(values) for values in expected.values())
    files = sorted(path for path in pristine.rglob("*") if path.is_file() and path.suffix in (".journal", ".arrow", ".db"))
    for number in range(FLIPS):
        directory = tmp_path / str(number)
        shutil.copytree(pristine, directory)
        path = directory / chance.choice(files).relative_to(pristine)
        at = chance.randrange(path.stat().st_size)
        flip(path, at)
        damage = verify(LocalFiles(), directory).damage
        if damage:
            repaired, found = await mended(directory)
            kept = sum(len(values) for values in found.values())
            lost = sum(loss.last - loss.first + 1 for loss in repaired.lost)
            assert kept + lost == total, f"{path} at {at}: {kept} kept, {lost} lost"
            assert lost <= 2, f"{path} at {at}: {damage[0]}"
            assert all(expected[link][sequence] == payload for link, values in found.items() for sequence, payload in values.items())
        shutil.rmtree(directory)


async def test_a_value_that_is_damaged_in_a_segment_gives_way_to_a_batch_without_rows(pristine: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(pristine, tmp_path / "s"))
    path = sorted((directory / "segments" / "flown").iterdir())[0]
    before = pa.ipc.open_stream(path.read_bytes()).read_all().column(0).to_pylist()
    flip(path, 2_500)
    repaired, found = await mended(directory)
    [loss] = repaired.lost
    assert (loss.link, loss.first, loss.last) == ("flown", 3, 3)
    assert 3 not in found["flown"]
    after = pa.ipc.open_stream(path.read_bytes()).read_all().column(0).to_pylist()
    assert after == [number for number in before if number != 3]
    assert (repaired.quarantine / "note.json").exists()
    assert list(repaired.quarantine.glob("*.bytes"))
    [remark] = verify(LocalFiles(), directory).findings
    assert (remark.file, remark.harmless) == (repaired.quarantine, True)


async def test_a_segment_file_that_is_gone_takes_its_values_and_nothing_else(pristine: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(pristine, tmp_path / "s"))
    path = sorted((directory / "segments" / "flown").iterdir())[0]
    path.unlink()
    repaired, found = await mended(directory)
    assert {loss.link for loss in repaired.lost} == {"flown"}
    assert len(found["late"]) == 36
    assert set(found["flown"]) >= {1, 2, 34, 35}


async def test_a_journal_file_that_is_gone_takes_what_was_nowhere_else(pristine: Path, tmp_path: Path) -> None:
    for index in range(2):
        directory = Path(shutil.copytree(pristine, tmp_path / str(index)))
        sorted((directory / "journal").iterdir())[index].unlink()
        repaired, found = await mended(directory)
        assert {loss.link for loss in repaired.lost} == {"flown", "late"}
        assert {link: values.keys() >= {1, 2, 3, 36} for link, values in found.items()} == {"flown": True, "late": True}


async def test_what_cannot_be_made_up_for_is_refused_before_anything_is_changed(pristine: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(pristine, tmp_path / "s"))
    for path in (sorted((directory / "journal").iterdir())[0], *(directory / "checkpoints").iterdir()):
        path.unlink()
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    with pytest.raises(StateDamaged, match="cannot be mended"):
        await asyncio.to_thread(repair, directory)
    assert {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()} == before


async def test_without_its_index_a_directory_loses_nothing(pristine: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(pristine, tmp_path / "s"))
    (directory / "catalog.db").write_bytes(b"nothing")
    assert verify(LocalFiles(), directory).damage
    repaired, found = await mended(directory)
    assert repaired.lost == ()
    assert {link: len(values) for link, values in found.items()} == {"flown": 36, "late": 36}


async def test_a_start_passes_over_a_damaged_group_that_a_checkpoint_covers(tmp_path: Path) -> None:
    """What it said is in the checkpoint, and payloads are checked when they are read."""
    directory = tmp_path / "s"
    pipeline = Pipeline(directory, dataclasses.replace(LIMITS, checkpoint_at_close_frames=1))
    await pipeline.begin()
    for sequence in range(1, 5):
        await pipeline.publish(sequence)
    expected = await pipeline.content()
    await pipeline.store.close()
    [journal] = (directory / "journal").iterdir()
    flip(journal, 4 * 4096 + 10)
    assert [finding.meaning for finding in verify(LocalFiles(), directory).damage] == ["nothing is lost: its frames are whole"]
    again = Pipeline(directory)
    assert await again.content() == expected
    await again.publish(5)
    await again.store.close()


async def test_a_damaged_index_is_made_again_by_a_start_that_cannot_write_to_it(pristine: Path, tmp_path: Path) -> None:
    directory = Path(shutil.copytree(pristine, tmp_path / "s"))
    pipeline = Pipeline(directory)
    await pipeline.publish(37)
    expected = await pipeline.content()
    pipeline.store._committer.fail(StateDamaged("killed"))  # the index is behind the journal, as after a kill
    await pipeline.store.close()
    path = directory / "catalog.db"
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(content)
    again = Pipeline(directory)
    assert await again.content() == expected
    await again.store.close()
