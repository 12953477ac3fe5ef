"""What a publisher over the lane may say and write: whatever is not sound is refused, and hurts nobody but itself."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from lane_writer import ROWS, LaneWriter, lane_of, numbers, small_home
from raw_client import arrow_message, until

import linkd.aio
from linkd.errors import Error, InvalidArgument, LinkNotFound, StateDamaged, ValueTooLarge
from linkd.limits import ATTRIBUTES_MAX, MIB
from linkd.testing.home import InProcessHome
from linkd.wire import arrow_ipc
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[InProcessHome]:
    async with small_home(tmp_path / "state") as running:
        yield running


async def read_numbers(client: linkd.aio.Client, link: str, **extent: int) -> list[int]:
    """The first row of every value."""
    return [value.to_table()["n"][0].as_py() async for value in client.read(link, **extent)]


def places_that_cannot_be(good: value_pb2.Placed, granted: Any, schema: bytes) -> dict[str, dict[str, Any]]:
    return {
        "in the schema": {"offset": 8},
        "where the schema ends": {"offset": granted.start},
        "over the value before": {"offset": good.offset - 64_000},
        "misaligned": {"offset": good.offset + 4},
        "behind the end": {"offset": granted.end - 8},
        "at the end of numbers": {"offset": 2**64 - 8},
        "of another length": {"body_bytes": good.body_bytes + 8},
        "of a length beyond everything": {"body_bytes": 2**63},
        "in nobody's file": {"file": granted.file + 1_000},
        "in no file": {"file": 0},
        "without metadata": {"metadata": b""},
        "with metadata that is cut": {"metadata": good.metadata[:-8]},
        "with metadata of a schema": {"metadata": schema[arrow_ipc.PREFIX_BYTES :]},
        "with too much metadata": {"metadata": good.metadata + bytes(2 * MIB)},
    }


async def test_a_place_that_cannot_be_is_refused_and_nothing_else_is_touched(home: InProcessHome) -> None:
    async with lane_of(home) as channel, linkd.aio.connect(home.endpoint) as client:
        await client.publish("events", [{"n": 0}])
        writer = LaneWriter(channel, "events")
        await writer.reserve(numbers(1))
        for name in places_that_cannot_be(value_pb2.Placed(), writer.granted, b""):
            await writer.put(numbers(1))
            good = writer.lay(numbers(2))
            said = value_pb2.Placed()
            said.CopyFrom(good)
            for field, value in places_that_cannot_be(good, writer.granted, writer.schema)[name].items():
                setattr(said, field, value)
            with pytest.raises((InvalidArgument, ValueTooLarge)):
                await writer.publish(said)
                pytest.fail(f"a place {name} was taken")
            await writer.again(numbers(1))
        good = writer.lay(numbers(3))
        await writer.publish(good)
        with pytest.raises(InvalidArgument, match="must lie"):
            await writer.publish(good)
        assert await read_numbers(client, "events") == [0, *[1] * 14, 3]
    await until(lambda: home.is_idle)


REFUSED: dict[str, dict[str, Any]] = {
    "with bytes beside": {"data": b"beside"},
    "with more attributes than a value may have": {"attributes": {str(number): "" for number in range(ATTRIBUTES_MAX + 1)}},
    "of a producer that nobody opened": {"producer": value_pb2.Producer(id="nobody", epoch=7, sequence=3)},
    "for a snapshot that nobody has": {"stage": pb.Stage(snapshot_id=bytes(16), token=1)},
    "for a link that is none": {"link": "No Link"},
}


@pytest.mark.parametrize("refused", REFUSED)
async def test_a_sound_value_that_is_refused_for_another_reason_leaves_no_file_open_behind_its_stream(
    home: InProcessHome, refused: str
) -> None:
    async with lane_of(home) as channel, linkd.aio.connect(home.endpoint) as client:
        await client.publish("events", [{"n": 0}])
        writer = LaneWriter(channel, "events")
        await writer.reserve(numbers(1))
        with pytest.raises(Error):
            await writer.publish(writer.lay(numbers(1)), **REFUSED[refused])
        inodes = home.home.store.shared._inodes._by_id.values()
        await until(lambda: not any(inode.is_open for inode in inodes))
        assert not any(inode.is_written for inode in inodes)
        assert await read_numbers(client, "events") == [0]


def metadata_of(batch: pa.RecordBatch, **options: Any) -> tuple[bytes, int]:
    """Of its message, with the length of the body."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(**options)) as stream:
        stream.write_batch(batch)
    message = list(pa.ipc.MessageReader.open_stream(sink.getvalue()))[1]
    return message.metadata.to_pybytes(), message.body.size


async def test_compressed_and_dictionary_batches_are_refused_by_place_too(home: InProcessHome) -> None:
    plain = pa.RecordBatch.from_pydict(numbers(1))
    encoded = pa.RecordBatch.from_arrays([pa.array(["a", "b"] * ROWS).dictionary_encode()], names=["n"])
    async with lane_of(home) as channel, linkd.aio.connect(home.endpoint) as client:
        await client.publish("events", [{"n": 0}])
        writer = LaneWriter(channel, "events")
        await writer.reserve(numbers(1))
        for batch, options, why in [(plain, {"compression": "zstd"}, "compressed"), (encoded, {}, "dictionary")]:
            said = writer.lay(numbers(1))
            said.metadata, said.body_bytes = metadata_of(batch, **options)
            with pytest.raises(InvalidArgument, match=why):
                await writer.publish(said)
            await writer.again(numbers(1))
        await writer.put(numbers(1))
        assert await read_numbers(client, "events") == [0, 1]


async def test_two_streams_of_one_client_have_files_of_their_own(home: InProcessHome) -> None:
    async with linkd.aio.connect(home.endpoint) as client:
        producers = [await client.producer(name) for name in ("a", "b", "c")]
        for number in range(2):
            for at, one in enumerate(producers):
                await one.publish("events", numbers(10 * number + at))
        for number in range(2, 4):
            await asyncio.gather(*(one.publish("events", numbers(10 * number + at)) for at, one in enumerate(producers)))
        found = [value.to_table()["n"].to_pylist() async for value in client.read("events")]
        assert sorted(column[0] for column in found) == [10 * number + at for number in range(4) for at in range(3)]
        assert all(column == list(range(column[0], column[0] + ROWS)) for column in found)


async def test_a_file_that_its_writer_cuts_or_stretches_costs_only_what_was_in_it(home: InProcessHome) -> None:
    async with lane_of(home) as channel, linkd.aio.connect(home.endpoint) as client:
        for link in ("events", "others"):
            await client.publish(link, [{"n": 0}])
        await client.publish("others", numbers(7))
        writer = LaneWriter(channel, "events")
        await writer.reserve(numbers(1))
        for first in (1, 2):
            await writer.put(numbers(first))
        held = [value.to_table() async for value in client.read("events", last=2)][1]
        cut = writer.lay(numbers(3))
        descriptor = own_descriptor(home, "events")
        os.ftruncate(descriptor, cut.offset + 1_000)
        with pytest.raises(InvalidArgument, match="has made it shorter"):
            await writer.publish(cut)
        await writer.again(numbers(1))
        os.ftruncate(descriptor, cut.offset - 100_000)
        assert held["n"].to_pylist() == numbers(1)["n"], "what lies before the cut is there"
        with pytest.raises(StateDamaged):
            [value.to_table() async for value in client.read("events", first=3)]
        os.ftruncate(descriptor, 2**42)
        await client.publish("others", numbers(8))
        assert await read_numbers(client, "others") == [0, 7, 8]
        assert (await client.publish("events", numbers(4))).first.sequence == 4
        os.close(descriptor)
    await home.restart()
    async with linkd.aio.connect(home.endpoint) as client:
        assert await read_numbers(client, "others") == [0, 7, 8]
        assert [value.to_table()["n"][0].as_py() async for value in client.read("events", first=4)] == [4]


def own_descriptor(home: InProcessHome, link: str) -> int:
    """As a program has it that took the descriptor out of its client."""
    (path,) = sorted((home.directory / "segments" / link).iterdir())
    return os.open(path, os.O_RDWR)


async def test_a_value_that_its_producer_changes_afterwards_is_told_of_and_no_other_is_touched(home: InProcessHome) -> None:
    async with lane_of(home) as channel, linkd.aio.connect(home.endpoint) as client:
        for link in ("events", "others"):
            await client.publish(link, [{"n": 0}])
        writer = LaneWriter(channel, "events")
        await writer.reserve(numbers(1))
        await LaneWriter(channel, "others").reserve(numbers(1))
        laid = [writer.lay(numbers(first)) for first in (1, 2, 3)]
        for one in laid:
            await writer.publish(one)
        held = [value.to_table() async for value in client.read("events", first=4)]
        writer.file[laid[1].offset] ^= 0xFF
        assert held[0]["n"].to_pylist() == numbers(3)["n"]
        with pytest.raises(StateDamaged, match="events@3: its rows are not what was committed"):
            await read_numbers(client, "events")
        assert [await read_numbers(client, "events", first=n, last=n) for n in (1, 2, 4)] == [[0], [1], [3]]
        with pytest.raises(StateDamaged):
            await client.query("SELECT sum(n) FROM events").rows()
        # And then all of the file, what is linkd's included.
        writer.file[:] = b"\xff" * len(writer.file)
        assert await read_numbers(client, "others") == [0]
        for sequence in (2, 3, 4):
            with pytest.raises(StateDamaged):
                await read_numbers(client, "events", first=sequence, last=sequence)
        await client.publish("others", numbers(7))
    home.home.store.tidy()
    for crash in (True, False):
        await home.restart(crash=crash)
        async with linkd.aio.connect(home.endpoint) as client:
            assert await read_numbers(client, "others") == [0, 7]
            assert await read_numbers(client, "events", last=1) == [0]
            try:
                assert await read_numbers(client, "events") == [0]
            except (StateDamaged, LinkNotFound):  # tidying up has not met it yet, or has just dropped it
                pass
            await client.publish("events", numbers(9))
            assert (await read_numbers(client, "events", first=5))[0] == 9


async def test_a_hash_that_is_not_that_of_the_content_spoils_the_value_it_comes_with_and_no_other(
    home: InProcessHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINKD_TRANSPORT", "grpc")
    async with lane_of(home) as channel, linkd.aio.connect(home.endpoint) as grpc:
        monkeypatch.delenv("LINKD_TRANSPORT")
        await grpc.publish("events", [{"n": 0}])
        writer = LaneWriter(channel, "events")
        await writer.reserve(numbers(1))
        for first in (1, 2, 3):
            placed = writer.lay(numbers(first))
            if first == 2:
                placed.xxh3 = 4711
            await writer.publish(placed)
        async with linkd.aio.connect(home.endpoint) as lane:
            for client in (lane, grpc):
                assert await read_numbers(client, "events", last=2) == [0, 1]
                with pytest.raises(StateDamaged, match="events@3"):
                    await read_numbers(client, "events", first=3, last=3)
                assert await read_numbers(client, "events", first=4) == [3]


async def test_metadata_of_another_shape_than_the_schema_fails_its_readers_and_nobody_else(home: InProcessHome) -> None:
    column = pa.array(numbers(1)["n"])
    shapes = {
        "too many columns": pa.RecordBatch.from_arrays([column, column], ["n", "m"]),
        "too few bytes": pa.RecordBatch.from_arrays([column.cast(pa.int16())], ["n"]),
        "another type": pa.RecordBatch.from_arrays([pa.array(["x"] * ROWS)], ["n"]),
    }
    async with lane_of(home) as channel, linkd.aio.connect(home.endpoint) as client:
        await client.publish("events", [{"n": 0}])
        await client.publish("others", [{"n": 7}])
        writer = LaneWriter(channel, "events")
        await writer.reserve(numbers(1))
        for sequence, (_, batch) in enumerate(shapes.items(), 2):
            said = writer.lay(numbers(1))
            said.metadata, length = metadata_of(batch)
            assert length <= 2 * said.body_bytes
            said.body_bytes = length
            writer.end = said.offset + length
            try:
                await writer.publish(said)
            except InvalidArgument:
                await writer.again(numbers(1))
                continue
            for ask in (client.read("events", first=sequence, last=sequence).to_table, client.query("SELECT sum(n) FROM events").rows):
                with contextlib.suppress(Error):  # nothing says that what is too much of it is looked at
                    await ask()
        assert await read_numbers(client, "events", last=1) == [0]
        assert await read_numbers(client, "others") == [7]


def unsound(message: bytes) -> bytes:
    """The same message of texts, with an offset that leads far behind the texts, and the next one back."""
    batch = arrow_ipc.read_message(message)
    body = bytearray(batch.body)
    body[4:8] = (2**31 - 1).to_bytes(4, "little")
    return message[: -len(body)] + bytes(body)


@pytest.mark.parametrize("road", ["by place", "as bytes"])
async def test_offsets_that_lead_out_of_the_texts_are_found_before_anybody_follows_them(home: InProcessHome, road: str) -> None:
    texts = {"text": [f"text {number}" for number in range(ROWS if road == "by place" else 3)]}
    async with lane_of(home) as channel, linkd.aio.connect(home.endpoint) as client:
        await client.publish("events", [{"text": "sound"}])
        writer = LaneWriter(channel, "events")
        await writer.reserve(texts)
        message = unsound(arrow_message(texts)[1])
        if road == "by place":
            said = writer.lay(texts)
            writer.file[said.offset + 4 : said.offset + 8] = (2**31 - 1).to_bytes(4, "little")
            await writer.publish(said)
        else:
            value = pb.PublishValue(link="events", format=value_pb2.ARROW, schema=writer.schema, payload_bytes=len(message), data=message)
            await writer.write(pb.PublishRequest(value=value))
            await writer.finish()
        read = client.read("events", first=2)
        for ask in (read.to_table, read.rows, client.query("SELECT max(text) FROM events").rows):
            with pytest.raises(Error):
                await ask()
        assert await client.read("events", last=1).rows() == [{"text": "sound"}]


async def test_a_value_that_was_placed_under_a_schema_of_before_is_brought_to_that_of_now(home: InProcessHome) -> None:
    async with lane_of(home) as channel, linkd.aio.connect(home.endpoint) as client:
        await client.publish("events", [{"n": 0, "more": None}])
        writer = LaneWriter(channel, "events")
        columns = numbers(1) | {"more": [None] * ROWS}
        await writer.reserve(columns)
        placed = writer.lay(columns)
        await client.publish("events", [{"n": 2, "more": "by now it has a type"}])
        await writer.publish(placed)
        table = await client.read("events", first=3).to_table()
        assert table["n"].to_pylist() == numbers(1)["n"]
        assert (table["more"].type, table["more"].null_count) == (pa.string(), ROWS)
    await until(lambda: home.is_idle)
