"""What offline tools, and a start without an index, make of files that publishers wrote to."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from linkd.core.checkpoint import keep as keep_ledger
from linkd.core.checkpoint import restored
from linkd.core.ledger import Ledger
from linkd.core.links import dropped_within
from linkd.model.records import GenerationBegan, LinkOpened
from linkd.model.terms import AT_ONCE_S, NEVER_S
from linkd.model.values import PlaceKind
from linkd.store.files import LocalFiles
from linkd.store.offline.backup import back_up, restore
from linkd.store.offline.repair_plan import plan_repair
from linkd.store.offline.repairing import carry_out
from linkd.store.offline.salvage import Salvage
from linkd.store.offline.verification import verify
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import SampleValue, sample_value
from linkd.testing.sample_writer import SampleWriter

LIMITS = StoreLimits(inline_payload_max_bytes=64, preallocate_bytes=16 * 1024, shared_padding_max_bytes=1_024)
SIZE_BYTES = 24 * 1024
VALUES = 6


class Pipeline:
    """A store with a ledger over it, and a writer that lays values 1 to `VALUES` into a file, leaving a gap behind every other one.

    `volatile`: the file is that of a `memory` link.
    """

    def __init__(self, directory: Path, *, volatile: bool = False) -> None:
        self.store = Store.open(directory, limits=LIMITS)
        self.ledger: Ledger = restored(self.store.kept, {})
        for _, records in self.store.replay():
            self.ledger.restore(records)
        self.store.start(asyncio.get_running_loop(), thread=False, keep=lambda: keep_ledger(self.ledger))
        self.volatile = volatile
        self.writer = SampleWriter(self.store, LocalFiles(), directory / "segments")

    async def publish(self) -> None:
        first = sample_value("flown", 1, 200)
        began = [LinkOpened("flown", 1, 1, 1), GenerationBegan("flown", 1, 1, 1, "clean", "1")]
        self.store.append(began)
        self.ledger.apply(began)
        await self.writer.open(first, volatile=self.volatile, size_bytes=SIZE_BYTES)
        for sequence in range(1, VALUES + 1):
            value = sample_value("flown", sequence, 200)
            placed = await self.writer.place(value, gap_bytes=1_500 * (sequence % 2))
            records = [value.schema_kept, value.stored]
            self.store.append(records, [placed], sync_within_s=NEVER_S if self.volatile else AT_ONCE_S)
            self.ledger.apply(records)
            self.store.commit_waiting()
        await asyncio.sleep(0)

    def values(self) -> dict[int, PlaceKind]:
        return {envelope.position.sequence: place.kind for envelope, place in self.store.values("flown")}

    async def check(self) -> None:
        """All are there, as they were published."""
        found = []
        for envelope, place in self.store.values("flown"):
            metadata, body = await self.store.read_payload(envelope, place)
            found.append(envelope.position.sequence)
            assert metadata + bytes(body) == published(envelope.position.sequence).payload[8:]
        assert found == list(range(1, VALUES + 1))


def published(sequence: int) -> SampleValue:
    return sample_value("flown", sequence, 200)


def file_of(directory: Path) -> Path:
    (path,) = (directory / "segments" / "flown").iterdir()
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.mark.parametrize("volatile", [False, True], ids=["lasting", "volatile"])
async def test_surplus_fillers_and_a_kill_are_no_damage(directory: Path, tmp_path: Path, volatile: bool) -> None:
    pipeline = Pipeline(directory, volatile=volatile)
    await pipeline.publish()
    shutil.copytree(directory, tmp_path / "killed")
    await pipeline.store.close(0)
    for path in (directory, tmp_path / "killed"):
        assert [str(finding) for finding in verify(LocalFiles(), path).findings if not finding.harmless] == []
    size_bytes = file_of(directory).stat().st_size
    assert size_bytes == SIZE_BYTES
    (tmp_path / "killed" / "catalog.db").unlink()
    again = Pipeline(tmp_path / "killed")
    await again.check()
    assert file_of(tmp_path / "killed").stat().st_size == size_bytes, "a producer or a reader may have it mapped"
    assert again.store.volatile_values() == ([("flown", 1, VALUES)] if volatile else [])
    await again.store.close()


@pytest.mark.parametrize("volatile", [False, True], ids=["lasting", "volatile"])
async def test_a_clean_stop_makes_volatile_files_like_others(directory: Path, volatile: bool) -> None:
    pipeline = Pipeline(directory, volatile=volatile)
    await pipeline.publish()
    await pipeline.store.close(0)
    again = Pipeline(directory)
    assert again.store.volatile_values() == []
    await again.store.close(0)


@pytest.mark.parametrize("volatile", [False, True], ids=["lasting", "volatile"])
async def test_a_backup_of_a_running_home_has_what_is_committed_and_no_more(directory: Path, tmp_path: Path, volatile: bool) -> None:
    pipeline = Pipeline(directory, volatile=volatile)
    await pipeline.publish()
    unknown = SampleWriter(pipeline.store, LocalFiles(), directory / "segments")
    await unknown.open(published(1), size_bytes=SIZE_BYTES)
    end = pipeline.writer.end
    await asyncio.to_thread(back_up, LocalFiles(), directory, tmp_path / "backup")
    await pipeline.check()
    assert file_of(tmp_path / "backup").stat().st_size == end + 8
    await pipeline.store.close(0)
    restore(LocalFiles(), tmp_path / "backup", tmp_path / "restored")
    restored_one = Pipeline(tmp_path / "restored")
    await restored_one.check()
    assert restored_one.store.volatile_values() == []
    await restored_one.store.close()


async def test_what_a_publisher_changed_is_named_and_set_aside(directory: Path, tmp_path: Path) -> None:
    pipeline = Pipeline(directory)
    await pipeline.publish()
    places = {envelope.position.sequence: place for envelope, place in pipeline.store.values("flown")}
    pipeline.writer.write(b"\xff" * 8, places[3].offset + 8 + places[3].metadata_bytes + 800)
    pipeline.writer.write(b"\xff" * 4, places[5].offset + 8)
    await pipeline.store.close(0)
    found = [finding for finding in verify(LocalFiles(), directory).findings if not finding.harmless]
    assert ["flown@3" in str(finding) or "flown@5" in str(finding) for finding in found] == [True] * len(found)
    assert len(found) >= 2
    salvage = Salvage(LocalFiles(), directory, "flown")
    salvage.look()
    assert [value.sequence for value in salvage.values()] == [1, 2, 4, 6]
    salvage.close()
    await asyncio.to_thread(lambda: carry_out(LocalFiles(), directory, plan_repair(LocalFiles(), directory), "one", 5))
    assert verify(LocalFiles(), directory).damage == []
    again = Pipeline(directory)
    gone = {
        sequence
        for one in dropped_within(again.ledger.links["flown"], 1, VALUES)
        for sequence in range(one.first_sequence, one.last_sequence + 1)
    }
    assert 3 in gone <= {3, 5}
    assert {sequence for sequence, kind in again.values().items() if kind is not PlaceKind.DROPPED} == {1, 2, 3, 4, 5, 6} - gone
    await again.store.close()


async def test_of_a_file_that_is_used_again_the_former_values_are_not_salvaged(directory: Path) -> None:
    pipeline = Pipeline(directory)
    await pipeline.publish()
    before = published(1).payload
    stale = SampleWriter(pipeline.store, LocalFiles(), directory / "segments")
    await stale.open(published(1), size_bytes=SIZE_BYTES)
    stale.write(before, 16 * 1024)
    value = published(VALUES + 1)
    records = [value.schema_kept, value.stored]
    pipeline.store.append(records, [await stale.place(value)])
    pipeline.ledger.apply(records)
    await pipeline.store.close(0)
    salvage = Salvage(LocalFiles(), directory, "flown")
    salvage.look()
    assert [one.sequence for one in salvage.values()] == list(range(1, VALUES + 2))
    salvage.close()
