"""Rows as they come: batches of one schema, whatever the values had when they were published."""

from __future__ import annotations

import pyarrow as pa
import pytest
from arrow_values import put
from fake_home import FakeHome

import linkd.aio
from linkd.errors import InvalidArgument, LinkNotFound

DECIDED = pa.schema([pa.field("n", pa.int64()), pa.field("city", pa.string())])


@pytest.fixture
def trips(home: FakeHome) -> FakeHome:
    """Two values, in the first of which nobody knew the type of `city`."""
    put(home, "trips", pa.table({"n": [1, 2], "city": pa.nulls(2)}))
    put(home, "trips", pa.table({"n": [3], "city": ["Oslo"]}))
    home.schemas["trips"] = DECIDED.serialize().to_pybytes()
    return home


async def test_every_batch_has_the_schema_of_the_link(trips: FakeHome, client: linkd.aio.Client) -> None:
    stream = await client.read("trips").to_reader()
    assert stream.schema == DECIDED
    batches = [batch async for batch in stream]
    assert [batch.schema for batch in batches] == [DECIDED, DECIDED]
    assert pa.Table.from_batches(batches).to_pydict() == {"n": [1, 2, 3], "city": [None, None, "Oslo"]}


async def test_a_stream_may_be_left_early(trips: FakeHome, client: linkd.aio.Client) -> None:
    stream = await client.read("trips").to_reader()
    assert (await anext(stream)).num_rows == 2
    await stream.aclose()


async def test_a_link_without_values_has_columns_all_the_same(trips: FakeHome, client: linkd.aio.Client) -> None:
    trips.links["trips"].clear()
    stream = await client.read("trips").to_reader()
    assert (stream.schema, [batch async for batch in stream]) == (DECIDED, [])


async def test_what_has_no_columns_or_is_not_there_is_an_error(trips: FakeHome, client: linkd.aio.Client) -> None:
    trips.schemas["bare"] = b""
    with pytest.raises(InvalidArgument, match="bare has no columns"):
        await client.read("bare").to_reader()
    with pytest.raises(LinkNotFound):
        await client.read("absent").to_reader()


def test_the_synchronous_face_gives_arrow_readers(home_process: str) -> None:
    with linkd.connect(home_process) as client:
        client.publish("events", [{"a": 1}])
        reader = client.query("SELECT 1").to_reader()
        assert isinstance(reader, pa.RecordBatchReader)
        assert reader.read_all().to_pylist() == [{"airline": "United", "miles": 8}]
        with pytest.raises(LinkNotFound):
            client.read("absent").to_reader()
