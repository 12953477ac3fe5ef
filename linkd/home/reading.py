"""Reading what is durable now: of one generation, belonging to no group, holding nothing back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from linkd.core.links import Generation, Link
from linkd.core.rights import Identity
from linkd.errors import InvalidArgument, LinkNotFound
from linkd.home.home import Home
from linkd.home.outgoing import Out, Outgoing


@dataclass(frozen=True, slots=True)
class ReadCall:
    """What to read: a generation (0: the one that readers see) and a range of sequences (0: to that end), or the last few values."""

    link: str
    generation: int = 0
    first_sequence: int = 0
    last_sequence: int = 0
    last_values: int = 0
    form: str = "arrow"
    envelopes_only: bool = False


@dataclass(frozen=True, slots=True)
class ReadOpened:
    """What is read: fixed when the call arrives. `generation` is 0 while the link has none; last < first if there is no value."""

    link: str
    generation: int
    sealed: bool
    schema: bytes
    first_sequence: int
    last_sequence: int


async def read(home: Home, who: Identity, call: ReadCall) -> AsyncGenerator[ReadOpened | Out, None]:
    """First what is read, then its values in order. Raises LinkNotFound, NotAllowed, InvalidArgument, StateDamaged."""
    allow_reading(home, who, "read", call.link)
    link = home.ledger.links.get(call.link)
    generation = _generation(link, call) if link is not None else None
    if link is None or generation is None:
        yield ReadOpened(call.link, 0, False, b"", 1, 0)
        return
    first, last = _range(link, generation, call)
    sealed = generation.is_sealed
    yield ReadOpened(link.name, generation.number, sealed, generation.schema, first, last)
    outgoing = Outgoing(home, call.form)
    for envelope, place in home.store.values(link.name, first, last):
        yield await outgoing.value(envelope, place, empty=call.envelopes_only)


def allow_reading(home: Home, who: Identity, operation: str, link: str) -> None:
    """Raises LinkNotFound with what there is, or NotAllowed (audited)."""
    home.check_link(link)
    with home.audited(who, operation, link):
        home.rights.read(who, link)


def _generation(link: Link, call: ReadCall) -> Generation | None:
    if not call.generation:
        return link.readable
    found = link.generations.get(call.generation)
    if found is None:
        there = ", ".join(str(number) for number in sorted(link.generations))
        raise LinkNotFound(f"{link.name} has no generation {call.generation} (there are: {there})")
    return found


def _range(link: Link, generation: Generation, call: ReadCall) -> tuple[int, int]:
    first, last = generation.first_sequence, link.durable_last(generation)
    if call.last_values:
        first = max(first, last - call.last_values + 1)
    if call.first_sequence:
        first = max(first, call.first_sequence)
    if call.last_sequence:
        if call.first_sequence and call.last_sequence < call.first_sequence:
            raise InvalidArgument(f"{link.name}: from {call.first_sequence} to {call.last_sequence} is no range")
        last = min(last, call.last_sequence)
    return first, last
