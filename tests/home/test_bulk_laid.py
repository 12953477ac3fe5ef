"""Bulk that comes as bytes for a link whose durability is `memory`: laid into files of its stream, and right through mixing and restarts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from lane_writer import LaneWriter, lane_of, numbers
from raw_client import until

import linkd.aio
from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.home.home import Home
from linkd.home.outgoing import Out, Outgoing
from linkd.limits import LAID_AFTER_BYTES, MIB
from linkd.model.terms import Handover, LinkTerms
from linkd.model.values import Durability
from linkd.testing.home import InProcessHome, running_home
from linkd.wire.arrow_ipc import prefix

TERMS = LinkTerms(Durability.MEMORY)
LAYOUT = Layout("bulk", {"events": LinkShape("events", "", terms=TERMS)}, {}, frozenset({"events"}))
COPIED = Layout("bulk", {"events": LinkShape("events", "", terms=replace(TERMS, handover=Handover.COPY))}, {}, frozenset({"events"}))
BATCH_BYTES = 4 * MIB
LAID = 3
VALUES = LAID_AFTER_BYTES // BATCH_BYTES + LAID


def _batch(number: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"n": pa.array(range(number, number + BATCH_BYTES // 8), pa.int64())})


def _shared_files(home: InProcessHome) -> int:
    """Segment files of the link that a publisher wrote."""
    return sum(file.shared for _, file in home.home.store._holdings.files())


async def test_bulk_over_grpc_is_laid_where_it_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKD_TRANSPORT", "grpc")
    async with running_home(tmp_path / "state", layout=LAYOUT, supervised=False) as home:
        async with await linkd.aio.connect(home.endpoint) as client:
            for number in range(VALUES):
                await client.publish("events", _batch(number))
                if number == VALUES - LAID:
                    await client.publish("events", pa.RecordBatch.from_pydict({"n": [-1]}))  # what is small stays in the journal
                    assert _shared_files(home) == 1
            await client.publish("events", pa.RecordBatch.from_pydict({"n": [-2]}))
        await until(lambda: home.is_idle)
        for crash in (True, False):
            await home.restart(crash=crash)
            async with await linkd.aio.connect(home.endpoint) as client:
                values = [value async for value in client.read("events")]
                bulk = [value.to_table()["n"] for value in values if value.envelope.rows > 1]
                assert [numbers[0].as_py() for numbers in bulk] == list(range(VALUES))
                assert all(numbers.combine_chunks().equals(_batch(number).column(0)) for number, numbers in enumerate(bulk))
                assert [value.rows() for value in values if value.envelope.rows == 1] == [[{"n": -1}], [{"n": -2}]]


async def test_publishers_that_are_not_trusted_send_their_values_and_readers_map_them_all_the_same(tmp_path: Path) -> None:
    async with running_home(tmp_path / "state", layout=COPIED, supervised=False) as home:
        async with linkd.aio.connect(home.endpoint) as client, linkd.aio.connect(home.endpoint) as reader:
            for number in range(VALUES):
                await client.publish("events", _batch(number))
            assert _shared_files(home) == 1
            values = [value async for value in reader.read("events")]
            assert [value.to_table()["n"][0].as_py() for value in values] == list(range(VALUES))
            for own, mapped in ((client, 0), (reader, 2)):
                files = own._connection.files
                assert files is not None
                assert len(files._mapped) == mapped
                assert all(one.out is None for one in files._mapped.values())
        async with lane_of(home) as hostile:
            assert not (await LaneWriter(hostile, "events").reserve(numbers(1))).file


async def _next(home: Home, outgoing: Outgoing, sequence: int) -> Out:
    [(envelope, place)] = home.store.values("events", sequence, sequence)
    return await outgoing.value(envelope, place)


async def _is_whole(home: Home, out: Out, begin: bytes = b"") -> bool:
    """Whether these are the bytes that are stored: `begin` and what follows."""
    assert out.place is not None
    metadata, body = await home.store.read_payload(out.envelope, out.place)
    return begin + b"".join([piece async for piece in out.chunks]) == prefix(len(metadata)) + metadata + body


async def test_who_goes_along_is_sent_from_memory_what_was_laid_until_somebody_else_needs_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINKD_TRANSPORT", "grpc")
    async with (
        running_home(tmp_path / "state", layout=LAYOUT, supervised=False) as running,
        await linkd.aio.connect(running.endpoint) as client,
    ):
        home, memory = running.home, running.home.memory
        for number in range(VALUES):
            await client.publish("events", _batch(number))
        assert not memory.used_bytes, "nobody goes along"
        outgoing, other = Outgoing(home), Outgoing(home, goes_along=False)
        for one in (outgoing, other):
            assert await _is_whole(home, await _next(home, one, VALUES))
        for number in range(3):
            await client.publish("events", _batch(number))
        sizes = [envelope.size_bytes for envelope, _ in home.store.values("events", VALUES + 1, VALUES + 3)]
        assert memory.used_bytes == sum(sizes)
        assert await _is_whole(home, await _next(home, outgoing, VALUES + 1))
        assert memory.used_bytes == sum(sizes[1:])
        out = await _next(home, outgoing, VALUES + 2)
        begin = bytes(await anext(out.chunks)) + bytes(await anext(out.chunks))
        await memory.take(memory.size_bytes)
        assert await _is_whole(home, out, begin), "the rest comes from its file"
        assert await _is_whole(home, await _next(home, outgoing, VALUES + 3))
        memory.give(memory.size_bytes)
        await client.publish("events", _batch(3))
        assert memory.used_bytes > BATCH_BYTES
        outgoing.close()
        assert not memory.used_bytes
