"""Where a value comes from, and what became of it: itself, and its ancestors or descendants, bounded.

Envelopes name their parents and not their children, so the way back follows names, and the way forward looks at every envelope of the links
downstream, once each, writers before readers. Both let other calls go on while they look.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field

from linkd.core.dead_letters import dead_link
from linkd.core.iso8601 import timestamp_text
from linkd.core.links import check_not_gone
from linkd.core.rights import Identity
from linkd.core.value_names import ById, BySequence, ByTime, Newest, parse_value_name
from linkd.errors import InvalidArgument, LinkNotFound
from linkd.home.home import Home
from linkd.home.reading import allow_reading
from linkd.limits import TRACE_SCAN_VALUES, TRACE_VALUES_DEFAULT, TRACE_VALUES_MAX
from linkd.model.frozen import frozen
from linkd.model.records import SnapshotCommitted, SourceMoved, TaskKind
from linkd.model.values import Envelope, Parent


@frozen()
class Relative:
    """A value of the family, `depth` steps away; `source` where it came from outside."""

    envelope: Envelope
    depth: int
    source: SourceMoved | None


@frozen()
class TraceCall:
    """Whose family: of the value that people call `name`, up to `limit` values (0: the default), `depth` steps away (0: any)."""

    name: str
    limit: int = 0
    depth: int = 0

    @property
    def bound(self) -> int:
        return min(self.limit or TRACE_VALUES_DEFAULT, TRACE_VALUES_MAX)

    def reaches(self, depth: int) -> bool:
        return not self.depth or depth <= self.depth


@frozen()
class Posterity:
    """A value, what was made from it, nearest first, and what sinks wrote of all these. `cut` says that there is more."""

    value: Relative
    descendants: list[Relative]
    sinks: list[SnapshotCommitted]
    cut: bool


async def ancestors(home: Home, who: Identity, call: TraceCall) -> tuple[list[Relative], bool]:
    """The value and its ancestors, each once, nearest first, and whether there are more of them. Raises LinkNotFound, NotAllowed."""
    first = _begin(home, who, call)
    found: list[Relative] = []
    seen: set[bytes] = {first.id}
    asked: set[Parent] = set()
    waiting: deque[tuple[Envelope, int]] = deque([(first, 0)])
    while waiting:
        envelope, depth = waiting.popleft()
        if len(found) == call.bound:
            return found, True
        found.append(Relative(envelope, depth, _source(home, envelope)))
        if not call.reaches(depth + 1):
            continue
        for parent in envelope.parents:
            if parent in asked:  # many values made from one snapshot have the same
                continue
            asked.add(parent)
            async for above in _values(home, parent.link, parent.first_sequence, parent.last_sequence):
                if len(seen) > call.bound:  # enough to know that there are more than are told
                    break
                if above.id not in seen:
                    seen.add(above.id)
                    waiting.append((above, depth + 1))
    return found, False


async def descendants(home: Home, who: Identity, call: TraceCall) -> Posterity:
    """The value and its descendants, each once. Raises LinkNotFound, NotAllowed."""
    first = _begin(home, who, call)
    family = _Family()
    family.add(first, 0)
    found: list[Relative] = []
    cut = False
    for link in _downstream(home, first.link):
        async for envelope in _values(home, link, 1, None):
            nearest = family.nearest(envelope.parents)
            if nearest is None or not call.reaches(nearest + 1):
                continue
            if len(found) + 1 == call.bound:
                cut = True
                break
            family.add(envelope, nearest + 1)
            found.append(Relative(envelope, nearest + 1, None))
    sinks = [record for record in _sink_commits(home) if family.nearest(record.portions) is not None]
    found.sort(key=lambda relative: relative.depth)  # stable: writers stay before readers
    return Posterity(Relative(first, 0, _source(home, first)), found, sinks[: call.bound], cut or len(sinks) > call.bound)


def find(home: Home, name: str) -> Envelope:
    """The value that people call so (`core.value_names`). Raises LinkNotFound, InvalidArgument."""
    named = parse_value_name(name)
    if isinstance(named, ById):
        matches = home.store.find(named.digits)
        if not matches:
            raise LinkNotFound(f"no value has an id that begins with {name}")
        if len(matches) > 1:
            raise InvalidArgument(f"{len(matches)} values or more have ids that begin with {name}: give more of it")
        return matches[0][0]
    home.check_link(named.link)
    if isinstance(named, ByTime):
        return _newest_at(home, named)
    return _by_place(home, named)


@dataclass(slots=True)
class _Family:
    """The values found so far, by link in order of their sequences (which go on through incarnations), each with its depth."""

    _sequences: dict[str, list[int]] = field(default_factory=dict)
    _depths: dict[str, list[int]] = field(default_factory=dict)
    _asked: tuple[Parent, ...] = ()
    _answer: int | None = None

    def add(self, envelope: Envelope, depth: int) -> None:
        """Values of a link come in their order."""
        key = envelope.link
        if key not in self._sequences:
            self._asked, self._answer = (), None
        self._sequences.setdefault(key, []).append(envelope.position.sequence)
        self._depths.setdefault(key, []).append(depth)

    def nearest(self, parents: tuple[Parent, ...]) -> int | None:
        """The least depth of those that are among `parents`; None if none is. Parents are of other links than the one being looked at."""
        if parents != self._asked:  # many values made from one snapshot have the same
            self._asked = parents
            self._answer = min((depth for parent in parents for depth in self._among(parent)), default=None)
        return self._answer

    def _among(self, parent: Parent) -> Iterable[int]:
        key = parent.link
        sequences = self._sequences.get(key, [])
        start = bisect_left(sequences, parent.first_sequence)
        return self._depths.get(key, [])[start : bisect_left(sequences, parent.last_sequence + 1)]


def _begin(home: Home, who: Identity, call: TraceCall) -> Envelope:
    first = find(home, call.name)
    allow_reading(home, who, "trace", first.link)
    return first


def _by_place(home: Home, named: BySequence | Newest) -> Envelope:
    link = home.ledger.link(named.link)
    generation = link.readable
    if isinstance(named, Newest):
        if generation is None or link.durable_last(generation) < generation.kept_sequence:
            raise LinkNotFound(f"{named.link} holds no value yet")
        sequence = link.durable_last(generation)
    else:
        sequence = named.sequence
    for envelope, _ in home.store.values(named.link, sequence, sequence):
        return envelope
    check_not_gone(link, sequence, sequence)
    raise LinkNotFound(f"there is no value {named.link}@{sequence} (its last is {named.link}@{link.durable_sequence})")


def _newest_at(home: Home, named: ByTime) -> Envelope:
    found = home.store.last_before(named.link, named.at_ns)
    if found is None:
        raise LinkNotFound(f"{named.link} held no value yet at {timestamp_text(named.at_ns, 'ns', zoned=True)}")
    return found[0]


async def _values(home: Home, link: str, first: int, last: int | None) -> AsyncIterator[Envelope]:
    for number, (envelope, _) in enumerate(home.store.values(link, first, last), 1):
        yield envelope
        if number % TRACE_SCAN_VALUES == 0:
            await asyncio.sleep(0)


def _downstream(home: Home, start: str) -> list[str]:
    """The links that may hold descendants of values of `start`, writers before readers: by the wiring, by what was made so before,
    and where programs failed at them."""
    made_from: dict[str, set[str]] = {}
    for shape in home.layout.tasks.values():
        outputs = {output for output in (*shape.outputs, dead_link(shape.name)) if output in home.ledger.links}
        for name, _ in shape.inputs:
            made_from.setdefault(name, set()).update(outputs)
    for link in home.ledger.links.values():
        if (letters := dead_link(link.name)) in home.ledger.links:
            made_from.setdefault(link.name, set()).add(letters)
        for generation in link.generations.values():
            for parent in generation.inputs:
                made_from.setdefault(parent.link, set()).add(link.name)
    return _readers_last(made_from, start)


def _readers_last(made_from: dict[str, set[str]], start: str) -> list[str]:
    """All that is reached from `start` without it, each behind everything that leads to it. Where an older wiring went the other way round,
    the two are in either order."""
    finished: list[str] = []
    seen = {start}
    path = [(start, iter(sorted(made_from.get(start, ()))))]
    while path:
        name, following = path[-1]
        reader = next((reader for reader in following if reader not in seen), None)
        if reader is None:
            finished.append(name)
            path.pop()
        else:
            seen.add(reader)
            path.append((reader, iter(sorted(made_from.get(reader, ())))))
    return finished[-2::-1]


def _sink_commits(home: Home) -> Iterator[SnapshotCommitted]:
    for shape in home.layout.tasks.values():
        task = home.ledger.tasks.get(shape.name) if shape.kind is TaskKind.SINK else None
        if task is not None:
            yield from task.committed.values()


def _source(home: Home, envelope: Envelope) -> SourceMoved | None:
    link = home.ledger.links.get(envelope.link)
    generation = link.generations.get(envelope.generation) if link is not None else None
    return generation.source if generation is not None and not envelope.parents else None
