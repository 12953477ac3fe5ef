"""The store as the home uses it: what is acked is there, wherever it lies, also after the next start."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from linkd.errors import Draining, InternalFault, InvalidArgument, Overloaded, StateDamaged, StateForeign, StorageFailed, ValueTooLarge
from linkd.model.records import Record, RunEnded, TaskEnded
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.committer import Committed, GroupCommitted
from linkd.store.files import Files
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.faulty_files import FaultyFiles
from linkd.testing.sample_values import SampleValue, sample_value

SMALL, BULK = 10, 400
"""Rows of a value that lies in the journal, and of one that lies in a segment, under `LIMITS`."""
LIMITS = StoreLimits(inline_payload_max_bytes=1_000, frame_inline_max_bytes=2_000, preallocate_bytes=64 * 1024, catalog_idle_s=0.01)


@asynccontextmanager
async def opened(directory: Path, limits: StoreLimits = LIMITS, files: Files | None = None, *, thread: bool = True) -> AsyncIterator[Store]:
    store = Store.open(directory, files, limits=limits, catalog_path=None)
    try:
        for _ in store.replay():
            pass
        store.start(asyncio.get_running_loop(), thread=thread)
        yield store
    finally:
        await store.close()


async def append(store: Store, *values: SampleValue, more: tuple[Record, ...] = ()) -> Committed:
    records: list[Record] = [value.schema_kept for value in values]
    records += [value.stored for value in values]
    return await store.append([*records, *more], [value.payload for value in values])


async def payload(store: Store, envelope: Envelope, place: Place) -> bytes:
    metadata, body = await store.read_payload(envelope, place)
    return b"\xff\xff\xff\xff" + len(metadata).to_bytes(4, "little") + metadata + bytes(body)


async def test_small_and_bulk_payloads_are_read_back_as_published(tmp_path: Path) -> None:
    values = [sample_value("flown", 1, SMALL), sample_value("flown", 2, BULK), sample_value("flown", 3, SMALL)]
    async with opened(tmp_path / "s") as store:
        committed = await append(store, *values)
        assert committed.lsn == 1
        assert [place.kind for place in committed.places] == [PlaceKind.JOURNAL, PlaceKind.SEGMENT, PlaceKind.JOURNAL]
        for value, place in zip(values, committed.places, strict=True):
            assert await payload(store, value.envelope, place) == value.payload
    async with opened(tmp_path / "s") as store:
        found = list(store.values("flown"))
        assert found == [(value.envelope, place) for value, place in zip(values, committed.places, strict=True)]
        for value, place in zip(values, committed.places, strict=True):
            assert await payload(store, value.envelope, place) == value.payload


@pytest.mark.parametrize("rows", [SMALL, BULK])
@pytest.mark.parametrize("chunk_bytes", [100, 1_000, 10_000_000])
async def test_a_payload_is_read_in_pieces(tmp_path: Path, rows: int, chunk_bytes: int) -> None:
    value = sample_value("flown", 1, rows)
    async with opened(tmp_path / "s") as store:
        committed = await append(store, value)
        pieces = [piece async for piece in store.read_chunks(value.envelope, committed.places[0], chunk_bytes)]
    assert b"".join(pieces) == value.payload
    assert {len(piece) for piece in pieces[1:]} <= {chunk_bytes}


async def test_the_replay_gives_every_frame_in_order_as_it_was_acked(tmp_path: Path) -> None:
    first, second = sample_value("flown", 1, SMALL), sample_value("flown", 2, BULK)
    async with opened(tmp_path / "s") as store:
        one = await append(store, first, more=(TaskEnded("clean", 1),))
        two = await append(store, second)
    store = Store.open(tmp_path / "s", limits=LIMITS)
    replayed = list(store.replay())
    assert [lsn for lsn, _ in replayed] == [one.lsn, two.lsn]
    assert replayed[0][1] == (first.schema_kept, dataclasses.replace(first.stored, place=one.places[0]), TaskEnded("clean", 1))
    assert replayed[1][1] == (second.schema_kept, dataclasses.replace(second.stored, place=two.places[0]))
    assert (store.recovery.frames, store.recovery.cut_bytes, store.recovery.notes) == (2, 0, ())
    await store.close()


async def test_a_store_starts_only_after_its_replay(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s")
    with pytest.raises(InternalFault, match="replay"):
        store.start(asyncio.get_running_loop())
    await store.close()


async def test_many_in_flight_are_committed_in_order_in_few_groups(tmp_path: Path) -> None:
    groups: list[GroupCommitted] = []
    store = Store.open(tmp_path / "s", limits=LIMITS)
    assert list(store.replay()) == []
    store.start(asyncio.get_running_loop(), on_group=groups.append)
    order: list[int] = []
    futures = [store.append([RunEnded(epoch, "done", 1)]) for epoch in range(500)]
    for future in futures:
        future.add_done_callback(lambda done: order.append(done.result().lsn))
    committed = await asyncio.gather(*futures)
    await store.close()
    assert [one.lsn for one in committed] == order == list(range(1, 501))
    assert sum(group.frames for group in groups) == 500
    assert len(groups) < 50


async def test_staged_payloads_arrive_in_pieces_and_are_given_back_after_the_commit(tmp_path: Path) -> None:
    """With room for 2,000 bytes in memory, the rest of them waits in files that have no name."""
    limits = dataclasses.replace(LIMITS, staged_in_memory_max_bytes=2_000)
    values = [sample_value("flown", number, BULK) for number in (1, 2)] + [sample_value("flown", 3, SMALL)]
    async with opened(tmp_path / "s", limits) as store:
        staged = []
        for value in values:
            incoming = store.stage()
            for at in range(0, len(value.payload), 700):
                incoming.write(value.payload[at : at + 700])
            staged.append(incoming.finish())
            assert (staged[-1].size_bytes, staged[-1].xxh3) == (value.envelope.size_bytes, value.envelope.payload_xxh3)
        assert 0 < store._staging.in_memory_bytes <= 2_000 < store._staging.in_files_bytes
        assert list((tmp_path / "s" / "staging").iterdir()) == []
        committed = await store.append([values[0].schema_kept, *(value.stored for value in values)], staged)
        assert (store._staging.in_memory_bytes, store._staging.in_files_bytes) == (0, 0)
        for value, place in zip(values, committed.places, strict=True):
            assert await payload(store, value.envelope, place) == value.payload


async def test_a_staged_payload_that_is_no_batch_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "s") as store:
        value = sample_value("flown", 1, SMALL)
        short = store.stage()
        short.write(value.payload[:20])
        with pytest.raises(InvalidArgument, match="inside its metadata"):
            short.finish()
        short.discard()
        cut = store.stage()
        cut.write(value.payload[:-8])
        with pytest.raises(InvalidArgument, match="says that its body has"):
            cut.finish()
        cut.discard()
        with pytest.raises(InvalidArgument, match="stream format"):
            store.stage().write(b"not an arrow message")


async def test_a_value_beyond_the_largest_is_refused_while_it_arrives(tmp_path: Path) -> None:
    async with opened(tmp_path / "s") as store:
        incoming = store.stage()
        incoming.write(sample_value("flown", 1, SMALL).payload)
        with pytest.raises(ValueTooLarge, match="fewer rows"):
            incoming.write(bytes(64 * 1024 * 1024))
        incoming.discard()


async def test_what_does_not_belong_together_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    value, bulk = sample_value("flown", 1, SMALL), sample_value("flown", 1, BULK)
    async with opened(tmp_path / "s") as store:
        with pytest.raises(InvalidArgument, match="1 values came with 0 payloads"):
            store.append([value.stored])
        with pytest.raises(InvalidArgument, match="says that it has"):
            store.append([value.stored], [value.payload + bytes(8)])
        with pytest.raises(InvalidArgument, match="was not kept before it"):
            store.append([bulk.stored], [bulk.payload])
        named = dataclasses.replace(bulk, envelope=dataclasses.replace(bulk.envelope, link="../escape"))
        with pytest.raises(InvalidArgument, match="cannot be the name of a link"):
            store.append([named.schema_kept, named.stored], [named.payload])
        assert (await append(store, value)).lsn == 1
        assert store.usage() == {"flown": value.envelope.size_bytes}


async def test_a_frame_that_no_file_can_hold_is_refused(tmp_path: Path) -> None:
    limits = dataclasses.replace(LIMITS, frame_max_bytes=10_000)
    async with opened(tmp_path / "s", limits) as store:
        with pytest.raises(ValueTooLarge, match="fewer values"):
            store.append([RunEnded(1, "x" * 20_000, 1)])


async def test_without_room_appends_are_refused_until_there_is_some(tmp_path: Path) -> None:
    limits = dataclasses.replace(LIMITS, queue_max_bytes=5_000)
    store = Store.open(tmp_path / "s", limits=limits)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False)
    first = store.append([RunEnded(1, "x" * 6_000, 1)])
    with pytest.raises(Overloaded, match="try again"):
        store.append([RunEnded(2, "", 1)])
    waiting = asyncio.ensure_future(store.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    store.commit_waiting()
    await waiting
    assert (await first).lsn == 1
    second = store.append([RunEnded(2, "", 1)])
    store.commit_waiting()
    assert (await second).lsn == 2
    await store.close()


async def test_large_payloads_wait_for_those_in_line_and_small_ones_do_not(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", limits=dataclasses.replace(LIMITS, bulk_queue_max_bytes=1_000))
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False)
    value = sample_value("flown", 1, BULK)
    first = store.append([value.schema_kept, value.stored], [value.payload])
    await store.room()
    waiting = asyncio.ensure_future(store.room(bulk=True))
    await asyncio.sleep(0)
    assert not waiting.done()
    store.commit_waiting()
    await waiting
    assert (await first).lsn == 1
    await store.close()


async def test_closing_commits_what_waits_and_later_appends_are_refused(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s")
    list(store.replay())
    store.start(asyncio.get_running_loop())
    future = store.append([RunEnded(1, "", 1)])
    await store.close()
    assert future.result().lsn == 1
    await store.close()
    with pytest.raises(Draining):
        store.append([RunEnded(2, "", 1)])


async def test_values_are_found_by_sequence_generation_id_and_time(tmp_path: Path) -> None:
    values = [sample_value("flown", number, generation=1 + number // 4) for number in range(1, 9)]
    other = sample_value("other", 1)
    async with opened(tmp_path / "s") as store:
        for value in [*values, other]:
            await append(store, value)
        for _ in range(2):
            assert [envelope for envelope, _ in store.values("flown", 3, 5)] == [value.envelope for value in values[2:5]]
            assert [envelope.position.sequence for envelope, _ in store.values("flown", generation=2)] == [4, 5, 6, 7]
            assert list(store.values("flown", incarnation=2)) == []
            identity = values[4].envelope.id.hex()
            assert [envelope for envelope, _ in store.find(identity[:9])] == [values[4].envelope]
            assert store.find("ffffffffffff") == []
            newest = store.last_before("flown", 6_500)
            assert newest is not None
            assert newest[0] == values[5].envelope
            assert store.last_before("flown", 10) is None
            while store._catalog.write_waiting(3):  # once from memory, once from the file
                pass
        with pytest.raises(InvalidArgument, match="beginning of a value's id"):
            store.find("xyz")


async def test_reading_sees_all_values_while_the_index_is_being_written(tmp_path: Path) -> None:
    async with opened(tmp_path / "s", thread=False) as store:  # the index has one writer, which is this test
        for number in range(1, 700):
            last = store.append([sample_value("flown", number).stored], [sample_value("flown", number).payload])
        store.commit_waiting()
        await last
        reading = store.values("flown")
        seen = [next(reading)[0].position.sequence for _ in range(10)]
        while store._catalog.write_waiting(50):
            pass
        seen += [envelope.position.sequence for envelope, _ in reading]
    assert seen == list(range(1, 700))


async def some_values(directory: Path) -> list[SampleValue]:
    values = [sample_value("flown", number, SMALL if number % 2 else BULK) for number in range(1, 7)]
    async with opened(directory) as store:
        for value in values:
            await append(store, value)
    return values


@pytest.mark.parametrize("how", ["deleted", "garbage", "other version", "of another store"])
async def test_a_catalog_that_does_not_fit_is_made_again(tmp_path: Path, how: str) -> None:
    values = await some_values(tmp_path / "s")
    path = tmp_path / "s" / "catalog.db"
    if how == "deleted":
        path.unlink()
    elif how == "garbage":
        path.write_bytes(b"x" * 5_000)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute(
                "PRAGMA user_version = 9" if how == "other version" else "UPDATE meta SET value = 'x' WHERE key = 'store_id'"
            )
        connection.close()
    async with opened(tmp_path / "s") as store:
        assert [envelope for envelope, _ in store.values("flown")] == [value.envelope for value in values]


async def test_a_catalog_row_that_changed_is_read_again_from_the_journal(tmp_path: Path) -> None:
    values = await some_values(tmp_path / "s")
    with sqlite3.connect(tmp_path / "s" / "catalog.db") as connection:
        connection.execute("UPDATE value_rows SET place_offset = place_offset + 8 WHERE sequence = 3")
    connection.close()
    async with opened(tmp_path / "s") as store:
        for value, (envelope, place) in zip(values, store.values("flown"), strict=True):
            assert envelope == value.envelope
            assert await payload(store, envelope, place) == value.payload


async def test_a_catalog_row_that_cannot_be_mended_names_the_remedy(tmp_path: Path) -> None:
    await some_values(tmp_path / "s")
    with sqlite3.connect(tmp_path / "s" / "catalog.db") as connection:
        connection.execute("UPDATE value_rows SET lsn = 99 WHERE sequence = 3")
    connection.close()
    async with opened(tmp_path / "s") as store:
        with pytest.raises(StateDamaged, match=r"flown@3 .*delete the file"):
            list(store.values("flown"))


@pytest.mark.parametrize("sequence", [1, 2], ids=["journal", "segment"])
async def test_a_payload_that_changed_on_disk_is_never_served(tmp_path: Path, sequence: int) -> None:
    values = await some_values(tmp_path / "s")
    async with opened(tmp_path / "s") as store:
        envelope, place = list(store.values("flown"))[sequence - 1]
        assert envelope == values[sequence - 1].envelope
        name = "journal/0000000000000001.journal" if sequence == 1 else "segments/flown/00000001.arrow"
        with (tmp_path / "s" / name).open("r+b") as file:
            file.seek(place.offset + 8 + place.metadata_bytes + 200)
            file.write(b"\x55")
        with pytest.raises(StateDamaged, match=rf"flown@{sequence}: its payload in .*{Path(name).name}"):
            await store.read_payload(envelope, place)
        with pytest.raises(StateDamaged, match=f"flown@{sequence}"):
            [piece async for piece in store.read_chunks(envelope, place, 100)]


async def test_another_kind_of_directory_is_foreign(tmp_path: Path) -> None:
    await some_values(tmp_path / "s")
    format_file = tmp_path / "s" / "format.json"
    said = format_file.read_text()
    for text, words in ((said.replace('"version": 1', '"version": 2'), "version 2"), ("{}", "does not describe"), ("x", "cannot be read")):
        format_file.write_text(text)
        with pytest.raises(StateForeign, match=words):
            Store.open(tmp_path / "s")
    format_file.unlink()
    with pytest.raises(StateForeign, match=r"no format\.json"):
        Store.open(tmp_path / "s")


async def test_what_was_left_in_staging_is_deleted_at_the_next_start(tmp_path: Path) -> None:
    await some_values(tmp_path / "s")
    (tmp_path / "s" / "staging" / "00000001.staged").write_bytes(b"left")
    async with opened(tmp_path / "s"):
        assert list((tmp_path / "s" / "staging").iterdir()) == []


@pytest.mark.parametrize(("operation", "reason"), [("sync", "Input/output error"), ("write", "No space left on device")])
async def test_after_a_failure_nothing_is_acked_any_more_and_nothing_of_it_is_there(tmp_path: Path, operation: str, reason: str) -> None:
    files, told = FaultyFiles(), []
    store = Store.open(Path("/s"), files, limits=LIMITS, catalog_path=tmp_path / "catalog.db")
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False, on_failure=told.append)
    good = store.append([RunEnded(1, "", 1)])
    store.commit_waiting()
    assert (await good).lsn == 1
    files.refuse(operation, reason)
    bad = [store.append([RunEnded(epoch, "", 1)]) for epoch in (2, 3)]
    store.commit_waiting()
    for future in bad:
        with pytest.raises(StorageFailed, match=reason):
            await future
    with pytest.raises(StorageFailed, match="accepts nothing more"):
        store.append([RunEnded(4, "", 1)])
    with pytest.raises(StorageFailed):
        await store.room()
    assert [str(error) for error in told] == [str(bad[0].exception())]
    await store.close()


async def test_a_failed_group_that_reached_the_disk_all_the_same_is_void(tmp_path: Path) -> None:
    class SyncFailsOnce(FaultyFiles):
        failing = False

        def _step(self, operation: str, path: str) -> None:
            super()._step(operation, path)
            if operation == "sync" and self.failing:
                self.failing = False
                raise StorageFailed(f"cannot sync {path}: Input/output error")

    files = SyncFailsOnce()
    store = Store.open(Path("/s"), files, limits=LIMITS, catalog_path=tmp_path / "catalog.db")
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False)
    good = store.append([RunEnded(1, "", 1)])
    store.commit_waiting()
    files.failing = True
    bad = store.append([RunEnded(2, "", 1)])
    store.commit_waiting()
    assert (await good).lsn == 1
    with pytest.raises(StorageFailed, match="Input/output error") as failure:
        await bad
    assert "known only after" not in str(failure.value)
    await store.close()
    again = Store.open(Path("/s"), files, limits=LIMITS, catalog_path=tmp_path / "catalog.db")
    assert [records for _, records in again.replay()] == [(RunEnded(1, "", 1),)]
    again.start(asyncio.get_running_loop(), thread=False)
    third = again.append([RunEnded(3, "", 1)])
    again.commit_waiting()
    assert (await third).lsn == 2
    await again.close()
