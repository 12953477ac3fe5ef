"""A disk that fails: nothing is acked any more, what was acked is served, and everybody is told what to do."""

from __future__ import annotations

import pytest
from raw_client import next_value
from small_pipeline import Connect
from unreliable_disk import UnreliableFiles

from linkd.errors import StorageFailed
from linkd.telemetry.events import StorageFailedEvent
from linkd.testing.home import InProcessHome


@pytest.mark.parametrize(
    ("syncs", "unknown"), [(1, False), (1_000, True)], ids=["one sync fails", "not even the void mark can be made durable"]
)
async def test_after_a_failed_sync_a_home_is_not_ready_takes_nothing_and_serves_what_it_acked(
    open_home: InProcessHome, connect: Connect, syncs: int, unknown: bool
) -> None:
    disk = UnreliableFiles.under(open_home)
    client = await connect(open_home)
    await client.publish("events", {"n": 1})
    values = await client.subscribe("events", follow=True)
    value = await next_value(values)
    assert value is not None
    assert open_home.home.ready() is None
    disk.failing_syncs = syncs
    with pytest.raises(StorageFailed, match=r"Input/output error.*accepts nothing more; what it acknowledged is safe") as failed:
        await client.publish("events", {"n": 2})
    assert ("known only after the next start" in str(failed.value)) is unknown
    assert "Input/output error" in (open_home.home.ready() or "")
    with pytest.raises(StorageFailed, match="accepts nothing more"):
        await client.publish("events", {"n": 3})
    with pytest.raises(StorageFailed, match="accepts nothing more"):
        await next_value(values)  # of an ack nobody would say that it is kept
    assert await client.numbers("events") == [1]
    assert [link.name for link in (await client.describe()).links] == ["events"]
    [told] = [event for event in open_home.events.heard if isinstance(event, StorageFailedEvent)]
    assert "Input/output error" in told.error
    disk.failing_syncs = 0
    await open_home.restart()
    assert open_home.home.ready() is None
    client = await connect(open_home)
    there = await client.numbers("events")
    assert there == [1] or (unknown and there == [1, 2])
    assert (await client.publish("events", {"n": 4})).first.sequence == len(there) + 1
