"""Sessions of the lane: what clients hold, what they say of it, and what becomes of it when they never do."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from lane_writer import DISK_BYTES, LaneWriter, files_of, lane_of, numbers, say_released, small_home
from raw_client import arrow_message, until
from small_pipeline import PIPELINE

import linkd.aio
from linkd.client.lane_files import LaneFiles
from linkd.core.layout import OPEN, Layout
from linkd.core.links import LinkShape
from linkd.errors import Error, InvalidArgument
from linkd.faces.bulk_turns import BulkTurns
from linkd.faces.lane import Requests
from linkd.limits import LANE_AHEAD_BYTES, LANE_QUEUED_MAX_BYTES, MIB
from linkd.model.terms import LinkTerms, Retain
from linkd.model.values import Durability
from linkd.telemetry.events import DiskPaused
from linkd.testing.home import InProcessHome, running_home
from linkd.wire.lane import HEAD, SOCKET_SUFFIX, FrameKind, frame
from linkd.wire.methods import ATTEND, DESCRIBE, FILES, READ
from linkd.wire.v1 import lane_pb2, value_pb2
from linkd.wire.v1 import links_pb2 as pb

ROWS_OF_A_MIB = MIB // 8
VALUES = 2 * DISK_BYTES // MIB


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[InProcessHome]:
    async with small_home(tmp_path / "state") as running:
        yield running


async def refused_session(home: InProcessHome, session: bytes, token: str = "") -> None:
    files = LaneFiles(f"{home.socket}{SOCKET_SUFFIX}", session, token)
    with pytest.raises(Error):
        await files.open()
    files.close()


async def test_a_session_is_one_clients_with_a_name_of_the_right_length(home: InProcessHome) -> None:
    async with lane_of(home) as channel:
        await refused_session(home, channel._session)
        for strange in (b"", b"short", b"x" * 1_000_000):
            await refused_session(home, strange)
        assert (await channel.call(DESCRIBE, pb.DescribeRequest(), timeout_s=5, token="", traceparent="")) is not None


async def test_the_session_of_another_identity_cannot_be_named(tmp_path: Path) -> None:
    async with (
        running_home(tmp_path / "state", layout=PIPELINE) as home,
        lane_of(home, home.token("double")) as tasks,
        lane_of(home) as stranger,
    ):
        stranger._session = tasks._session
        writer = LaneWriter(stranger, "numbers")
        with pytest.raises(Error, match="belongs to another identity"):
            await writer.reserve(numbers(1))


@pytest.mark.parametrize("what", ["a file of nobody", "more than it has", "a file of another client"])
async def test_who_releases_what_it_does_not_hold_loses_its_session_and_nobody_else_does(home: InProcessHome, what: str) -> None:
    async with lane_of(home) as hostile, linkd.aio.connect(home.endpoint) as client, linkd.aio.connect(home.endpoint) as reader:
        await client.publish("events", [{"n": 0}])
        await client.publish("events", numbers(1))
        held = [value.to_table() async for value in reader.read("events")][1]
        (file,) = files_of_client(reader)._mapped
        say_released(hostile, file if what != "a file of nobody" else 99, 1 if what != "more than it has" else 2**63)
        with pytest.raises(InvalidArgument, match="released what it does not hold"):
            await files_of(hostile).mapped(1_000)
        assert (await hostile.call(DESCRIBE, pb.DescribeRequest(), timeout_s=5, token="", traceparent="")) is not None
        await client.publish("events", numbers(2))
        assert held["n"].to_pylist() == numbers(1)["n"]
        assert [value.to_table()["n"][0].as_py() async for value in reader.read("events")] == [0, 1, 2]


def files_of_client(client: linkd.aio.Client) -> LaneFiles:
    files = client._connection.files
    assert files is not None
    return files


async def test_who_never_releases_holds_back_neither_retention_nor_others_nor_more_than_a_share_of_the_disk(tmp_path: Path) -> None:
    terms = LinkTerms(Durability.MEMORY, retain=Retain(size_bytes=8 * MIB))
    layout = Layout("pipeline", {"events": LinkShape("events", "", terms=terms)}, {}, frozenset({"events"}))
    async with (
        small_home(tmp_path / "state", layout=layout) as home,
        linkd.aio.connect(home.endpoint) as client,
        linkd.aio.connect(home.endpoint) as hoarder,
    ):
        await client.publish("events", [{"n": 0}])
        hoard: list[pa.Table] = []
        for number in range(1, VALUES):
            ack = await client.publish("events", {"n": np.full(ROWS_OF_A_MIB, number)})
            hoard += [value.to_table() async for value in hoarder.read("events", first=ack.first.sequence)]
            assert home.home.store.shared.held_bytes <= DISK_BYTES // 8
        assert [table["n"][0].as_py() for table in hoard] == list(range(1, VALUES))
        assert not any(isinstance(event, DiskPaused) for event in home.events.heard)


async def test_who_asks_for_room_again_and_again_gets_what_it_had(home: InProcessHome) -> None:
    async with lane_of(home) as channel, linkd.aio.connect(home.endpoint) as client:
        await client.publish("events", [{"n": 0}])
        await until(lambda: "linkd lane files: show" in home.tasks_of_calls())
        writer = LaneWriter(channel, "events")
        files = {(await writer.reserve(numbers(1))).file for _ in range(100)}
        assert len(files) < 10
        assert home.home.disk.held_bytes < DISK_BYTES // 2
        await writer.put(numbers(1))
        assert [value.to_table()["n"][0].as_py() async for value in client.read("events")] == [0, 1]


async def test_a_reader_is_told_no_further_ahead_than_it_may_hold_back(tmp_path: Path) -> None:
    values = 6
    rows = LANE_AHEAD_BYTES // 4 // 8
    async with (
        running_home(tmp_path / "state", layout=OPEN, supervised=False) as home,
        linkd.aio.connect(home.endpoint) as client,
        lane_of(home) as channel,
    ):
        for number in range(values):
            await client.publish("events", {"n": np.full(rows, number)})
        stream = channel.open(READ, token="", traceparent="", request=pb.ReadRequest(link="events", format=value_pb2.ARROW))
        assert (await stream.read()).HasField("opened")
        connection = stream._connection
        assert connection is not None
        await until(lambda: len(connection._waiting) >= 4)
        await client.describe()  # whatever else was to be sent has been
        assert len(connection._waiting) == 4
        regions = [(await stream.read()).region for _ in range(values)]
        assert [region.batch(arrow_message({"n": [1]})[0])["n"][0].as_py() for region in regions] == list(range(values))


async def test_empty_messages_that_nobody_reads_are_bounded_too() -> None:
    class Pausable(asyncio.Transport):
        is_paused = False

        def pause_reading(self) -> None:
            self.is_paused = True

    requests = Requests(transport := Pausable(), ATTEND, BulkTurns(), b"client")
    for _ in range(LANE_QUEUED_MAX_BYTES // HEAD.size + 1):
        requests.put(b"")
    assert transport.is_paused


async def test_descriptors_that_a_client_sends_are_not_kept(home: InProcessHome) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not opened

    with socket.socket(socket.AF_UNIX) as stranger, (home.directory / "of-the-client").open("wb") as passed:
        stranger.connect(f"{home.socket}{SOCKET_SUFFIX}")
        before = descriptors()
        call = lane_pb2.LaneCall(method=FILES.path, session=os.urandom(16)).SerializeToString()
        socket.send_fds(stranger, [frame(FrameKind.CALL, call)], [passed.fileno()] * 60)
        stranger.setblocking(False)
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(stranger, 1_000)
        assert descriptors() <= before + 2
