"""FlightData without protobuf: what comes is cut and not copied, what goes is put together with one copy (proto/linkd/v1/flight.proto).

A FlightData is one encapsulated Arrow message (`arrow_ipc`) in two parts. In protobuf's encoding each field is a tag (varint: the field's
number shifted left by 3, its wire type in the low bits), and for the bytes of these fields a varint with their length, and they:

    0A    field 1     flight_descriptor: a FlightDescriptor
    12    field 2     data_header: the metadata, without the 8 bytes before it; some clients leave out its padding
    1A    field 3     app_metadata
    C2 3E field 1000  data_body

Fields may come in any order; of one that comes twice the last counts. Fields that are not known are passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

from linkd.errors import InvalidArgument
from linkd.limits import FLIGHT_FIELDS_MAX
from linkd.model.frozen import frozen
from linkd.wire.arrow_ipc import PREFIX_BYTES, Bytes, metadata_length, prefix
from linkd.wire.varints import LENGTH_DELIMITED, field_tag, varint

DESCRIPTOR, HEADER, APP_METADATA, BODY = 1, 2, 3, 1000
_VARINT, _FIXED64, _FIXED32 = 0, 1, 5
_VARINT_MAX_BYTES = 10
_NOTHING = memoryview(b"")


@frozen()
class FlightMessage:
    """A FlightData that came. `descriptor` is a FlightDescriptor as bytes, `header` is padded to 8 bytes, `body` a view of what came."""

    descriptor: bytes
    header: bytes
    app_metadata: bytes
    body: memoryview

    def parts(self) -> tuple[bytes, memoryview]:
        """The encapsulated Arrow message: what goes before its body, and that."""
        return prefix(len(self.header)) + self.header, self.body


def cut(data: bytes) -> FlightMessage:
    """Takes a FlightData apart. Says nothing of what its parts hold. Raises InvalidArgument."""
    view = memoryview(data)
    fields = dict.fromkeys((DESCRIPTOR, HEADER, APP_METADATA, BODY), _NOTHING)
    at, count = 0, 0
    while at < len(view):
        count += 1
        if count > FLIGHT_FIELDS_MAX:
            raise InvalidArgument(f"a FlightData has more than {FLIGHT_FIELDS_MAX} fields")
        tag, at = _varint_at(view, at)
        start, at = _extent(view, at, tag & 7)
        number = tag >> 3
        if number in fields:
            if tag & 7 != LENGTH_DELIMITED:
                raise InvalidArgument(f"field {number} of a FlightData has wire type {tag & 7}: it is bytes")
            fields[number] = view[start:at]
    header = fields[HEADER]
    return FlightMessage(bytes(fields[DESCRIPTOR]), bytes(header) + bytes(-len(header) % 8), bytes(fields[APP_METADATA]), fields[BODY])


def flight_data(pieces: Sequence[Bytes], app_metadata: bytes = b"") -> bytes:
    """A FlightData of an encapsulated Arrow message, which may be cut into pieces anywhere.

    Where all pieces are `bytes`, and make more than a megabyte, others of this process run meanwhile.
    """
    first = pieces[0]
    head_bytes = PREFIX_BYTES + metadata_length(first[:PREFIX_BYTES]) if len(first) >= PREFIX_BYTES else 0
    if len(first) < max(head_bytes, PREFIX_BYTES):
        return flight_data((b"".join(pieces),), app_metadata)
    body_bytes = sum(map(len, pieces)) - head_bytes
    parts: list[Bytes] = [_tagged(HEADER, head_bytes - PREFIX_BYTES), first[PREFIX_BYTES:head_bytes]]
    if app_metadata:
        parts += [_tagged(APP_METADATA, len(app_metadata)), app_metadata]
    if body_bytes:
        parts += [_tagged(BODY, body_bytes), first[head_bytes:], *pieces[1:]]
    return b"".join(parts)


def put_result(app_metadata: bytes) -> bytes:
    """A PutResult, whose only field has the number 1."""
    return _tagged(1, len(app_metadata)) + app_metadata


def _extent(view: memoryview, at: int, kind: int) -> tuple[int, int]:
    """Where the content of a field of this wire type begins and ends; its tag ends at `at`. Raises InvalidArgument."""
    if kind == LENGTH_DELIMITED:
        length, at = _varint_at(view, at)
        end = at + length
    elif kind == _VARINT:
        end = _varint_at(view, at)[1]
    elif kind in (_FIXED32, _FIXED64):
        end = at + (4 if kind == _FIXED32 else 8)
    else:
        raise InvalidArgument(f"a FlightData has a field of wire type {kind}, which there is not")
    if end > len(view):
        raise InvalidArgument(f"a FlightData of {len(view):,} bytes has a field that ends at {end:,}: it is cut short or damaged")
    return at, end


def _varint_at(view: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends. Raises InvalidArgument."""
    number = 0
    for index, byte in enumerate(view[at : at + _VARINT_MAX_BYTES]):
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return number, at + index + 1
    raise InvalidArgument("a FlightData has a number that does not end: it is cut short or damaged")


def _tagged(field: int, length: int) -> bytes:
    return field_tag(field) + varint(length)
