"""The lane: the same calls as over gRPC, by another road; and what strangers may send on it."""

from __future__ import annotations

import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

import linkd.aio as linkd
from linkd.client.lane import LaneChannel
from linkd.core.layout import OPEN
from linkd.errors import ConnectionFailed, InvalidArgument, LinkNotFound, NotAllowed, SessionFenced
from linkd.limits import GRPC_MESSAGE_MAX_BYTES, MIB
from linkd.testing.home import InProcessHome, running_home
from linkd.wire.lane import FrameKind, FrameReader, frame, head
from linkd.wire.methods import ATTEND, DESCRIBE, PUBLISH, READ, SEAL
from linkd.wire.v1 import lane_pb2, value_pb2
from linkd.wire.v1 import links_pb2 as pb

DEADLINE_S = 10.0


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[InProcessHome]:
    async with running_home(tmp_path / "state", layout=OPEN) as running:
        yield running


@pytest.fixture
async def channel(home: InProcessHome) -> AsyncIterator[LaneChannel]:
    opened = LaneChannel(lane_path(home))
    await opened.reach(DEADLINE_S)
    yield opened
    await opened.close()


def lane_path(home: InProcessHome) -> str:
    return f"{home.socket}.lane"


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What comes until the home closes the connection."""
    async with asyncio.timeout(DEADLINE_S):
        return await reader.read()


async def test_the_socket_is_for_this_user_only(home: InProcessHome) -> None:
    assert stat.S_IMODE(Path(lane_path(home)).stat().st_mode) == 0o600


@pytest.mark.parametrize(("wanted", "taken"), [("", "lane"), ("lane", "lane"), ("grpc", "grpc")])
async def test_a_client_takes_the_lane_unless_told_otherwise_and_says_so(
    home: InProcessHome, monkeypatch: pytest.MonkeyPatch, wanted: str, taken: str
) -> None:
    monkeypatch.setenv("LINKD_TRANSPORT", wanted)
    async with linkd.connect(home.endpoint) as client:
        ack = await client.publish("events", [{"n": 1}])
        assert (await client.describe()).transport == taken
        assert ack.name == "events@1"
        assert [row async for value in client.read("events") for row in value.rows()] == [{"n": 1}]


async def test_without_a_lane_the_client_takes_grpc_unless_the_lane_is_forced(home: InProcessHome, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(lane_path(home)).unlink()
    async with linkd.connect(home.endpoint) as client:
        assert (await client.describe()).transport == "grpc"
    monkeypatch.setenv("LINKD_TRANSPORT", "lane")
    with pytest.raises(ConnectionFailed, match="has no lane, and LINKD_TRANSPORT=lane asks for it"):
        await linkd.connect(home.endpoint, timeout_s=0.2)


async def test_a_lane_on_which_nobody_answers_is_passed_by(home: InProcessHome, monkeypatch: pytest.MonkeyPatch) -> None:
    async with linkd.connect(home.endpoint) as client:
        await client.publish("events", [{"n": 1}])
        await home.face.lane.drain(0.0)
        with socket.socket(socket.AF_UNIX) as left_behind:
            left_behind.bind(lane_path(home))
        await client.publish("events", [{"n": 2}])
        assert (await client.describe()).transport == "grpc", "it went over under way"
        assert await client.read("events").rows() == [{"n": 1}, {"n": 2}]
    async with linkd.connect(home.endpoint) as client:
        assert (await client.describe()).transport == "grpc"
    await home.restart()
    async with linkd.connect(home.endpoint) as client:
        assert (await client.describe()).transport == "lane"
    monkeypatch.setenv("LINKD_TRANSPORT", "lane")
    await home.face.lane.drain(0.0)
    with pytest.raises(ConnectionFailed):
        await linkd.connect(home.endpoint, timeout_s=0.2)


async def test_a_transport_that_is_none_is_refused(home: InProcessHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LINKD_TRANSPORT", "pigeon")
    with pytest.raises(InvalidArgument, match="LINKD_TRANSPORT is 'pigeon': it can be lane or grpc"):
        await linkd.connect(home.endpoint)


async def test_errors_are_those_of_grpc(channel: LaneChannel) -> None:
    with pytest.raises(LinkNotFound, match="nowhere"):
        await channel.call(DESCRIBE, pb.DescribeRequest(link="nowhere"), timeout_s=DEADLINE_S, token="", traceparent="")
    with pytest.raises((SessionFenced, NotAllowed)):
        await channel.call(DESCRIBE, pb.DescribeRequest(), timeout_s=DEADLINE_S, token="nobody's", traceparent="")


async def test_a_connection_serves_one_call_after_the_other(channel: LaneChannel) -> None:
    for _ in range(3):
        assert await channel.call(DESCRIBE, pb.DescribeRequest(), timeout_s=DEADLINE_S, token="", traceparent="")
        with pytest.raises(LinkNotFound):
            await channel.call(SEAL, pb.SealRequest(link="nowhere"), timeout_s=DEADLINE_S, token="", traceparent="")
        assert len(channel._open) == 1


async def test_beyond_as_many_connections_as_there_may_be_a_further_one_is_ended_and_the_others_are_served(home: InProcessHome) -> None:
    home.face.lane.connections_max = 2
    call = lane_pb2.LaneCall(method=DESCRIBE.path).SerializeToString()
    describe = frame(FrameKind.CALL, call) + frame(FrameKind.MESSAGE, b"") + frame(FrameKind.DONE, b"")
    served = [await asyncio.open_unix_connection(lane_path(home)) for _ in range(2)]
    for _ in range(2):
        for reader, writer in served:
            writer.write(describe)
            assert FrameKind.MESSAGE in [kind for kind, _ in FrameReader().feed(await reader.read(MIB))]
        async with linkd.connect(home.endpoint) as client:
            assert (await client.describe()).transport == "grpc"
    for _, writer in served:
        writer.close()
        await writer.wait_closed()
    async with linkd.connect(home.endpoint) as client:
        assert (await client.describe()).transport == "lane"


async def test_leaving_a_stream_ends_its_call_at_the_home(home: InProcessHome, channel: LaneChannel) -> None:
    stream = channel.open(ATTEND, token="", traceparent="", request=pb.AttendRequest())
    assert (await stream.read()).state == pb.SERVING
    assert "linkd lane Attend" in home.tasks_of_calls()
    stream.cancel()
    async with asyncio.timeout(DEADLINE_S):
        while "linkd lane Attend" in home.tasks_of_calls():
            await asyncio.sleep(0)


async def test_a_refused_stream_says_why_to_both_who_write_and_who_read(channel: LaneChannel) -> None:
    stream = channel.open(PUBLISH, token="", traceparent="")
    await stream.write(pb.PublishRequest(chunk=b"of nothing"))
    with pytest.raises(InvalidArgument, match="belongs to no value"):
        await stream.read()
    with pytest.raises(InvalidArgument, match="belongs to no value"):
        await stream.write(pb.PublishRequest(chunk=b"more"))


def opaque(content: bytes) -> pb.PublishRequest:
    return pb.PublishRequest(value=pb.PublishValue(link="events", format=value_pb2.BYTES, payload_bytes=len(content), data=content))


async def links(channel: LaneChannel) -> list[str]:
    described = await channel.call(DESCRIBE, pb.DescribeRequest(), timeout_s=DEADLINE_S, token="", traceparent="")
    return [link.name for link in described.links]


async def test_a_small_message_with_more_to_come_goes_out_with_the_next_one(channel: LaneChannel) -> None:
    stream = channel.open(PUBLISH, token="", traceparent="")
    await stream.write(opaque(b"first"), more=True)
    await stream.write(opaque(b"second"))
    assert [(await stream.read()).acked for _ in range(2)] == [1, 2]
    stream.cancel()


async def test_a_small_message_with_more_to_come_waits_for_none_that_does_not_come(channel: LaneChannel) -> None:
    stream = channel.open(PUBLISH, token="", traceparent="")
    await stream.write(opaque(b"first"))
    assert (await stream.read()).acked == 1
    reading = asyncio.create_task(stream.read(), name="reader")
    await asyncio.sleep(0)  # it waits before anything is written
    await stream.write(opaque(b"second"), more=True)
    async with asyncio.timeout(DEADLINE_S):
        assert (await reading).acked == 2
    stream.cancel()


async def test_a_large_message_waits_for_no_other_and_goes_behind_those_that_do(channel: LaneChannel) -> None:
    stream = channel.open(PUBLISH, token="", traceparent="")
    for content in (b"first", bytes(40_000), b"third"):
        await stream.write(opaque(content), more=True)
    await stream.done_writing()
    assert [(await stream.read()).first.sequence for _ in range(3)] == [1, 2, 3]
    assert await stream.read() is None


async def test_a_home_that_drains_finishes_the_calls_in_hand(home: InProcessHome, channel: LaneChannel) -> None:
    stream = channel.open(ATTEND, token="", traceparent="", request=pb.AttendRequest())
    assert (await stream.read()).state == pb.SERVING
    stopping = asyncio.create_task(home.stop())
    assert (await stream.read()).state == pb.DRAINING
    assert await stream.read() is None
    await stopping
    assert not Path(lane_path(home)).exists()
    with pytest.raises(ConnectionFailed, match="no linkd answers"):
        await LaneChannel(lane_path(home)).reach(DEADLINE_S)
    await home.start()


@pytest.mark.parametrize("turns", range(5))
async def test_a_home_that_stops_waits_for_no_connection_that_comes_in_the_turn_in_which_it_closes(home: InProcessHome, turns: int) -> None:
    with socket.socket(socket.AF_UNIX) as coming:
        coming.connect(lane_path(home))
        for _ in range(turns):
            await asyncio.sleep(0)
        async with asyncio.timeout(DEADLINE_S):
            await home.face.lane.drain(0.0)
        coming.setblocking(False)
        async with asyncio.timeout(DEADLINE_S):
            with suppress(ConnectionResetError):
                assert await asyncio.get_running_loop().sock_recv(coming, 1) == b""


CALL = lane_pb2.LaneCall(method=READ.path).SerializeToString()
STRANGE = {
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "a frame that is too large": head(FrameKind.CALL, GRPC_MESSAGE_MAX_BYTES + 1),
    "no message": frame(FrameKind.CALL, b"\xff\xff\xff"),
    "no such method": frame(FrameKind.CALL, lane_pb2.LaneCall(method="/linkd.v1.Links/Erase").SerializeToString()),
    "a call in a call": frame(FrameKind.CALL, CALL) + frame(FrameKind.CALL, CALL),
    "a status": frame(FrameKind.STATUS),
}


@pytest.mark.parametrize("sent", STRANGE.values(), ids=STRANGE.keys())
async def test_what_is_no_call_ends_its_connection_and_nothing_else(home: InProcessHome, channel: LaneChannel, sent: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(lane_path(home))
    writer.write(sent)
    assert await ended(reader) == b""
    writer.close()
    assert await channel.call(DESCRIBE, pb.DescribeRequest(), timeout_s=DEADLINE_S, token="", traceparent="")


async def test_a_request_that_cannot_be_read_is_refused_with_the_name_of_its_method(home: InProcessHome) -> None:
    reader, writer = await asyncio.open_unix_connection(lane_path(home))
    writer.write(frame(FrameKind.CALL, CALL) + frame(FrameKind.MESSAGE, b"\xff\xff\xff"))
    frames: list[tuple[FrameKind, bytes]] = []
    parts = FrameReader()
    async with asyncio.timeout(DEADLINE_S):
        while not frames:
            frames += parts.feed(await reader.read(1000))
    [(kind, content)] = frames
    said = lane_pb2.LaneStatus.FromString(content)
    assert (kind, said.code) == (FrameKind.STATUS, "invalid_argument")
    assert "/linkd.v1.Links/Read" in said.details
    writer.close()


async def test_messages_behind_the_end_of_a_call_are_passed_over(home: InProcessHome) -> None:
    reader, writer = await asyncio.open_unix_connection(lane_path(home))
    describe = lane_pb2.LaneCall(method=DESCRIBE.path).SerializeToString()
    request = pb.DescribeRequest().SerializeToString()
    call = frame(FrameKind.CALL, describe) + frame(FrameKind.MESSAGE, request)
    parts, statuses = FrameReader(), 0
    async with asyncio.timeout(DEADLINE_S):
        for _ in range(2):
            writer.write(call)
            while not statuses % 2:
                statuses += sum(kind is FrameKind.STATUS for kind, _ in parts.feed(await reader.read(100_000)))
            writer.write(frame(FrameKind.MESSAGE, request) + frame(FrameKind.DONE))
            statuses += 1
    assert statuses == 4
    writer.close()
