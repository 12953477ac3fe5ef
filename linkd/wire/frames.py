"""Records of the model <-> bytes of a journal frame. The format is `proto/linkd/store/v1/frame.proto`; this file only translates.

Field names of records and messages are the same, so a table of the fields that need a word of translation is all there
is. An envelope is encoded by itself (`encode_envelope`): the journal and the catalog keep the same bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from google.protobuf.message import DecodeError, Message

from linkd.errors import InvalidArgument, StateDamaged, StateForeign
from linkd.model import records as model
from linkd.model.records import Record
from linkd.model.values import Envelope, Parent, Place, PlaceKind, Position, Producer
from linkd.wire.store_v1 import frame_pb2 as pb

Codec = tuple[Callable[[Any], Any], Callable[[Any], Any]]
Fields = dict[str, Any]
"""Of a message, by name; those of a message inside of it are another such dict. Made at once of these, a message is never copied into the next."""


def encode_envelope(envelope: Envelope) -> bytes:
    """The envelope's bytes, as journal and catalog keep them. Raises `InvalidArgument` for a field outside its range."""
    try:
        return _envelope_message(envelope).SerializeToString(deterministic=True)
    except (ValueError, TypeError) as problem:
        raise InvalidArgument(f"value {envelope.name}: its envelope cannot be encoded: {problem}") from problem


def decode_envelope(data: bytes) -> Envelope:
    """What `encode_envelope` took. Raises `StateDamaged`."""
    message = pb.Envelope()
    try:
        message.ParseFromString(data)
    except DecodeError as problem:
        raise StateDamaged(f"an envelope of {len(data)} bytes cannot be read: {problem}") from problem
    return _envelope_of(message)


def encode_frame(records: Sequence[Record], envelopes: Sequence[bytes] = ()) -> bytes:
    """The bytes of a frame's records. `envelopes`: those of its values in order, if the caller has encoded them already.

    Raises `InvalidArgument` for a field outside its range (a negative sequence, a number above 64 bits).
    """
    ready = iter(envelopes)
    frame = pb.Frame()
    for record in records:
        try:
            if isinstance(record, model.ValueStored):
                envelope = next(ready, None) or encode_envelope(record.envelope)
                frame.records.add(value_stored=_stored_fields(envelope, record))
            else:
                layout = LAYOUTS[type(record)]
                frame.records.add(**{layout.kind: layout.fields(record)})
        except (ValueError, TypeError) as problem:
            raise InvalidArgument(f"a {type(record).__name__} cannot be encoded: {problem}") from problem
    return frame.SerializeToString(deterministic=True)


def decode_frame(data: bytes, journal_file: int = 0, payload_offset: int = 0) -> tuple[Record, ...]:
    """The records of a frame. `journal_file` and `payload_offset` say where the frame's payload bytes lie, for places in the journal.

    Raises `StateDamaged` if the bytes are no frame and `StateForeign` if they hold what this version does not know.
    """
    frame = pb.Frame()
    try:
        frame.ParseFromString(data)
    except DecodeError as problem:
        raise StateDamaged(f"a journal frame of {len(data)} bytes cannot be read: {problem}") from problem
    found: list[Record] = []
    for record in frame.records:
        kind = record.WhichOneof("kind")
        if kind is None:
            raise StateForeign(
                "the journal holds a record that this version of linkd does not know: a later version wrote it. Use that version"
            )
        message = getattr(record, kind)
        if kind == "value_stored":
            place = _place_of(message.place, journal_file, payload_offset)
            found.append(model.ValueStored(decode_envelope(message.envelope), place, message.shared, message.volatile))
        else:
            found.append(_LAYOUT_OF_KIND[kind].decode(message))
    return tuple(found)


def _envelope_message(envelope: Envelope) -> pb.Envelope:
    return pb.Envelope(
        id=envelope.id,
        link=envelope.link,
        incarnation=envelope.position.incarnation,
        sequence=envelope.position.sequence,
        generation=envelope.generation,
        rows=envelope.rows,
        size_bytes=envelope.size_bytes,
        payload_xxh3=envelope.payload_xxh3,
        schema_id=envelope.schema_id,
        created_at_ns=envelope.created_at_ns,
        task=envelope.task,
        task_version=envelope.task_version,
        attempt=envelope.attempt,
        parents=[_parent_fields(parent) for parent in envelope.parents],
        producer=_producer_fields(envelope.producer),
        traceparent=envelope.traceparent,
        attributes=dict(envelope.attributes) or None,
    )


def _envelope_of(message: pb.Envelope) -> Envelope:
    identity, link, incarnation, sequence, *scalars, traceparent = _SCALARS(message)
    parents = tuple(map(_parent_of, message.parents))
    producer = _producer_of(message.producer) if message.HasField("producer") else _NO_PRODUCER
    position, attributes = Position(incarnation, sequence), _dict_of(message.attributes)
    fields = (identity, link, position, *scalars, parents, producer, traceparent, attributes)
    return Envelope(*fields)


_SCALARS = attrgetter(
    "id",
    "link",
    "incarnation",
    "sequence",
    "generation",
    "rows",
    "size_bytes",
    "schema_id",
    "payload_xxh3",
    "created_at_ns",
    "task",
    "task_version",
    "attempt",
    "traceparent",
)
"""In the order of `Envelope`. All at once: with every value that is read these are asked for."""
_NO_PRODUCER = Producer()


def _dict_of(pairs: Mapping[Any, Any]) -> dict[Any, Any]:
    """Of a map, which is empty nearly always: to go through a protobuf map takes longer than all other fields of a message."""
    return dict(pairs) if pairs else {}


def _producer_fields(producer: Producer) -> Fields:
    return {"id": producer.id, "epoch": producer.epoch, "sequence": producer.sequence, "request_xxh3": producer.request_xxh3}


_PRODUCER_FIELDS = attrgetter("id", "epoch", "sequence", "request_xxh3")


def _producer_of(message: pb.Producer) -> Producer:
    return Producer(*_PRODUCER_FIELDS(message))


def _parent_fields(parent: Parent) -> Fields:
    return {
        "link": parent.link,
        "incarnation": parent.incarnation,
        "generation": parent.generation,
        "first_sequence": parent.first_sequence,
        "last_sequence": parent.last_sequence,
        "first_row": parent.first_row,
        "end_row": parent.end_row,
    }


_PARENT_FIELDS = attrgetter("link", "incarnation", "generation", "first_sequence", "last_sequence", "first_row", "end_row")


def _parent_of(message: pb.Parent) -> Parent:
    return Parent(*_PARENT_FIELDS(message))


def _stored_fields(envelope: bytes, record: model.ValueStored) -> Fields:
    place = record.place
    return {
        "envelope": envelope,
        "place": {
            "kind": _PLACE_KINDS[place.kind],
            "file": place.file,
            "offset": place.offset,
            "size_bytes": place.size_bytes,
            "metadata_bytes": place.metadata_bytes,
            "body_bytes": place.body_bytes,
        },
        "shared": record.shared,
        "volatile": record.volatile,
    }


def _place_of(message: pb.Place, journal_file: int, payload_offset: int) -> Place:
    kind = _KINDS.get(message.kind)
    if kind is None:
        raise StateForeign(f"the journal names a kind of place ({message.kind}) that this version of linkd does not know")
    file, offset = message.file, message.offset
    if kind is PlaceKind.JOURNAL:
        file, offset = file + journal_file, offset + payload_offset
    return Place(kind, file, offset, message.size_bytes, message.metadata_bytes, message.body_bytes)


def _output_fields(output: model.OutputRange) -> Fields:
    return {
        "link": output.link,
        "incarnation": output.incarnation,
        "generation": output.generation,
        "first_sequence": output.first_sequence,
        "last_sequence": output.last_sequence,
    }


def _output_of(message: pb.OutputRange) -> model.OutputRange:
    return model.OutputRange(message.link, message.incarnation, message.generation, message.first_sequence, message.last_sequence)


def _end_of(number: int) -> model.GenerationEnd:
    try:
        return model.GenerationEnd(number)
    except ValueError as problem:
        raise StateForeign(f"the journal ends a generation in a way ({number}) that this version of linkd does not know") from problem


_PLACE_KINDS = {
    PlaceKind.JOURNAL: pb.Place.KIND_JOURNAL,
    PlaceKind.SEGMENT: pb.Place.KIND_SEGMENT,
    PlaceKind.DROPPED: pb.Place.KIND_DROPPED,
}
_KINDS = {number: kind for kind, number in _PLACE_KINDS.items()}
_ENDS = {model.GenerationEnd.SEALED: pb.GenerationEnded.END_SEALED, model.GenerationEnd.ABANDONED: pb.GenerationEnded.END_ABANDONED}

MAP: Codec = (lambda pairs: dict(pairs) or None, _dict_of)
"""An empty one is left unset, which is the same bytes: filling a map in costs more than all other fields of a message."""
_TEXTS: Codec = (list, tuple)
PARENTS: Codec = (
    lambda parents: [_parent_fields(parent) for parent in parents],
    lambda messages: tuple(map(_parent_of, messages)),
)
_OUTPUTS: Codec = (
    lambda outputs: [_output_fields(output) for output in outputs],
    lambda messages: tuple(map(_output_of, messages)),
)
_POSITION: Codec = (
    lambda position: {"incarnation": position.incarnation, "sequence": position.sequence},
    lambda message: Position(message.incarnation, message.sequence),
)
RANGES: Codec = (
    lambda ranges: [{"first": first, "last": last} for first, last in ranges],
    lambda messages: tuple([(message.first, message.last) for message in messages]),
)
_PRODUCER: Codec = (_producer_fields, _producer_of)
_END: Codec = (lambda end: _ENDS[end], _end_of)


class Layout:
    """How one record class and its message translate: fields of the same name, some through a codec. A field of a message may be unset: None."""

    def __init__(self, kind: str, record: type[Any], message: type[Any], **codecs: Codec) -> None:
        self.kind = kind
        self.record = record
        self._message = message
        names = [field.name for field in dataclasses.fields(record)]
        unset = {field.name for field in message.DESCRIPTOR.fields if field.has_presence}
        self._names = tuple(names)
        self._of_record, self._of_message = _getter(names), _getter(names)
        self._codecs = tuple((at, name, codec) for at, name in enumerate(names) if (codec := codecs.get(name)) is not None)
        self._may_be_unset = tuple((at, name) for at, name in enumerate(names) if name in unset)

    def fields(self, record: object) -> Fields:
        """The fields of the record's message, of which a larger message can be made, too."""
        values = dict(zip(self._names, self._of_record(record), strict=True))
        for _, name, codec in self._codecs:
            if values[name] is not None:
                values[name] = codec[0](values[name])
        return values

    def encode(self, record: object) -> Message:
        message: Message = self._message(**self.fields(record))
        return message

    def decode(self, message: Message) -> Any:
        values = list(self._of_message(message))
        for at, name in self._may_be_unset:
            if not message.HasField(name):
                values[at] = None
        for at, _, codec in self._codecs:
            if values[at] is not None:
                values[at] = codec[1](values[at])
        return self.record(*values)


def _getter(names: Sequence[str]) -> Callable[[object], Sequence[Any]]:
    """All these attributes at once: a table of them is asked for with every record that is written or read."""
    if len(names) > 1:
        return attrgetter(*names)
    one = attrgetter(*names)
    return lambda of: (one(of),)


_LAYOUT_OF_KIND: Mapping[str, Layout] = {
    layout.kind: layout
    for layout in (
        Layout("run_began", model.RunBegan, pb.RunBegan, fingerprint=MAP, tasks=_TEXTS),
        Layout("run_ended", model.RunEnded, pb.RunEnded),
        Layout("link_opened", model.LinkOpened, pb.LinkOpened),
        Layout("schema_kept", model.SchemaKept, pb.SchemaKept),
        Layout("generation_began", model.GenerationBegan, pb.GenerationBegan, inputs=PARENTS),
        Layout("generation_ended", model.GenerationEnded, pb.GenerationEnded, end=_END),
        Layout("generation_reopened", model.GenerationReopened, pb.GenerationReopened),
        Layout("task_began", model.TaskBegan, pb.TaskBegan, inputs=MAP, outputs=MAP, extents=MAP),
        Layout("task_resumed", model.TaskResumed, pb.TaskResumed),
        Layout("task_ended", model.TaskEnded, pb.TaskEnded),
        Layout("snapshot_leased", model.SnapshotLeased, pb.SnapshotLeased, portions=PARENTS, settles=PARENTS),
        Layout("snapshot_failed", model.SnapshotFailed, pb.SnapshotFailed),
        Layout(
            "snapshot_committed",
            model.SnapshotCommitted,
            pb.SnapshotCommitted,
            portions=PARENTS,
            outputs=_OUTPUTS,
            attributes=MAP,
            settled=PARENTS,
        ),
        Layout("policy_saved", model.PolicySaved, pb.PolicySaved),
        Layout("group_opened", model.GroupOpened, pb.GroupOpened),
        Layout("group_moved", model.GroupMoved, pb.GroupMoved, ahead=RANGES, settled=RANGES),
        Layout("group_leased", model.GroupLeased, pb.GroupLeased, position=_POSITION),
        Layout("group_failed", model.GroupFailed, pb.GroupFailed, position=_POSITION),
        Layout("source_moved", model.SourceMoved, pb.SourceMoved, attributes=MAP),
        Layout("producer_opened", model.ProducerOpened, pb.ProducerOpened),
        Layout("digest_known", model.DigestKnown, pb.DigestKnown, position=_POSITION),
        Layout("dropped", model.Dropped, pb.Dropped, producer=_PRODUCER),
        Layout("hold_placed", model.HoldPlaced, pb.HoldPlaced),
        Layout("hold_released", model.HoldReleased, pb.HoldReleased),
        Layout("home_started", model.HomeStarted, pb.HomeStarted, weak_links=_TEXTS),
    )
}
LAYOUTS: Mapping[type[Any], Layout] = {layout.record: layout for layout in _LAYOUT_OF_KIND.values()}
