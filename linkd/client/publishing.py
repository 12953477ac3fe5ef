"""Publishing by outsiders, one value at a time with its ack: anonymous, or as a producer with a name. Flows of rows: `publisher`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from linkd.client.background import Background
from linkd.client.calls import Connection
from linkd.client.encoding import encode
from linkd.client.large_values import encoded
from linkd.client.numbered_stream import NumberedStream
from linkd.client.payloads import Payload, Publish
from linkd.errors import LinkNotFound, SchemaMismatch
from linkd.model.frozen import frozen
from linkd.model.values import Durability, Position
from linkd.model.values import Producer as Numbers
from linkd.wire.messages import durability_of, position_of
from linkd.wire.methods import DESCRIBE
from linkd.wire.v1 import links_pb2 as pb


@frozen()
class Ack:
    """What linkd promises about a publish: which positions it took, how durable they are (`fsync`: power loss too), and where (`home`).

    `repeated` says that an earlier answer got lost on its way, and that this is it.
    """

    link: str
    first: Position
    last: Position
    durability: Durability
    place: str
    rows: int
    generation: int
    dropped: bool = False
    """The link was full and drops what is newest: nothing was stored, and the positions hold no value."""
    repeated: bool = False

    @property
    def position(self) -> Position:
        """Of the last value."""
        return self.last

    @property
    def name(self) -> str:
        """The last value's name that people use: `flown@42`."""
        return f"{self.link}@{self.last.sequence}"

    @staticmethod
    def of(response: Any) -> Ack:
        return Ack(
            response.link,
            position_of(response.first),
            position_of(response.last),
            durability_of(response.durability),
            response.place,
            response.rows,
            response.generation,
            response.dropped,
            response.repeated,
        )


@frozen()
class KnownSchema:
    """The schema message of a link, empty while it has none; a declared one never changes."""

    schema: bytes = b""
    declared: bool = False


class LinkSchemas:
    """What the client knows of links' schemas: asked once for each link, then as its own publishes made them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[str, KnownSchema] = {}

    async def get(self, link: str) -> KnownSchema:
        known = self._known.get(link)
        if known is None:
            known = self._known[link] = await self._ask(link)
        return known

    def learned(self, link: str, payloads: Sequence[Payload]) -> None:
        """A publish of these was acked."""
        if payloads[-1].schema:
            self._known[link] = KnownSchema(payloads[-1].schema, self._known.get(link, KnownSchema()).declared)

    def forget(self, link: str) -> None:
        self._known.pop(link, None)

    async def _ask(self, link: str) -> KnownSchema:
        request = pb.DescribeRequest(link=link)
        try:
            answer = await self._connection.retry(lambda: self._connection.call(DESCRIBE, request))
        except LinkNotFound:
            return KnownSchema()  # under `--open` publishing makes the link; elsewhere the publish itself is refused, with the reason
        known = next((info for info in answer.links if info.name == link), None)
        if known is None or not (known.open or answer.open):
            return KnownSchema()  # not to be appended to: linkd's refusal is the answer, not a mismatch of what is refused anyway
        return KnownSchema(known.schema, known.declared)


class Outlet:
    """Publishes that each wait for their ack; all go over one stream, numbered, so that each happens once."""

    def __init__(self, connection: Connection, background: Background, schemas: LinkSchemas, *, producer: Numbers | None = None) -> None:
        self._connection = connection
        self._schemas = schemas
        name = f"linkd producer {producer.id}" if producer is not None else "linkd publish"
        self._stream = NumberedStream(connection, background, name, producer=producer, timeout_s=connection.timeout_s)

    @property
    def last_sequence(self) -> int:
        """The number of the last publish that was acked."""
        return self._stream.last_sequence

    async def publish(self, link: str, data: object, attributes: Mapping[str, str] | None) -> Ack:
        """Publishes `data` and waits for its ack; see `Client.publish`."""
        if self._connection.road is not None:
            data, attributes = await self._connection.road.brought(data, attributes)
        payloads, attributes = await encoded(self._connection, data, attributes, partial(self._encoded, link))
        try:
            return await self._sent(link, payloads, attributes)
        except SchemaMismatch:
            # Somebody else may have given the link a schema since it was asked for; what was refused was not stored.
            self._schemas.forget(link)
            again, attributes = await encoded(self._connection, data, attributes, partial(self._encoded, link))
            if [payload.schema for payload in again] == [payload.schema for payload in payloads]:
                raise
            return await self._sent(link, again, attributes)

    async def close(self) -> None:
        await self._stream.close()

    async def _encoded(self, link: str, data: object) -> tuple[Payload, ...]:
        known = await self._schemas.get(link)
        return encode(link, data, schema=known.schema, declared=known.declared, inputs=())

    async def _sent(self, link: str, payloads: tuple[Payload, ...], attributes: Mapping[str, str] | None) -> Ack:
        response = await (await self._stream.send(Publish(link, payloads, dict(attributes or {}))))
        self._schemas.learned(link, payloads)
        return Ack.of(response)


class Producer:
    """A producer with a name, whose publishes linkd counts: each happens once, and a program that begins again knows where it stands.

    Opening it fences whoever opened it before: the next publish of that one raises ProducerFenced.
    """

    def __init__(self, outlet: Outlet, name: str, epoch: int) -> None:
        self._outlet = outlet
        self._name = name
        self._epoch = epoch

    @property
    def name(self) -> str:
        return self._name

    @property
    def epoch(self) -> int:
        """How often the name has been opened, this time included."""
        return self._epoch

    @property
    def last_sequence(self) -> int:
        """How many publishes of this name linkd has acked, over all links and all programs that opened it."""
        return self._outlet.last_sequence

    async def publish(self, link: str, data: object, *, attributes: Mapping[str, str] | None = None) -> Ack:
        """As `Client.publish`. Raises ProducerFenced where another program has opened the name."""
        return await self._outlet.publish(link, data, attributes)

    def __repr__(self) -> str:
        return f"<Producer {self._name}: {self.last_sequence:,} publishes>"
