"""When values are dropped: whenever a generation ended, somebody left one, a link has more than it retains, or time has passed, and that is on disk.

What may go is `core.retention`'s (generations) and `core.expiry`'s (values of one) to say. About generations it is decided once in a turn of the
event loop, however many ended in it; about values at most once in `RETENTION_LOOK_INTERVAL_S`, or where a link has far more than it retains
in `RETENTION_HURRY_INTERVAL_S`, unless a look has found that somebody needs all of it, and he has not gone on; each time only of the links
concerned. The store frees what the records drop, in its own time.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from linkd.core import expiry, holds, retention
from linkd.core.dead_letters import is_dead_link
from linkd.core.ledger import Ledger
from linkd.core.steady_clock import SteadyClock
from linkd.errors import Draining, Overloaded, StorageFailed
from linkd.home.clock import Clock
from linkd.home.deadlines import Deadlines
from linkd.limits import (
    CLOCK_STEADY_S,
    DEAD_LETTERS_KEPT_BYTES,
    RETENTION_HURRY_INTERVAL_S,
    RETENTION_HURRY_SHARE,
    RETENTION_LOOK_INTERVAL_S,
)
from linkd.model.frozen import frozen
from linkd.model.records import (
    GenerationBegan,
    GenerationEnded,
    GroupMoved,
    HoldPlaced,
    HoldReleased,
    Record,
    SnapshotCommitted,
    TaskBegan,
    TaskEnded,
    ValueStored,
)
from linkd.model.terms import LinkTerms, Retain
from linkd.telemetry.events import ClockJumped, ValuesLost
from linkd.telemetry.hub import Telemetry

_DEAD_LETTERS = Retain(size_bytes=DEAD_LETTERS_KEPT_BYTES)
_LOOK = "retention"
"""The key of the one deadline that retention has."""


@dataclass(slots=True)
class Reading:
    """Somebody reads values of a generation, from `first_sequence` on: what is before it may go, as the reader goes on.

    `reader` is the name under which it calls.
    """

    link: str
    generation: int
    first_sequence: int
    reader: str = ""


@frozen()
class Surroundings:
    """What retention works with. `admit` makes records durable and raises what `Home.admit` does; `terms` are those of a link."""

    admit: Callable[[Sequence[Record]], object]
    terms: Callable[[str], LinkTerms]
    clock: Clock
    deadlines: Deadlines
    telemetry: Telemetry


class Retention:
    """Belongs to one event loop."""

    def __init__(self, ledger: Ledger, around: Surroundings) -> None:
        self._ledger = ledger
        self._around = around
        self._readings: dict[int, Reading] = {}
        self._links: set[str] = set()
        self._scheduled = False
        self._bounded: set[str] = set()
        self._stuck: dict[str, float] = {}
        """Links of which the last look found too much, and somebody needing all of it: who reads or holds it, from there on."""
        self._next_ns: dict[str, int] = {}
        self._due_s = math.inf
        self._looked_s = -math.inf
        last_seen_ns = max((link.last_created_at_ns for link in ledger.links.values()), default=0)
        self._clock = SteadyClock.at_start(around.clock.now_ns(), around.clock.monotonic_s(), last_seen_ns)

    def look_at_all(self) -> None:
        """At the start: what an earlier life of the home did not come to."""
        self._look_at(self._ledger.links)
        if self._clock.credible_ns is None and any(self._retain(name) for name in self._ledger.links):
            self._tell_jump(0.0)
        self._bounded.update(name for name in self._ledger.links if self._retain(name) is not None)
        self._look_within(0.0)

    def settled(self, records: Iterable[Record]) -> None:
        """A frame is durable."""
        grown: set[str] = set()
        freed: set[str] = set()
        for record in records:
            if isinstance(record, ValueStored):
                grown.add(record.envelope.link)
            elif isinstance(record, GenerationBegan | GenerationEnded | GroupMoved):
                self._look_at([record.link])
                freed.add(record.link)
            elif isinstance(record, SnapshotCommitted):
                freed.update(portion.link for portion in record.portions)
            elif isinstance(record, TaskBegan | TaskEnded):
                shape = self._ledger.shapes.get(record.task)
                if shape is not None:
                    self._look_at([name for name, _ in shape.inputs])
                    self._look_at(shape.outputs)
                    freed.update(name for name, _ in shape.inputs)
        if self._links:
            self._look_at(())  # what there was no room for
        self._look_at_freed(freed)
        self._look_at_bounded(grown - freed)

    @contextmanager
    def reading(self, link: str, generation: int, first_sequence: int = 0, reader: str = "") -> Iterator[Reading]:
        """The generation stays as long as the block runs, and its values from the first on that the reader has not passed: see `Reading`."""
        reading = Reading(link, generation, first_sequence, reader)
        self._readings[id(reading)] = reading
        try:
            yield reading
        finally:
            del self._readings[id(reading)]
            self._look_at([link])
            self._look_at_freed([link])

    @property
    def readings(self) -> Iterable[Reading]:
        """What is being read now, the oldest first."""
        return self._readings.values()

    def hold(self, hold: HoldPlaced) -> object:
        """Keeps the values that it names, over restarts, until its time or `release`. Returns what `admit` does.

        Raises LinkNotFound, InvalidArgument, Overloaded.
        """
        placed = self._around.admit(holds.place(self._ledger, hold, self._around.clock.now_ns()))
        self._look_within(0.0)
        return placed

    def release(self, name: str) -> None:
        """The hold of that name is no more, if there was one."""
        hold = self._ledger.holds.get(name)
        if hold is not None:
            self._around.admit([HoldReleased(name)])
            self._look_at([hold.link])
            self._look_at_freed([hold.link])

    def make_room(self, size_bytes: int) -> int:
        """Drops what may go anyhow, before it has to: of each link the generation before the newest complete one; then, of links with terms of
        retention, the oldest values that nobody needs. Returns how many bytes of payload go; the store frees them in its own time.
        """
        ledger, now_ns = self._ledger, self._around.clock.now_ns()
        records = retention.drops(ledger, sorted(ledger.links), self._held_generations(), now_ns=now_ns, complete_kept=1)
        going = [ledger.links[one.link].generations.get(one.generation) for one in records]
        freed_bytes = sum(one.size_bytes for one in going if one is not None)
        if not self._admit(records):
            return 0
        for name in sorted(ledger.links):
            if freed_bytes < size_bytes and self._retain(name) is not None:
                before_bytes = _size_bytes(ledger, name)
                if not self._admit(expiry.for_room(ledger, name, size_bytes - freed_bytes, now_ns, self._held_sequence(name))):
                    break
                freed_bytes += before_bytes - _size_bytes(ledger, name)
        return freed_bytes

    # -- generations ----------------------------------------------------------------------------------------------------------------------

    def _look_at(self, links: Iterable[str]) -> None:
        """Decide about the generations of these links soon, if there can be anything to decide."""
        known = self._ledger.links
        self._links.update(name for name in links if name in known and len(known[name].generations) > 1)
        if self._links and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._decide)

    def _decide(self) -> None:
        self._scheduled = False
        links, self._links = self._links, set()
        records = retention.drops(self._ledger, sorted(links), self._held_generations(), now_ns=self._around.clock.now_ns())
        if not self._admit(records):
            self._links |= links  # commits wait to be written: when the next one is, there is room for this, too

    def _held_generations(self) -> set[retention.Key]:
        reading = {(one.link, one.generation) for one in self._readings.values()}
        return reading | {(one.link, one.generation) for one in self._ledger.holds.values()}

    # -- values of them -------------------------------------------------------------------------------------------------------------------

    def _look_at_freed(self, links: Collection[str]) -> None:
        """Somebody may need less of these links than a moment ago."""
        for name in links:
            self._stuck.pop(name, None)
        self._look_at_bounded(links)

    def _look_at_bounded(self, links: Iterable[str]) -> None:
        """Look soon at what there is of these links, if there can be anything to decide."""
        for name in links:
            retain, link = self._retain(name), self._ledger.links.get(name)
            if retain is None or link is None:
                continue
            soon = self._due_s - self._looked_s > RETENTION_HURRY_INTERVAL_S and not self._is_stuck(name)
            if soon and expiry.exceeds(link, retain, RETENTION_HURRY_SHARE):
                self._bounded.add(name)
                self._look_within(RETENTION_HURRY_INTERVAL_S - (self._around.clock.monotonic_s() - self._looked_s))
            if name in self._bounded:
                continue
            if expiry.exceeds(link, retain) or (retain.age_s is not None and name not in self._next_ns):
                self._bounded.add(name)
                self._look_within(RETENTION_LOOK_INTERVAL_S - (self._around.clock.monotonic_s() - self._looked_s))

    def _is_stuck(self, link: str) -> bool:
        """Whether nobody has gone on since the look that dropped nothing."""
        return link in self._stuck and self._stuck[link] == self._held_sequence(link)

    def _look_within(self, seconds: float) -> None:
        due_s = self._around.clock.monotonic_s() + max(seconds, 0.0)
        if due_s < self._due_s:
            self._due_s = due_s
            self._around.deadlines.hold(_LOOK, max(seconds, 0.0), self._look)

    def _look(self) -> None:
        """Drop what has to go now, and say when to look again."""
        now_ns, now_s = self._around.clock.now_ns(), self._around.clock.monotonic_s()
        self._due_s, self._looked_s = math.inf, now_s
        jump_s = self._clock.look(now_ns, now_s)
        if jump_s:
            self._tell_jump(jump_s)
        moment = expiry.Moment(now_ns, self._clock.credible_ns)
        links = self._bounded | {name for name, at_ns in self._next_ns.items() if at_ns <= now_ns}
        self._bounded = set()
        for name in sorted(links):
            if not self._expire(name, moment):
                self._bounded |= links
                break
        self._admit(expiry.forgotten(self._ledger, now_ns))
        self._end_holds(now_ns if moment.credible_ns is not None else 0)
        self._look_again(now_ns, now_s)

    def _end_holds(self, now_ns: int) -> None:
        """Releases what has been held for its time; what that kept may go soon."""
        over = holds.over(self._ledger, now_ns)
        links = [self._ledger.holds[record.name].link for record in over]
        if self._admit(over):
            self._look_at(links)
            self._look_at_freed(links)

    def _expire(self, name: str, moment: expiry.Moment) -> bool:
        """False if there was no room for the records."""
        retain = self._retain(name)
        self._next_ns.pop(name, None)
        self._stuck.pop(name, None)
        if retain is None or name not in self._ledger.links:
            return True
        held_sequence = self._held_sequence(name)
        found = expiry.expired(self._ledger, name, retain, moment, held_sequence)
        if not self._admit(found.records):
            return False
        if not found.records and expiry.exceeds(self._ledger.links[name], retain):
            self._stuck[name] = held_sequence
        for loss in found.losses:
            self._around.telemetry.emit(ValuesLost(link=loss.link, reader=loss.reader, values=loss.values, reason=loss.reason))
        if found.next_ns is not None:
            self._next_ns[name] = found.next_ns
        return True

    def _look_again(self, now_ns: int, now_s: float) -> None:
        if self._bounded:
            self._look_within(RETENTION_LOOK_INTERVAL_S)
        if self._clock.steady_at_s is not None:
            if self._next_ns:
                self._look_within(max(self._clock.steady_at_s - now_s, RETENTION_LOOK_INTERVAL_S))
            return
        ends_ns = holds.next_end_ns(self._ledger.holds.values())
        at_ns = min([*self._next_ns.values(), *([ends_ns] if ends_ns is not None else [])], default=None)
        if at_ns is not None:
            self._look_within(max((at_ns - now_ns) / 1e9, RETENTION_LOOK_INTERVAL_S))

    def _retain(self, link: str) -> Retain | None:
        """What stays of a link, at most. Dead letters, which no line of the file is about, have a bound of their own."""
        retain = self._around.terms(link).retain
        return _DEAD_LETTERS if retain is None and is_dead_link(link) else retain

    def _held_sequence(self, link: str) -> float:
        """From here on somebody holds, or reads, what there is of the link."""
        reading = [one.first_sequence for one in self._readings.values() if one.link == link]
        return min([*reading, *(one.first_sequence for one in self._ledger.holds.values() if one.link == link)], default=math.inf)

    def _tell_jump(self, seconds: float) -> None:
        self._around.telemetry.emit(ClockJumped(seconds=seconds, paused_seconds=CLOCK_STEADY_S))

    def _admit(self, records: Sequence[Record]) -> bool:
        """False if there is no room for them now."""
        try:
            if records:
                self._around.admit(records)
        except Overloaded:
            return False
        except (Draining, StorageFailed):  # the home ends; the next one begins with this
            self._links.clear()
            self._bounded.clear()
        return True


def _size_bytes(ledger: Ledger, link: str) -> int:
    return sum(generation.size_bytes for generation in ledger.links[link].generations.values())
