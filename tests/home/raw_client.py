"""A client of a few lines over bare gRPC, so that these tests see every message. Errors come back as those of linkd's tree."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pyarrow as pa

from linkd.errors import ConnectionFailed
from linkd.wire import arrow_ipc, methods
from linkd.wire.methods import Kind, Method
from linkd.wire.status import to_error
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import runs_pb2, value_pb2

FRAME_BYTES = 1 << 20


def arrow_message(columns: dict[str, Any]) -> tuple[bytes, bytes]:
    """(schema message, record batch message) of one batch."""
    batch = pa.RecordBatch.from_pydict(columns)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    schema, (message,) = arrow_ipc.read_stream(sink.getvalue())
    return bytes(schema), bytes(message.message)


def arrow_table(schema: bytes, payload: bytes) -> pa.Table:
    """The table of a schema message and a record batch message."""
    return pa.ipc.open_stream(pa.py_buffer(b"".join((schema, payload, arrow_ipc.EOS)))).read_all()


class Stream:
    """One call, read and written by hand. `read` gives None at the end and raises linkd's errors."""

    def __init__(self, call: Any) -> None:
        self.call = call

    async def write(self, message: Any) -> None:
        try:
            await self.call.write(message)
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from None
        except asyncio.InvalidStateError:
            raise ConnectionFailed("the stream is over: read says why") from None

    async def read(self) -> Any:
        try:
            message = await self.call.read()
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from None
        return None if message is grpc.aio.EOF else message

    async def until_error(self) -> None:
        """Reads to the end, for the error that is there."""
        while await self.read() is not None:
            pass

    async def done_writing(self) -> None:
        await self.call.done_writing()

    def cancel(self) -> None:
        self.call.cancel()


@dataclass(frozen=True, slots=True)
class Got:
    """A whole value: its header and all its bytes."""

    header: Any
    payload: bytes

    @property
    def envelope(self) -> Any:
        return self.header.envelope

    @property
    def sequence(self) -> int:
        return int(self.header.envelope.position.sequence)

    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.payload.splitlines()]


@dataclass(slots=True)
class RawClient:
    """Calls over one channel, under one token."""

    channel: grpc.aio.Channel
    token: str = ""

    async def call(self, method: Method, request: Any) -> Any:
        try:
            return await self._multicallable(method)(request, metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from None

    def stream(self, method: Method, request: Any = None) -> Stream:
        arguments = () if request is None else (request,)
        return Stream(self._multicallable(method)(*arguments, metadata=self._metadata))

    # -- what tests do again and again ----------------------------------------------------------------------------------------------------

    async def publish(self, link: str, *rows: dict[str, Any], stage: Any = None) -> Any:
        """One value of these rows; its ack."""
        stream = self.stream(methods.PUBLISH)
        await stream.write(rows_value(link, *rows, stage=stage))
        await stream.done_writing()
        answer = await stream.read()
        assert await stream.read() is None
        return answer

    async def read(self, link: str, **arguments: Any) -> list[Got]:
        """All values of a read, as rows unless told otherwise."""
        request = pb.ReadRequest(**{"link": link, "format": value_pb2.ROWS, **arguments})
        stream = self.stream(methods.READ, request)
        opened = await stream.read()
        assert opened.WhichOneof("message") == "opened"
        got = []
        while (message := await stream.read()) is not None:
            got.append(await whole_value(stream, message))
        return got

    async def numbers(self, link: str, **arguments: Any) -> list[int]:
        """The column `n` of all that a read gives."""
        return [row["n"] for value in await self.read(link, **arguments) for row in value.rows()]

    async def describe(self, link: str = "") -> Any:
        return await self.call(methods.DESCRIBE, pb.DescribeRequest(link=link))

    async def begin(self, run_id: str = "r1", *, fresh: bool = True, again: Sequence[str] = ()) -> Any:
        return await self.call(methods.RUN_BEGIN, runs_pb2.BeginRequest(run_id=run_id, fresh=fresh, again=again))

    async def task_exited(self, task: str, code: int = 0) -> Any:
        return await self.call(methods.RUN_TASK_EXITED, runs_pb2.TaskExitedRequest(task=task, exit_code=code))

    async def commit(self, ready: Any, staged: Sequence[Any] = (), **arguments: Any) -> Any:
        request = pb.CommitRequest(snapshot_id=ready.snapshot_id, token=ready.token, staged=staged, **arguments)
        return await self.call(methods.COMMIT, request)

    async def snapshots(self, **arguments: Any) -> Stream:
        """A stream of snapshots, opened; its first message is read."""
        stream = self.stream(methods.SNAPSHOTS)
        await stream.write(pb.SnapshotsRequest(open=pb.SnapshotsOpen(**{"format": value_pb2.ROWS, **arguments})))
        assert (await stream.read()).WhichOneof("message") == "opened"
        return stream

    async def subscribe(self, link: str, group: str = "g", **arguments: Any) -> Stream:
        """A subscription, opened; its first message is read."""
        stream = self.stream(methods.SUBSCRIBE)
        await stream.write(
            pb.SubscribeRequest(open=pb.SubscribeOpen(**{"link": link, "group": group, "format": value_pb2.ROWS, **arguments}))
        )
        assert (await stream.read()).WhichOneof("message") == "opened"
        return stream

    @property
    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()

    def _multicallable(self, method: Method) -> Any:
        make: Any = {
            Kind.UNARY_UNARY: self.channel.unary_unary,
            Kind.UNARY_STREAM: self.channel.unary_stream,
            Kind.STREAM_STREAM: self.channel.stream_stream,
        }[method.kind]
        return make(
            method.path, request_serializer=lambda message: message.SerializeToString(), response_deserializer=method.decode_response
        )


@asynccontextmanager
async def client_of(endpoint: str, token: str = "") -> AsyncIterator[RawClient]:
    async with grpc.aio.insecure_channel(endpoint, options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        yield RawClient(channel, token)


def rows_value(link: str, *rows: dict[str, Any], stage: Any = None, **arguments: Any) -> Any:
    """A publish of JSON rows in one message. `stage` is a snapshot's `ready`."""
    data = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    told = pb.Stage(snapshot_id=stage.snapshot_id, token=stage.token) if stage is not None else None
    value = pb.PublishValue(link=link, format=value_pb2.ROWS, payload_bytes=len(data), data=data, stage=told, **arguments)
    return pb.PublishRequest(value=value)


async def whole_value(stream: Stream, message: Any) -> Got:
    """The value whose first message this is, with the chunks behind it."""
    header = message.value
    parts = [header.data]
    while sum(map(len, parts)) < header.payload_bytes:
        parts.append((await stream.read()).chunk)
    return Got(header, b"".join(parts))


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot as it came: its `ready`, and the values before that."""

    ready: Any
    values: list[Got]

    def numbers(self) -> list[int]:
        return [row["n"] for value in self.values for row in value.rows()]


async def next_snapshot(stream: Stream) -> Taken | None:
    """The next snapshot that is ready; None at the end of the stream. Answers to releases, and what is told of leases that end, are skipped."""
    values: list[Got] = []
    while True:
        message = await stream.read()
        kind = message.WhichOneof("message")
        if kind in ("released", "recall"):
            continue
        if kind == "end":
            return None
        if kind == "ready":
            return Taken(message.ready, values)
        if kind == "value":
            values.append(await whole_value(stream, message))
        else:
            assert kind == "begin", kind
            values = []


async def next_value(stream: Stream) -> Got | None:
    """The next value of a subscription, confirmations skipped; None at the end of the link."""
    while True:
        message = await stream.read()
        kind = message.WhichOneof("message")
        if kind == "end":
            return None
        if kind == "value":
            return await whole_value(stream, message)
        assert kind == "ack_done", kind


async def ack(stream: Stream, value: Got) -> None:
    """Acks and waits until that is confirmed; nothing else may be on its way."""
    await send_ack(stream, value)
    message = await stream.read()
    assert message.WhichOneof("message") == "ack_done", message


async def send_ack(stream: Stream, value: Got) -> None:
    await stream.write(pb.SubscribeRequest(ack=pb.Ack(position=value.envelope.position, token=value.header.token)))


async def nack(stream: Stream, value: Got, delay_ms: int = 0) -> None:
    await stream.write(pb.SubscribeRequest(nack=pb.Nack(position=value.envelope.position, token=value.header.token, delay_ms=delay_ms)))


async def until(true: Callable[[], bool]) -> None:
    """Lets the loop run until it is so; pytest's timeout is the bound."""
    while not true():
        await asyncio.sleep(0)


def _translated(error: grpc.aio.AioRpcError) -> Exception:
    return to_error(error.code().name, error.details() or "", tuple(error.trailing_metadata() or ()))
