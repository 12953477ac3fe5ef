"""What is dropped out of a generation that stays comes free: index rows at once, files when they hold nothing else, or little."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from linkd.errors import LinkNotFound
from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import Dropped
from linkd.model.values import PlaceKind
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import SampleValue, sample_value

SMALL, BULK = 10, 400
LIMITS = StoreLimits(
    inline_payload_max_bytes=1_000,
    frame_inline_max_bytes=2_000,
    group_max_bytes=8_000,
    journal_file_max_bytes=32 * 1024,
    preallocate_bytes=16 * 1024,
    journal_files_kept=1,
    checkpoint_frames=1_000,
    checkpoint_at_close_frames=1_000,
    segment_roll_min_bytes=10_000,
    envelope_files_max=3,
)


def keep() -> Sequence[Kept]:
    one = sample_value("flown", 1)
    return [HomeKept(7, 70), SchemaMessage(one.envelope.schema_id, one.schema)]


@asynccontextmanager
async def opened(directory: Path, limits: StoreLimits = LIMITS) -> AsyncIterator[Store]:
    store = Store.open(directory, limits=limits)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False, keep=keep)
    store.tidy()
    try:
        yield store
    finally:
        await store.close()


async def append(store: Store, *values: SampleValue) -> None:
    for value in values:
        future = store.append([value.schema_kept, value.stored], [value.payload])
        store.commit_waiting()
        await future


async def drop(store: Store, first: int, last: int, *, forgotten: bool = True) -> None:
    future = store.append([Dropped("flown", 1, first, last, "age", forgotten=forgotten)])
    store.commit_waiting()
    await future
    await asyncio.sleep(0)
    store.tidy()


async def check(store: Store, values: Sequence[SampleValue], remembered: Sequence[int] = ()) -> None:
    """These are there, whole; and of these the envelopes."""
    found = list(store.values("flown"))
    assert [envelope.position.sequence for envelope, place in found if place.kind is PlaceKind.DROPPED] == list(remembered)
    there = [one for one in found if one[1].kind is not PlaceKind.DROPPED]
    assert [envelope for envelope, _ in there] == [value.envelope for value in values]
    for (envelope, place), value in zip(there, values, strict=True):
        metadata, body = await store.read_payload(envelope, place)
        assert metadata + bytes(body) == value.payload[8:]


async def check_again(directory: Path, values: Sequence[SampleValue], remembered: Sequence[int] = ()) -> None:
    """The same after a restart, and with an index that is made again."""
    async with opened(directory) as store:
        await check(store, values, remembered)
    (directory / "catalog.db").unlink()
    async with opened(directory) as store:
        await check(store, values, remembered)


def sample(count: int, rows: int) -> list[SampleValue]:
    return [sample_value("flown", sequence, rows) for sequence in range(1, count + 1)]


def segments(directory: Path) -> list[str]:
    return sorted(path.stem.lstrip("0") for path in (directory / "segments" / "flown").iterdir())


def envelope_files(directory: Path) -> list[str]:
    return sorted(path.name for path in (directory / "envelopes" / "flown").iterdir())


@pytest.mark.parametrize("rows", [SMALL, BULK])
async def test_values_that_were_dropped_by_themselves_are_gone_and_the_others_are_read(tmp_path: Path, rows: int) -> None:
    values = sample(40, rows)
    async with opened(tmp_path / "s") as store:
        await append(store, *values)
        old = next(iter(store.values("flown")))
        used_bytes = store.usage()["flown"]
        await drop(store, 1, 25)
        await check(store, values[25:])
        assert store.usage()["flown"] < used_bytes / 2
        if rows == BULK:
            with pytest.raises(LinkNotFound, match="flown@1 was dropped"):
                await store.read_payload(*old)
    await check_again(tmp_path / "s", values[25:])


async def test_a_file_goes_when_all_in_it_was_dropped_and_the_next_values_go_to_another(tmp_path: Path) -> None:
    values = sample(6, BULK)
    async with opened(tmp_path / "s") as store:
        await append(store, *values[:3])
        await drop(store, 1, 3)
        assert segments(tmp_path / "s") == []
        await append(store, *values[3:])
        assert segments(tmp_path / "s") == ["2"]
        await check(store, values[3:])
    await check_again(tmp_path / "s", values[3:])


async def test_what_is_left_of_a_file_is_moved_when_most_of_it_is_free(tmp_path: Path) -> None:
    values = sample(10, BULK)
    async with opened(tmp_path / "s") as store:
        await append(store, *values)
        assert segments(tmp_path / "s") == ["1"]
        await drop(store, 1, 3)
        assert segments(tmp_path / "s") == ["1"]
        before = list(store.values("flown", 8))
        await drop(store, 4, 7)
        assert segments(tmp_path / "s") == ["2"]
        await check(store, values[7:])
        metadata, body = await store.read_payload(*before[0])
        assert metadata + bytes(body) == values[7].payload[8:]
        table = pa.ipc.open_stream((tmp_path / "s" / "segments" / "flown" / "00000002.arrow").read_bytes()).read_all()
        assert table.num_rows == 3 * BULK
        await append(store, sample_value("flown", 11, BULK))
        assert segments(tmp_path / "s") == ["2", "3"]
    await check_again(tmp_path / "s", [*values[7:], sample_value("flown", 11, BULK)])


async def test_an_index_that_stopped_in_the_middle_of_a_move_is_made_again(tmp_path: Path) -> None:
    values = sample(10, BULK)
    async with opened(tmp_path / "s") as store:
        await append(store, *values)
        await drop(store, 1, 7)
        await check(store, values[7:])
        store._catalog.begin_at(0)
    assert segments(tmp_path / "s") == ["2"]
    await check_again(tmp_path / "s", values[7:])


async def test_what_the_journal_has_of_dropped_values_is_not_copied_out_of_it(tmp_path: Path) -> None:
    values = sample(60, SMALL)
    async with opened(tmp_path / "s") as store:
        await append(store, *values[:20])
        await drop(store, 1, 20)
        await append(store, *values[20:])
        store.tidy()
        await check(store, values[20:])
    rows = [
        row.as_py()
        for path in (tmp_path / "s" / "segments" / "flown").iterdir()
        for row in pa.ipc.open_stream(path.read_bytes()).read_all().column(0)
    ]
    assert rows
    assert min(rows) > 20
    await check_again(tmp_path / "s", values[20:])


async def test_envelopes_stay_in_a_few_files_until_they_are_forgotten(tmp_path: Path) -> None:
    values = sample(30, BULK)
    async with opened(tmp_path / "s") as store:
        await append(store, *values)
        for last in range(2, 22, 2):
            await drop(store, last - 1, last, forgotten=False)
        assert len(envelope_files(tmp_path / "s")) <= 4
        await check(store, values[20:], range(1, 21))
    await check_again(tmp_path / "s", values[20:], range(1, 21))
    async with opened(tmp_path / "s") as store:
        await drop(store, 1, 15)
        await check(store, values[20:], range(16, 21))
        for last in range(22, 30, 2):
            await drop(store, last - 1, last, forgotten=False)
        await drop(store, 16, 28)
        await check(store, values[28:])
    assert envelope_files(tmp_path / "s") == []
    await check_again(tmp_path / "s", values[28:])


async def test_a_generation_that_goes_takes_the_files_of_its_parts_along(tmp_path: Path) -> None:
    values = sample(4, BULK)
    async with opened(tmp_path / "s") as store:
        await append(store, *values, sample_value("flown", 5, BULK, generation=2))
        await drop(store, 1, 2, forgotten=False)
        for forgotten, files in ((False, ["00000001.envelopes"]), (True, [])):
            future = store.append([Dropped("flown", 1, 1, 4, "superseded", 1, forgotten)])
            store.commit_waiting()
            await future
            await asyncio.sleep(0)
            store.tidy()
            assert envelope_files(tmp_path / "s") == files
        await check(store, [sample_value("flown", 5, BULK, generation=2)])


async def test_a_link_that_is_cut_keeps_its_files_small(tmp_path: Path) -> None:
    """Room comes free by whole files: what lies on disk is less than twice what is there."""
    limits = dataclasses.replace(LIMITS, segment_roll_min_bytes=1_000)
    async with opened(tmp_path / "s", limits) as store:
        for sequence in range(1, 201):
            await append(store, sample_value("flown", sequence, BULK))
            if sequence > 20:
                await drop(store, sequence - 20, sequence - 20)
        there = sum(path.stat().st_size for path in (tmp_path / "s" / "segments" / "flown").iterdir())
        assert there < 1.5 * store.usage()["flown"]
        assert len(list(store.values("flown"))) == 20
