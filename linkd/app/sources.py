"""A source of the pipeline at work: surveyed, then read and published from where it stands, each batch together with its new position.

What the home keeps of a source is its `position`, opaque to all but the adapter, and a `digest`, by which everybody else tells whether the
source is the one that was read:

    read to its end, or on its way there    the BLAKE3 of the whole source, as surveyed
    followed                                the BLAKE3 of what was read of what it holds now, which is its beginning

So equal digests mean that it is unchanged, and that all of it was read or will be. Another digest means another source, unless the adapter
says that it *begins with* what was read (`Source.begins_with`): then it has grown, and reading goes on behind the position, which a finite
run takes from one that followed, and the other way round; so it does when a source was away for a time. A source that is neither is read
anew, into a new generation, by the next run.
Content that begins anew while it is followed (rotated, cut to nothing) is an append: the adapter goes on with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from linkd.app.adapter_events import AdapterEvents
from linkd.app.patience import Patience
from linkd.client.calls import Connection
from linkd.client.description import LinkDescription
from linkd.client.encoding import encode
from linkd.client.large_values import encoded
from linkd.client.payloads import Payload
from linkd.client.worker import SourceStep, ValueStream, described, publishing
from linkd.core.pipeline import REJECTS_SUFFIX
from linkd.core.rights import source_task
from linkd.errors import PlaceAway, SourceChanged
from linkd.limits import ROWS_PER_VALUE, SOURCE_WINDOW_PUBLISHES
from linkd.plugin.contract import LinkOptions, Source, SourceBatch, SourceStat, Survey
from linkd.plugin.registry import scheme_of
from linkd.plugin.rejects import REJECTS_SCHEMA


@dataclass(slots=True)
class SourceWork:
    """Publishes one source to its end, once. `told` is what the home says of the link before it begins, `ended` that it has read it.

    With `follows` a source that can grow is followed for ever, and another is watched until it is changed. `stopping` ends it behind its
    present batch; `places` bounds how many sources are read at a time.
    """

    connection: Connection
    options: LinkOptions
    source: Source
    told: LinkDescription
    events: AdapterEvents
    stopping: asyncio.Event
    places: asyncio.Semaphore
    ended: bool = False
    follows: bool = False
    holds: bool = False
    _patience: Patience = field(init=False)

    def __post_init__(self) -> None:
        self._patience = Patience(self.options.link, self.events, self.follows)

    @property
    def name(self) -> str:
        return source_task(self.options.link)

    async def run(self) -> None:
        """Raises what the source, or the home, has against it; what was acked by then stays, and the next run goes on behind it."""
        patience = self._patience
        try:
            while True:
                try:
                    return await self._run()
                except PlaceAway as away:
                    self.holds = False
                    await patience.wait(away)
                    [self.told] = (await described(self.connection, self.options.link)).links
        finally:
            await self.source.close()

    async def _run(self) -> None:
        if self.follows and self.source.can_follow:
            await self._follow()
            return
        stat, digest = _read_before(self.told)
        if not self.ended:
            survey = await self._read()
            stat, digest, self.ended = survey.stat, survey.digest, not self.stopping.is_set()
        if self.follows and not self.stopping.is_set():
            self.events.changed(self.options.link, await self.source.changed(stat, digest))

    async def _read(self) -> Survey:
        async with self.places:
            survey = await self.source.survey()
            self.events.surveyed(self.options.link, survey)
            position = await self._position(survey)
            async with publishing(self.connection, SOURCE_WINDOW_PUBLISHES) as stream:
                self.holds = True
                await self._publish(stream, survey, position)
                self.holds = False
        return survey

    async def _position(self, survey: Survey) -> bytes | None:
        """Where to go on. SourceChanged if the place that was reached is one of another file."""
        state = self.told.source_state
        if state is None or not state.position:
            return None
        if state.digest != survey.digest and not await self.source.begins_with(state.position):
            kind = "file" if scheme_of(self.options.location) is None else "content"
            raise SourceChanged(
                f"{self.options.shown} is not the {kind} that {state.rows_read:,} rows of {self.options.link} were read from: "
                "it changed while the run went on; run again to read it anew"
            )
        return state.position

    async def _publish(self, stream: ValueStream, survey: Survey, position: bytes | None) -> None:
        schema = self._schema_message(survey)
        async with flushed(stream), aclosing(self.source.read(survey, position)) as batches:
            async for batch in batches:
                self._patience.answered()
                await stream.send_step(await self._step(batch, survey, schema))
                if batch.final:
                    await stream.flush()
                    self.events.source_done(self.options.link, batch.rows_read, batch.rows_rejected)
                if self.stopping.is_set():
                    break
        await stream.flush()

    async def _follow(self) -> None:
        if not await self.source.exists():
            self.events.waiting(self.options.link, f"{self.options.shown} is not there yet, or has no rows: waiting for it")
            await self.source.appeared()
        async with self.places:
            survey = self._as_before(await self.source.survey())
        self.events.surveyed(self.options.link, survey)
        schema = self._schema_message(survey)
        position = self.told.source_state.position if self.told.source_state is not None else b""
        async with (
            publishing(self.connection, SOURCE_WINDOW_PUBLISHES) as stream,
            flushed(stream),
            aclosing(self.source.follow(survey, position or None, self.stopping)) as batches,
        ):
            self.holds = True
            async for batch in batches:
                self._patience.answered()
                for note in batch.notes:
                    self.events.noted(self.options.link, note)
                await stream.send_step(await self._step(batch, survey, schema))
                if batch.rows_read and batch.data.num_rows < ROWS_PER_VALUE:
                    await stream.flush()  # all that there is was read: who knows when the next comes
            await stream.flush()
            self.holds = False

    def _as_before(self, survey: Survey) -> Survey:
        """The survey with the schema that the link has, where rows were published: what is added must go with them."""
        state = self.told.source_state
        if self.told.declared or state is None or not state.rows_read or not self.told.schema:
            return survey
        kept = pa.ipc.read_schema(pa.py_buffer(self.told.schema)).remove_metadata()
        return replace(survey, schema=kept) if set(kept.names) == set(survey.schema.names) else survey

    def _schema_message(self, survey: Survey) -> bytes:
        return self.told.schema if self.told.declared else survey.schema.serialize().to_pybytes()

    async def _step(self, batch: SourceBatch, survey: Survey, schema: bytes) -> SourceStep:
        link = self.options.link
        rejects = link + REJECTS_SUFFIX
        rejects_schema = REJECTS_SCHEMA.serialize().to_pybytes()
        state = self.told.source_state
        # Of a source without rows an empty value tells the columns, once; one that has nothing more behind where it stands only says so.
        says_nothing = not batch.data.num_rows and state is not None and bool(state.position)

        async def encode_rows(rows: pa.RecordBatch | pa.Table) -> tuple[Payload, ...]:
            return () if says_nothing else encode(link, rows, schema=schema, declared=True, inputs=())

        payloads, attributes = await encoded(self.connection, batch.data, batch.attributes, encode_rows)
        return SourceStep(
            link=link,
            payloads=payloads,
            rejects=() if batch.rejects is None else encode(rejects, batch.rejects, schema=rejects_schema, declared=True, inputs=()),
            position=batch.position,
            digest=batch.digest or survey.digest,
            rows_read=batch.rows_read,
            rows_rejected=batch.rows_rejected,
            final=batch.final,
            attributes=attributes,
            state=source_state(self.options, survey),
        )


@asynccontextmanager
async def flushed(stream: ValueStream) -> AsyncIterator[None]:
    """Where the block ends because the source is away, what was read before is acked first: reading goes on behind it."""
    try:
        yield
    except PlaceAway:
        await stream.flush()
        raise


def source_state(options: LinkOptions, survey: Survey) -> Mapping[str, str]:
    """What tells the next run, without reading it, that the source is as it was: kept by the home with the position."""
    location = options.shown
    return {
        "path": location if scheme_of(location) is not None else str(Path(options.base, location)),
        "size_bytes": str(survey.stat.size_bytes),
        "mtime_ns": str(survey.stat.mtime_ns),
        "inode": str(survey.stat.inode),
    }


def _read_before(told: LinkDescription) -> tuple[SourceStat, str]:
    """What the home knows of a source that was read to its end."""
    state = told.source_state
    if state is None:
        return SourceStat(), ""
    numbers = [int(state.attributes.get(name, "0")) for name in ("size_bytes", "mtime_ns", "inode")]
    return SourceStat(*numbers), state.digest
