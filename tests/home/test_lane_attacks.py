"""What a publisher over the lane may say and write: whatever is not sound is refused, and hurts nobody but itself."""

from __future__ import annotations

import asyncio
import io
import os
import struct
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lane_writer import ROWS, LaneWriter, files_of, lane_of, numbers, say_released
from raw_client import arrow_message, until

import linkd.aio
from linkd.errors import Conflict, ConnectionFailed, InvalidArgument, NotAllowed, StateDamaged, ValueTooLarge
from linkd.limits import LANE_QUEUED_MAX_BYTES, MIB, VALUE_SIZE_MAX_BYTES
from linkd.testing.home import InProcessHome
from linkd.wire import arrow_ipc
from linkd.wire.lane import FrameKind, frame
from linkd.wire.methods import ATTEND, DESCRIBE
from linkd.wire.v1 import lane_pb2, value_pb2
from linkd.wire.v1 import links_pb2 as pb


async def read_numbers(client: linkd.aio.Client, link: str) -> list[int]:
    return [value.to_table()["n"][0].as_py() async for value in client.read(link)]


async def test_places_outside_before_behind_and_between_are_refused_and_the_file_goes_on(open_home: InProcessHome) -> None:
    async with lane_of(open_home) as channel, linkd.aio.connect(open_home.endpoint) as client:
        await client.publish("events", [{"n": 0}])
        writer = LaneWriter(channel, "events")
        granted = await writer.reserve(numbers(1))
        await writer.put(numbers(1))
        good = writer.lay(numbers(2))
        places: dict[str, dict[str, Any]] = {
            "in the schema": {"offset": 8},
            "over the value before": {"offset": good.offset - 64_000},
            "without room for a prefix": {"offset": writer.end - 160_000 - good.offset % 8 if False else granted.start},
            "misaligned": {"offset": good.offset + 4},
            "behind the end": {"offset": granted.end - 8},
            "at the end of numbers": {"offset": 2**64 - 8},
            "of another length": {"body_bytes": good.body_bytes + 8},
            "of a length beyond everything": {"body_bytes": 2**63},
            "a file of nobody": {"file": granted.file + 1_000},
            "no file": {"file": 0},
            "no metadata": {"metadata": b""},
            "metadata that is cut": {"metadata": good.metadata[:-8]},
            "metadata of a schema": {"metadata": arrow_ipc_metadata(writer.schema)},
        }
        for name, wrong in places.items():
            said = value_pb2.Placed()
            said.CopyFrom(good)
            for field, value in wrong.items():
                setattr(said, field, value)
            with pytest.raises((InvalidArgument, ValueTooLarge)):
                await writer.publish(said)
                pytest.fail(f"a place {name} was taken")
            writer.again()
        await writer.publish(good)
        with pytest.raises(InvalidArgument, match="must lie"):
            await writer.publish(good)
        assert await read_numbers(client, "events") == [0, 1, 2]


def arrow_ipc_metadata(schema: bytes) -> bytes:
    return schema[arrow_ipc.PREFIX_BYTES :]


async def test_compressed_and_dictionary_batches_are_refused_by_place_too(open_home: InProcessHome) -> None:
    batch = pa.RecordBatch.from_pydict(numbers(1))
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as stream:
        stream.write_batch(batch)
    compressed = list(pa.ipc.MessageReader.open_stream(sink.getvalue()))[1]
    encoded = pa.RecordBatch.from_arrays([pa.array(["a", "b"] * ROWS).dictionary_encode()], names=["d"])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, encoded.schema) as stream:
        stream.write_batch(encoded)
    dictionary = list(pa.ipc.MessageReader.open_stream(sink.getvalue()))[1]
    async with lane_of(open_home) as channel, linkd.aio.connect(open_home.endpoint) as client:
        await client.publish("events", [{"n": 0}])
        writer = LaneWriter(channel, "events")
        await writer.reserve(numbers(1))
        for message, why in [(compressed, "compressed"), (dictionary, "dictionary")]:
            said = writer.lay(numbers(1))
            said.metadata, said.body_bytes = message.metadata.to_pybytes(), message.body.size
            with pytest.raises(InvalidArgument, match=why):
                await writer.publish(said)
            writer.again()
        await writer.put(numbers(1))
        assert await read_numbers(client, "events") == [0, 1]
