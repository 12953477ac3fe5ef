"""Backups: consistent while the store works, whole or none, and what they give back is what was acked."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from linkd.errors import InvalidArgument, StateDamaged, StateForeign
from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.store.files import LocalFiles
from linkd.store.offline.backup import MANIFEST, back_up, restore
from linkd.store.offline.verification import verify
from linkd.store.standstill import standstill, working
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import sample_value

LIMITS = StoreLimits(
    inline_payload_max_bytes=1_000,
    frame_inline_max_bytes=2_000,
    group_max_bytes=8_000,
    journal_file_max_bytes=32 * 1024,
    preallocate_bytes=8 * 1024,
    journal_files_kept=2,
    checkpoint_frames=20,
    checkpoint_at_close_frames=1_000,
)


def keep() -> Sequence[Kept]:
    one = sample_value("flown", 1)
    return [HomeKept(7, 70), SchemaMessage(one.envelope.schema_id, one.schema)]


def opened(directory: Path) -> Store:
    store = Store.open(directory, limits=LIMITS)
    list(store.replay())
    store.start(asyncio.get_running_loop(), keep=keep)
    return store


async def publish(store: Store, sequence: int) -> None:
    value = sample_value("flown", sequence, 10 if sequence % 3 else 300)
    await store.append([value.schema_kept, value.stored], [value.payload])


async def sequences(directory: Path) -> list[int]:
    """The values there, each of them as it was published."""
    store = opened(directory)
    found = []
    for envelope, place in store.values("flown"):
        metadata, body = await store.read_payload(envelope, place)
        sequence = envelope.position.sequence
        assert metadata + bytes(body) == sample_value("flown", sequence, 10 if sequence % 3 else 300).payload[8:]
        found.append(sequence)
    await store.close()
    return found


async def test_a_backup_of_a_store_that_works_has_all_that_was_acked_before(tmp_path: Path) -> None:
    store = opened(tmp_path / "s")
    for sequence in range(1, 61):
        await publish(store, sequence)
    going = asyncio.create_task(asyncio.to_thread(back_up, LocalFiles(), tmp_path / "s", tmp_path / "backup"), name="backup")
    last = 60
    while not going.done() and last < 400:  # or its thread would be starved for as long as there are values
        last += 1
        await publish(store, last)
    made = await going
    await store.close()
    assert made.files > 5
    assert not verify(LocalFiles(), tmp_path / "backup").findings
    await asyncio.to_thread(restore, LocalFiles(), tmp_path / "backup", tmp_path / "again")
    found = await sequences(tmp_path / "again")
    assert found == list(range(1, len(found) + 1))
    assert 60 <= len(found) <= last
    assert await sequences(tmp_path / "s") == list(range(1, last + 1))


async def test_whoever_waits_to_copy_is_let_in_however_busy_upkeep_is(tmp_path: Path) -> None:
    over = threading.Event()

    def copy() -> None:
        with standstill(tmp_path):
            over.wait()

    try:
        with working(tmp_path) as is_open:
            assert is_open
            copying = asyncio.create_task(asyncio.to_thread(copy), name="copy")
            async with asyncio.timeout(20):
                while is_open:  # upkeep begins again at once, before the other one has come out of its wait
                    await asyncio.sleep(0)
                    with working(tmp_path) as is_open:
                        pass
    finally:
        over.set()
    await copying
    with working(tmp_path) as is_open:
        assert is_open


async def test_upkeep_stands_still_while_somebody_copies_and_goes_on_behind_that(tmp_path: Path) -> None:
    store = opened(tmp_path / "s")
    with standstill(tmp_path / "s"):
        with working(tmp_path / "s") as is_open:
            assert not is_open
        for sequence in range(1, 41):
            await publish(store, sequence)
        there = {path.name for path in (tmp_path / "s" / "journal").iterdir()}
        assert "0000000000000001.journal" in there
        assert not list((tmp_path / "s" / "checkpoints").iterdir())
    sequence = 41
    async with asyncio.timeout(20):
        while (tmp_path / "s" / "journal" / "0000000000000001.journal").exists():
            await publish(store, sequence)
            sequence += 1
    await store.close()


@pytest.fixture
async def backup(tmp_path: Path) -> Path:
    store = opened(tmp_path / "s")
    for sequence in range(1, 11):
        await publish(store, sequence)
    await store.close()
    await asyncio.to_thread(back_up, LocalFiles(), tmp_path / "s", tmp_path / "backup")
    return tmp_path / "backup"


async def test_a_backup_without_its_manifest_is_none(backup: Path, tmp_path: Path) -> None:
    (backup / MANIFEST).rename(backup / f"{MANIFEST}.new")
    with pytest.raises(StateForeign, match="not finished"):
        restore(LocalFiles(), backup, tmp_path / "again")
    assert not (tmp_path / "again").exists()


async def test_a_file_of_a_backup_that_has_changed_is_named_before_anything_is_written(backup: Path, tmp_path: Path) -> None:
    path = next((backup / "segments" / "flown").iterdir())
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(content)
    with pytest.raises(StateDamaged, match=f"{path.name} is not what was backed up"):
        restore(LocalFiles(), backup, tmp_path / "again")
    assert not (tmp_path / "again").exists()


async def test_nothing_is_overwritten(backup: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="nothing is overwritten"):
        restore(LocalFiles(), backup, tmp_path / "s")
    with pytest.raises(InvalidArgument, match="not empty"):
        back_up(LocalFiles(), tmp_path / "s", backup)
    shutil.rmtree(tmp_path / "s")
    restore(LocalFiles(), backup, tmp_path / "s")
    assert await sequences(tmp_path / "s") == list(range(1, 11))


async def test_a_manifest_that_names_files_elsewhere_is_not_linkds(backup: Path, tmp_path: Path) -> None:
    said = json.loads((backup / MANIFEST).read_text())
    said["files"][0]["path"] = "../elsewhere"
    (backup / MANIFEST).write_text(json.dumps(said))
    with pytest.raises(StateForeign, match="outside of the backup"):
        restore(LocalFiles(), backup, tmp_path / "again")


async def test_what_is_no_directory_of_linkd_is_not_backed_up(tmp_path: Path) -> None:
    with pytest.raises(StateForeign, match="no directory of linkd's"):
        back_up(LocalFiles(), tmp_path, tmp_path / "backup")
    assert not (tmp_path / "backup").exists()
