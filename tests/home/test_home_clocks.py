"""Somebody sets the clock of a machine at work: leases go by the other one."""

from __future__ import annotations

from pathlib import Path

import pytest
from raw_client import ack, next_value, until
from small_pipeline import Connect

from linkd.home.changes import group_topic
from linkd.testing.clock import FakeClock
from linkd.testing.home import running_home
from linkd.wire.v1 import links_pb2 as pb

YEAR_S = 365 * 86_400.0


@pytest.mark.parametrize("jump_s", [YEAR_S, -YEAR_S])
async def test_a_clock_that_jumps_ends_no_lease(tmp_path: Path, connect: Connect, jump_s: float) -> None:
    clock = FakeClock()
    async with running_home(tmp_path / "state", clock=clock, supervised=False) as home:
        client = await connect(home)
        await client.publish("events", {"n": 1})
        busy = await client.subscribe("events", says_started=True, lease_ms=5_000)
        value = await next_value(busy)
        assert value is not None
        await busy.write(pb.SubscribeRequest(started=pb.Started(token=value.header.token)))
        group = home.home.ledger.groups["g", "events"]
        await until(lambda: len(group.deadlines) == 1)
        due_s, session = group.deadlines.next_s(), group.leases[1].session
        assert due_s == clock.monotonic_s() + 5.0
        clock.jump(jump_s)
        await client.subscribe("events", says_started=True)
        home.home.changes.announce([group_topic("g", "events")])
        await busy.write(pb.SubscribeRequest(renew=pb.Renew()))
        clock.advance(4.0)
        home.home.changes.announce([group_topic("g", "events")])
        await busy.write(pb.SubscribeRequest(renew=pb.Renew()))
        await until(lambda: group.deadlines.next_s() == due_s + 4.0)
        assert group.leases[1].session == session
        await ack(busy, value)
        assert group.cursor.done_sequence == 1
