"""Leases of snapshots over gRPC: reserved, started, renewed, over; replicas; snapshots that fail, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from doubling import begun, double, taken
from leased_pipeline import LEASE_S, home_with, pass_time
from raw_client import Stream, Taken, next_snapshot, until
from small_pipeline import Connect

from linkd.core.dead_letters import dead_link
from linkd.errors import LeaseLost
from linkd.model.terms import Order
from linkd.telemetry.events import SnapshotGivenUp, SnapshotLeaseEnded
from linkd.testing.home import InProcessHome
from linkd.wire.methods import SNAPSHOTS
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2


def token_of(snapshot: Taken) -> pb.SnapshotToken:
    return pb.SnapshotToken(snapshot_id=snapshot.ready.snapshot_id, token=snapshot.ready.token)


async def start(home: InProcessHome, stream: Stream, snapshot: Taken) -> None:
    """Says that the program has begun, and waits until the home has heard it."""
    await stream.write(pb.SnapshotsRequest(started=token_of(snapshot)))
    lease = home.home.ledger.tasks["double"].leases[snapshot.ready.snapshot_id]
    await until(lambda: lease.started_s is not None)


async def release(stream: Stream, snapshot: Taken, **said: Any) -> None:
    token = token_of(snapshot)
    await stream.write(pb.SnapshotsRequest(release=pb.SnapshotRelease(snapshot_id=token.snapshot_id, token=token.token, **said)))


async def recalled(stream: Stream) -> pb.SnapshotToken:
    message = await stream.read()
    assert message.WhichOneof("message") == "recall", message
    token: pb.SnapshotToken = message.recall
    return token


async def test_the_stream_says_how_long_a_lease_lasts(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        client = await begun(home, connect, 1)
        stream = client.stream(SNAPSHOTS)
        await stream.write(pb.SnapshotsRequest(open=pb.SnapshotsOpen(says_started=True)))
        assert (await stream.read()).opened.lease_ms == LEASE_S * 1000


async def test_what_is_reserved_has_no_deadline(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, clock):
        client = await begun(home, connect, 1)
        snapshot = await taken(await client.snapshots(says_started=True))
        pass_time(home, clock, 1_000 * LEASE_S)
        await double(client, snapshot)
        assert await (await connect(home)).numbers("doubled") == [2]


async def test_a_client_that_never_says_started_has_no_deadline(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, clock):
        client = await begun(home, connect, 1)
        snapshot = await taken(await client.snapshots())
        pass_time(home, clock, 1_000 * LEASE_S)
        await double(client, snapshot)
        assert await (await connect(home)).numbers("doubled") == [2]


async def test_a_replica_takes_over_from_one_that_hangs_and_the_late_commit_is_refused(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, clock):
        client = await begun(home, connect, 3)
        hanging = await client.snapshots(says_started=True)
        first, second = await taken(hanging), await taken(hanging)
        await start(home, hanging, first)
        standby = await (await connect(home, "double")).snapshots(says_started=True)
        pass_time(home, clock, LEASE_S)
        again = await taken(standby)
        assert (again.ready.snapshot_id, again.ready.attempt) == (first.ready.snapshot_id, 2)
        with pytest.raises(LeaseLost):
            await client.commit(first.ready)
        assert (await taken(standby)).ready.attempt == 1  # the second had only been reserved: this is its first attempt
        assert [event.attempt for event in home.events.heard if isinstance(event, SnapshotLeaseEnded)] == [1]
        assert [await recalled(hanging) for _ in range(2)] == [token_of(second), token_of(first)]


async def test_renewing_keeps_a_lease_for_the_timeout_of_the_task(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, timeout_s=5 * LEASE_S) as (home, clock):
        client = await begun(home, connect, 1)
        stream = await client.snapshots(says_started=True)
        snapshot = await taken(stream)
        await start(home, stream, snapshot)
        lease = home.home.ledger.tasks["double"].leases[snapshot.ready.snapshot_id]
        deadlines = home.home.deadlines._leases
        for _ in range(7):
            clock.advance(LEASE_S * 0.7)
            before_s = deadlines.next_s()
            await stream.write(pb.SnapshotsRequest(renew=token_of(snapshot)))
            await until(lambda before_s=before_s: deadlines.next_s() != before_s)
            assert lease.session is not None
        clock.advance(LEASE_S * 0.2)
        await stream.write(pb.SnapshotsRequest(renew=token_of(snapshot)))  # 51 s after the start: not taken any more
        pass_time(home, clock, LEASE_S * 0.9)
        await until(lambda: lease.session is None)
        [told] = [task for task in (await client.describe()).tasks if task.name == "double"]
        assert (told.failures, told.overran, lease.reason) == (1, 1, "its program worked on it for longer than the timeout of 50s")
        await double(client, snapshot)  # nobody else has had it


async def test_one_who_comes_back_before_anybody_else_goes_on(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, clock):
        client = await begun(home, connect, 2)
        stream = await client.snapshots(says_started=True, prefetch=1)
        snapshot = await taken(stream)
        await start(home, stream, snapshot)
        lease = home.home.ledger.tasks["double"].leases[snapshot.ready.snapshot_id]
        pass_time(home, clock, LEASE_S)
        await until(lambda: lease.session is None)
        await stream.write(pb.SnapshotsRequest(renew=token_of(snapshot)))
        await until(lambda: lease.session is not None)
        await double(client, snapshot)
        assert (await taken(stream)).numbers() == [2]


async def test_a_late_commit_is_a_sign_of_life(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, clock):
        client = await begun(home, connect, 2)
        stream = await client.snapshots(says_started=True, prefetch=1)
        snapshot = await taken(stream)
        await start(home, stream, snapshot)
        pass_time(home, clock, LEASE_S)
        await until(lambda: home.home.ledger.tasks["double"].leases[snapshot.ready.snapshot_id].session is None)
        await double(client, snapshot)
        assert (await taken(stream)).numbers() == [2]


async def test_with_an_order_one_session_has_snapshots_and_the_others_stand_by(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, _):
        client = await begun(home, connect, 4)
        active = await client.snapshots(says_started=True)
        first, _ = await taken(active), await taken(active)
        standby = await (await connect(home, "double")).snapshots(says_started=True)
        await double(client, first)
        assert (await taken(active)).numbers() == [3]
        active.cancel()
        assert [(await taken(standby)).numbers() for _ in range(2)] == [[2], [3]]


async def test_a_retry_comes_before_anything_newer(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, clock):
        client = await begun(home, connect, 3)
        stream = await client.snapshots(says_started=True)
        first, second = await taken(stream), await taken(stream)
        await start(home, stream, first)
        await release(stream, first, reason="not now", delay_ms=5_000)
        assert await recalled(stream) == token_of(second)
        assert (await stream.read()).WhichOneof("message") == "released"
        await release(stream, second, untried=True)
        assert (await stream.read()).WhichOneof("message") == "released"
        pass_time(home, clock, 5.0)
        assert [((again := await taken(stream)).numbers(), again.ready.attempt) for _ in range(2)] == [([1], 2), ([2], 1)]


async def test_without_an_order_an_idle_session_gets_what_another_has_not_begun(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, order=Order.NONE) as (home, _):
        client = await begun(home, connect, 2)
        busy = await client.snapshots(says_started=True)
        first, second = await taken(busy), await taken(busy)
        await start(home, busy, first)
        idle = await (await connect(home, "double")).snapshots(says_started=True)
        assert await recalled(busy) == token_of(second)
        await release(busy, second, untried=True)
        moved = await taken(idle)
        assert (moved.numbers(), moved.ready.attempt) == ([2], 1)
        await double(client, first)
        await double(client, moved)
        assert await next_snapshot(idle) is None


async def test_who_does_not_answer_a_recall_within_a_lease_loses_what_it_reserved(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, order=Order.NONE) as (home, clock):
        client = await begun(home, connect, 2)
        busy = await client.snapshots(says_started=True)
        _, second = await taken(busy), await taken(busy)
        idle = await (await connect(home, "double")).snapshots(says_started=True)
        assert await recalled(busy) == token_of(second)
        pass_time(home, clock, LEASE_S)
        assert sorted([(await taken(idle)).numbers(), (await taken(idle)).numbers()]) == [[1], [2]]


async def test_two_late_refusals_double_the_lease_of_a_snapshot(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path) as (home, clock):
        client = await begun(home, connect, 1)
        slow = await client.snapshots(says_started=True)
        first = await taken(slow)
        await start(home, slow, first)
        other = await (await connect(home, "double")).snapshots(says_started=True)
        pass_time(home, clock, LEASE_S)
        again = await taken(other)
        await start(home, other, again)
        for _ in range(2):
            with pytest.raises(LeaseLost):
                await client.commit(first.ready)
        lease = home.home.ledger.tasks["double"].leases[first.ready.snapshot_id]
        pass_time(home, clock, LEASE_S * 1.5)
        assert home.home.deadlines._leases.next_s() == clock.monotonic_s() + LEASE_S * 0.5
        pass_time(home, clock, LEASE_S * 0.5)
        await until(lambda: lease.session is None)


async def dead_letters(home: InProcessHome, connect: Connect) -> list[dict[str, Any]]:
    client = await connect(home)
    return [row for value in await client.read(dead_link("double"), format=value_pb2.ROWS) for row in value.rows()]


@pytest.mark.parametrize("how", ["nack", "hang", "death"])
async def test_what_failed_as_often_as_it_may_goes_to_the_dead_letters_and_the_rest_goes_on(
    tmp_path: Path, connect: Connect, how: str
) -> None:
    async with home_with(tmp_path, max_attempts=2) as (home, clock):
        client = await begun(home, connect, 2)
        stream = await client.snapshots(says_started=True, prefetch=1)
        for attempt in (1, 2):
            snapshot = await taken(stream)
            assert (snapshot.numbers(), snapshot.ready.attempt) == ([1], attempt)
            await start(home, stream, snapshot)
            if how == "nack":
                await release(stream, snapshot, reason="cannot read it")
                continue
            if how == "hang":
                pass_time(home, clock, LEASE_S)
                await until(lambda: not any(one.session for one in home.home.ledger.tasks["double"].leases.values()))
            stream.cancel()
            client = await connect(home, "double")
            stream = await client.snapshots(says_started=True, prefetch=1)
        rest = await taken(stream)
        assert rest.numbers() == [2]
        await double(client, rest)
        assert await next_snapshot(stream) is None
        with pytest.raises(LeaseLost, match=r"double\.dead"):
            await client.commit(snapshot.ready)
        [letter] = await dead_letters(home, connect)
        assert (letter["link"], letter["sequence"], letter["consumer"], letter["attempts"]) == ("numbers", 1, "double", 2)
        assert how != "nack" or letter["reason"] == "cannot read it"
        assert await (await connect(home)).numbers("doubled") == [4]
        assert [event.link for event in home.events.heard if isinstance(event, SnapshotGivenUp)] == ["double.dead"]
        [info] = [task for task in (await (await connect(home)).describe()).tasks if task.name == "double"]
        assert info.given_up == 1


async def test_failures_are_counted_through_a_restart(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, max_attempts=2) as (home, _):
        client = await begun(home, connect, 1)
        stream = await client.snapshots(says_started=True)
        snapshot = await taken(stream)
        await start(home, stream, snapshot)
        await release(stream, snapshot, reason="no", delay_ms=60_000)
        assert (await stream.read()).WhichOneof("message") == "released"
        await home.restart()
        assert [lease.failures for lease in home.home.ledger.tasks["double"].leases.values()] == [1]
        stream = await (await connect(home, "double")).snapshots(says_started=True)
        again = await taken(stream)
        await start(home, stream, again)
        await release(stream, again, reason="no again")
        assert await next_snapshot(stream) is None
        assert [letter["reason"] for letter in await dead_letters(home, connect)] == ["no again"]


async def test_a_home_that_goes_away_is_no_failure_of_what_was_started(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, max_attempts=1) as (home, _):
        client = await begun(home, connect, 1)
        stream = await client.snapshots(says_started=True)
        await start(home, stream, await taken(stream))
        await home.restart()
        client = await connect(home, "double")
        again = await taken(await client.snapshots(says_started=True))
        assert again.ready.attempt == 2
        await double(client, again)


async def test_a_letter_holds_the_value(tmp_path: Path, connect: Connect) -> None:
    async with home_with(tmp_path, max_attempts=1) as (home, _):
        client = await begun(home, connect, 1)
        stream = await client.snapshots()
        await release(stream, await taken(stream), reason="no")
        assert await next_snapshot(stream) is None
        outsider = await connect(home)
        [value] = await outsider.read(dead_link("double"), format=value_pb2.ARROW)
        opened = home.home.ledger.links[dead_link("double")].generations[1].schema
        row = pa.ipc.open_stream(pa.py_buffer(opened + value.payload)).read_all().to_pylist()[0]
        assert pa.ipc.open_stream(row["payload"]).read_all().to_pylist() == [{"n": 1}]
