"""The client against a home that goes away and comes back, at every moment: what it publishes happens once, what it reads goes on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from lane_writer import small_home
from raw_client import until as loop_until

import linkd
import linkd.aio
from linkd import ConnectionState, StateChange, errors
from linkd.client.calls import Patience
from linkd.limits import RECONNECT_BACKOFF_FIRST_S, RECONNECT_BACKOFF_MAX_S
from linkd.testing.cutting_proxy import CuttingProxy, Way
from linkd.testing.home import InProcessHome

VALUES = 40
CUT_FRAMES = 14
"""Of a connection: more than its beginning, a publish and its ack take, so that each of them is cut."""


@asynccontextmanager
async def through_proxy(home: InProcessHome) -> AsyncIterator[tuple[CuttingProxy, linkd.aio.Client]]:
    proxy = CuttingProxy(home.socket.with_name("proxy"), home.socket)
    async with proxy.serving(), linkd.aio.connect(proxy.endpoint, timeout_s=10) as client:
        yield proxy, client


async def numbers(client: linkd.aio.Client, link: str = "events") -> list[int]:
    return [row["n"] for row in await client.read(link).rows()]


@pytest.mark.parametrize("way", list(Way))
async def test_a_publish_happens_once_wherever_its_connection_is_cut(open_home: InProcessHome, way: Way) -> None:
    async with through_proxy(open_home) as (proxy, client):
        acks = [await client.publish("events", [{"n": 0}])]
        for frame in range(1, CUT_FRAMES):
            proxy.cut_at(way, frame)
            while proxy.cuts < frame:
                acks.append(await client.publish("events", [{"n": len(acks)}]))
        assert await numbers(client) == list(range(len(acks)))
        assert [ack.first.sequence for ack in acks] == list(range(1, len(acks) + 1))
        assert any(ack.repeated for ack in acks)


@pytest.mark.usefixtures("road")
@pytest.mark.parametrize("crash", [True, False])
async def test_publishes_in_flight_survive_restarts_once_and_in_order(open_home: InProcessHome, crash: bool) -> None:
    async with linkd.aio.connect(open_home.endpoint, timeout_s=10) as client:
        await client.publish("single", [{"n": 0}])

        async def publish() -> None:
            for number in range(1, VALUES):
                await client.publish("single", [{"n": number}])

        async def flow() -> None:
            async with client.publisher("flow") as events:
                for number in range(VALUES):
                    await events.send({"n": number})
                    await asyncio.sleep(0.005)

        async def restart() -> None:
            for _ in range(3):
                await asyncio.sleep(0.05)
                await open_home.restart(crash=crash)

        await asyncio.gather(publish(), flow(), restart())
        assert await numbers(client, "single") == list(range(VALUES))
        assert await numbers(client, "flow") == list(range(VALUES))


@pytest.mark.parametrize("crash", [True, False])
async def test_tables_that_go_by_place_survive_restarts_once_and_in_order(tmp_path: Path, crash: bool) -> None:
    async with small_home(tmp_path / "state") as home, linkd.aio.connect(home.endpoint, timeout_s=20) as client:
        await client.publish("tables", pa.table({"n": [0]}))

        async def restart() -> None:
            for _ in range(3):
                await asyncio.sleep(0.05)
                await home.restart(crash=crash)

        restarting = asyncio.create_task(restart())
        sent = 0
        while sent < VALUES or not restarting.done():
            sent += 1
            await client.publish("tables", pa.table({"n": [sent] * 20_000}))
        await restarting
        tables = [value.to_table() async for value in client.read("tables")]
        assert [table["n"][-1].as_py() for table in tables] == list(range(sent + 1))
        assert all(table["n"].unique().to_pylist() == [number] for number, table in enumerate(tables))


async def test_many_publishes_at_once_keep_their_order_through_a_crash_and_one_that_is_refused(open_home: InProcessHome) -> None:
    async with linkd.aio.connect(open_home.endpoint, timeout_s=10) as client:
        await client.publish("events", [{"n": 0}])
        sent = [asyncio.create_task(client.publish("events", [{"n": number if number != 20 else "twenty"}])) for number in range(1, VALUES)]
        await asyncio.sleep(0)
        await open_home.restart(crash=True)
        results = await asyncio.gather(*sent, return_exceptions=True)
        assert [index + 1 for index, result in enumerate(results) if isinstance(result, errors.SchemaMismatch)] == [20]
        assert sum(isinstance(result, linkd.aio.Ack) for result in results) == VALUES - 2
        assert await numbers(client) == [number for number in range(VALUES) if number != 20]


async def test_a_named_producer_goes_on_where_the_last_one_stopped_and_fences_it(open_home: InProcessHome) -> None:
    async with linkd.aio.connect(open_home.endpoint, timeout_s=10) as client:
        first = await client.producer("sensor-7")
        await first.publish("events", [{"n": 1}])
        await open_home.restart(crash=True)
        await first.publish("events", [{"n": 2}])
        second = await client.producer("sensor-7")
        assert (second.name, second.epoch, second.last_sequence) == ("sensor-7", 2, 2)
        with pytest.raises(errors.ProducerFenced, match="sensor-7 was opened by another program"):
            await first.publish("events", [{"n": 9}])
        with pytest.raises(errors.ProducerFenced):
            await first.publish("events", [{"n": 9}])
        assert (await second.publish("other", [{"n": 3}])).first.sequence == 1
        assert (second.last_sequence, await numbers(client)) == (3, [1, 2])


async def test_a_client_whose_producer_was_forgotten_goes_on_as_another(open_home: InProcessHome) -> None:
    async with linkd.aio.connect(open_home.endpoint, timeout_s=10) as client:
        await client.publish("events", [{"n": 1}])
        open_home.home.ledger.producers.known.clear()
        await client.publish("events", [{"n": 2}])
        assert await numbers(client) == [1, 2]


async def test_an_outage_that_is_too_long_leaves_the_outcome_open_and_the_client_usable(open_home: InProcessHome) -> None:
    proxy = CuttingProxy(open_home.socket.with_name("proxy"), open_home.socket)
    async with linkd.aio.connect(open_home.endpoint, timeout_s=10) as witness:
        await witness.publish("events", [{"n": 0}])
        async with proxy.serving():
            client = await linkd.aio.connect(proxy.endpoint, timeout_s=0.4)
            named = await client.producer("sensor-7")
            await client.publish("events", [{"n": 1}])
            await named.publish("events", [{"n": 2}])
        await open_home.stop()
        with pytest.raises(errors.ConnectionFault):
            await client.publish("events", [{"n": 3}])
        await open_home.start()
        async with proxy.serving():
            assert (await client.publish("events", [{"n": 4}])).rows == 1
            assert (await named.publish("events", [{"n": 5}])).rows == 1
        await client.close()
        assert [n for n in await numbers(witness) if n != 3] == [0, 1, 2, 4, 5]


@pytest.mark.usefixtures("road")
async def test_subscriptions_and_readings_that_follow_go_on_behind_a_restart(open_home: InProcessHome) -> None:
    async with linkd.aio.connect(open_home.endpoint) as client:
        await client.publish("events", [{"n": 0}])
        values, reading = client.subscribe("events", "g", follow=True), aiter(client.read("events", follow=True))
        for number in range(4):
            if number:
                await open_home.restart(crash=number % 2 == 0)
                await client.publish("events", [{"n": number}])
            value = await anext(values)
            assert value.rows() == [{"n": number}]
            await value.ack()
            assert (await anext(reading)).rows() == [{"n": number}]
        await reading.aclose()
        values.close()


async def test_what_becomes_of_the_connection_is_told(open_home: InProcessHome) -> None:
    told: list[StateChange] = []
    states: asyncio.Queue[ConnectionState] = asyncio.Queue()

    def on_state(change: StateChange) -> None:
        told.append(change)
        states.put_nowait(change.state)

    async def until(state: ConnectionState) -> None:
        async with asyncio.timeout(10):
            while await states.get() is not state:
                pass

    async with linkd.aio.connect(open_home.endpoint, on_state=on_state) as client:
        await loop_until(lambda: "linkd lane Attend" in open_home.tasks_of_calls())
        await open_home.stop()
        await until(ConnectionState.DRAINING)
        await until(ConnectionState.RECONNECTING)
        await open_home.start()
        await until(ConnectionState.CONNECTED)
        await client.describe()
    assert told[0] == StateChange(ConnectionState.CONNECTED)
    assert told[-1] == StateChange(ConnectionState.CLOSED)
    tries = [change.attempt for change in told if change.state is ConnectionState.RECONNECTING]
    assert tries == list(range(1, len(tries) + 1))
    assert all(change.reason for change in told if change.state is ConnectionState.RECONNECTING)


async def test_a_callback_that_raises_stops_nothing_and_is_told_once(open_home: InProcessHome, caplog: pytest.LogCaptureFixture) -> None:
    def on_state(change: StateChange) -> None:
        raise ValueError(change.state)

    async with linkd.aio.connect(open_home.endpoint, on_state=on_state) as client:
        await client.publish("events", [{"n": 1}])
        await open_home.restart()
        await client.publish("events", [{"n": 2}])
    complaints = [record for record in caplog.records if record.name == "linkd.client" and record.levelno == logging.ERROR]
    assert len(complaints) == 1


async def test_a_home_that_ends_every_connection_is_come_back_to_ever_more_rarely(open_home: InProcessHome) -> None:
    proxy = CuttingProxy(open_home.socket.with_name("proxy"), open_home.socket)

    def on_state(change: StateChange) -> None:
        if change.state is ConnectionState.CONNECTED and proxy.cuts < 4:
            proxy.cut_at(Way.TO_HOME, 1)

    async with proxy.serving(), linkd.aio.connect(proxy.endpoint, on_state=on_state) as client:
        bounds = {client._attending._bound_s}
        while proxy.cuts < 4:
            bounds.add(client._attending._bound_s)
            await asyncio.sleep(0)
        assert max(bounds) >= RECONNECT_BACKOFF_FIRST_S * 2**3
        await client.describe()
        while client._attending._bound_s != RECONNECT_BACKOFF_FIRST_S:
            await asyncio.sleep(0)


async def test_waits_between_tries_are_spread_over_all_of_a_bound_that_doubles() -> None:
    patience = Patience(1000.0)
    bounds = []
    for _ in range(3):
        bounds.append(patience._bound_s)
        await patience.wait(errors.ConnectionFailed("away"))
    assert bounds == [RECONNECT_BACKOFF_FIRST_S * 2**n for n in range(3)]
    assert max(bounds) < RECONNECT_BACKOFF_MAX_S
    with pytest.raises(errors.ConnectionFailed, match="away"):
        await Patience(0.0).wait(errors.ConnectionFailed("away"))


async def test_the_synchronous_face_has_named_producers_too(open_home: InProcessHome) -> None:
    def work() -> None:
        with linkd.connect(open_home.endpoint) as client:
            producer = client.producer("sensor-7")
            assert producer.publish("events", [{"n": 1}]).name == "events@1"
            assert (producer.name, producer.epoch, producer.last_sequence) == ("sensor-7", 1, 1)

    await asyncio.to_thread(work)
