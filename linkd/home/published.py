"""The acks of publishes, and what is told of one that is durable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from linkd.home.due import Due
from linkd.home.home import Home
from linkd.home.spans import Begun
from linkd.home.staging import StagedRef
from linkd.model.frozen import frozen
from linkd.model.kept import AnswerKept
from linkd.model.records import Dropped
from linkd.model.values import Durability, Envelope, Position
from linkd.store.committer import Committed
from linkd.telemetry.events import ValuePublished
from linkd.telemetry.trace_context import Span


@frozen()
class PublishAck:
    """All values of the publish are as durable as `durability` says, from `first` to `last`; for staged values only `staged` is set.

    `repeated` says that its producer had sent it before, and that this is what it was answered then; `dropped` that the link was full, and that
    the positions hold no value.
    """

    values: int
    rows: int
    link: str = ""
    first: Position | None = None
    last: Position | None = None
    durability: Durability = Durability.FSYNC
    generation: int = 0
    value_id: bytes = b""
    staged: tuple[StagedRef, ...] = ()
    repeated: bool = False
    dropped: bool = False


DueAck = Due[PublishAck]


def due_ack(
    home: Home, written: asyncio.Future[Committed], envelopes: Sequence[Envelope], link: str, values: int, begun: Begun, began_s: float
) -> DueAck:
    """Of a publish of so many `values` to `link`, which was admitted."""
    return DueAck(written, partial(_published, home, written, envelopes, link, values, begun, began_s))


def _published(
    home: Home, written: asyncio.Future[Committed], envelopes: Sequence[Envelope], link: str, values: int, begun: Begun, began_s: float
) -> PublishAck:
    """It is durable: that is told."""
    durability = written.result().durability
    _tell_soon(home, envelopes, link, durability, home.clock.monotonic_s() - began_s, home.spans.end(begun))
    mine = [envelope for envelope in envelopes if envelope.link == link]
    if not mine:
        return PublishAck(values, 0, link)
    first, last = mine[0], mine[-1]
    rows = sum([envelope.rows for envelope in mine])
    return PublishAck(values, rows, link, first.position, last.position, durability, first.generation, last.id)


def ack_of_dropped(dropped: Dropped, values: int) -> PublishAck:
    """Of a publish to a link that was full."""
    first, last = (Position(dropped.incarnation, sequence) for sequence in (dropped.first_sequence, dropped.last_sequence))
    return PublishAck(values, 0, dropped.link, first, last, dropped=True)


def ack_again(answer: AnswerKept, values: int, durability: Durability) -> PublishAck:
    """Of a publish that was answered before."""
    first, last = (Position(answer.incarnation, sequence) for sequence in (answer.first_sequence, answer.last_sequence))
    return PublishAck(
        values, answer.rows, answer.link, first, last, durability, answer.generation, answer.value_id, (), True, not answer.value_id
    )


def _tell_soon(home: Home, envelopes: Sequence[Envelope], link: str, durability: Durability, seconds: float, span: Span | None) -> None:
    """One event for each link, told in the next turn of the loop: whoever waits for the ack has it by then. `span` is that of `link`."""
    if home.telemetry.wants(ValuePublished):
        asyncio.get_running_loop().call_soon(_tell, home, envelopes, link, durability, seconds, span)


def _tell(home: Home, envelopes: Sequence[Envelope], link: str, durability: Durability, seconds: float, span: Span | None) -> None:
    by_link: dict[str, list[Envelope]] = {}
    for envelope in envelopes:
        by_link.setdefault(envelope.link, []).append(envelope)
    for name, of_link in by_link.items():
        first = of_link[0]
        home.telemetry.emit(
            ValuePublished(
                link=name,
                task=first.task,
                values=len(of_link),
                rows=sum([envelope.rows for envelope in of_link]),
                size_bytes=sum([envelope.size_bytes for envelope in of_link]),
                seconds=seconds,
                generation=first.generation,
                durability=durability,
                value_id=first.id.hex() if len(of_link) == 1 else "",
                span=span if name == link else None,
            )
        )
