"""Whatever a client says on the lane, in frames or in messages: its call is answered or refused, and the home goes on for everybody else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lane_writer import DEADLINE_S, LaneWriter, lane_of, numbers, say_released, small_home
from thoroughness import examples

import linkd.aio
from linkd.errors import Error
from linkd.testing.home import InProcessHome
from linkd.wire.lane import SOCKET_SUFFIX, FrameKind, frame
from linkd.wire.methods import FILES, METHODS
from linkd.wire.v1 import lane_pb2, value_pb2
from linkd.wire.v1 import links_pb2 as pb

T = TypeVar("T")
ROWS = 10_000
FEW = settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
"""Each is many messages, and a value published and read behind them."""


@dataclass
class Fuzzed:
    """A home in a thread of its own, for one module, and a client that must not notice anything."""

    loop: asyncio.AbstractEventLoop
    home: InProcessHome
    client: linkd.aio.Client
    published: int = 0
    defects: list[logging.LogRecord] = field(default_factory=list)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    async def is_well(self) -> bool:
        """Whether others publish and read, by place; nothing may have failed for a reason of linkd's own."""
        self.published += 1
        ack = await self.client.publish("others", numbers(self.published, ROWS))
        (value,) = [value async for value in self.client.read("others", first=ack.first.sequence)]
        assert not self.defects, self.defects[0].exc_text or self.defects[0].getMessage()
        return bool(value.to_table()["n"].to_pylist() == numbers(self.published, ROWS)["n"])


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    ready, over = threading.Event(), asyncio.Event()
    found: list[Fuzzed] = []

    class Defects(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found[0].defects.append(record)

    async def serve(directory: Path) -> None:
        async with small_home(directory / "state") as home, linkd.aio.connect(home.endpoint) as client:
            for link in ("events", "others"):
                await client.publish(link, [{"n": 0}])
            found.append(Fuzzed(asyncio.get_running_loop(), home, client))
            ready.set()
            await over.wait()

    log, handler = logging.getLogger("linkd"), Defects(level=logging.ERROR)
    log.addHandler(handler)
    serving = threading.Thread(target=lambda: asyncio.run(serve(tmp_path_factory.mktemp("fuzz"))), name="fuzzed home")
    serving.start()
    assert ready.wait(DEADLINE_S)
    try:
        yield found[0]
    finally:
        found[0].loop.call_soon_threadsafe(over.set)
        serving.join(DEADLINE_S)
        log.removeHandler(handler)


# -- frames -------------------------------------------------------------------------------------------------------------------------------

TOKENS = st.sampled_from(["", "nobody's", "\x00", "x" * 1_000])
CALLS = st.builds(
    lambda method, token, session, trace: lane_pb2.LaneCall(method=method, token=token, session=session, traceparent=trace),
    st.sampled_from([method.path for method in (*METHODS, FILES)] + ["", "/linkd.v1.Links/Nothing"]),
    TOKENS,
    st.sampled_from([b"", b"x" * 16, b"short"]),
    st.sampled_from(["", "00-", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]),
)
FRAMES = st.one_of(
    CALLS.map(lambda call: frame(FrameKind.CALL, call.SerializeToString())),
    st.builds(frame, st.sampled_from(list(FrameKind)), st.binary(max_size=60)),
    st.builds(frame, st.just(FrameKind.MESSAGE), st.sampled_from([b"", b"\x0a\x00", b"\xff" * 9])),
)


@st.composite
def byte_streams(draw: st.DrawFn) -> bytes:
    """Frames, of which some bytes may be others, or missing."""
    sent = bytearray(b"".join(draw(st.lists(FRAMES, max_size=12))))
    for at, byte in draw(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4)):
        if at < len(sent):
            sent[at] = byte
    return bytes(sent[: draw(st.integers(0, len(sent)))] if draw(st.booleans()) else sent)


@FEW
@given(st.lists(byte_streams(), min_size=1, max_size=4))
def test_whatever_bytes_come_over_connections_of_the_lane_others_go_on(fuzzed: Fuzzed, streams: list[bytes]) -> None:
    connections: list[socket.socket] = []
    with contextlib.ExitStack() as stack:
        for sent in streams:
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(DEADLINE_S)
            connection.connect(f"{fuzzed.home.socket}{SOCKET_SUFFIX}")
            connections.append(connection)
            with contextlib.suppress(ConnectionError):
                connection.sendall(sent)
        assert fuzzed.run(fuzzed.is_well())
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
    assert fuzzed.run(fuzzed.is_well())


# -- messages -----------------------------------------------------------------------------------------------------------------------------

NUMBERS = st.one_of(st.integers(0, 70_000), st.sampled_from([2**31, 2**32 - 8, 2**63 - 8, 2**63, 2**64 - 8, 2**64 - 1]))
LINKS = st.sampled_from(["events", "others", "nowhere", "", "../x", "e" * 300, "_commits", "events.dead"])
NUDGES = st.sampled_from([0, 0, 0, 1, 4, 8, 64, 4096, -8, -4096])


@dataclass(frozen=True)
class Said:
    """What a publisher says of a value that it has laid: true but for this."""

    link: str = "events"
    offset: int = 0
    length: int = 0
    file: int = 0
    schema: bool = True
    more: bool = False
    stage: bool = False
    format: int = value_pb2.ARROW
    payload_bytes: int = 0
    flips: tuple[tuple[int, int], ...] = ()
    cut: int = 0

    def of(self, placed: value_pb2.Placed, schema: bytes) -> pb.PublishRequest:
        metadata = bytearray(placed.metadata)
        for at, byte in self.flips:
            metadata[at % len(metadata)] = byte
        lies = value_pb2.Placed(
            file=(placed.file + self.file) % 2**64,
            offset=(placed.offset + self.offset) % 2**64,
            body_bytes=(placed.body_bytes + self.length) % 2**64,
            metadata=bytes(metadata[: len(metadata) - self.cut]),
        )
        value = pb.PublishValue(
            link=self.link,
            format=self.format,  # type: ignore[arg-type]  # any number may come
            schema=schema if self.schema else b"",
            more=self.more,
            placed=lies,
            payload_bytes=self.payload_bytes,
            stage=pb.Stage(snapshot_id=b"x" * 16, token=7) if self.stage else None,
        )
        return pb.PublishRequest(value=value)


FLIPS = st.lists(st.tuples(st.integers(0, 2_000), st.sampled_from([0, 1, 3, 8, 0x7F, 0x80, 0xFF])), max_size=3).map(tuple)
SAID = st.one_of(
    st.builds(Said, flips=FLIPS, cut=st.sampled_from([0, 0, 0, 8, 64])),
    st.builds(Said, offset=st.one_of(NUDGES, NUMBERS), length=st.one_of(NUDGES, NUMBERS), file=st.sampled_from([0, 0, 0, 1, 2**63])),
    st.builds(
        Said,
        link=LINKS,
        schema=st.booleans(),
        more=st.booleans(),
        stage=st.booleans(),
        format=st.sampled_from([0, 1, 2, 3, 99]),
        payload_bytes=st.sampled_from([0, 1, 100]),
    ),
)
RESERVES = st.builds(
    lambda link, schema, size, staged: pb.PublishRequest(
        reserve=pb.Reserve(link=link, schema=schema, size_bytes=size, stage=pb.Stage(snapshot_id=b"x") if staged else None)
    ),
    LINKS,
    st.sampled_from([b"", b"no schema", b"\xff" * 64]),
    NUMBERS,
    st.booleans(),
)
CHUNKS = st.binary(max_size=40).map(lambda data: pb.PublishRequest(chunk=data))
RELEASES = st.tuples(st.one_of(st.integers(0, 20), NUMBERS), st.one_of(st.integers(0, 3), NUMBERS))


@FEW
@given(st.lists(st.one_of(SAID, SAID, RESERVES, CHUNKS), min_size=1, max_size=5), st.lists(RELEASES, max_size=2))
def test_whatever_a_publisher_says_of_places_is_stored_or_refused(
    fuzzed: Fuzzed, messages: list[Said | pb.PublishRequest], releases: list[tuple[int, int]]
) -> None:
    async def play() -> None:
        before = (await fuzzed.client.describe("events")).links[0].current
        assert before is not None
        async with lane_of(fuzzed.home) as channel:
            for message in messages:
                writer = LaneWriter(channel, "events")
                with contextlib.suppress(Error):
                    await writer.reserve(numbers(1, ROWS), size_bytes=100_000)
                    if not isinstance(message, Said):
                        await writer.write(message)
                        await writer.finish()
                        continue
                    await writer.write(message.of(writer.lay(numbers(1, ROWS)), writer.schema))
                    await writer.finish()
            for file, count in releases:
                say_released(channel, file, count)
        assert await fuzzed.is_well()
        async for value in fuzzed.client.read("events", first=before.last_sequence + 1):
            with contextlib.suppress(Error):
                value.to_table()

    fuzzed.run(play())


def test_what_was_fuzzed_comes_up_again(fuzzed: Fuzzed) -> None:
    async def restarted() -> bool:
        await fuzzed.home.restart(crash=True)
        return await fuzzed.is_well()

    assert fuzzed.run(restarted())
