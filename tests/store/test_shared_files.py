"""Values that their publisher lays into a file itself: where they end up, what Arrow readers see, and what becomes of the file."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import polars
import pyarrow as pa
import pytest

from linkd.errors import InvalidArgument, LinkNotFound, ValueTooLarge
from linkd.model.kept import HomeKept, Kept, SchemaMessage
from linkd.model.records import Dropped
from linkd.model.terms import AT_ONCE_S, NEVER_S
from linkd.model.values import Place
from linkd.store.files import LocalFiles
from linkd.store.shared_files import PlacedPayload
from linkd.store.store import Store
from linkd.store.store_limits import StoreLimits
from linkd.testing.sample_values import SampleValue, sample_value
from linkd.testing.sample_writer import SampleWriter
from linkd.wire import arrow_ipc

LIMITS = StoreLimits(inline_payload_max_bytes=64, preallocate_bytes=16 * 1024, segment_roll_min_bytes=1_024)


def keep() -> Sequence[Kept]:
    one = sample_value("flown", 1)
    return [HomeKept(1, 0), SchemaMessage(one.envelope.schema_id, one.schema)]


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Store]:
    store = Store.open(directory / "s", limits=LIMITS)
    list(store.replay())
    store.start(asyncio.get_running_loop(), thread=False, keep=keep)
    yield store
    await store.close()


def writer_of(store: Store, directory: Path, **more: int) -> SampleWriter:
    return SampleWriter(store, LocalFiles(), directory / "s" / "segments", **more)


async def commit(store: Store, *placed: tuple[SampleValue, PlacedPayload | bytes], sync_within_s: float = AT_ONCE_S) -> list[Place]:
    """Each in a frame of its own."""
    futures = [store.append([value.schema_kept, value.stored], [payload], sync_within_s=sync_within_s) for value, payload in placed]
    store.commit_waiting()
    return [(await future).places[0] for future in futures]


async def drop(store: Store, first: int, last: int, link: str = "flown") -> None:
    dropped = store.append([Dropped(link, 1, first, last, "age", forgotten=True)])
    store.commit_waiting()
    await dropped
    await asyncio.sleep(0)
    store.tidy()


def seen(path: Path) -> list[int]:
    """The sequences that pyarrow sees in a file, and polars too."""
    content = path.read_bytes()
    batches = [batch for batch in pa.ipc.open_stream(content) if batch.num_rows]
    rows = polars.read_ipc_stream(io.BytesIO(content)).to_series().to_list()
    sequences = [batch.column(0)[0].as_py() for batch in batches]
    assert list(dict.fromkeys(rows)) == sequences
    return sequences


async def test_a_value_stays_where_its_publisher_has_laid_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        writer = writer_of(store, tmp_path)
        values = [sample_value("flown", number, 200) for number in (1, 2, 3)]
        await writer.open(values[0])
        placed = [await writer.place(value) for value in values]
        assert seen(writer.path) == []
        places = await commit(store, *zip(values, placed, strict=True))
        assert seen(writer.path) == [1, 2, 3]
        for value, payload, place in zip(values, placed, places, strict=True):
            assert place.offset + 8 + place.metadata_bytes == payload.body_offset
            metadata, body = await store.read_payload(value.envelope, place)
            assert arrow_ipc.prefix(len(metadata)) + metadata + body == value.payload
            assert payload.xxh3 == value.envelope.payload_xxh3
            located = store.shared.located(value.envelope, place)
            assert located is not None
            assert (located.id, located.size_bytes, located.offset) == (writer.file.id, 64 * 1024, payload.body_offset)
            assert (located.metadata, located.body_bytes) == (metadata, len(body))
        assert [batch.num_rows for batch in pa.ipc.open_stream(writer.path.read_bytes())] == [200] * 3, "no filler where none is needed"


async def test_values_are_committed_in_any_order_or_never(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        writer = writer_of(store, tmp_path)
        values = [sample_value("flown", number, 200) for number in (1, 99, 2, 4, 3, 5)]
        await writer.open(values[0])
        one, never, two, four, three, five = [(value, await writer.place(value)) for value in values]
        never[1].discard()
        places = await commit(store, one, two)
        places += await commit(store, three, four)
        places += await commit(store, five)
        is_there = [place.file == writer.file.number for place in places]
        assert is_there == [True, True, True, False, True], "what comes too late is copied"
        assert seen(writer.path) == [1, 2, 3, 5]
        for (envelope, place), (value, _) in zip(store.values("flown"), (one, two, three, four, five), strict=True):
            metadata, body = await store.read_payload(envelope, place)
            assert arrow_ipc.prefix(len(metadata)) + metadata + body == value.payload


async def test_a_large_gap_is_passed_over(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        writer = writer_of(store, tmp_path)
        values = [sample_value("flown", number, 200) for number in (1, 2, 3)]
        await writer.open(values[0], size_bytes=400 * 1024)
        for value in values:
            assert (await commit(store, (value, await writer.place(value, gap_bytes=100_000))))[0].file == writer.file.number
        assert seen(writer.path) == [1, 2, 3]
        assert max(place.metadata_bytes for _, place in store.values("flown")) < 2_000
    async with opened(tmp_path) as store:
        assert seen(writer.path) == [1, 2, 3]


@pytest.mark.parametrize("missing", ["room", "link", "generation", "schema"])
async def test_what_does_not_fit_the_file_is_copied_into_another(tmp_path: Path, missing: str) -> None:
    async with opened(tmp_path) as store:
        writer = writer_of(store, tmp_path, head_bytes=16 if missing == "room" else 1_024)
        like = sample_value("flown", 1, 200)
        value = {
            "room": like,
            "link": sample_value("landed", 1, 200),
            "generation": sample_value("flown", 1, 200, generation=2),
            "schema": sample_value("flown", 1, 200, column="m"),
        }[missing]
        await writer.open(like)
        place = (await commit(store, (value, await writer.place(value))))[0]
        assert place.file != writer.file.number or value.envelope.link != "flown"
        assert seen(writer.path) == []
        metadata, body = await store.read_payload(value.envelope, place)
        assert arrow_ipc.prefix(len(metadata)) + metadata + body == value.payload


async def test_a_place_that_cannot_be_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        writer = writer_of(store, tmp_path)
        value = sample_value("flown", 1, 200)
        file = await writer.open(value)
        metadata = arrow_ipc.read_message(value.payload).metadata
        for offset, length in [(0, 1_600), (file.start, 1_600), (4_001, 1_600), (64_000, 1_600), (-64, 1_600), (2**62, 1_600)]:
            with pytest.raises(InvalidArgument, match="must lie on a multiple of 8"):
                await store.shared.placed(file, offset, length, metadata)
        with pytest.raises(InvalidArgument, match="says that its body has 1600 bytes"):
            await store.shared.placed(file, 4_096, 1_608, metadata)
        with pytest.raises(ValueTooLarge):
            await store.shared.placed(file, 4_096, 2**40, metadata)
        with pytest.raises(InvalidArgument):
            await store.shared.placed(file, 4_096, 1_600, metadata[:-3])
        await writer.place(value)
        with pytest.raises(InvalidArgument, match="must lie"):
            await store.shared.placed(file, writer.end, 1_600, metadata)
        store.shared.unshare(file, reusable=True)
        with pytest.raises(InvalidArgument, match="not its writer's any more"):
            await writer.place(value)


async def test_a_file_that_its_writer_makes_shorter_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        writer = writer_of(store, tmp_path)
        value = sample_value("flown", 1, 200)
        file = await writer.open(value)
        placed = await writer.place(value)
        os.truncate(writer.path, 1_024)
        with pytest.raises(InvalidArgument, match="has made it shorter"):
            await store.shared.placed(file, 8_192, 1_600, arrow_ipc.read_message(value.payload).metadata)
        await commit(store, (sample_value("flown", 1, 200, generation=2), placed))  # is copied, as it is now, and nothing else suffers
        other = sample_value("landed", 1, 200)
        await commit(store, (other, other.payload))
        assert store.full == ""


async def test_a_file_whose_values_are_dropped_goes_to_its_writer_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        writer = writer_of(store, tmp_path)
        ids, numbers = set(), []
        for first in range(1, 40, 4):
            values = [sample_value("flown", number, 200) for number in range(first, first + 4)]
            file = await writer.open(values[0])
            ids.add(file.id)
            numbers.append(file.number)
            assert seen(writer.path) == [], "of what was there before nothing is seen"
            await commit(store, *[(value, await writer.place(value)) for value in values])
            assert seen(writer.path) == [first, first + 1, first + 2, first + 3]
            store.shared.unshare(file, reusable=True)
            if first > 4:
                await drop(store, first - 4, first - 1)
        assert len(ids) == 2
        assert len(set(numbers)) == len(numbers)
        assert len(list(writer.path.parent.iterdir())) == 2
    assert seen(writer.path) == [37, 38, 39, 40]


@pytest.mark.parametrize("why", ["held", "tainted", "not reusable", "forsaken", "another link"])
async def test_a_file_is_not_used_again_while_anybody_may_read_it_or_without_its_writer(tmp_path: Path, why: str) -> None:
    async with opened(tmp_path) as store:
        writer = writer_of(store, tmp_path)
        value = sample_value("flown", 1, 200)
        first = await writer.open(value)
        place = (await commit(store, (value, await writer.place(value))))[0]
        path, body = writer.path, value.payload[-1_600:]
        located = store.shared.located(value.envelope, place)
        reader = open(store.shared.descriptor(located.id, writable=False), "rb")  # noqa: PTH123, SIM115 - a descriptor
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(reader.fileno(), b"x")
        if why == "tainted":
            store.shared.tainted(located.id)
        if why != "held":
            store.shared.released(located.id, 1)
        store.shared.unshare(first, reusable=why != "not reusable")
        if why == "forsaken":
            store.shared.forsake(writer)
        await drop(store, 1, 1)
        again = await writer.open(sample_value("landed" if why == "another link" else "flown", 2, 200))
        assert again.id != first.id
        reader.seek(located.offset)
        assert reader.read(1_600) == body, "who has the descriptor keeps what it saw"
        assert not path.exists()
        spare = path.with_name(path.name + ".spare")
        assert spare.exists() == (why in ("held", "another link"))
        if why == "held":
            store.shared.released(located.id, 1)
            store.shared.unshare(again, reusable=True)
            assert (await writer.open(value)).id == first.id, "when it is released it is used again"
        else:
            store.shared.give_back()
            store.tidy()
            assert not spare.exists()
            with pytest.raises(LinkNotFound):
                store.shared.descriptor(located.id, writable=False)
        reader.close()


async def test_files_that_nothing_was_committed_to_go_with_their_writer(tmp_path: Path) -> None:
    gone: list[int] = []
    async with opened(tmp_path) as store:
        store.shared.on_gone = gone.append
        writer = writer_of(store, tmp_path)
        value = sample_value("flown", 1, 200)
        file = await writer.open(value)
        placed = await writer.place(value)
        store.shared.forsake(writer)
        store.tidy()
        assert writer.path.exists(), "what was placed may be committed yet"
        placed.discard()
        store.tidy()
        await asyncio.sleep(0)
        assert list(writer.path.parent.iterdir()) == []
        assert gone == [file.id]


async def test_a_writer_that_places_nothing_takes_no_descriptors(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        writer, value = writer_of(store, tmp_path), sample_value("flown", 1, 200)
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not opened
        for _ in range(20):
            store.shared.unshare(await writer.open(value), reusable=True)
            store.tidy()
        assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
        assert len(list(writer.path.parent.iterdir())) == 1


async def test_a_value_of_a_memory_link_is_copied_out_of_its_file_where_the_commit_has_to_last(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        writer = writer_of(store, tmp_path)
        values = [sample_value("flown", number, 200) for number in (1, 2)]
        await writer.open(values[0], volatile=True)
        placed = [await writer.place(value) for value in values]
        weak = await commit(store, (values[0], placed[0]), sync_within_s=NEVER_S)
        lasting = await commit(store, (values[1], placed[1]))
        assert weak[0].file == writer.file.number != lasting[0].file
        assert store.volatile_values() == [("flown", 1, 1)]


async def test_what_is_left_of_a_file_without_a_writer_is_moved_into_an_ordinary_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        writer = writer_of(store, tmp_path)
        values = [sample_value("flown", number, 200) for number in (1, 2)]
        await writer.open(values[0])
        await commit(store, *[(value, await writer.place(value)) for value in values])
        path = writer.path
        store.shared.unshare(writer.file, reusable=True)
        store.tidy()
        assert path.exists(), "its writer uses it again when the values go"
        store.shared.forsake(writer)
        store.tidy()
        assert not path.exists()
        for (envelope, place), value in zip(store.values("flown"), values, strict=True):
            metadata, body = await store.read_payload(envelope, place)
            assert arrow_ipc.prefix(len(metadata)) + metadata + body == value.payload
