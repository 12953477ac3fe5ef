"""Payloads cut into messages, and put together again. Pure.

A payload of up to `STREAM_FRAME_MAX_BYTES` travels in its header message; a longer one follows in chunks (proto/linkd/v1/value.proto).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from linkd.errors import InternalFault
from linkd.limits import STREAM_FRAME_MAX_BYTES
from linkd.model.values import Producer
from linkd.wire.chunks import ChunkMessage
from linkd.wire.v1 import links_pb2 as pb
from linkd.wire.v1 import value_pb2 as value_pb


@dataclass(frozen=True, slots=True)
class Payload:
    """One value as it will be sent: `content` makes its bytes when its turn comes, so that a large publish is not held twice."""

    format: int
    rows: int
    size_bytes: int
    content: Callable[[], bytes | memoryview]
    schema: bytes = b""


@dataclass(frozen=True, slots=True)
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

    @property
    def rows(self) -> int:
        return sum(payload.rows for payload in self.payloads)

    @property
    def size_bytes(self) -> int:
        return sum(payload.size_bytes for payload in self.payloads)


def publish_messages(publish: Publish, schemas_sent: dict[str, bytes]) -> Iterator[Any]:
    """The messages of one publish. `schemas_sent` is what the stream has been told of each link's schema; it is kept up to date."""
    stage = pb.Stage(snapshot_id=publish.snapshot_id, token=publish.token) if publish.snapshot_id else None
    who = publish.producer
    producer = value_pb.Producer(id=who.id, epoch=who.epoch, sequence=who.sequence) if who.id else None
    last = len(publish.payloads) - 1
    for index, payload in enumerate(publish.payloads):
        content = memoryview(payload.content())
        is_cut = len(content) > STREAM_FRAME_MAX_BYTES
        known = schemas_sent.get(publish.link) == payload.schema
        schemas_sent[publish.link] = payload.schema
        value = pb.PublishValue(
            link=publish.link,
            format=payload.format,  # type: ignore[arg-type]  # an open enum: any number the protocol knows
            payload_bytes=len(content),
            schema=b"" if known else payload.schema,
            data=b"" if is_cut else bytes(content),
            more=index < last,
            attributes=dict(publish.attributes),
            producer=producer,
            stage=stage,
        )
        yield pb.PublishRequest(value=value)
        for start in range(0, len(content) if is_cut else 0, STREAM_FRAME_MAX_BYTES):
            yield ChunkMessage(pb.PublishRequest, content[start : start + STREAM_FRAME_MAX_BYTES])


@dataclass(frozen=True, slots=True)
class Arrived:
    """A value as it came from linkd: its header message, all of its payload, and the schema message that goes with it."""

    header: Any
    payload: bytes
    schema: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.payload)


class Assembler:
    """Puts the values of one stream together from headers and chunks, and remembers the schema of each link."""

    def __init__(self) -> None:
        self._schemas: dict[str, bytes] = {}
        self._header: Any = None
        self._pieces: list[bytes | memoryview] = []
        self._missing_bytes = 0

    def value(self, header: Any) -> Arrived | None:
        """A value begins; it is returned if it is complete already."""
        if self._header is not None:
            raise InternalFault("linkd began a value before the one before it was complete")
        if header.schema:
            self._schemas[header.envelope.link] = header.schema
        self._header, self._pieces, self._missing_bytes = header, [], header.payload_bytes
        return self._take(header.data)

    def chunk(self, data: bytes | memoryview) -> Arrived | None:
        """The next bytes of the value that was begun; it is returned if they are its last."""
        if self._header is None:
            raise InternalFault("linkd sent payload bytes that belong to no value")
        return self._take(data)

    def _take(self, data: bytes | memoryview) -> Arrived | None:
        self._pieces.append(data)
        self._missing_bytes -= len(data)
        if self._missing_bytes > 0:
            return None
        if self._missing_bytes < 0:
            raise InternalFault("linkd sent more payload bytes than it had announced")
        header, self._header = self._header, None
        first = self._pieces[0]
        payload = first if len(self._pieces) == 1 and isinstance(first, bytes) else b"".join(self._pieces)
        self._pieces = []
        return Arrived(header, payload, self._schemas.get(header.envelope.link, b""))
