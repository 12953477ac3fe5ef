"""The model as protocol messages, and back."""

from __future__ import annotations

from collections.abc import Iterable

from linkd.errors import InvalidArgument
from linkd.model.records import OutputRange
from linkd.model.values import Durability, Envelope, Parent, Position, Producer
from linkd.wire.v1 import value_pb2 as pb

ARROW = pb.ARROW
ROWS = pb.ROWS
BYTES = pb.BYTES

_DURABILITY = {Durability.FSYNC: pb.FSYNC, Durability.INTERVAL: pb.INTERVAL, Durability.MEMORY: pb.MEMORY}
_DURABILITY_BACK = {number: durability for durability, number in _DURABILITY.items()}


def position_message(position: Position) -> pb.Position:
    return pb.Position(incarnation=position.incarnation, sequence=position.sequence)


def position_of(message: pb.Position) -> Position:
    return Position(message.incarnation, message.sequence)


def portion_message(parent: Parent) -> pb.Portion:
    return pb.Portion(
        link=parent.link,
        incarnation=parent.incarnation,
        generation=parent.generation,
        first_sequence=parent.first_sequence,
        last_sequence=parent.last_sequence,
        first_row=parent.first_row,
        end_row=parent.end_row,
    )


def portion_of(message: pb.Portion) -> Parent:
    return Parent(
        message.link,
        message.incarnation,
        message.generation,
        message.first_sequence,
        message.last_sequence,
        message.first_row,
        message.end_row,
    )


def output_message(output: OutputRange) -> pb.Portion:
    return pb.Portion(
        link=output.link,
        incarnation=output.incarnation,
        generation=output.generation,
        first_sequence=output.first_sequence,
        last_sequence=output.last_sequence,
    )


def durability_number(durability: Durability) -> pb.Durability:
    return _DURABILITY[durability]


def durability_of(number: int) -> Durability:
    """FSYNC for a number this version does not know would promise too much: that raises InvalidArgument."""
    for known, durability in _DURABILITY_BACK.items():
        if known == number:
            return durability
    raise InvalidArgument(f"an ack of durability {number}, which this version of linkd does not know")


def envelope_message(envelope: Envelope) -> pb.Envelope:
    return pb.Envelope(
        id=envelope.id,
        link=envelope.link,
        position=position_message(envelope.position),
        generation=envelope.generation,
        rows=envelope.rows,
        size_bytes=envelope.size_bytes,
        schema_id=envelope.schema_id,
        payload_xxh3=envelope.payload_xxh3,
        created_at_ns=envelope.created_at_ns,
        task=envelope.task,
        task_version=envelope.task_version,
        attempt=envelope.attempt,
        parents=[portion_message(parent) for parent in envelope.parents],
        producer=pb.Producer(id=envelope.producer.id, epoch=envelope.producer.epoch, sequence=envelope.producer.sequence),
        traceparent=envelope.traceparent,
        attributes=dict(envelope.attributes) or None,  # a map that is filled in, with nothing, costs as much as all other fields
    )


def envelope_of(message: pb.Envelope) -> Envelope:
    return Envelope(
        id=message.id,
        link=message.link,
        position=position_of(message.position),
        generation=message.generation,
        rows=message.rows,
        size_bytes=message.size_bytes,
        schema_id=message.schema_id,
        payload_xxh3=message.payload_xxh3,
        created_at_ns=message.created_at_ns,
        task=message.task,
        task_version=message.task_version,
        attempt=message.attempt,
        parents=portions_of(message.parents),
        producer=Producer(message.producer.id, message.producer.epoch, message.producer.sequence),
        traceparent=message.traceparent,
        attributes=dict(message.attributes) if message.attributes else {},
    )


def portions_of(messages: Iterable[pb.Portion]) -> tuple[Parent, ...]:
    return tuple(portion_of(message) for message in messages)
