"""Flight from clients that mean no good, or leave in the middle: byte by byte, over bare gRPC."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pyarrow as pa
import pytest
import pytest_asyncio
from flight_clients import DEADLINE_S, get, put, until_idle, with_client
from pyarrow import flight

from linkd.errors import Overloaded
from linkd.faces.flight_methods import FLIGHT
from linkd.faces.flight_put import PutResults
from linkd.faces.flight_sending import SendingRoom
from linkd.home.published import PublishAck
from linkd.limits import FLIGHT_ACKS_KEPT, FLIGHT_PUTS_MAX, GRPC_MESSAGE_MAX_BYTES, MIB
from linkd.model.values import Position
from linkd.testing.home import InProcessHome, running_home
from linkd.wire import arrow_ipc, methods
from linkd.wire.flight import cut, flight_data
from linkd.wire.v1 import flight_pb2 as pb

DESCRIPTOR = pb.FlightDescriptor(type=pb.FlightDescriptor.PATH, path=["events"])


@pytest_asyncio.fixture
async def home(tmp_path: Path) -> AsyncIterator[InProcessHome]:
    """A home under `--open`; whatever a test does to it, it has let go of everything behind it."""
    async with running_home(tmp_path / "state", supervised=False) as home:
        yield home
        await until_idle(home)


@contextlib.asynccontextmanager
async def calling(home: InProcessHome, method: str, *requests: bytes) -> AsyncIterator[Any]:
    """The call, over a connection of its own, which takes no more than it is asked for; it has sent these. Of a method with one request, that."""
    options = (("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1), ("grpc.http2.bdp_probe", 0))
    async with grpc.aio.insecure_channel(home.endpoint, options=options) as channel:
        if method.startswith("DoPut"):
            call = channel.stream_stream(f"/{FLIGHT}/{method}")()
            with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):  # refused before all of it was sent
                for request in requests:
                    await call.write(request)
        else:
            call = channel.unary_stream(f"/{FLIGHT}/{method}")(requests[0])
        yield call


async def ending(home: InProcessHome, method: str, *requests: bytes) -> tuple[grpc.StatusCode, str]:
    """How a call ends that sends these and nothing more."""
    async with calling(home, method, *requests) as call:
        with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            if method == "DoPut":
                await call.done_writing()
            async for _ in call:
                pass
        return await call.code(), await call.details()


def arrow_stream(table: pa.Table) -> tuple[bytes, list[bytes]]:
    """The schema message, and those of the batches."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    schema, batches = arrow_ipc.read_stream(sink.getvalue())
    return schema, [bytes(batch.message) for batch in batches]


SCHEMA, (BATCH,) = arrow_stream(pa.table({"n": [1, 2, 3], "text": ["a", None, "ccc"]}))


def upload(*messages: bytes) -> list[bytes]:
    """An upload to `events`: the schema with its descriptor, and what follows it."""
    first = pb.FlightData(flight_descriptor=DESCRIPTOR, data_header=cut(flight_data((SCHEMA,))).header)
    return [first.SerializeToString(), *messages]


def replacement() -> list[bytes]:
    """An upload that is to replace `events`."""
    command = pb.FlightDescriptor(type=pb.FlightDescriptor.CMD, cmd=b'{"link": "events", "mode": "replace"}')
    return [pb.FlightData(flight_descriptor=command, data_header=cut(flight_data((SCHEMA,))).header).SerializeToString()]


def data(header: bytes, body: bytes | memoryview) -> bytes:
    return pb.FlightData(data_header=header, data_body=bytes(body)).SerializeToString()


WHOLE = cut(flight_data((BATCH,)))
OFFSETS = bytes.fromhex("00000000 01000000 01000000 04000000")
"""Of the texts; the last one is where the last text ends."""

HOSTILE: dict[str, Sequence[bytes]] = {
    "nothing": [],
    "no descriptor": [flight_data((SCHEMA,))],
    "no schema": [pb.FlightData(flight_descriptor=DESCRIPTOR).SerializeToString(), flight_data((BATCH,))],
    "a descriptor alone": [pb.FlightData(flight_descriptor=DESCRIPTOR).SerializeToString()],
    "a descriptor that is none": [b"\x0a\x02\xff\xff" + flight_data((SCHEMA,))],
    "bytes that are no message": upload(b"\xff\xff\xff"),
    "a field that ends behind the message": upload(b"\x12\xff\x01abc"),
    "a header of garbage": upload(data(b"garbage!" * 8, WHOLE.body)),
    "a header of zeros": upload(data(bytes(64), WHOLE.body)),
    "half of a header": upload(data(WHOLE.header[: len(WHOLE.header) // 2], WHOLE.body)),
    "a body that is shorter than said": upload(data(WHOLE.header, WHOLE.body[:-8])),
    "a body that is longer than said": upload(data(WHOLE.header, bytes(WHOLE.body) + bytes(8))),
    "no body": upload(data(WHOLE.header, b"")),
    "a second schema": upload(flight_data((SCHEMA,))),
    "offsets that lead outside": upload(data(WHOLE.header, bytes(WHOLE.body).replace(OFFSETS, OFFSETS[:-1] + b"\x7f"))),
}


@pytest.mark.parametrize("messages", HOSTILE.values(), ids=HOSTILE)
async def test_an_upload_that_is_not_in_order_is_refused_and_stores_nothing(home: InProcessHome, messages: Sequence[bytes]) -> None:
    status, details = await ending(home, "DoPut", *messages)
    assert status is grpc.StatusCode.INVALID_ARGUMENT, details
    assert details
    link = home.home.ledger.links.get("events")
    assert link is None or link.next_sequence == 1


@pytest.mark.parametrize("rows", [3, 40_000])
async def test_a_value_that_a_reader_would_stumble_over_is_named_and_not_sent(home: InProcessHome, rows: int) -> None:
    table = pa.table({"n": range(rows), "text": ["a"] * rows})
    _, (good,) = arrow_stream(table)
    whole, last = cut(flight_data((good,))), (rows - 1).to_bytes(4, "little") + rows.to_bytes(4, "little")
    bad = data(whole.header, bytes(whole.body).replace(last, last[:-1] + b"\x7f"))

    def work(client: flight.FlightClient) -> None:
        put(client, "events", table)
        assert get(client, "events") == table

    await with_client(home, work)
    assert await ending(home, "DoPut", *upload(bad, flight_data((good,)))) == (grpc.StatusCode.OK, "")

    def stumble(client: flight.FlightClient) -> None:
        with pytest.raises(pa.ArrowInvalid, match=r"events@2 cannot be read: .* Whoever published it sent damaged Arrow data"):
            get(client, "events")
        assert get(client, "events", since=3) == table

    await with_client(home, stumble)


async def test_whatever_byte_of_a_header_is_damaged_the_home_goes_on(home: InProcessHome) -> None:
    table = pa.table({"n": [1], "text": ["a"]})
    await with_client(home, lambda client: put(client, "events", table))
    for at in range(0, len(WHOLE.header), 3):
        damaged = bytearray(WHOLE.header)
        damaged[at] ^= 0xFF
        status, details = await ending(home, "DoPut", *upload(data(bytes(damaged), WHOLE.body)))
        assert status in (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT), details
    [acked] = await with_client(home, lambda client: put(client, "events", table))
    assert await with_client(home, lambda client: get(client, "events", since=acked["first"])) == table


async def test_tickets_and_actions_of_garbage_are_refused(home: InProcessHome) -> None:
    for ticket in (b"", b"\xff", b"{", b'{"link": "events", "generation": -1}', b"x" * 10_000):
        status, details = await ending(home, "DoGet", pb.FlightTicket(ticket=ticket).SerializeToString())
        assert (status, "link's name" in details) == (grpc.StatusCode.INVALID_ARGUMENT, True), details
    for kind in ("linkd.seal", "linkd.describe", "CancelFlightInfo"):
        status, details = await ending(home, "DoAction", pb.FlightAction(type=kind, body=b"\xff\xfe").SerializeToString())
        assert status in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND), details


async def test_a_replacement_of_a_client_that_leaves_is_nothing(home: InProcessHome) -> None:
    table = pa.table({"n": [1]})
    await with_client(home, lambda client: put(client, "events", table))
    for _ in range(10):  # whether it is gone or done is told by two events, in any order
        async with calling(home, "DoPut", *replacement(), *[flight_data((BATCH,))] * 3) as call:
            async with asyncio.timeout(DEADLINE_S):
                while not home.home.store._staging.in_memory_bytes:
                    await asyncio.sleep(0.005)
            call.cancel()
        await until_idle(home)
    assert await with_client(home, lambda client: get(client, "events")) == table


async def test_what_a_client_appended_before_it_leaves_stays(home: InProcessHome) -> None:
    async with calling(home, "DoPut", *upload(flight_data((BATCH,)), flight_data((BATCH,)))) as call:
        for _ in range(2):
            await call.read()
        call.cancel()
    await until_idle(home)
    assert (await with_client(home, lambda client: get(client, "events"))).num_rows == 6


async def test_an_upload_on_which_nothing_comes_does_not_hold_up_a_home_that_drains(home: InProcessHome) -> None:
    async with (
        calling(home, "DoPut", *upload(flight_data((BATCH,)))) as appending,
        calling(home, "DoPut", *replacement()) as replacing,
        calling(home, "DoPut") as beginning,
    ):
        assert b'"acked":1' in await appending.read()
        async with asyncio.timeout(DEADLINE_S):
            while home.face.grpc.flight._puts < 3:
                await asyncio.sleep(0.005)
            home.home.stop_sessions()
            for call in (appending, replacing, beginning):
                assert (await call.code(), await call.details()) == (grpc.StatusCode.UNAVAILABLE, "linkd is shutting down; connect again")


async def test_reading_ends_at_once_when_its_client_leaves(home: InProcessHome) -> None:
    large = pa.table({"n": pa.array(range(400_000), pa.int64())})
    await with_client(home, lambda client: [put(client, "events", large) for _ in range(3)])
    async with calling(home, "DoGet", pb.FlightTicket(ticket=b"events").SerializeToString()) as call:
        assert cut(await call.read()).parts()[0] == large.schema.serialize().to_pybytes()
        async with asyncio.timeout(DEADLINE_S):
            while not home.face.grpc.flight.sender.room.used_bytes:
                await asyncio.sleep(0.005)
        call.cancel()
        await until_idle(home)
    assert home.face.grpc.flight.sender.room.used_bytes == 0


async def test_a_client_that_reads_no_acks_is_not_held_up(home: InProcessHome) -> None:
    async with calling(home, "DoPut", *upload(*[flight_data((BATCH,))] * 600)) as call:
        await call.done_writing()
        async with asyncio.timeout(DEADLINE_S):
            while "events" not in home.home.ledger.links or home.home.ledger.links["events"].durable_sequence < 600:
                await asyncio.sleep(0.005)
        assert home.home.ledger.links["events"].durable_sequence == 600


async def test_of_more_acks_than_are_kept_the_newest_stands_for_those_before_it() -> None:
    written: list[bytes] = []
    results = PutResults("events", append_to(written))
    for sequence in range(1, FLIGHT_ACKS_KEPT + 11):
        results.tell(PublishAck(1, 3, "events", Position(1, sequence), Position(1, sequence), generation=1))
    results.complete()
    await results.send()
    told = [json.loads(pb.FlightPutResult.FromString(answer).app_metadata) for answer in written]
    assert [answer["acked"] for answer in told] == [*range(1, FLIGHT_ACKS_KEPT), FLIGHT_ACKS_KEPT + 10]
    assert told[-1]["last"] == FLIGHT_ACKS_KEPT + 10


async def test_more_uploads_than_there_may_be_are_told_to_come_again(home: InProcessHome) -> None:
    home.face.grpc.flight._puts = FLIGHT_PUTS_MAX
    status, details = await ending(home, "DoPut", *upload())
    assert (status, "try again" in details) == (grpc.StatusCode.RESOURCE_EXHAUSTED, True)
    home.face.grpc.flight._puts = 0
    assert (await ending(home, "DoPut", *upload()))[0] is grpc.StatusCode.OK


async def test_what_flight_may_send_is_too_large_for_the_rest(home: InProcessHome) -> None:
    async with grpc.aio.insecure_channel(home.endpoint) as channel:
        call = channel.stream_stream(methods.PUBLISH.path)()
        await call.write(bytes(GRPC_MESSAGE_MAX_BYTES + 1))
        with pytest.raises(grpc.aio.AioRpcError, match="at most 4,194,304 are taken"):
            await call.read()


async def test_a_reader_that_takes_nothing_loses_its_room_to_those_who_wait_for_it() -> None:
    room = SendingRoom(16 * MIB, take_timeout_s=0.02)
    holds = asyncio.Event()
    never = asyncio.Event()

    async def slow() -> None:
        async with room.holding(3 * MIB):
            holds.set()
            await never.wait()

    async with room.holding(1000):
        assert room.used_bytes == 0, "what is small needs none"
    async with asyncio.TaskGroup() as group:
        task = group.create_task(_refused(slow()), name="the slow one")
        await holds.wait()
        async with asyncio.timeout(DEADLINE_S), room.holding(2 * MIB):
            assert "did not take a batch of 3,145,728 bytes" in await task
            assert room.used_bytes == 2 * MIB
    assert room.used_bytes == 0


def append_to(written: list[bytes]) -> Callable[[bytes], Awaitable[None]]:
    async def write(answer: bytes) -> None:
        written.append(answer)

    return write


async def test_who_takes_nothing_is_cut_off_for_another_reader(home: InProcessHome) -> None:
    large = pa.table({"n": pa.array(range(2_500_000), pa.int64())})
    await with_client(home, lambda client: put(client, "events", large))
    home.face.grpc.flight.sender.room = SendingRoom(16 * MIB, take_timeout_s=0.2)
    async with calling(home, "DoGet", pb.FlightTicket(ticket=b"events").SerializeToString()) as slow:
        await slow.read()
        async with asyncio.timeout(DEADLINE_S):
            while not home.face.grpc.flight.sender.room.used_bytes:
                await asyncio.sleep(0.005)
        assert await with_client(home, lambda client: get(client, "events")) == large
        with pytest.raises(grpc.aio.AioRpcError, match=r"did not take a batch of 20,000,144 bytes within 0\.2 s"):
            while await slow.read() is not grpc.aio.EOF:
                pass


async def _refused(work: Any) -> str:
    with pytest.raises(Overloaded) as refused:
        await work
    return str(refused.value)
