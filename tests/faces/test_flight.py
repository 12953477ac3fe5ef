"""Links over Flight, as pyarrow's client sees them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import pytest_asyncio
from flight_clients import PIPELINE, answers, get, over_tcp, put, until_idle, with_client
from pyarrow import flight

from linkd.core.layout import Layout
from linkd.core.links import LinkShape
from linkd.limits import FLIGHT_DICTIONARIES_MAX_BYTES
from linkd.model.terms import LinkTerms
from linkd.model.values import Durability
from linkd.testing.home import InProcessHome, running_home
from linkd.wire.arrow_ipc import schema_id
from linkd.wire.v1 import links_pb2

NUMBERS = pa.table({"n": [1, 2, 3], "text": ["a", None, "ccc"]})


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[InProcessHome]:
    """A home under `--open`."""
    async with running_home(tmp_path / "state", supervised=False) as home:
        yield home
        await until_idle(home)


async def test_what_is_put_is_what_is_got_over_a_socket_and_over_tcp(home: InProcessHome) -> None:
    async with over_tcp(home.socket) as tcp:
        for first, location in enumerate(("", tcp)):
            acked = await with_client(home, lambda client: put(client, "events", NUMBERS, rows_per_batch=2), location)
            assert acked == [
                {"link": "events", "generation": 1, "first": at, "last": at, "rows": rows, "durability": "fsync", "acked": at - 2 * first}
                for at, rows in ((2 * first + 1, 2), (2 * first + 2, 1))
            ]
            got = await with_client(home, lambda client: get(client, "events"), location)
            assert got == pa.concat_tables([NUMBERS] * (first + 1))


TYPES: dict[str, tuple[pa.DataType, Any, pa.DataType | None]] = {
    "null": (pa.null(), None, None),
    "bool": (pa.bool_(), True, None),
    "int8": (pa.int8(), -128, None),
    "uint64": (pa.uint64(), 2**64 - 1, None),
    "float32": (pa.float32(), 0.5, None),
    "float64": (pa.float64(), float("inf"), None),
    "decimal": (pa.decimal128(38, 10), Decimal("-1.5"), None),
    "decimal256": (pa.decimal256(60, 2), Decimal("1.25"), None),
    "date": (pa.date32(), date(9999, 12, 31), None),
    "time": (pa.time64("us"), time(23, 59, 59, 1), None),
    "timestamp": (pa.timestamp("ns"), datetime(2026, 11, 23), None),
    "timestamp with zone": (pa.timestamp("us", "Europe/Oslo"), datetime(1970, 1, 1, tzinfo=UTC), None),
    "duration": (pa.duration("ms"), timedelta(seconds=1), None),
    "text": (pa.string(), "grüße", None),
    "large text": (pa.large_string(), "x", pa.string()),
    "text view": (pa.string_view(), "a text that is longer than twelve", pa.string()),
    "bytes": (pa.binary(), b"\x00\xff", None),
    "fixed bytes": (pa.binary(3), b"abc", None),
    "list": (pa.list_(pa.int64()), [1, None], None),
    "large list": (pa.large_list(pa.string()), ["a"], pa.list_(pa.string())),
    "fixed list": (pa.list_(pa.float32(), 2), [1.0, 2.0], None),
    "struct": (pa.struct([("a", pa.int8()), ("b", pa.list_(pa.string()))]), {"a": 1, "b": []}, None),
    "map": (pa.map_(pa.string(), pa.int64()), [("k", 1)], None),
}


async def test_a_value_of_every_type_comes_back_in_its_plain_form(home: InProcessHome) -> None:
    table = pa.table({name: pa.array([value, None], kind) for name, (kind, value, _) in TYPES.items()})
    plain = pa.schema([(name, plain or kind) for name, (kind, _, plain) in TYPES.items()])

    def work(client: flight.FlightClient) -> None:
        put(client, "events", table)
        put(client, "events", table.cast(plain))
        got = get(client, "events")
        assert got.schema == plain == client.get_schema(flight.FlightDescriptor.for_path("events")).schema
        for name in table.schema.names:
            assert got[name].to_pylist() == 2 * table[name].to_pylist(), name

    await with_client(home, work)


async def test_a_value_of_the_links_own_schema_is_stored_as_it_was_sent(home: InProcessHome) -> None:
    await with_client(home, lambda client: put(client, "events", NUMBERS))
    batch = pa.record_batch({"n": list(range(100_000)), "text": ["x"] * 100_000})
    await with_client(home, lambda client: put(client, "events", pa.Table.from_batches([batch])))
    _, (large, _) = home.home.store.values("events")
    assert large.schema_id == schema_id(NUMBERS.schema.serialize().to_pybytes())
    assert large.size_bytes == len(batch.serialize())


async def test_columns_are_matched_by_name_and_new_ones_come_behind_and_one_too_few_is_refused_with_both_schemas(
    home: InProcessHome,
) -> None:
    def work(client: flight.FlightClient) -> None:
        put(client, "events", NUMBERS)
        put(client, "events", NUMBERS.select(["text", "n"]))
        assert get(client, "events") == pa.concat_tables([NUMBERS, NUMBERS])
        put(client, "events", NUMBERS.append_column("more", pa.array([1, 2, 3])))
        assert get(client, "events")["more"].to_pylist() == [None] * 6 + [1, 2, 3]
        with pytest.raises(pa.ArrowInvalid, match="column `more` is missing"):
            put(client, "events", NUMBERS)
        assert get(client, "events").num_rows == 9

    await with_client(home, work)


async def test_batches_before_a_refused_one_stay_and_are_acked(home: InProcessHome) -> None:
    def work(client: flight.FlightClient) -> None:
        put(client, "events", NUMBERS.select(["n"]))
        table = pa.table({"n": pa.chunked_array([[1.0], [2.5], [3.0]])})
        writer, results = client.do_put(flight.FlightDescriptor.for_path("events"), table.schema)
        writer.write_table(table)
        assert [answer["acked"] for answer in answers(results)] == [1]
        with pytest.raises(pa.ArrowInvalid, match="column `n` is float64 and does not go into int64 without loss: row 1 of 1"):
            writer.close()
        assert get(client, "events")["n"].to_pylist() == [1, 2, 3, 1]

    await with_client(home, work)


async def test_columns_of_nulls_alone_get_their_type_in_what_is_read_before_it_was_known(home: InProcessHome) -> None:
    def work(client: flight.FlightClient) -> None:
        put(client, "events", pa.table({"n": [1], "x": pa.nulls(1)}))
        assert get(client, "events").schema.field("x").type == pa.null()
        put(client, "events", pa.table({"n": pa.array(range(50_000)), "x": pa.nulls(50_000)}))
        put(client, "events", pa.table({"n": [2], "x": ["text"]}))
        got = get(client, "events")
        assert got.schema == pa.schema([("n", pa.int64()), ("x", pa.string())])
        assert (got.num_rows, got["x"].to_pylist()[-2:]) == (50_002, [None, "text"])

    await with_client(home, work)


async def test_a_link_without_values_has_no_columns_and_one_without_rows_has_them(tmp_path: Path) -> None:
    async with running_home(tmp_path / "state", layout=PIPELINE, supervised=False) as home:

        def work(client: flight.FlightClient) -> None:
            assert get(client, "doubled") == pa.table({})
            info = client.get_flight_info(flight.FlightDescriptor.for_path("doubled"))
            assert (info.schema, info.total_records, info.total_bytes) == (pa.schema([]), 0, 0)
            [acked] = put(client, "numbers", NUMBERS.slice(0, 0))
            assert acked["rows"] == 0
            assert get(client, "numbers") == NUMBERS.slice(0, 0)

        await with_client(home, work)


async def test_bulk_for_a_link_that_is_never_synced_is_laid_where_it_stays(tmp_path: Path) -> None:
    layout = Layout("pipeline", {"numbers": LinkShape("numbers", "", terms=LinkTerms(Durability.MEMORY))}, {}, frozenset({"numbers"}))
    table = pa.table({"n": pa.array(range(500_000), pa.int64())})
    async with running_home(tmp_path / "state", layout=layout, supervised=False) as home:
        acked = await with_client(home, lambda client: put(client, "numbers", pa.concat_tables([table] * 8)))
        assert {answer["durability"] for answer in acked} == {"memory"}
        assert (await with_client(home, lambda client: get(client, "numbers", since=8))) == table
        await until_idle(home)


async def test_commits_are_read_like_a_link(home: InProcessHome) -> None:
    assert (await with_client(home, lambda client: get(client, "_commits"))).schema.names[:2] == ["lsn", "kind"]


async def test_a_declared_schema_is_there_before_any_value(tmp_path: Path) -> None:
    declared = pa.schema([("n", pa.int32())]).serialize().to_pybytes()
    layout = Layout("pipeline", {"numbers": LinkShape("numbers", "", (schema_id(declared), declared))}, {}, frozenset({"numbers"}))
    async with running_home(tmp_path / "state", layout=layout, supervised=False) as home:

        def work(client: flight.FlightClient) -> None:
            assert client.get_schema(flight.FlightDescriptor.for_path("numbers")).schema == pa.schema([("n", pa.int32())])
            assert get(client, "numbers").schema == pa.schema([("n", pa.int32())])
            put(client, "numbers", pa.table({"n": [1]}))
            assert get(client, "numbers") == pa.table({"n": pa.array([1], pa.int32())})

        await with_client(home, work)


async def test_a_link_that_is_not_there_is_told_with_what_there_is(home: InProcessHome) -> None:
    def work(client: flight.FlightClient) -> None:
        put(client, "events", NUMBERS)
        for ask in (
            lambda: get(client, "event"),
            lambda: client.get_flight_info(flight.FlightDescriptor.for_path("event")),
            lambda: client.get_schema(flight.FlightDescriptor.for_path("event")),
        ):
            with pytest.raises(pa.ArrowKeyError, match=r"there is no link `event`; did you mean `events`\?"):
                ask()
        with pytest.raises(pa.ArrowInvalid, match="'Events' cannot be the name of a link"):
            put(client, "Events", NUMBERS)

    await with_client(home, work)


async def test_a_replacement_is_seen_when_it_is_whole_and_what_was_before_stays_readable(home: InProcessHome) -> None:
    words = pa.table({"word": ["x", "y"]})

    def work(client: flight.FlightClient) -> None:
        put(client, "events", NUMBERS)
        ticket = client.get_flight_info(flight.FlightDescriptor.for_path("events")).endpoints[0].ticket
        writer, results = client.do_put(flight.FlightDescriptor.for_command('{"link": "events", "mode": "replace"}'), words.schema)
        with writer:
            writer.write_table(words, 1)
            assert get(client, "events") == NUMBERS
            writer.done_writing()
            assert b'"generation":2,"first":2,"last":3,"rows":2' in results.read().to_pybytes()
            assert results.read() is None
        assert get(client, "events") == words
        assert get(client, "events", generation=1) == NUMBERS
        assert client.do_get(ticket).read_all() == NUMBERS
        put(client, "events", words.slice(0, 0), mode="replace")
        assert get(client, "events") == words.slice(0, 0)

    await with_client(home, work)


async def test_a_replacement_with_other_rows_than_it_said_leaves_everything_as_it_was(home: InProcessHome) -> None:
    def work(client: flight.FlightClient) -> None:
        put(client, "events", NUMBERS)
        with pytest.raises(pa.ArrowInvalid, match="events: 3 rows came, and it is to be replaced by 4"):
            put(client, "events", NUMBERS, mode="replace", rows=4)
        assert get(client, "events") == NUMBERS
        [acked] = put(client, "events", NUMBERS, mode="replace", rows=3)
        assert acked["generation"] == 2

    await with_client(home, work)


async def test_parts_of_a_link_are_read_by_their_sequences(home: InProcessHome) -> None:
    def work(client: flight.FlightClient) -> None:
        put(client, "events", pa.table({"n": range(10)}), rows_per_batch=1)
        assert get(client, "events", since=9)["n"].to_pylist() == [8, 9]
        assert get(client, "events", until=2)["n"].to_pylist() == [0, 1]
        assert get(client, "events", generation=1, since=3, until=4)["n"].to_pylist() == [2, 3]
        info = client.get_flight_info(flight.FlightDescriptor.for_command('{"link": "events", "since": 9}'))
        put(client, "events", pa.table({"n": [10]}))
        assert client.do_get(info.endpoints[0].ticket).read_all()["n"].to_pylist() == [8, 9], "a ticket stays what it was"
        assert (info.total_records, info.total_bytes) == (-1, -1)
        with pytest.raises(pa.ArrowInvalid, match="from 4 to 3 is no range"):
            get(client, "events", since=4, until=3)
        with pytest.raises(pa.ArrowKeyError, match="events has no generation 7"):
            get(client, "events", generation=7)
        with pytest.raises(pa.ArrowInvalid, match="what is written comes behind all there is"):
            put(client, "events", NUMBERS, since=4)

    await with_client(home, work)


async def test_flights_are_listed_with_what_is_in_them(home: InProcessHome) -> None:
    def work(client: flight.FlightClient) -> None:
        put(client, "events", NUMBERS)
        put(client, "evening", NUMBERS)
        put(client, "words", pa.table({"word": ["x"]}))
        found = {info.descriptor.path[0].decode(): info for info in client.list_flights()}
        assert sorted(found) == ["evening", "events", "words"]
        assert (found["events"].schema, found["events"].total_records) == (NUMBERS.schema, 3)
        assert found["events"].ordered
        assert client.do_get(found["words"].endpoints[0].ticket).read_all() == pa.table({"word": ["x"]})
        assert [info.descriptor.path for info in client.list_flights(b"ev")] == [[b"evening"], [b"events"]]

    await with_client(home, work)


async def test_actions_describe_and_seal_links(home: InProcessHome) -> None:
    def work(client: flight.FlightClient) -> None:
        put(client, "events", NUMBERS)
        assert {"linkd.describe", "linkd.seal", "CancelFlightInfo"} <= {action.type for action in client.list_actions()}
        [sealed] = client.do_action(flight.Action("linkd.seal", b"events"))
        assert links_pb2.SealResponse.FromString(sealed.body.to_pybytes()) == links_pb2.SealResponse(generation=1, last_sequence=1)
        [told] = client.do_action(flight.Action("linkd.describe", b"events"))
        [link] = links_pb2.DescribeResponse.FromString(told.body.to_pybytes()).links
        assert (link.name, link.read.state) == ("events", "sealed")
        with pytest.raises(NotImplementedError, match=r"there is no action 'linkd.dance'; there are .*CancelFlightInfo.*linkd.seal"):
            list(client.do_action(flight.Action("linkd.dance", b"")))

    await with_client(home, work)


async def test_what_flight_has_and_linkd_has_not_is_refused_in_words(home: InProcessHome) -> None:
    def work(client: flight.FlightClient) -> None:
        put(client, "events", NUMBERS)
        with pytest.raises(NotImplementedError, match="linkd has no DoExchange: read with DoGet and write with DoPut"):
            client.do_exchange(flight.FlightDescriptor.for_path("events"))[1].read_chunk()
        compressed = flight.FlightCallOptions(write_options=pa.ipc.IpcWriteOptions(compression="zstd"))
        with pytest.raises(pa.ArrowInvalid, match="compressed"):
            put(client, "events", NUMBERS, options=compressed)

    await with_client(home, work)


async def test_dictionary_encoded_columns_are_decoded_as_they_come(home: InProcessHome) -> None:
    def work(client: flight.FlightClient) -> None:
        words = [pa.array(part).dictionary_encode() for part in (["a", None, "b"], ["c", "a"], ["c", "c"])]
        nested = pa.ListArray.from_arrays([0, 1, 1, 3, 4, 5, None, 6], pa.array([1, 2, 1, 3, 1, 2]).dictionary_encode())
        table = pa.table({"text": pa.chunked_array(words), "n": range(7), "l": nested})
        assert [answer["rows"] for answer in put(client, "words", table)] == [3, 2, 2]
        put(client, "words", table.slice(0, 0))
        got = get(client, "words")
        assert got.schema == pa.schema([("text", pa.string()), ("n", pa.int64()), ("l", pa.list_(pa.int64()))])
        assert got.to_pylist() == table.to_pylist()
        bomb = pa.table({"text": pa.DictionaryArray.from_arrays(pa.array([0] * 2_000, pa.int32()), pa.array(["x" * 100_000]))})
        with pytest.raises(pa.ArrowInvalid, match=r"has 200,008,000 bytes when its dictionaries are decoded"):
            put(client, "bombs", bomb)
        large = pa.table(
            {"text": pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array(["x" * FLIGHT_DICTIONARIES_MAX_BYTES]))}
        )
        with pytest.raises(pa.ArrowInvalid, match=r"take more than 2,097,152 bytes: send decoded columns"):
            put(client, "bombs", large)

    await with_client(home, work)
    await until_idle(home)
