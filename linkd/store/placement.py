"""Which payload goes into the journal and which into a segment, and where there. Pure; for the event loop.

`plan` decides for one frame and changes nothing; `keep` makes the decision hold once the frame is in line.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from linkd.errors import InvalidArgument
from linkd.model.records import Record, SchemaKept, ValueStored
from linkd.model.values import Envelope, Place, PlaceKind
from linkd.store.holdings import Holdings
from linkd.store.in_place import seat
from linkd.store.pending import FrameDraft
from linkd.store.segment_format import SegmentHead, directory_name, place_value, stamped_metadata, stored_end
from linkd.store.segments import InPlace, SegmentWrite
from linkd.store.shared_files import PlacedPayload, SharedFiles
from linkd.store.staging import StagedPayload
from linkd.store.store_limits import StoreLimits
from linkd.wire import arrow_ipc
from linkd.wire.frames import encode_envelope, encode_frame


@dataclass(slots=True)
class PlannedFrame:
    """A frame with its payloads placed, its values, and the schemas that come with it."""

    draft: FrameDraft
    values: list[ValueStored]
    schemas: dict[bytes, bytes]

    @property
    def syncs_at_once(self) -> bool:
        """What lies in a shared file is synced before its frame is written, or never: no start looks whether it is whole (`tail`)."""
        return bool(self.draft.bulk) and any(value.shared and not value.volatile for value in self.values)


@dataclass(slots=True)
class _Plan:
    """A plan in the making: what it adds to the heads and schemas that hold."""

    heads: dict[str, SegmentHead] = field(default_factory=dict)
    schemas: dict[bytes, bytes] = field(default_factory=dict)
    inline: list[bytes] = field(default_factory=list)
    inline_bytes: int = 0
    bulk: list[SegmentWrite] = field(default_factory=list)
    staged: list[StagedPayload] = field(default_factory=list)
    ends: dict[tuple[str, int], int] = field(default_factory=dict)
    is_lasting: bool = True


class Placement:
    """Places the payloads of frames behind what `holdings` says is there. Knows the schemas of the values there are."""

    def __init__(self, limits: StoreLimits, holdings: Holdings, shared: SharedFiles) -> None:
        self._limits = limits
        self._holdings = holdings
        self._shared = shared
        self._schemas: dict[bytes, bytes] = {}

    @property
    def schemas(self) -> Mapping[bytes, bytes]:
        """Schema messages by id."""
        return self._schemas

    def saw_schema(self, schema_id: bytes, schema: bytes) -> None:
        """Recovery: a schema that was kept."""
        self._schemas[schema_id] = schema

    def forget_schemas(self, kept: Collection[bytes]) -> None:
        """No value has any other schema than these."""
        self._schemas = {schema_id: schema for schema_id, schema in self._schemas.items() if schema_id in kept}

    def plan(self, records: Sequence[Record], payloads: Sequence[StagedPayload | bytes], *, is_lasting: bool = True) -> PlannedFrame:
        """Place the payloads of a frame, of one that `is_lasting` none in a volatile file.

        Raises `InvalidArgument` if records and payloads do not belong together.
        """
        values = [record for record in records if isinstance(record, ValueStored)]
        if len(values) != len(payloads):
            raise InvalidArgument(f"a frame of {len(values)} values came with {len(payloads)} payloads")
        plan = _Plan(is_lasting=is_lasting)
        placed: list[Record] = []
        stored: list[ValueStored] = []
        waiting = iter(payloads)
        for record in records:
            if isinstance(record, SchemaKept):
                plan.schemas[record.schema_id] = record.schema
            elif isinstance(record, ValueStored):
                record = self._place(plan, record.envelope, next(waiting))
                stored.append(record)
            placed.append(record)
        encoded = [encode_envelope(value.envelope) for value in stored]
        draft = FrameDraft(encode_frame(placed, encoded), plan.inline, stored, encoded, plan.bulk, plan.staged)
        return PlannedFrame(draft, stored, plan.schemas)

    def keep(self, planned: PlannedFrame) -> None:
        """The frame is in line: the next one is placed behind it."""
        self._schemas.update(planned.schemas)
        for value in planned.values:
            self._holdings.stored(value.envelope, value.place, shared=value.shared, volatile=value.volatile)

    def _place(self, plan: _Plan, envelope: Envelope, payload: StagedPayload | bytes) -> ValueStored:
        size_bytes = payload.size_bytes if isinstance(payload, StagedPayload) else len(payload)
        if size_bytes != envelope.size_bytes:
            raise InvalidArgument(f"value {envelope.name} says that it has {envelope.size_bytes} bytes, but its payload has {size_bytes}")
        if isinstance(payload, StagedPayload):
            plan.staged.append(payload)
        if size_bytes <= self._limits.inline_payload_max_bytes and plan.inline_bytes + size_bytes <= self._limits.frame_inline_max_bytes:
            plan.inline.append(payload.message() if isinstance(payload, StagedPayload) else payload)
            plan.inline_bytes += size_bytes
            return ValueStored(envelope, Place(PlaceKind.JOURNAL, 0, plan.inline_bytes - size_bytes, size_bytes))
        if isinstance(payload, PlacedPayload) and (value := self._place_around(plan, envelope, payload)) is not None:
            return value
        return ValueStored(envelope, self._place_bulk(plan, envelope, payload))

    def _place_around(self, plan: _Plan, envelope: Envelope, payload: PlacedPayload) -> ValueStored | None:
        """The value stays where its publisher has laid it, if that is where it belongs and has room; else it is copied."""
        file, inode = payload.file, payload.inode
        fits = (envelope.link, envelope.schema_id, envelope.generation) == (file.link, file.schema_id, file.generation)
        if not fits or (file.volatile and plan.is_lasting) or inode.handle is None or not self._shared.is_segment(file):
            return None
        held = self._holdings.file(file.link, file.number)
        behind = plan.ends.get((file.link, file.number)) or (file.start if held is None else held.end)
        if behind > payload.body_offset:
            return None
        found = seat(
            behind,
            payload.body_offset,
            envelope,
            payload.metadata,
            lambda start, end: self._shared.is_free(inode, start, end),
            self._limits.shared_padding_max_bytes,
        )
        if found is None:
            return None
        place = Place(PlaceKind.SEGMENT, file.number, found.offset, envelope.size_bytes, len(found.metadata), payload.body_bytes)
        plan.ends[file.link, file.number] = stored_end(place)
        there = InPlace(inode.handle, behind, found.filler, file.volatile)
        plan.bulk.append(SegmentWrite(directory_name(file.link), place, None, found.metadata, tuple, there))
        return ValueStored(envelope, place, shared=True, volatile=file.volatile)

    def _place_bulk(self, plan: _Plan, envelope: Envelope, payload: StagedPayload | bytes) -> Place:
        link = directory_name(envelope.link)
        if isinstance(payload, StagedPayload):
            metadata, body_bytes = payload.metadata, payload.body_bytes
            body: Callable[[], Iterable[bytes | memoryview]] = payload.body
        else:
            message = arrow_ipc.read_message(payload)
            metadata, body, body_bytes = message.metadata, lambda: (message.body,), len(message.body)
        stamped = stamped_metadata(envelope, metadata)
        schemas = ChainMap(plan.schemas, self._schemas)
        head = plan.heads.get(link) or self._holdings.head(link)
        chosen = place_value(
            head,
            envelope,
            len(stamped),
            body_bytes,
            schemas,
            self._limits.segment_file_max_bytes,
            lambda: self._holdings.new_file(link),
        )
        plan.heads[link] = chosen.head
        plan.bulk.append(SegmentWrite(link, chosen.place, chosen.schema, stamped, body))
        return chosen.place
