"""Room in bounded links: who waits for it, in which order, and what ends a wait that nothing else can end. What room is says `core.flow`.

Whoever has something for a bounded link asks whether there is room and admits it before the next await; else it takes a place in line and is
woken by what may have made room: a commit, an ack, a value for the other side of a join. Who came first goes first, link by link; a commit
that needs room in several links waits for all of them and holds none meanwhile.

A task that waits for room while everything it could free is held up by others that wait is in a circle. The home sees that from its own
edges: it says so at once, and when it has lasted for `stall_timeout_s` all waits in it end with the error Stalled, which names it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from linkd.core.flow import Flow, Full, circle
from linkd.errors import Overloaded, Stalled
from linkd.home.changes import Watch, group_topic, link_topic, task_topic
from linkd.limits import COMMIT_ROOM_WAIT_S, STALL_AFTER_S
from linkd.model.frozen import frozen
from linkd.model.records import Dropped, Record
from linkd.model.terms import OnFull
from linkd.store.store import Store
from linkd.telemetry.events import CircleOfWaits, LinkFilled

if TYPE_CHECKING:
    from linkd.home.home import Home


@frozen()
class StoredSizes:
    """How large durable values are: what `core.flow` asks for."""

    store: Store

    def rows(self, link: str, first_sequence: int, last_sequence: int) -> Iterator[tuple[int, int]]:
        for envelope, _ in self.store.values(link, first_sequence, last_sequence):
            yield envelope.position.sequence, envelope.rows

    def total_bytes(self, link: str, first_sequence: int, last_sequence: int) -> int:
        return self.store.payload_bytes(link, first_sequence, last_sequence)

    def each_bytes(self, link: str, first_sequence: int, last_sequence: int) -> Iterator[tuple[int, int]]:
        for envelope, _ in self.store.values(link, first_sequence, last_sequence):
            yield envelope.position.sequence, envelope.size_bytes


@dataclass(slots=True, eq=False)
class Place:
    """A place in line. `task` is who waits, "" for an outsider; `full` is what it waits for, as of the last look."""

    links: frozenset[str]
    task: str
    watch: Watch
    full: tuple[Full, ...] = ()


@frozen()
class Relief:
    """What makes room: values to be dropped in the frame of the publish, and links whose newest values, those of the publish, are dropped."""

    drops: tuple[Dropped, ...] = ()
    refused: frozenset[str] = frozenset()


@dataclass(slots=True)
class FlowControl:
    """Belongs to one event loop."""

    home: Home
    flow: Flow
    stall_timeout_s: float = STALL_AFTER_S
    _line: list[Place] = field(default_factory=list)
    _circle: tuple[str, ...] = ()
    _circle_since_s: float = 0.0
    _circle_seen_s: float = 0.0

    def admitted(self, records: Iterable[Record]) -> None:
        """A frame was decided, and applied to the ledger."""
        self.flow.admitted(records)

    def settled(self, records: Iterable[Record]) -> None:
        """A frame is durable, and the ledger knows."""
        self.flow.settled(records)

    def is_bounded(self, links: Iterable[str]) -> bool:
        return any(self.flow.is_bounded(link) for link in links)

    def full(self, wanted: Mapping[str, int], place: Place | None = None) -> tuple[Full, ...]:
        """What has no room for so many bytes, by link, or somebody else in line before; none: admit before the next await."""
        self.flow.running = self.home.conduct.begun and self.home.ledger.run_outcome == "running"
        found = self.flow.full(wanted)
        if found:
            return found
        ahead = self._line if place is None else self._line[: self._line.index(place)]
        return tuple(full for earlier in ahead for full in earlier.full if full.link in wanted)

    def relief(self, wanted: Mapping[str, int], *, patient: bool = False) -> Relief | None:
        """What the terms of the links that are full say is to be dropped, to be admitted before the next await; None: wait.

        Raises Overloaded if a link would rather refuse; whoever is patient, as a source is, waits there.
        """
        drops: list[Dropped] = []
        refused: set[str] = set()
        found = self.flow.full(wanted)
        for full in found:
            on_full = self.flow.terms[full.link].on_full
            if on_full is OnFull.REFUSE and not patient:
                raise Overloaded(f"{full}; it refuses what is more: publish it again later")
            if on_full is OnFull.DROP_NEWEST:
                refused.add(full.link)
                continue
            going = self.flow.drops(full, wanted[full.link], self.home.clock.now_ns()) if on_full is OnFull.DROP_OLDEST else ()
            if not going:
                return None
            drops.extend(going)
        return Relief(tuple(drops), frozenset(refused)) if found else None  # somebody in line before is the only hindrance

    @contextmanager
    def in_line(self, wanted: Iterable[str], task: str = "") -> Iterator[Place]:
        """A place in line for these links, as long as the block runs; then it is the turn of those behind."""
        links = frozenset(link for link in wanted if self.flow.is_bounded(link))
        with self.home.changes.watch(*self._topics(links)) as watch:
            place = Place(links, task, watch)
            self._line.append(place)
            try:
                yield place
            finally:
                self._line.remove(place)
                for behind in self._line:
                    if behind.links & links:
                        behind.watch.poke()

    async def wait(self, place: Place, full: tuple[Full, ...], until_s: float | None = None) -> bool:
        """Waits until there may be room, but no longer than `until_s` (monotonic); whether there may be.

        Raises Stalled at the end of a circle of waits that lasted too long, Draining, StorageFailed.
        """
        if not place.full:
            self._tell(full)
        place.full = full
        self.home.check_alive()
        if any(one.unsure for one in full):
            await asyncio.sleep(0)
            return True
        now_s, stalled_in_s = self.home.clock.monotonic_s(), self._stalled_in_s(place)
        times = [left_s for left_s in (stalled_in_s, until_s - now_s if until_s is not None else None) if left_s is not None]
        changed = await place.watch.wait(max(min(times), 0.0) if times else None)
        self.home.check_alive()
        return changed or until_s is None or self.home.clock.monotonic_s() < until_s

    def waits(self) -> tuple[str, ...]:
        """Who waits for what now, in words: for those who look on."""
        lines = [f"{place.task or 'a publisher'} waits: {'; '.join(map(str, place.full))}" for place in self._line if place.full]
        found = circle(self._edges())
        return (*lines, *([_in_words(found)] if found else ()))

    def _topics(self, links: Iterable[str]) -> Iterator[str]:
        """What may make room in these links, or let a reader that waits for something else go on."""
        yield from ("run", "drain", "storage")
        for name in links:
            yield link_topic(name)
            for shape in self.home.ledger.shapes.values():
                if name in (inputs := [link for link, _ in shape.inputs]):
                    yield task_topic(shape.name)
                    yield from map(link_topic, inputs)
            yield from (group_topic(group, link) for group, link in self.home.ledger.groups if link == name)

    def _tell(self, full: Iterable[Full]) -> None:
        """A link begins to hold back those who publish to it."""
        held = {one.link for place in self._line for one in place.full}
        for one in full:
            if one.link not in held:
                readers = ", ".join(map(str, one.readers))
                event = LinkFilled(link=one.link, waiting_bytes=one.waiting_bytes, bound_bytes=one.bound_bytes, readers=readers)
                self.home.telemetry.emit(event)

    # -- circles --------------------------------------------------------------------------------------------------------------------------

    def _stalled_in_s(self, place: Place) -> float | None:
        """Seconds until this wait ends because it is part of a circle, None if it is not."""
        found, now_s = circle(self._edges()), self.home.clock.monotonic_s()
        if not found:
            if self._circle and now_s - self._circle_seen_s > 2 * COMMIT_ROOM_WAIT_S:
                self._circle = ()
            return None
        if found != self._circle:
            self._circle, self._circle_since_s = found, now_s
            self.home.telemetry.emit(CircleOfWaits(tasks=found, detail=_in_words(found)))
        self._circle_seen_s = now_s
        left_s = self._circle_since_s + self.stall_timeout_s - now_s
        if place.task not in found:
            return None
        if left_s <= 0:
            raise Stalled(f"{_in_words(found)}, for {self.stall_timeout_s:g} s: raise the `bound:` of one of the links, or take it out")
        return left_s

    def _edges(self) -> dict[str, set[str]]:
        """Which tasks can do nothing until which others have done something: all that such a task holds waits for room."""
        waiting: dict[str, set[str]] = {}
        places: dict[str, int] = {}
        for place in self._line:
            if place.task in self.home.ledger.tasks and place.full:
                places[place.task] = places.get(place.task, 0) + 1
                readers = {reader.name for full in place.full for reader in full.readers if reader.is_task}
                waiting.setdefault(place.task, set()).update(readers)
        for name, count in places.items():
            leases = self.home.ledger.tasks[name].leases.values()
            if count < len({lease.session for lease in leases if lease.session is not None}):
                del waiting[name]  # another of its programs may still move
        return waiting


def _in_words(names: tuple[str, ...]) -> str:
    return f"nothing can move any more: {' waits for '.join((*names, names[0]))}"
