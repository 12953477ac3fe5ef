"""A disk that is nearly full: publishing pauses and says so, consumers go on, and freed room resumes it."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from raw_client import RawClient, arrow_message, next_snapshot, next_value, rows_value, send_ack, until
from small_pipeline import PIPELINE, Connect

from linkd import aio
from linkd.core.disk import DiskState, Volume
from linkd.core.layout import OPEN
from linkd.errors import StorageFull
from linkd.home.clock import SystemClock
from linkd.home.disk import DiskBudget, counted
from linkd.limits import DISK_BUDGET_MIN_BYTES, DISK_LOOK_INTERVAL_S, DISK_RESERVED_SHARE, GIB, MIB, RETRY_FULL_S
from linkd.store.counted_files import CountedFiles
from linkd.store.files import LocalFiles
from linkd.telemetry.events import DiskPaused, DiskResumed
from linkd.telemetry.hub import Telemetry
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import methods
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import status_pb2, value_pb2


def short_of_room(home: InProcessHome, *, held_share: float) -> None:
    """The budget is such that what is held now is this part of it."""
    disk = home.home.disk
    disk.asked_bytes = int(disk.held_bytes / held_share)
    disk._looked_s = float("-inf")


async def publish_bulk(client: RawClient, link: str) -> None:
    """A value of 800 kB, in one message."""
    schema, payload = arrow_message({"n": list(range(100_000))})
    stream = client.stream(methods.PUBLISH)
    value = pb.PublishValue(link=link, format=value_pb2.ARROW, schema=schema, payload_bytes=len(payload), data=payload)
    await stream.write(pb.PublishRequest(value=value))
    await stream.done_writing()
    await stream.read()


async def test_what_is_held_is_counted_as_it_is_written(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    before = open_home.home.disk.files.held_bytes
    await publish_bulk(client, "bulk")
    counted = open_home.home.disk.files.held_bytes
    assert counted - before >= 800_000
    await open_home.restart()
    again = CountedFiles(LocalFiles())
    again.count(open_home.directory, but=("logs", "spill", "catalog.db", "catalog.db-wal", "catalog.db-shm"))
    assert open_home.home.disk.files.held_bytes == again.held_bytes


def test_where_a_program_made_its_directory_a_link_out_of_here_nothing_is_looked_at(tmp_path: Path) -> None:
    kept = tmp_path / "state" / "failed" / "work" / "6f43767c"
    (kept / "in").mkdir(parents=True)
    (kept / "in" / "rows.csv").write_bytes(bytes(1_000))
    (tmp_path / "large").write_bytes(bytes(MIB))
    for name, target in (("out", tmp_path), ("gone", tmp_path / "nothing"), ("file", tmp_path / "large")):
        (kept / name).symlink_to(target)
    disk = DiskBudget(tmp_path / "state", counted(tmp_path / "state"), Telemetry(), SystemClock())
    disk.state()
    assert 1_000 <= disk.held_bytes < 10_000


async def test_publishing_pauses_while_consumers_go_on_and_resumes(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    for number in range(3):
        await client.publish("events", {"n": number})
    values = await client.subscribe("events", follow=True)
    short_of_room(open_home, held_share=0.91)
    with pytest.raises(StorageFull, match=r"linkd holds .* MiB of the .* MiB of disk that it may take: nothing is published"):
        await client.publish("events", {"n": 3})
    for _ in range(3):
        value = await next_value(values)
        assert value is not None
        await send_ack(values, value)
    assert open_home.home.ready() is None, "it stays ready"
    [note] = (await client.describe()).notes
    assert note.startswith("publishing is paused: linkd holds")
    short_of_room(open_home, held_share=0.89)
    with pytest.raises(StorageFull):
        await client.publish("events", {"n": 3})  # it would stop and go with every value
    short_of_room(open_home, held_share=0.5)
    assert (await client.publish("events", {"n": 3})).first.sequence == 4
    told = [type(event) for event in open_home.events.heard if isinstance(event, DiskPaused | DiskResumed)]
    assert told == [DiskPaused, DiskResumed]
    assert not (await client.describe()).notes


async def test_a_refusal_says_when_to_try_again_as_any_grpc_client_reads_it(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    await client.publish("events", {"n": 0})
    short_of_room(open_home, held_share=0.91)
    call = client.stream(methods.PUBLISH).call
    await call.write(rows_value("events", {"n": 1}))
    assert await call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailing = dict(await call.trailing_metadata())
    assert trailing["linkd-error"] == "storage_full"
    told = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    [detail] = told.details
    assert (told.code, detail.type_url) == (8, "type.googleapis.com/google.rpc.RetryInfo")
    assert status_pb2.RetryInfo.FromString(detail.value).retry_delay.seconds == RETRY_FULL_S


async def test_a_client_waits_for_room_by_itself_and_says_so_once(open_home: InProcessHome, connect: Connect) -> None:
    raw, states = await connect(open_home), []
    await raw.publish("events", {"n": 0})
    async with aio.connect(open_home.endpoint, on_state=lambda change: states.append(str(change.state))) as client:
        short_of_room(open_home, held_share=0.91)
        publishing = asyncio.create_task(client.publish("events", [{"n": 1}]), name="publishing")
        await until(lambda: "waiting" in states)
        short_of_room(open_home, held_share=0.5)
        assert (await publishing).position.sequence == 2
        assert states == ["connected", "waiting", "connected"]


async def test_commits_with_outputs_wait_and_those_that_only_free_go_on(home: InProcessHome, connect: Connect) -> None:
    outsider, task = await connect(home), await connect(home, "double")
    for number in range(2):
        await outsider.publish("numbers", {"n": number})
    await (await connect(home, "@run")).begin()
    stream = await task.snapshots()
    first, second = await next_snapshot(stream), await next_snapshot(stream)
    assert first is not None
    assert second is not None
    staged = (await task.publish("doubled", {"n": 0}, stage=first.ready)).staged
    short_of_room(home, held_share=0.92)
    with pytest.raises(StorageFull):
        await task.commit(first.ready, staged)
    await task.commit(second.ready)
    short_of_room(home, held_share=0.97)
    assert home.home.disk.state() is DiskState.RESERVED
    later = asyncio.create_task(task.publish("doubled", {"n": 0}, stage=first.ready), name="staged")
    short_of_room(home, held_share=0.5)
    assert (await asyncio.wait_for(later, 5 * DISK_LOOK_INTERVAL_S)).staged
    await task.commit(first.ready, staged)


async def test_in_the_reserve_whatever_ends_or_moves_on_is_journaled_and_nothing_is_published(
    home: InProcessHome, connect: Connect
) -> None:
    outsider, task, supervisor = await connect(home), await connect(home, "double"), await connect(home, "@run")
    await outsider.publish("numbers", {"n": 1})
    await supervisor.begin()
    group = await outsider.subscribe("numbers")
    value, stream = await next_value(group), await task.snapshots()
    snapshot = await next_snapshot(stream)
    assert value is not None
    assert snapshot is not None
    short_of_room(home, held_share=0.97)
    assert home.home.disk.state() is DiskState.RESERVED
    before_bytes = home.home.disk.files.held_bytes
    await send_ack(group, value)
    await task.commit(snapshot.ready)
    assert await next_snapshot(stream) is None
    await supervisor.task_exited("double")
    await home.home.barrier()
    doubled = home.home.ledger.link("doubled").current
    assert doubled is not None
    assert doubled.is_sealed, "what ends is said, in the reserve"
    with pytest.raises(StorageFull):
        await outsider.publish("numbers", {"n": 2})
    assert home.home.disk.files.held_bytes - before_bytes < DISK_BUDGET_MIN_BYTES * (1 - DISK_RESERVED_SHARE) / 10


async def test_a_store_without_any_room_pauses_the_same_way(open_home: InProcessHome, connect: Connect) -> None:
    client = await connect(open_home)
    open_home.home._full("cannot write journal: No space left on device")
    with pytest.raises(StorageFull, match="No space left on device"):
        await client.publish("events", {"n": 1})
    open_home.home._full("")
    assert (await client.publish("events", {"n": 1})).first.sequence == 1


async def test_without_a_budget_others_keep_a_reserve_on_the_volume(tmp_path: Path, connect: Connect) -> None:
    async with running_home(tmp_path / "state", layout=PIPELINE) as home:
        client = await connect(home)
        home.home.disk.look = lambda directory: Volume(100 * GIB, 4 * GIB)
        home.home.disk._looked_s = float("-inf")
        with pytest.raises(StorageFull):
            await client.publish("numbers", {"n": 1})
        home.home.disk.look = lambda directory: Volume(100 * GIB, 6 * GIB)
        home.home.disk._looked_s = float("-inf")
        await client.publish("numbers", {"n": 1})
        assert home.home.disk._budget_bytes >= GIB - MIB
        await until(lambda: home.is_idle)


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 96 MiB."""
    volume = tmp_path / "volume"
    volume.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(volume)], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield volume
    finally:
        subprocess.run(["umount", "-l", str(volume)], check=True)


async def test_a_real_volume_that_runs_full_loses_nothing_and_goes_on_when_there_is_room(small_volume: Path, connect: Connect) -> None:
    ballast = small_volume / "others"
    ballast.write_bytes(bytes(40 * MIB))
    async with running_home(small_volume / "state", layout=OPEN, supervised=False, disk_budget_bytes=10 * GIB) as home:
        client = await connect(home)
        values = await client.subscribe("bulk", follow=True, credit_bytes=256 * MIB, format=value_pb2.ARROW)
        stored = 0
        with pytest.raises(StorageFull):
            while True:
                await publish_bulk(client, "bulk")
                stored += 1
        assert 20 < stored < 70
        for _ in range(stored):
            value = await next_value(values)
            assert value is not None
            await send_ack(values, value)
        await home.restart()
        client = await connect(home)
        assert len(await client.read("bulk", format=value_pb2.ARROW)) == stored
        with pytest.raises(StorageFull):
            await publish_bulk(client, "bulk")
        ballast.unlink()
        home.home.disk._looked_s = float("-inf")
        await publish_bulk(client, "bulk")
        assert len(await client.read("bulk", format=value_pb2.ARROW)) == stored + 1
