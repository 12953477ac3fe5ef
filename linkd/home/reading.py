"""Reading what is durable now, and as it becomes durable: belonging to no group, holding nothing back."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import closing
from dataclasses import dataclass, replace

from linkd.core.links import Generation, GenerationState, Link, check_not_gone, lost_behind
from linkd.core.rights import Identity
from linkd.errors import InvalidArgument, LinkNotFound
from linkd.home.changes import Watch, link_topic
from linkd.home.home import Home
from linkd.home.outgoing import Out, Outgoing
from linkd.model.frozen import frozen
from linkd.model.values import PlaceKind, Position
from linkd.telemetry.events import LOST, ValuesLost


@frozen()
class ReadCall:
    """What to read: a generation (0: the one that readers see) and a range of sequences (0: to that end), or the last few values.

    With `follow` that is where it begins (of generation 0: the newest one); it has no end. `incarnation` is that of the value before the first
    (0: the present one): what the link has lost up to it is passed over.
    """

    link: str
    generation: int = 0
    first_sequence: int = 0
    last_sequence: int = 0
    last_values: int = 0
    form: str = "arrow"
    envelopes_only: bool = False
    follow: bool = False
    incarnation: int = 0


@frozen()
class ReadOpened:
    """What is read: fixed when the call arrives. `generation` is 0 while the link has none; last < first if there is no value.

    Who follows is told of every generation; the range is then what there is when it begins. `lost` are values that the caller may have seen
    and the link has no more.
    """

    link: str
    generation: int
    sealed: bool
    schema: bytes
    first_sequence: int
    last_sequence: int
    lost: int = 0


async def read(home: Home, who: Identity, call: ReadCall) -> AsyncGenerator[ReadOpened | Out, None]:
    """First what is read, then its values in order. Raises LinkNotFound, NotAllowed, InvalidArgument, StateDamaged.

    Who follows is given the next generation behind the last value of one that is complete or abandoned, until Draining or StorageFailed.
    """
    if call.follow and home.layout.anyone:
        await home.ensure_link(call.link)
    allow_reading(home, who, "read", call.link)
    if call.follow and call.last_sequence:
        raise InvalidArgument(f"{call.link}: reading on has no end: leave out last_sequence, or follow")
    with closing(Outgoing(home, call.form, goes_along=call.follow)) as outgoing:
        if not call.follow:
            async for part in _present(home, who, call, outgoing):
                yield part
            return
        with home.changes.watch(link_topic(call.link), "drain", "storage") as watch:
            async for part in _Following(home, who, call, outgoing, watch).parts():
                yield part


async def _present(home: Home, who: Identity, call: ReadCall, outgoing: Outgoing) -> AsyncGenerator[ReadOpened | Out, None]:
    link = home.ledger.links.get(call.link)
    generation = _generation(link, call) if link is not None else None
    if link is None or generation is None:
        yield ReadOpened(call.link, 0, False, b"", 1, 0)
        return
    call, lost = _behind_loss(home, link, call)
    first, last = _range(link, generation, call)
    with home.retention.reading(link.name, generation.number, first, who.name) as reading:
        yield ReadOpened(link.name, generation.number, generation.is_sealed, generation.schema, first, last, lost)
        for envelope, place in home.store.values(link.name, first, last):
            reading.first_sequence = envelope.position.sequence
            if place.kind is PlaceKind.DROPPED:
                continue  # the ledger has said so, and why
            yield await outgoing.value(envelope, place, empty=call.envelopes_only)


@dataclass(slots=True)
class _Following:
    """One reader that goes on; `_sent` is the last sequence it has."""

    home: Home
    who: Identity
    call: ReadCall
    outgoing: Outgoing
    watch: Watch
    _sent: int = 0

    async def parts(self) -> AsyncGenerator[ReadOpened | Out, None]:
        while (link := self.home.ledger.links.get(self.call.link)) is None or (generation := self._first(link)) is None:
            await self._pause()
        self.call, lost = _behind_loss(self.home, link, self.call)
        first, last = _range(link, generation, self.call) if self._is_meant(generation) else _extent(link, generation)
        while True:
            self._sent = first - 1
            yield ReadOpened(link.name, generation.number, generation.is_sealed, generation.schema, first, last, lost)
            lost = 0
            async for part in self._values(link, generation):
                yield part
            following = link.following(generation.number)
            assert following is not None  # `_values` ends with the generation only where there is one behind it
            generation = following
            first, last = _extent(link, generation)

    def _first(self, link: Link) -> Generation | None:
        """The generation to begin with: the one that was asked for, or if that is not kept the first behind it; else the newest."""
        if self.call.generation:
            return link.generations.get(self.call.generation) or link.following(self.call.generation)
        current = link.current
        return current if current is not None and current.state is not GenerationState.ABANDONED else link.readable

    def _is_meant(self, generation: Generation) -> bool:
        """Whether the range that was asked for is one of this generation."""
        return self.call.generation in (0, generation.number)

    async def _values(self, link: Link, generation: Generation) -> AsyncGenerator[Out, None]:
        """What of the generation was not sent yet, as it becomes durable. Ends when all of it was sent and another one has begun."""
        while True:
            self.home.check_alive()
            last, kept = link.durable_last(generation), generation.number in link.generations
            if kept and self._sent < last:
                with self.home.retention.reading(link.name, generation.number, self._sent + 1, self.who.name) as reading:
                    for envelope, place in self.home.store.values(link.name, self._sent + 1, last):
                        reading.first_sequence = envelope.position.sequence
                        if place.kind is PlaceKind.DROPPED:
                            continue
                        yield await self.outgoing.value(envelope, place, empty=self.call.envelopes_only)
                self._sent = last
            elif link.following(generation.number) is not None and not (kept and self._sent < generation.last_sequence):
                return
            else:
                await self._pause()

    async def _pause(self) -> None:
        self.home.check_alive()
        await self.watch.wait()
        self.home.check_alive()


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
        was_there = call.generation <= link.newest
        what = (
            f"generation {call.generation} of {link.name} is not kept any more"
            if was_there
            else f"{link.name} has no generation {call.generation}"
        )
        raise LinkNotFound(f"{what} (there are: {there})")
    return found


def _behind_loss(home: Home, link: Link, call: ReadCall) -> tuple[ReadCall, int]:
    """The call as it begins behind what the link has lost of what the caller may have seen, and how many values that are."""
    if not call.incarnation or not call.first_sequence:
        return call, 0
    lost = lost_behind(link, Position(call.incarnation, call.first_sequence - 1))
    if lost:
        home.telemetry.emit(ValuesLost(link=link.name, reader="a reader", values=lost, reason=LOST))
    return replace(call, incarnation=0, first_sequence=call.first_sequence - lost), lost


def _extent(link: Link, generation: Generation) -> tuple[int, int]:
    """All of it that is durable."""
    return generation.kept_sequence, link.durable_last(generation)


def _range(link: Link, generation: Generation, call: ReadCall) -> tuple[int, int]:
    first, last = _extent(link, generation)
    if call.last_values:
        first = max(first, last - call.last_values + 1)
    if call.first_sequence:
        first = max(first, call.first_sequence)
    if call.last_sequence:
        if call.first_sequence and call.last_sequence < call.first_sequence:
            raise InvalidArgument(f"{link.name}: from {call.first_sequence} to {call.last_sequence} is no range")
        last = min(last, call.last_sequence)
        if call.first_sequence:
            check_not_gone(link, call.first_sequence, call.last_sequence)
    return first, last
