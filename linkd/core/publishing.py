"""What a publish becomes: envelopes with their place in the order, and the records of one frame. Pure decisions over a `Ledger`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from linkd.core.ids import source_value_id, timed_value_id
from linkd.core.ledger import Ledger
from linkd.core.links import Generation, GenerationState, Link
from linkd.errors import InvalidArgument, NotAllowed, SchemaMismatch
from linkd.limits import GENERATION_SCHEMAS_MAX
from linkd.model.frozen import frozen
from linkd.model.records import (
    Dropped,
    GenerationBegan,
    GenerationEnd,
    GenerationEnded,
    GenerationReopened,
    LinkOpened,
    Record,
    SchemaKept,
    SourceMoved,
    TaskEnded,
    ValueStored,
)
from linkd.model.values import OUTSIDER, Envelope, Parent, Place, PlaceKind, Position, Producer

FULL = "full"
"""The reason of what is dropped for want of room in its link."""
UNPLACED = Place(PlaceKind.JOURNAL, 0, 0, 0)
"""The place of a value that the store has not written yet."""


@frozen()
class Draft:
    """A value as it was received: everything of its envelope that does not depend on where it comes to stand."""

    link: str
    rows: int
    size_bytes: int
    schema_id: bytes
    schema: bytes
    payload_xxh3: int
    attributes: Mapping[str, str] = field(default_factory=dict)
    widens: bytes = b""
    """The id of the schema that this value's schema has grown from (`evolution`), if it has."""


@frozen()
class Maker:
    """Who makes values: a task in one attempt of one snapshot, a source, or an outsider, who may number its publishes (`producer`).

    `parents` are what they are made from.
    """

    task: str = OUTSIDER
    version: str = ""
    attempt: int = 1
    parents: tuple[Parent, ...] = ()
    traceparent: str = ""
    producer: Producer = Producer()


@dataclass(slots=True)
class Frame:
    """Builds the records of one frame, giving out sequences as it goes, without touching the ledger."""

    ledger: Ledger
    now_ns: int
    records: list[Record] = field(default_factory=list)
    _next: dict[str, int] = field(default_factory=dict)
    _schema: dict[str, bytes] = field(default_factory=dict)
    _schema_changes: dict[str, int] = field(default_factory=dict)

    def value(self, draft: Draft, generation: Generation, maker: Maker, identity: bytes) -> Envelope:
        """Adds one value at the end of its link. SchemaMismatch if it is not of the generation's schema."""
        link = self.ledger.links[draft.link]
        self._keep_schema(link, generation, draft)
        sequence = self._next.get(link.name, link.next_sequence)
        self._next[link.name] = sequence + 1
        envelope = Envelope(
            id=identity,
            link=link.name,
            position=Position(link.incarnation, sequence),
            generation=generation.number,
            rows=draft.rows,
            size_bytes=draft.size_bytes,
            schema_id=draft.schema_id,
            payload_xxh3=draft.payload_xxh3,
            created_at_ns=max(self.now_ns, link.last_created_at_ns),
            task=maker.task,
            task_version=maker.version,
            attempt=maker.attempt,
            parents=maker.parents,
            producer=maker.producer,
            traceparent=maker.traceparent,
            attributes=dict(draft.attributes),
        )
        self.records.append(ValueStored(envelope, UNPLACED))
        return envelope

    def seal(self, link: Link, generation: Generation, reason: str) -> None:
        """Ends the generation behind the last value that this frame or an earlier one gave it."""
        last = self._next.get(link.name, generation.last_sequence + 1) - 1
        self.records.append(GenerationEnded(link.name, generation.number, GenerationEnd.SEALED, last, reason))

    def _keep_schema(self, link: Link, generation: Generation, draft: Draft) -> None:
        kept = self._schema.get(link.name, generation.schema_id)
        if kept == draft.schema_id:
            return
        if kept and kept != draft.widens:
            raise SchemaMismatch(
                f"{link.name}: another value gave the link its schema in the meantime, and this one has another; publish it again"
            )
        changes = self._schema_changes.get(link.name, len(generation.schemas))
        if changes >= GENERATION_SCHEMAS_MAX and draft.schema_id not in generation.schemas:
            raise SchemaMismatch(
                f"{link.name}: its columns have changed {changes} times, and no more changes are kept: "
                f"publish all columns from the beginning, or declare links.{link.name}.schema"
            )
        self._schema_changes[link.name] = changes + 1
        self._schema[link.name] = draft.schema_id
        self.records.append(SchemaKept(link.name, draft.schema_id, draft.schema))


def open_link(name: str, now_ns: int, declared: tuple[bytes, bytes] | None = None) -> list[Record]:
    """A link that somebody uses for the first time, with its first generation, that of outsiders.

    `declared` is the schema that the pipeline file gives it, as (id, schema message).
    """
    records: list[Record] = [LinkOpened(name, 1, 1, now_ns), GenerationBegan(name, 1, 1, 1, OUTSIDER, "")]
    if declared is not None:
        records.append(SchemaKept(name, declared[0], declared[1], declared=True))
    return records


def publish(ledger: Ledger, drafts: Sequence[Draft], maker: Maker, now_ns: int, entropy: bytes) -> list[Record]:
    """One publish of an outsider: all its values in one frame. A sealed generation is reopened. `entropy` is 10 bytes for each draft."""
    frame = Frame(ledger, now_ns)
    reopened: set[str] = set()
    for index, draft in enumerate(drafts):
        link = ledger.link(draft.link)
        generation = link.current
        if generation is None:
            raise NotAllowed(f"{draft.link} has no generation to publish to: run the pipeline first")
        if generation.state is not GenerationState.GROWING and link.name not in reopened:
            frame.records.append(GenerationReopened(link.name, generation.number))
            reopened.add(link.name)
        identity = timed_value_id(now_ns, entropy[10 * index : 10 * index + 10])
        frame.value(draft, generation, maker, identity)
    return frame.records


def replace(ledger: Ledger, name: str, drafts: Sequence[Draft], maker: Maker, now_ns: int, entropy: bytes) -> list[Record]:
    """One publish of an outsider that is the next generation of its link: begun behind the present one, and sealed, in one frame.

    `entropy` is 10 bytes for each draft. Raises SchemaMismatch for drafts of several schemas.
    """
    link = ledger.link(name)
    frame = Frame(ledger, now_ns)
    current = link.current
    if current is not None and current.state is GenerationState.GROWING:
        frame.seal(link, current, "another one takes its place")
    number = link.newest + 1
    frame.records.append(GenerationBegan(name, number, link.incarnation, link.next_sequence, OUTSIDER, ""))
    following = Generation(number, link.incarnation, link.next_sequence, link.next_sequence - 1, OUTSIDER, "")
    if current is not None and current.declared:
        frame.records.append(SchemaKept(name, current.schema_id, current.schema, declared=True))
        following.schema_id = current.schema_id
    for index, draft in enumerate(drafts):
        frame.value(draft, following, maker, timed_value_id(now_ns, entropy[10 * index : 10 * index + 10]))
    frame.seal(link, following, "it is whole")
    return frame.records


def drop_newest(ledger: Ledger, drafts: Sequence[Draft], producer: Producer, now_ns: int) -> list[Dropped]:
    """What becomes of values that a full link does not take: they have their place in the order, and hold nothing. One record for each link."""
    records: list[Dropped] = []
    for name in dict.fromkeys(draft.link for draft in drafts):
        link = ledger.links[name]
        first, count = link.next_sequence, sum(draft.link == name for draft in drafts)
        numbered = producer if producer.id else None
        records.append(Dropped(name, link.incarnation, first, first + count - 1, FULL, dropped_at_ns=now_ns, producer=numbered))
    return records


def source_step(ledger: Ledger, source_link: str, drafts: Sequence[Draft], moved: SourceMoved, maker: Maker, now_ns: int) -> list[Record]:
    """What a source publishes at once: values (of its link, and of its rejects), its position, and the seal behind the last.

    A step that does not lead on from where the source stands is refused, so a repeat cannot count twice. One without values that says that the
    source ends where it stands leads on: a run that followed had taken away the seal, and nothing more came.
    """
    link = ledger.link(source_link)
    generation = link.current
    if generation is None or generation.state is not GenerationState.GROWING:
        raise NotAllowed(f"{source_link} is complete: its source has nothing more to publish")
    before = generation.source
    ends_here = moved.final and not drafts
    stays = before is not None and before.position == moved.position and not ends_here
    if before is not None and (stays or before.rows_read > moved.rows_read or before.final):
        raise InvalidArgument(f"{source_link}: the source already stands at this place; ask for its position and go on from there")
    frame = Frame(ledger, now_ns)
    for index, draft in enumerate(drafts):
        target = ledger.link(draft.link)
        growing = target.current
        if growing is None or growing.state is not GenerationState.GROWING:
            raise NotAllowed(f"{draft.link} is complete: its source has nothing more to publish")
        identity = source_value_id(draft.link, growing.number, moved.digest, moved.position + index.to_bytes(4, "big"))
        frame.value(draft, growing, maker, identity)
    frame.records.append(moved)
    if moved.final:
        task = ledger.tasks[maker.task]
        for name in task.outputs:
            target = ledger.links[name]
            current = target.current
            if current is not None and current.state is GenerationState.GROWING:
                frame.seal(target, current, "the source is read to its end")
        frame.records.append(TaskEnded(maker.task, task.execution, "read to its end"))
    return frame.records


def seal(ledger: Ledger, name: str, reason: str, now_ns: int) -> list[Record]:
    """The end of the link's present generation; nothing if it is sealed already."""
    link = ledger.link(name)
    generation = link.current
    if generation is None or generation.state is GenerationState.SEALED:
        return []
    frame = Frame(ledger, now_ns)
    frame.seal(link, generation, reason)
    return frame.records
