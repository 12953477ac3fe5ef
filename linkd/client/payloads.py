"""Payloads cut into messages, and put together again. Pure.

A payload of up to `STREAM_FRAME_MAX_BYTES` travels in its header message; of a longer one the most follows in chunks (proto/linkd/v1/value.proto).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from linkd.client.lane_files import Region
from linkd.errors import InternalFault
from linkd.model.frozen import frozen
from linkd.model.values import Producer
from linkd.wire.chunks import ChunkMessage, cut
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2 as value_pb

if TYPE_CHECKING:
    import pyarrow as pa


@frozen()
class Payload:
    """One value as it will be sent: `content` gives its bytes when its turn comes, in parts one behind the other, so that nothing is held twice."""

    format: int
    rows: int
    size_bytes: int
    content: Callable[[], Sequence[bytes | memoryview]]
    schema: bytes = b""
    batch: Any = None
    """Of Arrow: the record batch whose message `content` makes, for who writes it in place."""


@frozen()
class Publish:
    """The values of one publish, which become durable and visible together; staged for a commit if `snapshot_id` is set.

    `producer` numbers it, so that it can be sent again.
    """

    link: str
    payloads: tuple[Payload, ...]
    attributes: Mapping[str, str] = field(default_factory=dict)
    snapshot_id: bytes = b""
    token: int = 0
    producer: Producer = Producer()

    def numbered(self, producer: Producer) -> Publish:
        """The same as this publish of the producer."""
        return Publish(self.link, self.payloads, self.attributes, self.snapshot_id, self.token, producer)

    @property
    def rows(self) -> int:
        return sum(payload.rows for payload in self.payloads)

    @property
    def size_bytes(self) -> int:
        return sum(payload.size_bytes for payload in self.payloads)


def publish_messages(publish: Publish, schemas_sent: dict[str, bytes], placed: Sequence[Any] = ()) -> Iterator[Any]:
    """The messages of one publish. `schemas_sent` is what the stream has been told of each link's schema; it is kept up to date.

    `placed` says of each payload where it lies (a `Placed`), or None for one that is sent.
    """
    stage = pb.Stage(snapshot_id=publish.snapshot_id, token=publish.token) if publish.snapshot_id else None
    who = publish.producer
    producer = value_pb.Producer(id=who.id, epoch=who.epoch, sequence=who.sequence) if who.id else None
    last = len(publish.payloads) - 1
    for index, payload in enumerate(publish.payloads):
        place = placed[index] if placed else None
        parts = payload.content() if place is None else ()
        head, *chunks = cut(parts)
        known = schemas_sent.get(publish.link) == payload.schema
        schemas_sent[publish.link] = payload.schema
        value = pb.PublishValue(
            link=publish.link,
            format=payload.format,  # type: ignore[arg-type]  # an open enum: any number the protocol knows
            payload_bytes=sum(map(len, parts)),
            schema=b"" if known else payload.schema,
            data=b"".join(head),
            more=index < last,
            attributes=dict(publish.attributes) or None,  # a map that is filled in, with nothing, costs as much as all other fields
            producer=producer,
            stage=stage,
            placed=place,
        )
        yield pb.PublishRequest(value=value)
        for chunk in chunks:
            yield ChunkMessage(pb.PublishRequest, chunk)


@frozen()
class Arrived:
    """A value as it came from linkd: its header message, all of its payload, and the schema message that goes with it."""

    header: Any
    payload: bytes | memoryview | Region
    """A view only of a value that came as Arrow."""
    schema: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.payload)

    def batch(self, *, validate: bool = False) -> pa.RecordBatch:
        """The rows of a value that came as Arrow; `validate` looks at every offset and character. Raises InvalidArgument, StateDamaged."""
        if isinstance(self.payload, Region):
            return self.payload.batch(self.schema, validate=validate)
        from linkd.core.schema import from_payload

        return from_payload(self.schema, self.payload, validate=validate)


@frozen()
class ByPlace:
    """A message of a stream with a value that lies in a file, and where that is mapped."""

    message: Any
    region: Region

    def WhichOneof(self, group: str) -> str:  # noqa: N802 - protobuf's name
        return "value"

    @property
    def value(self) -> Any:
        return self.message.value


class Assembler:
    """Puts the values of one stream together from headers and chunks, and remembers the schema of each link.

    Chunks go to their place as they come: kept until all are there, and joined then, a value would take twice its memory.
    """

    def __init__(self) -> None:
        self._schemas: dict[str, bytes] = {}
        self._header: Any = None
        self._whole = memoryview(b"")
        self._have_bytes = 0

    def take(self, message: Any) -> Arrived | None:
        """A message with a value or a chunk came; the value is returned if it is complete now."""
        if isinstance(message, ByPlace):
            header = message.value
            self._begin(header)
            return self._complete(message.region)
        return self.value(message.value) if message.WhichOneof("message") == "value" else self.chunk(message.chunk)

    def value(self, header: Any) -> Arrived | None:
        """A value begins; it is returned if it is complete already."""
        self._begin(header)
        if len(header.data) == header.payload_bytes:
            return self._complete(header.data)
        self._whole, self._have_bytes = memoryview(bytearray(header.payload_bytes)), 0
        return self._take(header.data)

    def _begin(self, header: Any) -> None:
        if self._header is not None:
            raise InternalFault("linkd began a value before the one before it was complete")
        if header.schema:
            self._schemas[header.envelope.link] = header.schema
        self._header = header

    def chunk(self, data: bytes | memoryview) -> Arrived | None:
        """The next bytes of the value that was begun; it is returned if they are its last."""
        if self._header is None:
            raise InternalFault("linkd sent payload bytes that belong to no value")
        return self._take(data)

    def _take(self, data: bytes | memoryview) -> Arrived | None:
        end = self._have_bytes + len(data)
        if end > len(self._whole):
            raise InternalFault("linkd sent more payload bytes than it had announced")
        self._whole[self._have_bytes : end] = data
        self._have_bytes = end
        if end < len(self._whole):
            return None
        whole, self._whole = self._whole, memoryview(b"")
        return self._complete(whole.toreadonly() if self._header.format == value_pb.ARROW else bytes(whole))

    def _complete(self, payload: bytes | memoryview | Region) -> Arrived:
        header, self._header = self._header, None
        return Arrived(header, payload, self._schemas.get(header.envelope.link, b""))
