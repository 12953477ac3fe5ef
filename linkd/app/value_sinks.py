"""A sink that takes value by value, at work: each value is written durably, then committed (`mode: append`, `mode: parts`)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

from linkd.app.adapter_events import AdapterEvents
from linkd.app.patience import Patience
from linkd.app.sinks import decoded, in_time, settled
from linkd.client.calls import Connection
from linkd.client.each_value import OneValue, all_done, each_value
from linkd.client.worker import commit, described
from linkd.core.rights import sink_task
from linkd.errors import PlaceAway
from linkd.limits import SINK_STEP_TIMEOUT_S
from linkd.plugin.contract import LinkOptions, SinkResult, SinkValue, ValueSink


@dataclass(slots=True)
class ValueSinkWork:
    """Writes one sink, value by value; with `follows` for ever. `last` is the record of its last commit.

    A value is written before its commit: a worker that dies between the two writes the same again. `stopping` ends it between two values.
    """

    connection: Connection
    options: LinkOptions
    sink: ValueSink
    last: Mapping[str, str]
    events: AdapterEvents
    stopping: asyncio.Event
    follows: bool = False
    holds: bool = False
    step_timeout_s: float = SINK_STEP_TIMEOUT_S
    _made: SinkResult | None = None
    _rows: int = 0
    _shown: int = 0

    @property
    def name(self) -> str:
        return sink_task(self.options.link)

    async def run(self) -> None:
        """Raises what the sink, or the home, has against it; what is committed by then stays, and the next run goes on behind it."""
        patience = Patience(self.options.link, self.events, self.follows)
        try:
            while True:
                try:
                    await self._write_all(patience)
                    break
                except PlaceAway as away:
                    self.holds = False
                    await patience.wait(away)
        finally:
            if not self.holds:
                await self.sink.close()
        if self.stopping.is_set():
            return
        await self._over()
        if self._made is not None:
            self.events.sink_done(self.options.link, replace(self._made, rows=self._rows))

    async def _write_all(self, patience: Patience) -> None:
        """Values as they come, until there are no more; or behind the present one when it is to stop."""
        await self.sink.check(self.last)
        async with aclosing(each_value(self.connection, self.name)) as values:
            async for one in values:
                self._made = await self._write(one)
                patience.answered()
                if self.stopping.is_set():
                    return

    async def _write(self, one: OneValue) -> SinkResult:
        self.holds = True
        envelope = one.value.header.envelope
        value = SinkValue(envelope.generation, envelope.position.sequence, await decoded(self.connection, one.value))
        made = await in_time(self.sink.write(value, self.last), self.options.link, self.step_timeout_s)
        await commit(self.connection, settled(self.name, one.snapshot, made.record, final=False), one.snapshot.traceparent)
        self.last = made.record
        self._rows += made.rows
        if self.follows and value.generation != self._shown:
            await self._show_if_all(value)
        self.holds = False
        return made

    async def _show_if_all(self, value: SinkValue) -> None:
        """Shows a generation once its values so far are written: one that is followed may never be sealed."""
        [link] = (await described(self.connection, self.options.link)).links
        if link.current is not None and (link.current.generation, link.current.last_sequence) == (value.generation, value.sequence):
            await self.sink.caught_up(value.generation)
            self._shown = value.generation

    async def _over(self) -> None:
        """The generation is sealed, and all of it is committed."""
        [link] = (await described(self.connection, self.options.link)).links
        if link.read is not None:
            await self.sink.caught_up(link.read.generation)
        await all_done(self.connection, self.name)
