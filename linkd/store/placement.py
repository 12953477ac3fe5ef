"""Which payload goes into the journal and which into a segment, and where there. Pure; for the event loop.

`plan` decides for one frame and changes nothing; `keep` makes the decision hold once the frame is in line.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from linkd.errors import InvalidArgument
from linkd.model.records import Record, SchemaKept, ValueStored
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.committer import FrameDraft
from linkd.store.segment_format import SegmentHead, directory_name, place_value, stamped_metadata
from linkd.store.segments import SegmentWrite
from linkd.store.staging import StagedPayload
from linkd.store.store_limits import StoreLimits
from linkd.wire import arrow_ipc
from linkd.wire.frames import encode_envelope, encode_frame


@dataclass(slots=True)
class PlannedFrame:
    """A frame with its payloads placed, and what that changes."""

    draft: FrameDraft
    heads: dict[str, SegmentHead]
    schemas: dict[bytes, bytes]


@dataclass(slots=True)
class _Plan:
    """A plan in the making: what it adds to the heads and schemas that hold."""

    heads: dict[str, SegmentHead] = field(default_factory=dict)
    schemas: dict[bytes, bytes] = field(default_factory=dict)
    inline: list[bytes] = field(default_factory=list)
    inline_bytes: int = 0
    bulk: list[SegmentWrite] = field(default_factory=list)
    staged: list[StagedPayload] = field(default_factory=list)


class Placement:
    """Knows where each link's segments end and which schemas there are. `used_bytes` counts stored payload bytes by link."""

    def __init__(self, limits: StoreLimits) -> None:
        self._limits = limits
        self._heads: dict[str, SegmentHead] = {}
        self._schemas: dict[bytes, bytes] = {}
        self.used_bytes: dict[str, int] = {}

    def saw_schema(self, record: SchemaKept) -> None:
        """Recovery: a schema that was kept."""
        self._schemas[record.schema_id] = record.schema

    def saw_value(self, record: ValueStored) -> None:
        """Recovery: a value that was stored."""
        self._count(record.envelope, record.place)

    def continue_at(self, heads: Mapping[str, SegmentHead]) -> None:
        """Recovery: where each link's segments end."""
        self._heads = dict(heads)

    def plan(self, records: Sequence[Record], payloads: Sequence[StagedPayload | bytes]) -> PlannedFrame:
        """Place the payloads of a frame. Raises `InvalidArgument` if records and payloads do not belong together."""
        values = sum(isinstance(record, ValueStored) for record in records)
        if values != len(payloads):
            raise InvalidArgument(f"a frame of {values} values came with {len(payloads)} payloads")
        plan = _Plan()
        placed: list[Record] = []
        stored: list[tuple[Envelope, Place, bytes]] = []
        waiting = iter(payloads)
        for record in records:
            if isinstance(record, SchemaKept):
                plan.schemas[record.schema_id] = record.schema
            elif isinstance(record, ValueStored):
                place = self._place(plan, record.envelope, next(waiting))
                stored.append((record.envelope, place, encode_envelope(record.envelope)))
                placed.append(ValueStored(record.envelope, place))
                continue
            placed.append(record)
        data = encode_frame(placed, [encoded for _, _, encoded in stored])
        return PlannedFrame(FrameDraft(data, plan.inline, stored, plan.bulk, plan.staged), plan.heads, plan.schemas)

    def keep(self, planned: PlannedFrame) -> None:
        """The frame is in line: the next one is placed behind it."""
        self._heads.update(planned.heads)
        self._schemas.update(planned.schemas)
        for envelope, place, _ in planned.draft.values:
            self._count(envelope, place)

    def _place(self, plan: _Plan, envelope: Envelope, payload: StagedPayload | bytes) -> Place:
        size_bytes = payload.size_bytes if isinstance(payload, StagedPayload) else len(payload)
        if size_bytes != envelope.size_bytes:
            raise InvalidArgument(f"value {envelope.name} says that it has {envelope.size_bytes} bytes, but its payload has {size_bytes}")
        if isinstance(payload, StagedPayload):
            plan.staged.append(payload)
        if size_bytes <= self._limits.inline_payload_max_bytes and plan.inline_bytes + size_bytes <= self._limits.frame_inline_max_bytes:
            plan.inline.append(payload.message() if isinstance(payload, StagedPayload) else payload)
            plan.inline_bytes += size_bytes
            return Place(PlaceKind.JOURNAL, 0, plan.inline_bytes - size_bytes, size_bytes)
        return self._place_bulk(plan, envelope, payload)

    def _place_bulk(self, plan: _Plan, envelope: Envelope, payload: StagedPayload | bytes) -> Place:
        link = directory_name(envelope.link)
        if isinstance(payload, StagedPayload):
            metadata, body_bytes = payload.metadata, payload.body_bytes
            body: Iterable[bytes | memoryview] = payload.body()
        else:
            message = arrow_ipc.read_message(payload)
            metadata, body, body_bytes = message.metadata, (message.body,), len(message.body)
        stamped = stamped_metadata(envelope, metadata)
        schemas = ChainMap(plan.schemas, self._schemas)
        head = plan.heads.get(link) or self._heads.get(link)
        chosen = place_value(head, envelope, len(stamped), body_bytes, schemas, self._limits.segment_file_max_bytes)
        plan.heads[link] = chosen.head
        plan.bulk.append(SegmentWrite(link, chosen.place, chosen.schema, stamped, body))
        return chosen.place

    def _count(self, envelope: Envelope, place: Place) -> None:
        size_bytes = place.size_bytes if place.kind is PlaceKind.JOURNAL else place.metadata_bytes + place.body_bytes
        self.used_bytes[envelope.link] = self.used_bytes.get(envelope.link, 0) + size_bytes
