"""Tables over the lane are those over gRPC, of every type and shape, and lie where linkd has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from small_pipeline import Connect

import linkd.aio
from linkd.home.tokens import RUN_NAME
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, PLACED_AT_ONCE_BYTES
from linkd.testing.home import InProcessHome

REPEATED = 4_000
"""Rows of each three: with any type that is more than what goes into the journal."""
NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
COLUMNS = {
    "bool": pa.array([True, None, False]),
    "int8": pa.array([1, None, -3], pa.int8()),
    "uint64": pa.array([2**64 - 1, None, 0], pa.uint64()),
    "float16": pa.array([1.5, None, 0.25]).cast(pa.float16()),
    "float64": pa.array([1.5, None, float("inf")]),
    "decimal": pa.array([Decimal("1.25"), None, Decimal("-9.00")]),
    "text": pa.array(["a", None, "ünïcode " * 3]),
    "large text": pa.array(["a", None, "b"], pa.large_string()),
    "binary": pa.array([b"", None, b"\x00\xff"]),
    "fixed binary": pa.array([b"abcd", None, b"efgh"], pa.binary(4)),
    "date": pa.array([date(2026, 1, 1), None, date(1969, 12, 31)]),
    "time": pa.array([time(1, 2, 3), None, time(0)]),
    "timestamp": pa.array([NOW, None, NOW], pa.timestamp("us", "UTC")),
    "duration": pa.array([timedelta(seconds=1), None, timedelta(0)]),
    "list": pa.array([[1, None], None, []]),
    "fixed list": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int16(), 2)),
    "list of texts": pa.array([["a", None], None, ["b" * 30]]),
    "struct": pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": None}]),
    "list of structs": pa.array([[{"a": [1]}], None, [{"a": None}, None]]),
    "map": pa.array([[("k", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "nothing": pa.nulls(3),
}


def every_type() -> pa.Table:
    return pa.concat_tables([pa.table(COLUMNS)] * REPEATED).combine_chunks()


def addresses(table: pa.Table) -> list[tuple[int, int]]:
    """Where the buffers of a table lie."""
    arrays = [chunk for column in table.columns for chunk in column.chunks]
    return [(buffer.address, buffer.size) for array in arrays for buffer in array.buffers() if buffer is not None and buffer.size]


def mapped_at(client: linkd.aio.Client) -> list[tuple[int, int]]:
    files = client._connection.files
    assert files is not None
    return [(mapped.readable.address, mapped.readable.size) for mapped in files._mapped.values()]


@pytest.fixture
async def clients(open_home: InProcessHome, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[linkd.aio.Client, linkd.aio.Client]]:
    """Over the lane, and over gRPC."""
    async with linkd.aio.connect(open_home.endpoint) as lane:
        monkeypatch.setenv("LINKD_TRANSPORT", "grpc")
        async with linkd.aio.connect(open_home.endpoint) as grpc:
            yield lane, grpc


Clients = tuple[linkd.aio.Client, linkd.aio.Client]


async def table_of(client: linkd.aio.Client, link: str) -> pa.Table:
    return await client.read(link).to_table()


async def test_tables_of_every_type_are_equal_over_both_roads_in_both_directions(clients: Clients) -> None:
    table = every_type()
    for number, publisher in enumerate(clients):
        ack = await publisher.publish(f"l{number}", table)
        assert ack.rows == table.num_rows
        for reader in clients:
            got = await table_of(reader, f"l{number}")
            got.validate(full=True)
            assert got.combine_chunks().equals((await table_of(clients[0], "l0")).combine_chunks())
            assert got.to_pylist()[:6] == table.to_pylist()[:6]
    sent = [(await anext(aiter(client.read(link)))).envelope for client in clients for link in ("l0", "l1")]
    assert len({(envelope.payload_xxh3, envelope.size_bytes, envelope.schema_id) for envelope in sent}) == 1


@pytest.mark.parametrize(
    "shape",
    {
        "a slice with an offset that is no multiple of eight": lambda table: table.slice(1_003, 5_001),
        "no rows": lambda table: table.slice(0, 0),
        "one row": lambda table: table.slice(17, 1),
        "many chunks": lambda table: pa.concat_tables([table.slice(start, 700) for start in range(0, 11_000, 700)]),
    }.items(),
    ids=lambda item: item[0],
)
async def test_shapes_of_tables_are_equal_over_both_roads(clients: Clients, shape: tuple[str, Any]) -> None:
    cut = shape[1](every_type())
    for number, publisher in enumerate(clients):
        await publisher.publish(f"l{number}", cut)
    got = [await table_of(reader, link) for reader in clients for link in ("l0", "l1")]
    assert all(table.combine_chunks().equals(got[0].combine_chunks()) for table in got)
    assert got[0].num_rows == cut.num_rows
    assert got[0]["text"].to_pylist() == cut["text"].to_pylist()


async def test_a_table_lies_in_the_mapping_of_its_file_and_only_small_ones_are_copied(clients: Clients) -> None:
    lane, _grpc = clients
    table = pa.table({"n": range(100_000), "text": ["some text"] * 100_000})
    small = pa.table({"n": range(1_000), "text": ["some text"] * 1_000})
    assert table.nbytes > INLINE_PAYLOAD_MAX_BYTES > small.nbytes
    for publisher in clients:
        await publisher.publish("large", table)
    await lane.publish("small", small)
    tables = [value.to_table() async for value in lane.read("large")]
    files = mapped_at(lane)
    for found in tables:
        assert found.equals(table)
        for address, size_bytes in addresses(found):
            assert any(start <= address and address + size_bytes <= start + length for start, length in files)
    (copied,) = [value.to_table() async for value in lane.read("small")]
    assert not any(start <= address < start + length for address, _ in addresses(copied) for start, length in mapped_at(lane))


async def test_several_values_of_one_publish_and_rows_that_are_gathered_go_by_place(open_home: InProcessHome) -> None:
    rows = [{"n": number, "fill": "x" * 1_000} for number in range(1_000)]
    async with linkd.aio.connect(open_home.endpoint) as client:
        async with client.publisher("gathered") as gathered:
            for row in rows:
                await gathered.send(row)
        huge = pa.table({"b": [b"\x55" * 1_000_000] * 70})
        ack = await client.publish("huge", huge)
        assert ack.first.sequence < ack.last.sequence
        assert await client.read("gathered").rows() == rows
        assert (await table_of(client, "huge")).equals(huge)


async def test_outputs_of_commits_go_by_place_and_are_what_was_published(home: InProcessHome, connect: Connect) -> None:
    table = pa.table({"n": range(50_000)})
    async with linkd.aio.connect(home.endpoint) as outsider:
        await outsider.publish("numbers", table)
        await (await connect(home, RUN_NAME)).begin()
        async with linkd.aio.connect(home.endpoint, token=home.token("double")) as task:
            async for snapshot in task.snapshots():
                async with snapshot:
                    numbers = snapshot["numbers"].to_table()
                    assert numbers.equals(table)
                    assert any(start <= addresses(numbers)[0][0] < start + length for start, length in mapped_at(task))
                    await snapshot.publish("doubled", pa.table({"n": [2 * n for n in range(50_000)]}))
                break
        (value,) = [value async for value in outsider.read("doubled")]
        assert value.to_table()["n"].to_pylist() == list(range(0, 100_000, 2))
        assert value.envelope.parents


async def test_the_outputs_of_a_commit_behind_the_first_go_by_place_though_their_link_has_no_schema_yet(
    home: InProcessHome, connect: Connect
) -> None:
    tables = [pa.table({"n": range(start, start + PLACED_AT_ONCE_BYTES // 8)}) for start in range(3)]
    async with linkd.aio.connect(home.endpoint) as outsider:
        await outsider.publish("numbers", tables[0])
        await (await connect(home, RUN_NAME)).begin()
        async with linkd.aio.connect(home.endpoint, token=home.token("double")) as task:
            async for snapshot in task.snapshots():
                async with snapshot:
                    for table in tables:
                        await snapshot.publish("doubled", table)
                break
        of_doubled = [file for link, file in home.home.store._holdings.files() if link == "doubled" and file.shared]
        assert [(file.first_sequence, file.last_sequence) for file in of_doubled] == [(2, 3)]
        assert [value.to_table() async for value in outsider.read("doubled")] == tables
