"""The asyncio client against a fake home on a real socket: publishing, subscribing, reading, asking."""

from __future__ import annotations

import asyncio

import pyarrow as pa
import pytest
from arrow_values import put
from fake_home import FakeHome

import linkd.aio
from linkd import errors
from linkd.limits import PRODUCERS_ANEW_MAX, STREAM_FRAME_MAX_BYTES
from linkd.model.values import Durability, Position


async def test_an_ack_says_where_the_value_is_and_how_durable(home: FakeHome, client: linkd.aio.Client) -> None:
    ack = await client.publish("events", [{"a": 1}], attributes={"file": "x.csv"})
    assert (ack.link, ack.first, ack.last, ack.position) == ("events", Position(1, 1), Position(1, 1), Position(1, 1))
    assert (ack.durability, ack.place, ack.name) == (Durability.FSYNC, "home", "events@1")
    assert (await client.publish("events", {"a": [2, 3]})).name == "events@2"


async def test_large_values_travel_in_frames_and_come_back_whole(home: FakeHome, client: linkd.aio.Client) -> None:
    content = bytes(range(256)) * (STREAM_FRAME_MAX_BYTES // 100)
    await client.publish("blobs", content)
    [value] = [value async for value in client.read("blobs")]
    assert value.bytes() == content


async def test_the_schema_of_a_link_is_asked_for_once(home: FakeHome, client: linkd.aio.Client) -> None:
    put(home, "events", pa.table({"a": [1]}))
    await client.publish("events", [{"a": 2.0}])
    await client.publish("events", [{"a": 3}])
    assert home.described == 1
    assert (await client.read("events").rows())[-2:] == [{"a": 2}, {"a": 3}]
    with pytest.raises(errors.SchemaMismatch, match="column `a` is missing"):
        await client.publish("events", [{"b": 1}])


async def test_a_home_that_knows_no_producer_is_not_asked_for_ever(home: FakeHome, client: linkd.aio.Client) -> None:
    refusals = 10 * PRODUCERS_ANEW_MAX
    home.fail_next["Publish"] = [errors.ProducerForgotten("producer ~1 is not known")] * refusals
    with pytest.raises(errors.ProducerForgotten):
        await client.publish("events", {"a": [1]})
    asked = refusals - len(home.fail_next["Publish"])
    assert PRODUCERS_ANEW_MAX < asked <= 2 * PRODUCERS_ANEW_MAX, (
        "a stream that is refused while it opens may look lost, and is opened again"
    )
    home.fail_next.clear()
    assert (await client.publish("events", {"a": [1]})).name == "events@1"


async def test_a_refused_publish_leaves_others_unharmed(home: FakeHome, client: linkd.aio.Client) -> None:
    results = await asyncio.gather(
        client.publish("events", [{"a": 1}]),
        client.publish("forbidden", [{"a": 1}]),
        client.publish("other", [{"a": 1}]),
        return_exceptions=True,
    )
    assert isinstance(results[1], errors.NotAllowed)
    assert str(results[1]) == "forbidden is written by the pipeline itself"
    assert [result.name for result in (results[0], results[2]) if isinstance(result, linkd.aio.Ack)] == ["events@1", "other@1"]


async def test_what_may_not_be_published_to_says_so_before_it_speaks_of_columns(home: FakeHome, client: linkd.aio.Client) -> None:
    put(home, "forbidden", pa.table({"a": [1]}))
    with pytest.raises(errors.NotAllowed):
        await client.publish("forbidden", [{"b": 1}])


async def test_a_schema_that_changed_meanwhile_is_learned(home: FakeHome, client: linkd.aio.Client) -> None:
    put(home, "events", pa.table({"a": pa.array([1], pa.int64())}))
    await client.publish("events", [{"a": 1}])
    put(home, "events", pa.table({"a": pa.array([1.5], pa.float64())}))
    await home.stop()
    await home.start()
    home.fail_next["Publish"] = [errors.SchemaMismatch("events: another value gave the link its schema in the meantime")]
    await client.publish("events", [{"a": 2}])
    assert (await client.read("events", last_values=1).to_table()).schema == pa.schema([("a", pa.float64())])


async def test_a_publish_whose_ack_is_lost_is_of_unknown_outcome_if_linkd_stays_away(home: FakeHome) -> None:
    home.hold_acks = asyncio.Event()
    async with linkd.aio.connect(home.address, timeout_s=0.3) as client:
        publishing = asyncio.create_task(client.publish("events", [{"a": 1}]))
        while not home.publishes_waiting:
            await asyncio.sleep(0)
        await home.stop()
        with pytest.raises(errors.OutcomeUnknown, match="events: linkd went away before it acked 1 rows"):
            await publishing


async def test_a_publisher_is_durable_when_its_block_is_left(home: FakeHome, client: linkd.aio.Client) -> None:
    async with client.publisher("events") as events:
        for number in range(1000):
            await events.send({"a": number})
    assert [row["a"] for row in await client.read("events").rows()] == list(range(1000))
    assert len(home.links["events"]) < 20, "rows of one turn of the loop are one value"


async def test_a_publisher_keeps_the_order_of_rows_and_frames(home: FakeHome, client: linkd.aio.Client) -> None:
    async with client.publisher("events") as events:
        await events.send([{"a": 1}, {"a": 2}])
        await events.send(pa.table({"a": [3]}))
        await events.send({"a": 4})
        await events.flush()
        assert len(await client.read("events").rows()) == 4
    assert [row["a"] for row in await client.read("events").rows()] == [1, 2, 3, 4]


async def test_a_publisher_raises_what_was_refused_at_the_end_at_the_latest(client: linkd.aio.Client) -> None:
    with pytest.raises(errors.NotAllowed, match="forbidden is written by the pipeline"):
        async with client.publisher("forbidden") as events:
            await events.send({"a": 1})
    with pytest.raises(errors.InvalidArgument, match="inside its `with` block"):
        await events.send({"a": 2})


async def test_a_publisher_waits_while_the_window_is_full(home: FakeHome, client: linkd.aio.Client) -> None:
    home.hold_acks = asyncio.Event()
    async with client.publisher("blobs") as blobs:
        sending = asyncio.create_task(_send_all(blobs, [bytes(6 << 20)] * 8))
        while not home.publishes_waiting:
            await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
        assert not sending.done()
        home.hold_acks.set()
        await sending
    assert len(home.links["blobs"]) == 8


async def _send_all(publisher: linkd.aio.Publisher, items: list[bytes]) -> None:
    for item in items:
        await publisher.send(item)


async def test_a_value_is_acked_at_the_end_of_its_block_and_given_back_on_an_exception(home: FakeHome, client: linkd.aio.Client) -> None:
    for number in range(3):
        put(home, "flown", pa.table({"a": [number] * 300}), told=number == 0)
    seen = []
    async for value in client.subscribe("flown", "alerts"):
        try:
            async with value:
                seen.append(value.rows()[0]["a"])
                if value.envelope.position.sequence == 2:
                    raise KeyError("secret")
        except KeyError:
            continue
    assert seen == [0, 1, 2]
    assert home.acked == [1, 3]
    assert home.nacked == [(2, 0, "KeyError")], "the reason names the exception and shows nothing of it"
    assert sum(home.credits) == sum(len(stored.payload) for stored in home.links["flown"])


async def test_several_values_may_be_in_work_at_once_and_each_is_settled_once(home: FakeHome, client: linkd.aio.Client) -> None:
    for number in range(2):
        put(home, "flown", pa.table({"a": [number]}))
    async with client.subscribe("flown", "alerts") as values:
        first, second = await anext(values), await anext(values)
        await second.ack()
        await first.nack(1.5, "later")
        with pytest.raises(errors.InvalidArgument, match="flown@2 was acked or given back already"):
            await second.ack()
        assert [value async for value in values] == []
    assert (home.acked, home.nacked) == ([2], [(1, 1500, "later")])


async def test_a_subscription_connects_again_when_linkd_comes_back(home: FakeHome) -> None:
    put(home, "flown", pa.table({"a": [1]}))
    async with linkd.aio.connect(home.address, timeout_s=1) as client:  # so long it waits for what came of the ack
        values = client.subscribe("flown", "alerts")
        lost = await anext(values)
        await home.stop()
        with pytest.raises((errors.LeaseLost, errors.OutcomeUnknown)):
            await lost.ack()
        await home.start()
        again = await anext(values)
        await again.ack()
    assert home.acked == [1]


async def test_a_link_that_is_not_there_is_named(client: linkd.aio.Client) -> None:
    with pytest.raises(errors.LinkNotFound, match="there is no link nowhere"):
        await anext(client.subscribe("nowhere", "alerts"))
    with pytest.raises(errors.LinkNotFound):
        await client.read("nowhere").rows()


async def test_a_group_needs_a_name_and_numbers_count_from_one(client: linkd.aio.Client) -> None:
    with pytest.raises(errors.InvalidArgument, match="a consumer group needs a name"):
        client.subscribe("flown", "")
    with pytest.raises(errors.InvalidArgument, match="first is 0: it counts from 1"):
        client.read("flown", first=0)
    with pytest.raises(errors.InvalidArgument, match="credit_bytes is 0"):
        client.snapshots(credit_bytes=0)


async def test_reading_gives_ranges_and_the_columns_of_an_empty_link(home: FakeHome, client: linkd.aio.Client) -> None:
    for number in range(4):
        put(home, "flown", pa.table({"a": [number]}))
    assert await client.read("flown", first=2, last=Position(1, 3)).rows() == [{"a": 1}, {"a": 2}]
    assert (await client.read("flown", last_values=1).to_pandas())["a"].to_list() == [3]
    assert (await client.read("flown").to_polars()).height == 4
    home.schemas["empty"] = home.schemas["flown"]
    assert (await client.read("empty").to_table()).schema.names == ["a"]


async def test_a_query_runs_once_when_it_is_first_asked_for(home: FakeHome, client: linkd.aio.Client) -> None:
    result = client.query("SELECT 1")
    assert repr(result) == "<Result of 'SELECT 1': not run yet>"
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("n", pa.int64())])) as writer:
        writer.write_table(pa.table({"n": list(range(5000))}))
    home.query_answer = sink.getvalue().to_pybytes()
    assert (await result.to_table()).num_rows == 5000
    home.query_answer = b""
    assert len(await result.rows()) == 5000
    assert repr(result) == "<Result of 'SELECT 1': 5,000 rows>"


async def test_a_query_that_is_refused_says_why(home: FakeHome, client: linkd.aio.Client) -> None:
    home.fail_next["Query"] = [errors.QueryInvalid("no table flwn; did you mean `flown`?")]
    with pytest.raises(errors.QueryInvalid, match="did you mean `flown`"):
        await client.query("SELECT * FROM flwn").rows()


async def test_describe_seal_and_trace_are_plain_values(home: FakeHome, client: linkd.aio.Client) -> None:
    put(home, "flown", pa.table({"a": [1]}))
    description = await client.describe()
    assert (description.pipeline, description.transport, [link.name for link in description.links]) == ("flights", "grpc", ["flown"])
    assert description.run is None
    assert await client.seal("flown") == 1
    lineage = await client.trace("flown@last")
    assert (lineage.ancestors[0].envelope.name, lineage.cut) == ("flown@1", True)
    assert str(lineage) == "flown@1  1 rows\n..."


async def test_a_call_is_repeated_while_linkd_is_away(home: FakeHome, client: linkd.aio.Client) -> None:
    home.fail_next["Describe"] = [errors.Draining("linkd is shutting down"), errors.Draining("linkd is shutting down")]
    assert (await client.describe()).pipeline == "flights"


async def test_a_fenced_session_ends_at_once(home: FakeHome, client: linkd.aio.Client) -> None:
    for method in ("Describe", "Snapshots", "Publish"):
        home.fail_next[method] = [errors.SessionFenced("a newer run has begun")]
    with pytest.raises(errors.SessionFenced):
        await client.describe()
    with pytest.raises(errors.SessionFenced):
        await anext(client.snapshots())
    with pytest.raises(errors.SessionFenced):
        await client.publish("events", b"x")


async def test_cancelling_a_wait_cancels_only_that(home: FakeHome, client: linkd.aio.Client) -> None:
    home.hold_acks = asyncio.Event()
    publishing = asyncio.create_task(client.publish("events", [{"a": 1}]))
    while not home.publishes_waiting:
        await asyncio.sleep(0)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await publishing
    home.hold_acks.set()
    assert (await client.publish("events", [{"a": 2}])).name == "events@2"


async def test_a_closed_client_says_so(home: FakeHome) -> None:
    client = await linkd.aio.connect(home.address)
    await client.close()
    await client.close()
    with pytest.raises(errors.ConnectionFailed, match="this client is closed"):
        await client.describe()
    with pytest.raises(errors.ConnectionFailed, match="this client is closed"):
        await client.publish("events", b"x")
    with pytest.raises(errors.ConnectionFailed, match="this client is closed"):
        await client.read("events").rows()


async def test_nobody_there_is_an_error_within_the_timeout(home: FakeHome) -> None:
    with pytest.raises(errors.ConnectionFailed, match=r"no linkd answers at unix:/nowhere/s \(waited 0.1 s\)"):
        await linkd.aio.connect("unix:/nowhere/s", timeout_s=0.1)
    with pytest.raises(errors.InvalidArgument, match="timeout_s is 0"):
        await linkd.aio.connect(home.address, timeout_s=0)


async def test_the_token_travels_with_every_call_and_is_not_shown(home: FakeHome) -> None:
    async with linkd.aio.connect(home.address, token="s3cret") as client:
        await client.describe()
        assert home.tokens_seen == {"Bearer s3cret"}
        assert "s3cret" not in repr(client)
        assert "s3cret" not in repr(client._connection._endpoint)
