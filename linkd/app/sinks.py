"""A sink of the pipeline at work: written to as its link's values become durable, put in its place when the link is sealed, committed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pyarrow as pa

from linkd.app.adapter_events import AdapterEvents
from linkd.client.calls import Connection
from linkd.client.payloads import Arrived
from linkd.client.worker import Complete, commit, whole_snapshot
from linkd.core import schema as schemas
from linkd.core.rights import sink_task
from linkd.errors import SchemaMismatch
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES
from linkd.plugin.contract import LinkOptions, Sink, SinkResult
from linkd.wire.v1 import links_pb2 as pb


class _Widened(Exception):
    """A column of which only nulls had come has got its type: what was written so far has the older schema."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__("the link's schema was widened")
        self.schema = schema


@dataclass(slots=True)
class SinkWork:
    """Writes one sink, once. The file is replaced before the commit: a worker that dies between the two writes the same again."""

    connection: Connection
    options: LinkOptions
    sink: Sink
    events: AdapterEvents
    holds: bool = False

    @property
    def name(self) -> str:
        return sink_task(self.options.link)

    async def run(self) -> None:
        """Raises what the sink, or the home, has against it; then nothing of it is visible, and the next run starts it over."""
        schema: pa.Schema | None = None
        while True:
            try:
                made = await self._write(schema)
            except _Widened as widened:
                schema = widened.schema
                continue
            if made is not None:
                self.events.sink_done(self.options.link, made)
            return

    async def _write(self, schema: pa.Schema | None) -> SinkResult | None:
        """From the first value to the commit; None if that was done already."""
        writing = _Writing(self.sink, self.options.link, schema)
        async with whole_snapshot(self.connection, self.name) as coming:
            try:
                complete = await coming.receive(writing)
                if complete is None:
                    return None
                self.holds = True
                await writing.begin_empty(complete)
                made = await self.sink.finish()
            finally:
                await self.sink.abort()
            await commit(self.connection, self._request(complete, made), complete.traceparent)
            return made

    def _request(self, complete: Complete, made: SinkResult) -> pb.CommitRequest:
        return pb.CommitRequest(
            snapshot_id=complete.snapshot_id,
            token=complete.token,
            attributes={"path": made.path, "rows": str(made.rows), "digest": made.digest},
            final=True,
            task=self.name,
        )


class _Writing:
    """Gives a sink the values of its link, in one schema: that of the first value, or the wider one that is known already."""

    def __init__(self, sink: Sink, link: str, known: pa.Schema | None) -> None:
        self._sink = sink
        self._link = link
        self._known = known
        self._schema: pa.Schema | None = None

    async def start_over(self) -> None:
        await self._sink.abort()
        self._schema = None

    async def take(self, value: Arrived) -> None:
        if value.size_bytes > INLINE_PAYLOAD_MAX_BYTES:
            batch = await asyncio.to_thread(schemas.from_payload, value.schema, value.payload, validate=True)
        else:
            batch = schemas.from_payload(value.schema, value.payload, validate=True)
        schema = self._schema or await self._begin(self._known or batch.schema)
        if not batch.schema.equals(schema):
            wider = schemas.widen(schema, batch.schema)
            if wider is not None:
                raise _Widened(wider)
            batch = schemas.conform(batch, schema, link=self._link)
        await self._sink.write(batch)

    async def begin_empty(self, complete: Complete) -> None:
        """The snapshot is complete; if no value came, the columns are those that the home knows."""
        if self._schema is not None:
            return
        message = complete.schemas.get(self._link, b"")
        if not message:
            raise SchemaMismatch(f"{self._link} has no columns: nothing was published to it; give links.{self._link}.schema")
        await self._begin(pa.ipc.read_schema(pa.py_buffer(message)))

    async def _begin(self, schema: pa.Schema) -> pa.Schema:
        await self._sink.begin(schema)
        self._schema = schema
        return schema
