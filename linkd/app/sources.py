"""A source of the pipeline at work: surveyed, then read and published from where it stands, each batch together with its new position."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from linkd.app.adapter_events import AdapterEvents
from linkd.client.calls import Connection
from linkd.client.description import LinkDescription
from linkd.client.encoding import encode
from linkd.client.worker import SourceStep, ValueStream, publishing
from linkd.core.pipeline import REJECTS_SUFFIX
from linkd.core.rights import source_task
from linkd.errors import SourceChanged
from linkd.limits import SOURCE_WINDOW_PUBLISHES
from linkd.plugin.contract import LinkOptions, Source, SourceBatch, Survey
from linkd.plugin.registry import scheme_of
from linkd.plugin.rejects import REJECTS_SCHEMA


@dataclass(slots=True)
class SourceWork:
    """Publishes one source to its end, once. `told` is what the home says of the link before it begins.

    `stopping` ends it behind its present batch; `places` bounds how many sources are read at a time.
    """

    connection: Connection
    options: LinkOptions
    source: Source
    told: LinkDescription
    events: AdapterEvents
    stopping: asyncio.Event
    places: asyncio.Semaphore
    holds: bool = False

    @property
    def name(self) -> str:
        return source_task(self.options.link)

    async def run(self) -> None:
        """Raises what the source, or the home, has against it; what was acked by then stays, and the next run goes on behind it."""
        async with self.places:
            survey = await self.source.survey()
            self.events.surveyed(self.options.link, survey)
            position = self._position(survey)
            async with publishing(self.connection, SOURCE_WINDOW_PUBLISHES) as stream:
                self.holds = True
                await self._publish(stream, survey, position)

    def _position(self, survey: Survey) -> bytes | None:
        """Where to go on. SourceChanged if the place that was reached is one of another file."""
        state = self.told.source_state
        if state is None or not state.position:
            return None
        if state.digest != survey.digest:
            raise SourceChanged(
                f"{self.options.location} is not the file that {state.rows_read:,} rows of {self.options.link} were read from: "
                "it changed while the run went on; run again to read it anew"
            )
        return state.position

    async def _publish(self, stream: ValueStream, survey: Survey, position: bytes | None) -> None:
        schema = self.told.schema if self.told.declared else survey.schema.serialize().to_pybytes()
        async with aclosing(self.source.read(survey, position)) as batches:
            async for batch in batches:
                await stream.send_step(self._step(batch, survey, schema))
                if batch.final:
                    await stream.flush()
                    self.events.source_done(self.options.link, batch.rows_read, batch.rows_rejected)
                if self.stopping.is_set():
                    break
        await stream.flush()

    def _step(self, batch: SourceBatch, survey: Survey, schema: bytes) -> SourceStep:
        link = self.options.link
        rejects = link + REJECTS_SUFFIX
        rejects_schema = REJECTS_SCHEMA.serialize().to_pybytes()
        return SourceStep(
            link=link,
            payloads=encode(link, batch.data, schema=schema, declared=True, inputs=()),
            rejects=() if batch.rejects is None else encode(rejects, batch.rejects, schema=rejects_schema, declared=True, inputs=()),
            position=batch.position,
            digest=survey.digest,
            rows_read=batch.rows_read,
            rows_rejected=batch.rows_rejected,
            final=batch.final,
            attributes=batch.attributes,
            state=source_state(self.options, survey),
        )


def source_state(options: LinkOptions, survey: Survey) -> Mapping[str, str]:
    """What tells the next run, without reading it, that the source is as it was: kept by the home with the position."""
    location = options.location
    return {
        "path": location if scheme_of(location) is not None else str(Path(options.base, location)),
        "size_bytes": str(survey.stat.size_bytes),
        "mtime_ns": str(survey.stat.mtime_ns),
        "inode": str(survey.stat.inode),
    }
