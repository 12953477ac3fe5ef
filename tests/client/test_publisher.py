"""`publisher(link)`: rows of every kind, futures, the futureless way, back-pressure, and what becomes of refusals; both faces."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from fake_home import FakeHome

import linkd
import linkd.aio
from linkd import errors
from linkd.limits import GATHERED_ROWS_MAX

ROW = {"id": 1, "name": "a", "at": 1.5}
COLUMNS = list(ROW)


async def rows_of(client: linkd.aio.Client, link: str = "events") -> list[dict[str, object]]:
    return await client.read(link).rows()


async def test_tuples_and_lists_are_rows_in_the_order_of_the_links_columns(home: FakeHome, client: linkd.aio.Client) -> None:
    await client.publish("events", [ROW])
    async with client.publisher("events") as events:
        events.send_nowait((2, "b", 2.5))
        events.send_nowait([3, None, 3])
        await events.send([(4, "d", 4.5), (5, "e", 5.5)])
    assert [tuple(row.values()) for row in await rows_of(client)][1:] == [(2, "b", 2.5), (3, None, 3.0), (4, "d", 4.5), (5, "e", 5.5)]
    assert len(home.links["events"]) == 2, "what came in one turn is one value"


async def test_named_columns_need_no_schema_and_no_order(client: linkd.aio.Client) -> None:
    async with client.publisher("fresh", columns=COLUMNS) as fresh:
        await fresh.send((1, "a", 1.5))
    async with client.publisher("fresh", columns=COLUMNS[::-1]) as fresh:
        await fresh.send((2.5, "b", 2))
    assert await rows_of(client, "fresh") == [ROW, {"id": 2, "name": "b", "at": 2.5}]
    with pytest.raises(errors.InvalidArgument, match="a list of different names"):
        client.publisher("fresh", columns=["a", "a"])


async def test_tuples_for_a_link_without_columns_say_what_to_do(client: linkd.aio.Client) -> None:
    with pytest.raises(
        errors.InvalidArgument, match=r"nothing was published to it: publish dicts, or name them: publisher\('new', columns="
    ):
        async with client.publisher("new") as new:
            await new.send((1, 2))


@pytest.mark.parametrize(
    ("row", "error", "what"),
    [
        ((2, "b"), errors.InvalidArgument, r"events: row 2 has 2 values, and its columns are 3 \(id, name, at\)"),
        (("two", "b", 2.5), errors.InvalidArgument, "column `id` mixes types"),
        ({"id": 2, "name": "b"}, errors.SchemaMismatch, "column `at` is missing"),
        (b"raw", errors.SchemaMismatch, "column `id` is missing"),
    ],
)
async def test_a_row_that_does_not_fit_is_named_by_the_flush(
    client: linkd.aio.Client, row: object, error: type[errors.Error], what: str
) -> None:
    await client.publish("events", [ROW])
    publisher = client.publisher("events")
    publisher.send_nowait((3, "c", 3.5) if isinstance(row, tuple) else row)
    publisher.send_nowait(row)
    with pytest.raises(error, match=what):
        await publisher.flush()
    with pytest.raises(error):
        publisher.send_nowait(ROW)
    await publisher.close()


async def test_bytes_gather_into_one_value_that_says_how_to_be_read(home: FakeHome, client: linkd.aio.Client) -> None:
    contents = [bytes([number]) * number for number in range(200)]
    async with client.publisher("blobs") as blobs:
        for content in contents:
            blobs.send_nowait(content)
    assert len(home.links["blobs"]) == 1
    [value] = [value async for value in client.read("blobs")]
    assert [row["bytes"] for row in value.rows()] == contents
    with pytest.raises(
        errors.InvalidArgument, match=r'blobs@1 holds 200 rows of bytes .*: use \[row\["bytes"\] for row in value.rows\(\)\]'
    ):
        value.bytes()
    await client.publish("blobs", b"alone")
    assert [value.bytes() async for value in client.read("blobs", last_values=1)] == [b"alone"]


async def test_kinds_that_change_keep_their_order(client: linkd.aio.Client) -> None:
    await client.publish("events", [ROW])
    async with client.publisher("events") as events:
        for number in range(2, 30):
            row = {"id": number, "name": "x", "at": 0.5}
            kinds: list[object] = [row, tuple(row.values()), pa.Table.from_pylist([row]), [row]]
            events.send_nowait(kinds[number % 4])
    assert [row["id"] for row in await rows_of(client)] == list(range(1, 30))


async def test_every_submit_has_a_future_and_all_of_one_value_the_same_ack(home: FakeHome, client: linkd.aio.Client) -> None:
    home.hold_acks = asyncio.Event()
    async with client.publisher("events") as events:
        first = [events.submit({"a": number}) for number in range(3)]
        while not home.publishes_waiting:
            await asyncio.sleep(0)
        second = events.submit({"a": 3})
        second.cancel()
        third = events.submit({"a": 4})
        assert not any(future.done() for future in (*first, third))
        home.hold_acks.set()
        acks = await asyncio.gather(*first)
        assert len({ack.position for ack in acks}) == 1
        assert (await third).position.sequence == 2
    assert [row["a"] for row in await rows_of(client)] == [0, 1, 2, 3, 4], "cancelling takes nothing back"
    with pytest.raises(errors.InvalidArgument, match="is no row: submit a dict, a tuple"):
        events.submit(pa.table({"a": [1]}))


async def test_send_nowait_refuses_what_there_is_no_room_for_and_room_waits_for_it(home: FakeHome, client: linkd.aio.Client) -> None:
    home.hold_acks = asyncio.Event()
    async with client.publisher("events") as events:
        sent = 0
        with pytest.raises(errors.Overloaded, match=r"events: as much is gathered as may be.*await the publisher's room\(\)"):
            while True:
                events.send_nowait((sent,) if sent else {"a": 0})
                sent += 1
        with pytest.raises(errors.Overloaded):
            events.submit({"a": 1})
        assert sent == GATHERED_ROWS_MAX
        home.hold_acks.set()
        await events.room()
        events.send_nowait((sent,))
    assert [row["a"] for row in await rows_of(client)] == list(range(sent + 1))


async def test_behind_a_refusal_nothing_is_sent_and_every_future_knows(home: FakeHome, client: linkd.aio.Client) -> None:
    publisher = client.publisher("events")
    # Again and again: gRPC may lose a refusal that meets a message on its way, and the client then asks once more.
    home.fail_next["Publish"] = [errors.NotAllowed("events is written by the pipeline itself")] * 20
    futures = [publisher.submit({"a": 1}), publisher.submit(pa.table({"a": [2]}).to_pylist()[0]), publisher.submit((3,))]
    with pytest.raises(errors.NotAllowed):
        await publisher.flush()
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert isinstance(results[0], errors.NotAllowed)
    assert all(isinstance(result, errors.Error) for result in results)
    assert "events" not in home.links
    with pytest.raises(errors.NotAllowed):
        publisher.submit({"a": 4})
    await publisher.close()


async def test_closing_tells_those_who_still_wait(home: FakeHome, client: linkd.aio.Client) -> None:
    home.hold_acks = asyncio.Event()
    publisher = client.publisher("events")
    on_its_way = publisher.submit({"a": 1})
    while not home.publishes_waiting:
        await asyncio.sleep(0)
    gathered = publisher.submit({"a": 2})
    await publisher.close()
    with pytest.raises(errors.OutcomeUnknown):
        await on_its_way
    with pytest.raises((errors.ConnectionFailed, errors.OutcomeUnknown)):
        await gathered


def test_the_synchronous_face_blocks_where_the_other_awaits(home_process: str) -> None:
    with linkd.connect(home_process) as client, client.publisher("events", columns=["a"]) as events:
        with ThreadPoolExecutor(3) as threads:
            for share in range(3):
                threads.submit(lambda share=share: [events.send_nowait((number,)) for number in range(share, 90_000, 3)])
        events.send([{"a": 90_000}])
        assert events.submit((90_001,)).result(30).link == "events"
        events.flush()
        assert sorted(row["a"] for row in client.read("events").rows()) == list(range(90_002))
