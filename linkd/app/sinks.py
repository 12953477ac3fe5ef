"""A sink that is replaced, at work: written to as its link's values become durable, put in its place when there are no more, committed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa

from linkd.app.adapter_events import AdapterEvents
from linkd.app.patience import Patience
from linkd.client.calls import Connection
from linkd.client.large_values import whole
from linkd.client.payloads import Arrived
from linkd.client.worker import Complete, WholeSnapshot, commit, whole_snapshot
from linkd.core.evolution import evolved
from linkd.core.rights import sink_task
from linkd.core.schema import in_schema
from linkd.errors import PlaceAway, SchemaMismatch, TaskFailed
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES, SINK_STEP_TIMEOUT_S
from linkd.plugin.contract import LinkOptions, Sink
from linkd.wire.v1 import links_pb2 as pb

T = TypeVar("T")


class _Widened(Exception):
    """The schema of the link has grown (`core.evolution`): what was written so far has the older one."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__("the link's schema has grown")
        self.schema = schema


@dataclass(slots=True)
class SinkWork:
    """Writes one sink, once; with `follows` again and again. `last` is the record of its last commit.

    The file is replaced before the commit: a worker that dies between the two writes the same again.
    """

    connection: Connection
    options: LinkOptions
    sink: Sink
    last: Mapping[str, str]
    events: AdapterEvents
    follows: bool = False
    holds: bool = False
    step_timeout_s: float = SINK_STEP_TIMEOUT_S

    @property
    def name(self) -> str:
        return sink_task(self.options.link)

    async def run(self) -> None:
        """Raises what the sink, or the home, has against it; then nothing of it is visible, and the next run starts it over."""
        patience = Patience(self.options.link, self.events, self.follows)
        schema: pa.Schema | None = None
        while True:
            try:
                await self.sink.check(self.last)
                async with whole_snapshot(self.connection, self.name) as coming:
                    await self._write_all(coming, schema, patience)
            except _Widened as widened:
                schema = widened.schema
            except PlaceAway as away:
                self.holds = False
                await patience.wait(away)
            else:
                return

    async def _write_all(self, coming: WholeSnapshot, schema: pa.Schema | None, patience: Patience) -> None:
        while await self._write(coming, schema):
            patience.answered()
            if not self.follows:
                return
            schema = None

    async def _write(self, coming: WholeSnapshot, schema: pa.Schema | None) -> bool:
        """From the first value to the commit; whether there was something to do."""
        writing = _Writing(self.connection, self.sink, self.options.link, schema, self.step_timeout_s)
        try:
            complete = await coming.receive(writing)
            if complete is None:
                return False
            self.holds = True
            await writing.begin_empty(complete)
            made = await in_time(self.sink.finish(self.last), self.options.link, self.step_timeout_s)
        finally:
            await self.sink.abort()
        await commit(self.connection, settled(self.name, complete, made.record, final=True), complete.traceparent)
        self.last = made.record
        await self.sink.committed()
        self.holds = False
        self.events.sink_done(self.options.link, made)
        return True


def settled(task: str, complete: Complete, record: Mapping[str, str], *, final: bool) -> pb.CommitRequest:
    """The commit of a snapshot that a sink has written; what it made is recorded with it."""
    return pb.CommitRequest(snapshot_id=complete.snapshot_id, token=complete.token, attributes=dict(record), final=final, task=task)


async def in_time(step: Awaitable[T], link: str, timeout_s: float) -> T:
    """What a step of the link's sink returns. Raises TaskFailed if it does not come back: nothing of it is committed."""
    timeout = asyncio.timeout(timeout_s)
    try:
        async with timeout:
            return await step
    except TimeoutError as error:
        if not timeout.expired():
            raise
        raise TaskFailed(
            f"{link}: its sink did not come back from writing for {timeout_s:g} s and was given up; nothing of it was committed: "
            f"see whether the place in `links.{link}.to` can be written, then run again"
        ) from error


async def decoded(connection: Connection, value: Arrived) -> pa.RecordBatch:
    """The rows of a value, whole and checked."""
    value = await whole(connection, value)
    if value.size_bytes > INLINE_PAYLOAD_MAX_BYTES:
        return await asyncio.to_thread(value.batch, validate=True)
    return value.batch(validate=True)


class _Writing:
    """Gives a sink the values of its link, in one schema: that of the first value, or the wider one that is known already."""

    def __init__(self, connection: Connection, sink: Sink, link: str, known: pa.Schema | None, step_timeout_s: float) -> None:
        self._connection = connection
        self._sink = sink
        self._link = link
        self._known = known
        self._step_timeout_s = step_timeout_s
        self._schema: pa.Schema | None = None

    async def start_over(self) -> None:
        await self._sink.abort()
        self._schema = None

    async def take(self, value: Arrived) -> None:
        batch = await decoded(self._connection, value)
        schema = self._schema or await self._begin(self._known or batch.schema)
        if not batch.schema.equals(schema):
            wider = evolved(schema, batch.schema)
            if not wider.equals(schema):
                raise _Widened(wider)
            batch = in_schema(batch, schema, link=self._link)
        await in_time(self._sink.write(batch), self._link, self._step_timeout_s)

    async def begin_empty(self, complete: Complete) -> None:
        """The snapshot is complete; if no value came, the columns are those that the home knows."""
        if self._schema is not None:
            return
        message = complete.schemas.get(self._link, b"")
        if not message:
            raise SchemaMismatch(f"{self._link} has no columns: nothing was published to it; give links.{self._link}.schema")
        await self._begin(pa.ipc.read_schema(pa.py_buffer(message)))

    async def _begin(self, schema: pa.Schema) -> pa.Schema:
        await in_time(self._sink.begin(schema), self._link, self._step_timeout_s)
        self._schema = schema
        return schema
