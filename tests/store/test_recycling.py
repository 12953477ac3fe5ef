"""A store stays small: what was dropped is freed, the journal's oldest files go, a start begins at the last checkpoint."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from linkd.errors import LinkNotFound, StateDamaged, StorageFailed
from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import Dropped, RunEnded
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store import checkpoint_file, envelope_file
from linkd.store.files import LocalFiles
from linkd.store.offline.verification import verify
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import SampleValue, sample_value

SMALL, BULK = 10, 400
"""Rows of a value that lies in the journal, and of one that lies in a segment, under `LIMITS`."""
LIMITS = StoreLimits(
    inline_payload_max_bytes=1_000,
    frame_inline_max_bytes=2_000,
    group_max_bytes=8_000,
    journal_file_max_bytes=32 * 1024,
    preallocate_bytes=16 * 1024,
    journal_files_kept=2,
    checkpoint_frames=1_000,
    checkpoint_at_close_frames=1_000,
)
DEADLINE_S = 20


def keep() -> Sequence[Kept]:
    one = sample_value("flown", 1)
    return [HomeKept(7, 70), SchemaMessage(one.envelope.schema_id, one.schema)]


@asynccontextmanager
async def opened(
    directory: Path, limits: StoreLimits = LIMITS, *, thread: bool = False, fold_within_s: float = 0.0
) -> AsyncIterator[Store]:
    """Closes without folding, unless there is time: here it is about what the journal keeps while a store works."""
    store = Store.open(directory, limits=limits)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=thread, keep=keep)
    try:
        yield store
    finally:
        await store.close(fold_within_s)


async def append(store: Store, *values: SampleValue) -> None:
    future = store.append([one for value in values for one in (value.schema_kept, value.stored)], [value.payload for value in values])
    store.commit_waiting()
    await future


async def drop(store: Store, link: str, generation: int, *, forgotten: bool = False) -> None:
    future = store.append([Dropped(link, 1, 1, 2, "superseded by generation 9", generation, forgotten)])
    store.commit_waiting()
    await future
    await asyncio.sleep(0)
    store.tidy()


async def fill(store: Store, values: int, first: int = 1) -> None:
    """So many small values, each in a group of its own: a file holds seven."""
    for sequence in range(first, first + values):
        await append(store, sample_value("flown", sequence, SMALL))


def journal_files(directory: Path) -> list[str]:
    return sorted(path.stem.lstrip("0") for path in (directory / "journal").iterdir())


async def content(store: Store, link: str = "flown") -> list[tuple[int, bytes]]:
    """Every value of a link with its payload."""
    found = []
    for envelope, place in store.values(link):
        metadata, body = await store.read_payload(envelope, place)
        found.append((envelope.position.sequence, metadata + bytes(body)))
    return found


def published(values: int) -> list[tuple[int, bytes]]:
    return [(sequence, sample_value("flown", sequence, SMALL).payload[8:]) for sequence in range(1, values + 1)]


async def test_the_journal_keeps_a_few_files_and_everything_can_still_be_read(tmp_path: Path) -> None:
    async with opened(tmp_path / "s") as store:
        await fill(store, 40)
        assert len(journal_files(tmp_path / "s")) == 6
        store.tidy()
        assert journal_files(tmp_path / "s") == ["4", "5", "6"]
        assert await content(store) == published(40)
    copies = [pa.ipc.open_stream(path.read_bytes()).read_all() for path in sorted((tmp_path / "s" / "segments" / "flown").iterdir())]
    assert [table.column(0).to_pylist() for table in copies] == [[number for number in range(1, 22) for _ in range(SMALL)]]
    async with opened(tmp_path / "s") as store:
        assert await content(store) == published(40)
        await fill(store, 8, 41)
        store.tidy()
        assert await content(store) == published(48)


async def test_a_start_reads_what_is_behind_the_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    async with opened(tmp_path / "s") as store:
        await fill(store, 40)
        store.tidy()
        await fill(store, 3, 41)
    again = Store.open(tmp_path / "s", limits=LIMITS)
    assert again.kept == tuple(keep())
    assert [lsn for lsn, _ in again.replay()] == [41, 42, 43]
    assert again.recovery.frames == 3
    await again.close()


async def test_a_clean_stop_leaves_nothing_to_read(tmp_path: Path) -> None:
    limits = dataclasses.replace(LIMITS, checkpoint_at_close_frames=5)
    async with opened(tmp_path / "s", limits) as store:
        await fill(store, 10)
    again = Store.open(tmp_path / "s", limits=limits)
    assert list(again.replay()) == []
    assert await content(again) == published(10)
    await again.close()


async def test_many_commits_make_a_checkpoint_by_themselves(tmp_path: Path) -> None:
    """With its own threads, as a home has it: the journal is bounded while it grows, and whoever reads meanwhile gets what was published."""
    limits = dataclasses.replace(LIMITS, checkpoint_frames=20)
    async with opened(tmp_path / "s", limits, thread=True) as store:
        for sequence in range(1, 120):
            value = sample_value("flown", sequence, SMALL)
            await store.append([value.schema_kept, value.stored], [value.payload])
            [(envelope, place)] = store.values("flown", max(sequence - 30, 1), max(sequence - 30, 1))
            await store.read_payload(envelope, place)
        await until(lambda: len(journal_files(tmp_path / "s")) <= 3)
        assert await content(store) == published(119)
    again = Store.open(tmp_path / "s", limits=limits)
    assert len(list(again.replay())) < 40
    await again.close()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not true():
            await asyncio.sleep(0)


async def test_a_place_that_was_asked_for_before_its_journal_file_went_is_found_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "s") as store:
        await fill(store, 40)
        before = list(store.values("flown"))
        reading = store.read_chunks(*before[1], 100)
        pieces = [await anext(reading)]
        store.tidy()
        pieces += [piece async for piece in reading]
        assert b"".join(pieces) == sample_value("flown", 2, SMALL).payload
        assert before[0][1].kind is PlaceKind.JOURNAL
        metadata, body = await store.read_payload(*before[0])
        assert metadata + bytes(body) == published(1)[0][1]
        assert b"".join([piece async for piece in store.read_chunks(*before[0], 100)]) == sample_value("flown", 1, SMALL).payload


@pytest.mark.parametrize("forgotten", [True, False], ids=["forgotten", "envelopes stay"])
async def test_a_dropped_generation_is_freed(tmp_path: Path, forgotten: bool) -> None:
    values = [sample_value("flown", sequence, rows, generation=1 + sequence // 3) for sequence, rows in enumerate([SMALL, BULK] * 2, 1)]
    segments, envelopes = tmp_path / "s" / "segments" / "flown", tmp_path / "s" / "envelopes" / "flown" / "00000001.envelopes"
    async with opened(tmp_path / "s") as store:
        await append(store, *values)
        assert [path.name for path in sorted(segments.iterdir())] == ["00000001.arrow", "00000002.arrow"]
        old = list(store.values("flown", generation=1))
        used_bytes = store.usage()["flown"]
        await drop(store, "flown", 1, forgotten=forgotten)
        assert [path.name for path in segments.iterdir()] == ["00000002.arrow"]
        assert store.usage()["flown"] < used_bytes
        await check_dropped(store, old, values, forgotten=forgotten)
    assert envelopes.exists() is not forgotten
    (tmp_path / "s" / "catalog.db").unlink()
    async with opened(tmp_path / "s") as store:
        store.tidy()
        await check_dropped(store, old, values, forgotten=forgotten)
        if not forgotten:
            await drop(store, "flown", 1, forgotten=True)
            await check_dropped(store, old, values, forgotten=True)
    assert not envelopes.exists()


async def check_dropped(store: Store, old: list[tuple[Envelope, Place]], values: list[SampleValue], *, forgotten: bool) -> None:
    for envelope, place in (one for one in old if one[1].kind is PlaceKind.SEGMENT):
        with pytest.raises(LinkNotFound, match=f"{envelope.name} was dropped"):
            await store.read_payload(envelope, place)
    found = list(store.values("flown"))
    assert [envelope for envelope, _ in found] == [value.envelope for value in (values[2:] if forgotten else values)]
    assert [place.kind is PlaceKind.DROPPED for _, place in found] == [False] * 2 if forgotten else [True] * 2 + [False] * 2
    for value in values[2:]:
        metadata, body = await store.read_payload(*next(one for one in found if one[0] == value.envelope))
        assert metadata + bytes(body) == value.payload[8:]


async def test_whoever_reads_a_value_when_it_is_dropped_gets_it_whole(tmp_path: Path) -> None:
    value = sample_value("flown", 1, BULK)
    async with opened(tmp_path / "s") as store:
        await append(store, value, sample_value("flown", 2, BULK, generation=2))
        [(envelope, place)] = store.values("flown", 1, 1)
        reading = store.read_chunks(envelope, place, 1_000)
        pieces = [await anext(reading)]
        await drop(store, "flown", 1, forgotten=True)
        pieces += [piece async for piece in reading]
    assert b"".join(pieces) == value.payload


async def test_small_values_of_a_dropped_generation_go_with_their_journal_file(tmp_path: Path) -> None:
    async with opened(tmp_path / "s") as store:
        await fill(store, 20)
        for sequence in range(21, 41):
            await append(store, sample_value("flown", sequence, SMALL, generation=2))
        await drop(store, "flown", 1, forgotten=True)
        assert journal_files(tmp_path / "s") == ["4", "5", "6"]
        assert [sequence for sequence, _ in await content(store)] == list(range(21, 41))
    rows = [
        row
        for path in (tmp_path / "s" / "segments" / "flown").iterdir()
        for row in pa.ipc.open_stream(path.read_bytes()).read_all().column(0)
    ]
    assert {row.as_py() for row in rows} == {21}


async def test_an_index_that_was_lost_is_made_again_from_segments(tmp_path: Path) -> None:
    async with opened(tmp_path / "s") as store:
        await append(store, sample_value("flown", 1, BULK), sample_value("other", 1, BULK))
        await fill(store, 40, 2)
        store.tidy()
        everything = list(store.values("flown")), list(store.values("other"))
    (tmp_path / "s" / "catalog.db").unlink()
    async with opened(tmp_path / "s") as store:
        assert (list(store.values("flown")), list(store.values("other"))) == everything


async def test_an_index_of_another_time_is_made_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "s") as store:
        await fill(store, 10)
    shutil.copy(tmp_path / "s" / "catalog.db", tmp_path / "old.db")
    async with opened(tmp_path / "s") as store:
        await fill(store, 30, 11)
        store.tidy()
    shutil.copy(tmp_path / "old.db", tmp_path / "s" / "catalog.db")
    async with opened(tmp_path / "s") as store:
        assert await content(store) == published(40)


async def test_a_directory_of_before_there_were_checkpoints_is_opened(tmp_path: Path) -> None:
    async with opened(tmp_path / "s") as store:
        await fill(store, 5)
    for name in ("checkpoints", "envelopes"):
        (tmp_path / "s" / name).rmdir()
    async with opened(tmp_path / "s") as store:
        assert await content(store) == published(5)


async def recycled(directory: Path) -> list[Path]:
    """A store whose journal begins behind a checkpoint, and the two files of that."""
    async with opened(directory) as store:
        await fill(store, 40)
        store.tidy()
    paths = sorted((directory / "checkpoints").iterdir())
    assert len(paths) == 2
    return paths


async def test_a_journal_without_the_checkpoint_before_it_is_damage(tmp_path: Path) -> None:
    for path in await recycled(tmp_path / "s"):
        path.unlink()
    with pytest.raises(StateDamaged, match="begins with frame 22, and no checkpoint covers what was before"):
        Store.open(tmp_path / "s", limits=LIMITS)


@pytest.mark.parametrize("where", [4, 12, 40, -20, -3], ids=["magic", "header", "held", "kept", "end"])
async def test_a_checkpoint_that_changed_in_both_files_is_named_if_it_is_needed(tmp_path: Path, where: int) -> None:
    for path in (paths := await recycled(tmp_path / "s")):
        changed = bytearray(path.read_bytes())
        changed[where] ^= 1
        path.write_bytes(changed)
    names = "|".join(path.name for path in paths)
    with pytest.raises(StateDamaged, match=f"({names}) is not what was written"):
        Store.open(tmp_path / "s", limits=LIMITS)
    for path in paths:
        path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(StateDamaged, match=f"({names}) is not what was written"):
        Store.open(tmp_path / "s", limits=LIMITS)


@pytest.mark.parametrize("number", [0, 1])
async def test_one_damaged_file_of_a_checkpoint_that_is_needed_is_written_again_and_told(tmp_path: Path, number: int) -> None:
    path = (await recycled(tmp_path / "s"))[number]
    before = path.read_bytes()
    path.write_bytes(before[:50] + bytes([before[50] ^ 1]) + before[51:])
    [finding] = verify(LocalFiles(), tmp_path / "s").findings
    assert "it was written twice" in finding.meaning
    async with opened(tmp_path / "s") as store:
        assert path.read_bytes() == before
        assert await content(store) == published(40)
        assert any(f"{path} was not what had been written" in note for note in store.recovery.notes)
    assert not verify(LocalFiles(), tmp_path / "s").findings


async def test_a_checkpoint_that_is_not_whole_does_not_count_while_the_journal_is_there(tmp_path: Path) -> None:
    async with opened(tmp_path / "s") as store:
        await fill(store, 5)
    (tmp_path / "s" / "checkpoints" / checkpoint_file.file_name(4)).write_bytes(b"torn")
    (tmp_path / "s" / "checkpoints" / f"{checkpoint_file.file_name(5)}.new").write_bytes(b"aside")
    async with opened(tmp_path / "s") as store:
        assert await content(store) == published(5)
    assert list((tmp_path / "s" / "checkpoints").iterdir()) == []


async def test_a_missing_journal_behind_a_checkpoint_is_damage(tmp_path: Path) -> None:
    await recycled(tmp_path / "s")
    for path in (tmp_path / "s" / "journal").iterdir():
        path.unlink()
    with pytest.raises(StateDamaged, match="ends before frame 40, which a checkpoint covers"):
        Store.open(tmp_path / "s", limits=LIMITS)


async def test_a_journal_file_that_is_missing_though_its_values_are_nowhere_else_is_named(tmp_path: Path) -> None:
    await recycled(tmp_path / "s")
    oldest = sorted((tmp_path / "s" / "journal").iterdir())[0]
    oldest.unlink()
    with pytest.raises(StateDamaged, match=f"{oldest.name} is missing, and it has values that are nowhere else"):
        Store.open(tmp_path / "s", limits=LIMITS)


@pytest.mark.parametrize("left", ["", "beginning", "missing"])
async def test_an_end_of_the_journal_that_was_durable_and_is_gone_is_no_torn_tail(tmp_path: Path, left: str) -> None:
    killed = tmp_path / "killed"
    async with opened(tmp_path / "s") as store:
        await fill(store, 10)
        while store._catalog.write_waiting(100):
            pass
        shutil.copytree(tmp_path / "s", killed)
    newest = sorted((killed / "journal").iterdir())[-1]
    if left == "missing":
        newest.unlink()
    else:
        newest.write_bytes(newest.read_bytes()[: 3 * 4096 if left else 0])
    store = Store.open(killed, limits=LIMITS)
    with pytest.raises(StateDamaged, match=r"the journal ends with frame \d, but \d more were durable, as catalog\.db there knows"):
        list(store.replay())
    store._catalog.close()
    (killed / "catalog.db").unlink()
    async with opened(killed) as store:
        there = await content(store)
        assert there == published(len(there))


async def test_a_store_that_cannot_be_kept_small_stops_taking_commits_and_says_why(tmp_path: Path) -> None:
    told: list[StorageFailed] = []
    limits = dataclasses.replace(LIMITS, checkpoint_at_close_frames=5)
    async with opened(tmp_path / "s", limits) as store:
        await fill(store, 20)
    with (tmp_path / "s" / "journal" / "0000000000000001.journal").open("r+b") as file:
        file.seek(4_300)
        file.write(b"\x55\x55\x55")
    store = Store.open(tmp_path / "s", limits=limits)
    list(store.replay())
    store.start(asyncio.get_running_loop(), keep=keep, on_failure=told.append)
    with pytest.raises(StorageFailed, match=r"0000000000000001\.journal.*accepts nothing more"):
        async with asyncio.timeout(DEADLINE_S):
            while True:
                await store.room()
                await store.append([RunEnded(1, "x" * 3_000, 1)])
    await store.close()
    assert len(told) == 1


async def test_a_defect_of_whoever_tells_the_state_stops_the_store_and_not_its_end(tmp_path: Path) -> None:
    def defective() -> Sequence[Kept]:
        raise RuntimeError("out of order")

    told = asyncio.Event()
    store = Store.open(tmp_path / "s", limits=dataclasses.replace(LIMITS, checkpoint_frames=3))
    list(store.replay())
    store.start(asyncio.get_running_loop(), keep=defective, on_failure=lambda _: told.set())
    with contextlib.suppress(StorageFailed):  # the last of them may be met by it
        for _ in range(3):
            await store.append([RunEnded(1, "done", 1)])
    async with asyncio.timeout(DEADLINE_S):
        await told.wait()
        with pytest.raises(StorageFailed, match="a defect of linkd: RuntimeError: out of order"):
            await store.room()
        await store.close()


def test_an_envelope_file_that_changed_is_named(tmp_path: Path) -> None:
    files, path = LocalFiles(), tmp_path / "flown" / envelope_file.file_name(3)
    envelopes = [bytes([number]) * 100 for number in range(1, 20)]
    envelope_file.write(files, path, iter(envelopes))
    assert list(envelope_file.read(files, path)) == envelopes
    assert envelope_file.file_generation(path.name) == 3
    written = path.read_bytes()
    for at in (0, 20, 200, len(written) - 1):
        path.write_bytes(written[:at] + bytes([written[at] ^ 1]) + written[at + 1 :])
        with pytest.raises(StateDamaged, match=r"00000003\.envelopes is not what was written"):
            list(envelope_file.read(files, path))
    path.write_bytes(written[:-30])
    with pytest.raises(StateDamaged, match="is not what was written"):
        list(envelope_file.read(files, path))
