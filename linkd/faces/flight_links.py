"""Links over Flight: what there is of one, and all of it as FlightData."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field

from linkd.core.artifact_references import cells_of
from linkd.core.dead_letters import is_dead_link
from linkd.core.names import COMMITS_LINK
from linkd.errors import InvalidArgument, NotAllowed
from linkd.faces.call import Call
from linkd.faces.flight_sending import SendingRoom, framed
from linkd.home import reading
from linkd.home.aligning import aligned
from linkd.home.committed import read_commits
from linkd.home.home import Home
from linkd.home.outgoing import Out
from linkd.home.reading import ReadCall, ReadOpened
from linkd.home.soundness import Soundness
from linkd.limits import VALUE_SIZE_MAX_BYTES
from linkd.wire.flight import cut, flight_data
from linkd.wire.flight_tickets import LinkAsked, descriptor_of, ticket_of
from linkd.wire.opaque import NO_COLUMNS_SCHEMA_MESSAGE
from linkd.wire.v1 import flight_pb2 as pb

UNKNOWN = -1
"""Rows or bytes that nobody has counted."""


@dataclass(slots=True)
class LinkSender:
    """Sends the links of one home."""

    home: Home
    room: SendingRoom
    soundness: Soundness = field(default_factory=Soundness)

    async def send(self, call: Call, asked: LinkAsked, write: Callable[[bytes], Awaitable[None]]) -> None:
        """Writes what is asked for: its schema, and a batch for each value.

        Raises LinkNotFound, NotAllowed, StateDamaged, and InvalidArgument, also for a value that a client would stumble over.
        """
        async with aclosing(_read(self.home, call, asked)) as parts:
            schema = own = b""
            async for part in parts:
                if isinstance(part, ReadOpened):
                    schema = own = part.schema or _schema_without_values(self.home, asked.link)
                    await write(flight_data((schema,)))
                    continue
                own = part.schema or own
                _check_whole(part)
                async with self.room.holding(part.size_bytes):
                    await write(await self._framed(part, own, schema))

    async def _framed(self, out: Out, own: bytes, schema: bytes) -> bytes:
        data = await framed(await aligned(self.home, out, own, schema))
        if own == schema:  # else it was looked at where it was brought to the other one
            message = cut(data)
            await self.soundness.check(out.envelope, schema, message.header, message.body)
        return data


def _check_whole(out: Out) -> None:
    """Raises InvalidArgument for a value with cells that are artifacts: a reader of batches would take what stands there for the content."""
    cells = cells_of(out.envelope.attributes)
    if cells:
        envelope = out.envelope
        raise InvalidArgument(
            f"{envelope.name} has a cell of {max(one.size_bytes for one in cells):,} bytes in column `{cells[0].column}`, and a batch has at most "
            f"{VALUE_SIZE_MAX_BYTES:,}: ask for it by SQL, or read it with linkd.connect()"
        )


async def info(home: Home, call: Call, asked: LinkAsked) -> pb.FlightInfo:
    """What there is, with a ticket that always asks for the same. Raises LinkNotFound, NotAllowed, InvalidArgument."""
    async with aclosing(_read(home, call, asked)) as parts:
        opened = await anext(parts)
    assert isinstance(opened, ReadOpened)
    first, last = opened.first_sequence, opened.last_sequence
    fixed = LinkAsked(asked.link, opened.generation, first, last) if first <= last else LinkAsked(asked.link, opened.generation)
    if asked.link == COMMITS_LINK:
        fixed = asked
    rows, size_bytes = _extent(home, opened)
    return pb.FlightInfo(
        schema=opened.schema or _schema_without_values(home, asked.link),
        flight_descriptor=descriptor_of(asked.link),
        endpoint=[pb.FlightEndpoint(ticket=pb.FlightTicket(ticket=ticket_of(fixed)))],
        total_records=rows,
        total_bytes=size_bytes,
        ordered=True,
    )


def schema_of(home: Home, call: Call, asked: LinkAsked) -> bytes:
    """The link's schema message, as readers see it. Raises LinkNotFound, NotAllowed."""
    home.check_link(asked.link)
    with home.audited(call.who, "describe", asked.link):
        home.rights.describe(call.who, asked.link)
    link = home.ledger.links.get(asked.link)
    generation = None if link is None else link.generations.get(asked.generation) if asked.generation else link.readable
    return (generation.schema if generation is not None else b"") or _schema_without_values(home, asked.link)


def names(home: Home, call: Call, beginning: str = "") -> Iterator[str]:
    """The links that may be read, by name."""
    beside = [name for name in home.ledger.links if home.layout.anyone or is_dead_link(name)]
    for name in sorted({*home.layout.links, *beside}):
        if name.startswith(beginning) and _may_read(home, call, name):
            yield name


def _may_read(home: Home, call: Call, name: str) -> bool:
    try:
        home.rights.read(call.who, name)
    except NotAllowed:
        return False
    return True


def _read(home: Home, call: Call, asked: LinkAsked) -> AsyncGenerator[ReadOpened | Out, None]:
    read = read_commits if asked.link == COMMITS_LINK else reading.read
    return read(home, call.who, ReadCall(asked.link, asked.generation, asked.since, asked.until))


def _schema_without_values(home: Home, link: str) -> bytes:
    shape = home.layout.links.get(link)
    return shape.declared[1] if shape is not None and shape.declared is not None else NO_COLUMNS_SCHEMA_MESSAGE


def _extent(home: Home, opened: ReadOpened) -> tuple[int, int]:
    """Rows and bytes of what is read, where that is all of a generation."""
    link = home.ledger.links.get(opened.link)
    generation = link.generations.get(opened.generation) if link is not None else None
    if generation is None:
        return (0, 0) if opened.link != COMMITS_LINK else (UNKNOWN, UNKNOWN)
    whole = opened.first_sequence <= generation.kept_sequence and opened.last_sequence == generation.last_sequence
    return (generation.rows, generation.size_bytes) if whole else (UNKNOWN, UNKNOWN)
