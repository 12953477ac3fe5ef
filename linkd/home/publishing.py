"""Publishing: at once, staged for a commit, or as a source's step. One session for each stream of a client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field

from linkd.core import publishing
from linkd.core.commits import check_token
from linkd.core.publishing import Maker
from linkd.core.rights import Identity, Role, source_task
from linkd.errors import Error
from linkd.home.home import Begun, Home
from linkd.home.intake import Incoming, Prepared, Target, check_attributes, discard, misfits, prepare, prepare_again
from linkd.home.staging import StagedRef, StagedValues
from linkd.model.records import Record, SourceMoved, TaskKind, ValueStored
from linkd.model.values import Durability, Envelope, Position
from linkd.store.committer import Committed
from linkd.telemetry.events import RowsRejected, ValuePublished
from linkd.telemetry.trace_context import format_traceparent, parse_traceparent


@dataclass(frozen=True, slots=True)
class SourceStep:
    """Where a source stands behind the values that came with it."""

    position: bytes
    digest: str
    rows_read: int
    rows_rejected: int
    final: bool


@dataclass(frozen=True, slots=True)
class PublishAck:
    """All values of the publish are durable, from `first` to `last`; for staged values only `staged` is set."""

    values: int
    rows: int
    link: str = ""
    first: Position | None = None
    last: Position | None = None
    durability: Durability = Durability.FSYNC
    generation: int = 0
    value_id: bytes = b""
    staged: tuple[StagedRef, ...] = ()


@dataclass(slots=True)
class PublishSession:
    """One publish stream. `add` is called for each value in order, and the acks it returns are awaited in that order, beside the next calls."""

    home: Home
    staged: StagedValues
    who: Identity
    traceparent: str = ""
    _held: list[Prepared] = field(default_factory=list)
    _held_values: int = 0
    _refs: list[StagedRef] = field(default_factory=list)
    _refs_values: int = 0

    async def add(
        self,
        incoming: Incoming,
        *,
        more: bool = False,
        snapshot: tuple[str, bytes, int] | None = None,
        source: SourceStep | None = None,
    ) -> Awaitable[PublishAck] | None:
        """Takes one value. With `snapshot` (task, snapshot id, token) it is staged; with `more` it waits for the publish's last value.

        Returns when the value has its place in the order: a further `add` comes behind it. The ack that is returned is done when all values
        of the publish are durable. Raises NotAllowed, SchemaMismatch, LeaseLost, ValueTooLarge, InvalidArgument; the ack StorageFailed.
        """
        self.home.check_open()
        if snapshot is not None:
            return await self._stage(incoming, snapshot, more)
        from_source = source is not None or (more and self.who.role is Role.ADAPTERS)
        await self._allow(incoming.link, source=from_source)
        began_s = self.home.clock.monotonic_s()
        self._held.extend(await prepare(self.home, incoming, self._target(incoming.link, self._held)))
        self._held_values += 1
        if more:
            return None
        return await self._publish_held(incoming.link, source, incoming.attributes, began_s)

    async def stand(self, incoming: Incoming, source: SourceStep) -> Awaitable[PublishAck]:
        """Takes the position of a source whose link gets no value with it, behind what is held. As `add` otherwise."""
        self.home.check_open()
        check_attributes(incoming)
        await self._allow(incoming.link, source=True)
        self._held_values += 1
        return await self._publish_held(incoming.link, source, incoming.attributes, self.home.clock.monotonic_s())

    def close(self) -> None:
        """The stream is gone: what waited for the rest of its publish is dropped."""
        discard(self._held)
        self._held, self._held_values = [], 0

    # -- staged ---------------------------------------------------------------------------------------------------------------------------

    async def _stage(self, incoming: Incoming, snapshot: tuple[str, bytes, int], more: bool) -> Awaitable[PublishAck] | None:
        task_name, snapshot_id, token = snapshot
        name = task_name or self.who.task
        with self.home.audited(self.who, "publish", incoming.link):
            self.home.rights.stage(self.who, name, incoming.link)
        task = self.home.ledger.tasks[name]
        check_token(task, snapshot_id, token)
        target = self._output_target(name, incoming.link)
        if not target.schema_id:
            target = self.staged.schema(snapshot_id, token, incoming.link) or target
        prepared = await prepare(self.home, incoming, target)
        try:
            check_token(task, snapshot_id, token)
        except Error:
            discard(prepared)
            raise
        self._refs += [self.staged.add(snapshot_id, token, value) for value in prepared]
        self._refs_values += 1
        if more:
            return None
        refs, count = tuple(self._refs), self._refs_values
        self._refs, self._refs_values = [], 0
        return _done(PublishAck(count, 0, incoming.link, staged=refs))

    def _output_target(self, task_name: str, link: str) -> Target:
        """The schema of the task's output; while it has none, those of a program's inputs decide the types of columns of the same name.

        (A query has types of its own: what it calls `x` need not be the `x` that went in.)
        """
        task = self.home.ledger.tasks[task_name]
        links = self.home.ledger.links
        generation = links[link].generations[task.outputs[link]]
        schemas = [links[name].generations[number].schema for name, number in task.inputs.items()]
        inputs = () if task.shape.kind is TaskKind.SQL else tuple(schema for schema in schemas if schema)
        return Target(generation.schema_id, generation.schema, generation.declared, inputs)

    # -- at once --------------------------------------------------------------------------------------------------------------------------

    async def _allow(self, link: str, *, source: bool) -> None:
        with self.home.audited(self.who, "publish", link):
            if self.who.role is not Role.TASK and not self.home.layout.anyone:
                self.home.check_link(link)
            self.home.rights.publish(self.who, link, source=source)
        await self.home.ensure_link(link)

    def _target(self, link: str, held: Sequence[Prepared]) -> Target:
        """The schema that the next value of `link` must have, behind those of the same publish that are held."""
        generation = self.home.ledger.link(link).current
        target = Target() if generation is None else Target(generation.schema_id, generation.schema, generation.declared)
        before = next((value.draft for value in reversed(held) if value.draft.link == link), None)
        return Target(before.schema_id, before.schema, target.declared) if before is not None else target

    async def _fit(self) -> None:
        """Returns when the store takes a frame and what is held has the schemas that its links have now: others publish meanwhile."""
        await self.home.room()
        index = 0
        while index < len(self._held):
            value = self._held[index]
            target = self._target(value.draft.link, self._held[:index])
            if not misfits(value, target):
                index += 1
                continue
            self._held[index] = await prepare_again(self.home, value, target)
            value.payload.discard()
            await self.home.room()
            index = 0

    async def _publish_held(
        self, link: str, source: SourceStep | None, attributes: Mapping[str, str], began_s: float
    ) -> Awaitable[PublishAck]:
        await self._fit()
        held, count = self._held, self._held_values
        self._held, self._held_values = [], 0
        moved = self._moved(link, source, attributes) if source is not None else None
        try:
            return self._publish(link, held, count, moved, began_s)
        except Error:
            discard(held)
            raise

    def _publish(self, link: str, held: list[Prepared], count: int, source: SourceMoved | None, began_s: float) -> Awaitable[PublishAck]:
        begun = self.home.begin_span(parse_traceparent(self.traceparent))
        traceparent = format_traceparent(begun.context)
        now_ns = self.home.clock.now_ns()
        drafts = [prepared.draft for prepared in held]
        if source is not None:
            records = self._source_records(held, source, traceparent, now_ns)
        else:
            maker = Maker(self.who.task, traceparent=traceparent)
            records = publishing.publish(self.home.ledger, drafts, maker, now_ns, self.home.clock.entropy(10 * len(drafts)))
        future = self.home.admit(records, [prepared.payload for prepared in held])
        envelopes = [record.envelope for record in records if isinstance(record, ValueStored)]
        return self._acknowledge(future, envelopes, link, count, begun, began_s)

    async def _acknowledge(
        self,
        future: asyncio.Future[Committed],
        envelopes: list[Envelope],
        link: str,
        count: int,
        begun: Begun,
        began_s: float,
    ) -> PublishAck:
        await self.home.written(future)
        span = self.home.end_span(begun)
        mine = [envelope for envelope in envelopes if envelope.link == link]
        for name in dict.fromkeys(envelope.link for envelope in envelopes):
            of_link = [envelope for envelope in envelopes if envelope.link == name]
            self.home.telemetry.emit(
                ValuePublished(
                    link=name,
                    task=of_link[0].task,
                    values=len(of_link),
                    rows=sum(envelope.rows for envelope in of_link),
                    size_bytes=sum(envelope.size_bytes for envelope in of_link),
                    seconds=self.home.clock.monotonic_s() - began_s,
                    generation=of_link[0].generation,
                    value_id=of_link[0].id.hex() if len(of_link) == 1 else "",
                    span=span if name == link else None,
                )
            )
        if not mine:
            return PublishAck(count, 0, link)
        return PublishAck(
            count,
            sum(envelope.rows for envelope in mine),
            link,
            mine[0].position,
            mine[-1].position,
            Durability.FSYNC,
            mine[0].generation,
            mine[-1].id,
        )

    def _moved(self, link: str, source: SourceStep, attributes: Mapping[str, str]) -> SourceMoved:
        generation = self.home.ledger.link(link).current
        number = generation.number if generation is not None else 0
        return SourceMoved(
            link, number, source.position, source.digest, source.rows_read, source.rows_rejected, source.final, dict(attributes)
        )

    def _source_records(self, held: list[Prepared], moved: SourceMoved, traceparent: str, now_ns: int) -> list[Record]:
        link = moved.link
        generation = self.home.ledger.link(link).current
        maker = Maker(source_task(link), moved.digest, traceparent=traceparent)
        records = publishing.source_step(self.home.ledger, link, [prepared.draft for prepared in held], moved, maker, now_ns)
        before = generation.source.rows_rejected if generation is not None and generation.source is not None else 0
        if moved.rows_rejected > before:
            self.home.telemetry.emit(RowsRejected(link=link, rows=moved.rows_rejected - before))
        return records


async def _done(ack: PublishAck) -> PublishAck:
    return ack
