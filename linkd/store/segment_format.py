"""Segment files: what they hold, and where the next value goes. Pure.

`segments/LINK/%08d.arrow`, numbered upwards within each link, is one plain Arrow IPC stream (format: `wire.arrow_ipc`):

    schema message, of which the XXH3-128 is the `schema_id` of all values in the file
    for each value: prefix (8 bytes), stamped metadata, body
    end mark (8 bytes)

All of it is a multiple of 8 bytes. One file holds values of one link, one schema and one generation; it is at most
`SEGMENT_FILE_MAX_BYTES` long unless a single value is larger. The stamped metadata is the published flatbuffer with
these keys in its custom metadata:

    linkd.envelope_xxh3    XXH3-64 of that text, 16 hexadecimal digits (files of before there was such a key lack it)
    linkd.envelope         the envelope as JSON: the fields of `model.values.Envelope`, bytes in hexadecimal, hashes as text
    linkd.position         incarnation.sequence
    linkd.generation       generation
    linkd.metadata_bytes   length of the metadata as published, which is the tail of the stamped one

**Appending a value so that a reader sees committed values only, at every instant**, where P is the place of the end
mark:
    1. behind the end mark, from P + 8: metadata, body, a new end mark. A reader stops at P.
    2. sync the file; then make the journal frame durable that names the value. The value is committed.
    3. overwrite the 8 bytes at P with the message's prefix. A reader goes on to the new end mark. (The first 4 bytes
       of end mark and prefix are the same, so that there is nothing in between.)
Step 3 is not synced by itself: if it is lost, recovery does it again, for the journal has the place. The next sync of the
file makes it durable, and so does a checkpoint before it counts, so that only values of the last two syncs of a file, of
which the second may not have been reached, can lack their prefixes. (Values of several groups may wait for one sync:
those of links whose durability is not `fsync` are committed by the frame alone, and step 2 comes later.)

**Shared files** are written by a publisher, too: one of the lane's, of one link, generation and schema, made with room up to their size.
It lays the bodies of its values one behind the other, each with room before it; linkd writes all the rest, of a value whose body lies from
B to E:
    1. at E a new end mark; the metadata, padded so that it fills all between P + 8 and B; nothing at P. Where there is more room than
       metadata may take, or a value is passed over that was laid there and is not committed, or not yet: prefix and metadata right before
       B, and from P + 8 on the metadata of a filler that ends where they begin, with whatever lies there for its body. A value before the
       end mark is copied elsewhere
    2. and 3. as above. The prefix at P is that of the filler, if there is one. How long its metadata is follows from where it ends
Such a file is neither cut nor written to behind its end mark once the process that made it has ended: its publisher and its readers may
have it mapped. New values go to new files; what is live in one that was not filled by half is copied into an ordinary one (`slack`). Behind
the end mark there is whatever its publisher wrote, or what was there before the file was used again, from its beginning (`shared_files`):
readers stop before it.
Frames that name values in one come behind a sync of it, unless it is **volatile**, as those of links are whose durability is `memory`: no
commit and no checkpoint syncs these, only a clean stop does, and step 3 follows the frame when that is written. What lies in volatile files
counts behind a clean stop, or behind any other on the same boot; else the home drops it at its start (`core.durability`), whatever is on
disk.

**Where values were damaged and `linkd repair` has set them aside**, a record batch without rows takes their place, byte for byte, of which the
custom metadata has the key `linkd.filler` and says why; its body is zeros. (So do the fillers of shared files, whose bodies are not.)

**Small values are copied out of the journal** into files of their own, in the order of the journal, many at once: the
end mark before the first of them stays, as a gate, and all the others are written with their prefixes. When a
checkpoint that names the new end of the file is durable, the gate is opened by the one prefix that is missing
(`SegmentFileHeld.gate_offset`). Until then recovery cuts them off again: the journal still has them. This is done with the oldest journal file
before it goes, and with all that is left when the store closes (folding): after a clean stop every value that is kept is here.

A value stays a message of its own, however small, with its bytes and its xxh3 as they were published: a slice of a common batch would come out
as other bytes, so that nobody could hold it against what was sent. (What many small ones need in an index is one row for a run of them.)
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any

import xxhash

from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen
from linkd.model.values import Envelope, Parent, Place, PlaceKind, Position, Producer
from linkd.wire import arrow_ipc

NAME_SUFFIX = ".arrow"
SPARE_SUFFIX = ".spare"
"""Behind the name of a file that is no segment, and may become one."""
FILLER_KEY = "linkd.filler"
_KEY_PREFIX = "linkd."
_PARENT_FIELDS = tuple(field.name for field in dataclasses.fields(Parent))
_KEYS = {"linkd.envelope", "linkd.envelope_xxh3", "linkd.position", "linkd.generation", "linkd.metadata_bytes"}


@frozen()
class SegmentHead:
    """The file that a link's next value goes to, if schema and generation are the same. `end` is where its end mark lies."""

    file: int
    end: int
    schema_id: bytes
    generation: int


@frozen()
class SegmentPlacement:
    """Where a value goes. `schema` is the schema message that a new file begins with, else `None`."""

    head: SegmentHead
    place: Place
    schema: bytes | None


def file_name(number: int) -> str:
    return f"{number:08d}{NAME_SUFFIX}"


def file_number(name: str) -> int | None:
    """The number in a segment's name, or `None` if it is not one's."""
    stem = name.removesuffix(NAME_SUFFIX)
    return int(stem) if stem != name and len(stem) >= 8 and stem.isdecimal() else None


def directory_name(link: str) -> str:
    """The directory of a link's segments: the link's name. Raises `InvalidArgument` for a name that is not safe as one."""
    if not link or link.startswith(".") or "/" in link or "\x00" in link:
        raise InvalidArgument(f"{link!r} cannot be the name of a link: it must be usable as a directory's name")
    return link


def stamped_metadata(envelope: Envelope, metadata: bytes, padded_to: int | None = None) -> bytes:
    """The published metadata with the envelope in it; with `padded_to` of exactly that length. Raises `InvalidArgument` if it does not fit."""
    said = envelope_json(envelope)
    custom = {
        "linkd.envelope": said,
        "linkd.envelope_xxh3": f"{xxhash.xxh3_64_intdigest(said.encode()):016x}",
        "linkd.position": f"{envelope.position.incarnation}.{envelope.position.sequence}",
        "linkd.generation": str(envelope.generation),
        "linkd.metadata_bytes": str(len(metadata)),
    }
    return arrow_ipc.stamp(metadata, custom, padded_to)


def stamped_envelope(stamped: bytes) -> tuple[Envelope, int]:
    """The envelope in stamped metadata, and the length of the metadata as published. Raises `InvalidArgument` unless all of it is as written."""
    said = arrow_ipc.custom_metadata(stamped)
    stamp = {key: value for key, value in said.items() if key.startswith(_KEY_PREFIX)}
    try:
        text, published_bytes = stamp["linkd.envelope"], int(stamp["linkd.metadata_bytes"])
        checksum = stamp.get("linkd.envelope_xxh3", "")
        if (checksum and checksum != f"{xxhash.xxh3_64_intdigest(text.encode()):016x}") or not set(stamp) <= _KEYS:
            raise InvalidArgument("the envelope in a segment does not fit its checksum")
        envelope, published = envelope_of(text), arrow_ipc.unstamp(stamped, published_bytes)
        position = f"{envelope.position.incarnation}.{envelope.position.sequence}"
        if (stamp["linkd.position"], stamp["linkd.generation"]) != (position, str(envelope.generation)):
            raise InvalidArgument("the envelope in a segment contradicts itself")
    except (KeyError, ValueError) as problem:
        raise InvalidArgument(f"an envelope in a segment cannot be read: {problem}") from problem
    if arrow_ipc.stamp(published, stamp, len(stamped)) != stamped:
        raise InvalidArgument("the metadata that was added to a value in a segment is not what was written")
    return envelope, published_bytes


def filler_body_bytes(metadata: bytes) -> int | None:
    """The length of the body of a filler, which a repair put in the place of what was damaged; `None` if this is no filler."""
    if FILLER_KEY.encode() not in metadata:  # which is so of nearly all, and looked up sooner than their keys are read
        return None
    try:
        return arrow_ipc.body_length(metadata) if FILLER_KEY in arrow_ipc.custom_metadata(metadata) else None
    except InvalidArgument:
        return None


def envelope_json(envelope: Envelope) -> str:
    """The envelope for people and other programs, compact. 64-bit hashes are text: JSON numbers hold 53 bits in many readers."""
    fields: dict[str, object] = {
        "id": envelope.id.hex(),
        "link": envelope.link,
        "incarnation": envelope.position.incarnation,
        "sequence": envelope.position.sequence,
        "generation": envelope.generation,
        "rows": envelope.rows,
        "size_bytes": envelope.size_bytes,
        "schema_id": envelope.schema_id.hex(),
        "payload_xxh3": f"{envelope.payload_xxh3:016x}",
        "created_at_ns": envelope.created_at_ns,
        "task": envelope.task,
        "task_version": envelope.task_version,
        "attempt": envelope.attempt,
        "parents": [_parent_fields(parent) for parent in envelope.parents],
        "producer": _producer_fields(envelope.producer),
        "traceparent": envelope.traceparent,
        "attributes": dict(envelope.attributes),
    }
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=False)


def envelope_of(text: str) -> Envelope:
    """What `envelope_json` took. Raises `InvalidArgument`."""
    try:
        fields = json.loads(text)
        position = Position(fields.pop("incarnation"), fields.pop("sequence"))
        fields["parents"] = tuple(Parent(**parent) for parent in fields["parents"])
        fields["producer"] = _producer_of(fields["producer"])
        fields["payload_xxh3"] = int(fields["payload_xxh3"], 16)
        return Envelope(position=position, id=bytes.fromhex(fields.pop("id")), schema_id=bytes.fromhex(fields.pop("schema_id")), **fields)
    except (ValueError, TypeError, KeyError, AttributeError) as problem:
        raise InvalidArgument(f"an envelope in a segment cannot be read: {problem}") from problem


def _producer_fields(producer: Producer) -> dict[str, object]:
    fields: dict[str, object] = {"id": producer.id, "epoch": producer.epoch, "sequence": producer.sequence}
    return fields | {"request_xxh3": f"{producer.request_xxh3:016x}"} if producer.id else fields


def _producer_of(fields: dict[str, Any]) -> Producer:
    return Producer(fields["id"], fields["epoch"], fields["sequence"], int(fields.get("request_xxh3", "0"), 16))


def _parent_fields(parent: Parent) -> dict[str, object]:
    """Rows only where they say something: most parents are whole values."""
    fields = {name: getattr(parent, name) for name in _PARENT_FIELDS}
    return {name: value for name, value in fields.items() if value or name not in ("first_row", "end_row")}


def place_value(
    head: SegmentHead | None,
    envelope: Envelope,
    metadata_bytes: int,
    body_bytes: int,
    schemas: Mapping[bytes, bytes],
    file_max_bytes: int,
    new_file: Callable[[], int],
) -> SegmentPlacement:
    """Where a value with stamped metadata of this length goes, and the link's head behind it. `new_file` gives a number for a new file.

    Raises `InvalidArgument` if the value's schema is not known: a `SchemaKept` must come before the first value that
    has it.
    """
    stored_bytes = arrow_ipc.PREFIX_BYTES + metadata_bytes + body_bytes
    schema: bytes | None = None
    if head is None or not _continues(head, envelope, stored_bytes, file_max_bytes):
        schema = schemas.get(envelope.schema_id)
        if schema is None:
            raise InvalidArgument(f"value {envelope.name} has a schema ({envelope.schema_id.hex()}) that was not kept before it")
        head = SegmentHead(new_file(), len(schema), envelope.schema_id, envelope.generation)
    place = Place(PlaceKind.SEGMENT, head.file, head.end, envelope.size_bytes, metadata_bytes, body_bytes)
    return SegmentPlacement(head_behind(place, envelope), place, schema)


def head_behind(place: Place, envelope: Envelope) -> SegmentHead:
    """The head of a link whose last value in a segment is this one."""
    return SegmentHead(place.file, stored_end(place), envelope.schema_id, envelope.generation)


def stored_end(place: Place) -> int:
    """Where the message at `place` ends, and the next message or the end mark begins."""
    return place.offset + arrow_ipc.PREFIX_BYTES + place.metadata_bytes + place.body_bytes


def _continues(head: SegmentHead, envelope: Envelope, stored_bytes: int, file_max_bytes: int) -> bool:
    return (
        head.schema_id == envelope.schema_id
        and head.generation == envelope.generation
        and head.end + stored_bytes + len(arrow_ipc.EOS) <= file_max_bytes
    )
