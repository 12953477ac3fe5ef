"""What waits in links that have a bound, and whether more may come. Pure, but for the two questions it asks of what is on disk.

What waits in a link is the payload of the values that a reader (a task of the pipeline, a consumer group) is not done with: of the one that is
furthest behind. A reader counts as long as it can go on with what is there: it holds something on lease, or could be given something. One that
cannot, because its policy needs more (the seal of a `whole` input, the rest of a window, the other side of a join), would wait for ever if its
producer waited for it; so it does not count, and what it needs kept goes to disk beyond the bound. So a bound holds back nobody but those who
are quicker than a reader that could take what they made.

A reader counts in the generation that is being written, and a task only while the run goes on that it takes part in. Nothing that a reader has
to do frees room in a link that is behind it, for the wiring has no circles; so what a commit frees is never room for the commit itself.

Each value is counted when it is decided, and taken off when its reader's cursor has passed it: then what lies between the cursor's two places
is asked for. Nothing is kept for a value, and nothing is looked at twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from linkd.core.composition import Again, RowCounts
from linkd.core.groups import Group
from linkd.core.ledger import Ledger
from linkd.core.links import Link, dropped_within
from linkd.core.publishing import FULL
from linkd.core.retention import FORGOTTEN
from linkd.core.tasks import End, Task, Wait
from linkd.model.frozen import frozen
from linkd.model.records import Dropped, Record, ValueStored
from linkd.model.terms import LinkTerms


class Sizes(RowCounts, Protocol):
    """Answers how large durable values are."""

    def total_bytes(self, link: str, first_sequence: int, last_sequence: int) -> int:
        """Payload bytes of these values."""
        ...

    def each_bytes(self, link: str, first_sequence: int, last_sequence: int) -> Iterator[tuple[int, int]]:
        """(sequence, payload bytes) of each of these values, in order."""
        ...


@frozen()
class Reader:
    """A task, or a consumer group; who waits is told of them by this name."""

    name: str
    is_task: bool

    def __str__(self) -> str:
        return self.name if self.is_task else f"group {self.name}"


@dataclass(slots=True)
class _Backlog:
    """What a reader is not done with, of the generation that is written."""

    generation: int
    done_sequence: int
    size_bytes: int


@frozen()
class Full:
    """A link that has no room. `readers` are those that have not taken what fills it; `unsure` that one of them is still being looked at."""

    link: str
    waiting_bytes: int
    bound_bytes: int
    readers: tuple[Reader, ...]
    unsure: bool = False

    def __str__(self) -> str:
        names = ", ".join(str(reader) for reader in self.readers)
        return f"{self.link} is full ({self.waiting_bytes:,} of {self.bound_bytes:,} bytes wait for {names})"


@dataclass(slots=True)
class Flow:
    """The bounded links of one home. `admitted` and `settled` are told of every frame; the rest are questions.

    `running` says whether a run is on: without one, tasks hold up nobody.
    """

    ledger: Ledger
    terms: Mapping[str, LinkTerms]
    sizes: Sizes
    running: bool = False
    _on_the_way: dict[str, int] = field(default_factory=dict)
    _backlogs: dict[str, dict[Reader, _Backlog]] = field(default_factory=dict)
    _tasks: dict[str, list[str]] = field(default_factory=dict)
    _groups: dict[str, list[Group]] = field(default_factory=dict)
    _groups_known: int = 0
    _bounded: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._bounded = frozenset(name for name, terms in self.terms.items() if terms.bound_bytes is not None)
        for name, shape in self.ledger.shapes.items():
            for link, _ in shape.inputs:
                self._tasks.setdefault(link, []).append(name)

    def is_bounded(self, link: str) -> bool:
        return link in self._bounded

    def admitted(self, records: Iterable[Record]) -> None:
        """A frame was decided, and applied to the ledger."""
        for record in records if self._bounded else ():
            if isinstance(record, ValueStored) and self.is_bounded(record.envelope.link):
                envelope = record.envelope
                self._on_the_way[envelope.link] = self._on_the_way.get(envelope.link, 0) + envelope.size_bytes
                for backlog in self._backlogs.get(envelope.link, {}).values():
                    if backlog.generation == envelope.generation:
                        backlog.size_bytes += envelope.size_bytes
            elif isinstance(record, Dropped) and not record.generation and record.reason != FORGOTTEN:  # those went before
                self._dropped(record)

    def settled(self, records: Iterable[Record]) -> None:
        """A frame is durable, and the ledger knows."""
        for record in records if self._bounded else ():
            if isinstance(record, ValueStored) and self.is_bounded(record.envelope.link):
                self._on_the_way[record.envelope.link] -= record.envelope.size_bytes

    def _dropped(self, record: Dropped) -> None:
        """Values are no more: they are asked for now, for soon there will be nothing to ask."""
        for backlog in self._backlogs.get(record.link, {}).values():
            first = max(record.first_sequence, backlog.done_sequence + 1)
            if first <= record.last_sequence:
                dropped_bytes = self.sizes.total_bytes(record.link, first, record.last_sequence)
                backlog.size_bytes = max(backlog.size_bytes - dropped_bytes, 0)

    def full(self, wanted: Mapping[str, int]) -> tuple[Full, ...]:
        """The links, of those that so many bytes are wanted in, which have no room for them. One publish always goes into an empty link."""
        return tuple(found for link, size_bytes in wanted.items() if (found := self._full(link, size_bytes)) is not None)

    def waiting_bytes(self, link: str) -> int:
        """What waits in a bounded link now."""
        found = self._full(link, self.terms[link].bound_bytes or 0)
        return found.waiting_bytes if found is not None else 0

    def _full(self, link: str, size_bytes: int) -> Full | None:
        bound_bytes = self.terms[link].bound_bytes if link in self.terms else None
        if bound_bytes is None:
            return None
        readers: list[Reader] = []
        waiting_bytes, unsure = 0, False
        for reader, backlog in self._refreshed(link).items():
            if not backlog.size_bytes or backlog.size_bytes + size_bytes <= bound_bytes:
                continue
            if reader.is_task:
                goes_on = self._goes_on(self.ledger.tasks[reader.name])
                if goes_on is False:
                    continue
                unsure = unsure or goes_on is None
            readers.append(reader)
            waiting_bytes = max(waiting_bytes, backlog.size_bytes)
        return Full(link, waiting_bytes, bound_bytes, tuple(readers), unsure) if readers else None

    def _goes_on(self, task: Task) -> bool | None:
        """Whether the task has all it needs for its next step; None if that takes another look."""
        if task.leases:
            return True
        found = task.next_snapshot(self.ledger.links, follow=self.ledger.follows, rows=self.sizes)
        return None if isinstance(found, Again) else not isinstance(found, Wait | End)

    # -- readers --------------------------------------------------------------------------------------------------------------------------

    def _refreshed(self, link: str) -> dict[Reader, _Backlog]:
        """The backlogs of a link, with what its readers are done with taken off."""
        state = self.ledger.links.get(link)
        if state is None:
            return {}
        before, now = self._backlogs.get(link, {}), self._backlogs.setdefault(link, {})
        fresh: dict[Reader, _Backlog] = {}
        for reader, done_sequence in self._readers(state):
            backlog = before.get(reader)
            if backlog is None or backlog.generation != state.newest or done_sequence < backlog.done_sequence:
                backlog = _Backlog(state.newest, done_sequence, self._behind(state, done_sequence))
            elif done_sequence > backlog.done_sequence:
                passed_bytes = self._kept_bytes(state, backlog.done_sequence + 1, done_sequence)
                backlog.size_bytes = max(backlog.size_bytes - passed_bytes, 0)
                backlog.done_sequence = done_sequence
            if done_sequence >= state.next_sequence - 1:
                backlog.size_bytes = 0
            fresh[reader] = backlog
        now.clear()
        now.update(fresh)
        return now

    def _behind(self, link: Link, done_sequence: int) -> int:
        """What there is behind `done_sequence`, durable or on the way there."""
        return self._kept_bytes(link, done_sequence + 1, link.durable_sequence) + self._on_the_way.get(link.name, 0)

    def _kept_bytes(self, link: Link, first_sequence: int, last_sequence: int) -> int:
        """The payload bytes of these values, but of those that were dropped."""
        found_bytes = 0
        for gone in dropped_within(link, first_sequence, last_sequence):
            found_bytes += self.sizes.total_bytes(link.name, first_sequence, gone.first_sequence - 1)
            first_sequence = gone.last_sequence + 1
        return found_bytes + self.sizes.total_bytes(link.name, first_sequence, last_sequence)

    def _readers(self, link: Link) -> Iterator[tuple[Reader, int]]:
        """Who reads the generation that is written, and up to where each is done."""
        run = self.ledger.run
        for name in self._tasks.get(link.name, ()) if self.running and run is not None else ():
            task = self.ledger.tasks.get(name)
            if task is None or task.ended or task.inputs.get(link.name) != link.newest or task.is_read_only(link.name):
                continue
            if run is not None and run.tasks and name not in run.tasks:
                continue
            yield Reader(name, True), task.cursors[link.name].done_sequence
        for group in self._groups_of(link.name):
            if group.generation == link.newest:
                yield Reader(group.name, False), group.cursor.done_sequence

    def _groups_of(self, link: str) -> list[Group]:
        if self._groups_known != len(self.ledger.groups):
            self._groups_known = len(self.ledger.groups)
            self._groups = {}
            for group in self.ledger.groups.values():
                self._groups.setdefault(group.link, []).append(group)
        return self._groups.get(link, [])

    # -- dropping -------------------------------------------------------------------------------------------------------------------------

    def drops(self, full: Full, size_bytes: int, now_ns: int) -> tuple[Dropped, ...]:
        """What to drop of the oldest, so that there is room for so many bytes; nothing if that would take something that is on lease.

        Dropped is what no reader has been given yet. Of a publish larger than the bound everything goes that may. What is gone already is in none
        of the records: it may lie between what there is, for a reader that was put back has been given none of it, and be on disk still.
        """
        link = self.ledger.links[full.link]
        begin, end = self._droppable(link, full.readers)
        slowest = max((self._backlogs[full.link][reader] for reader in full.readers), key=lambda backlog: backlog.size_bytes)
        missing_bytes = slowest.size_bytes + size_bytes - full.bound_bytes
        kept_bytes = slowest.size_bytes
        going: list[tuple[int, int]] = []
        for sequence, value_bytes in self.sizes.each_bytes(link.name, begin, end) if begin <= end else ():
            if missing_bytes <= 0:
                break
            if link.there_from(sequence) != sequence:
                continue
            missing_bytes -= value_bytes
            kept_bytes -= value_bytes
            first = going.pop()[0] if going and going[-1][1] == sequence - 1 else sequence
            going.append((first, sequence))
        if missing_bytes > 0 and kept_bytes > 0:
            return ()
        return tuple(Dropped(link.name, link.incarnation, first, last, FULL, dropped_at_ns=now_ns) for first, last in going)

    def _droppable(self, link: Link, readers: Iterable[Reader]) -> tuple[int, int]:
        """The first and the last value that were given to none of them, and that nobody else has on lease."""
        begin = min(self._given(reader, link)[0] for reader in readers)
        end = link.durable_sequence
        for reader in self._backlogs[link.name]:
            given, done_sequence = self._given(reader, link)
            if given > begin and done_sequence < given - 1:
                end = min(end, max(done_sequence, begin - 1))
        return begin, end

    def _given(self, reader: Reader, link: Link) -> tuple[int, int]:
        """The first value that was not given to a reader, and the last one before which it is done with everything."""
        if not reader.is_task:
            group = self.ledger.groups[reader.name, link.name]
            return max(group.handed_sequence, group.cursor.last_done) + 1, group.cursor.done_sequence
        task = self.ledger.tasks[reader.name]
        mark, cursor = task.marks[link.name], task.cursors[link.name]
        given = max(mark.next_sequence + bool(mark.next_row), mark.seen_sequence + 1)
        return max(given, cursor.last_done + 1), cursor.done_sequence


def circle(waits: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Names that wait for each other in a circle, beginning with the least; none if there is no circle. `waits` has who waits for whom."""
    done: set[str] = set()
    for start in sorted(waits):
        path: list[str] = []
        found = _follow(waits, start, path, done)
        if found:
            least = found.index(min(found))
            return (*found[least:], *found[:least])
    return ()


def _follow(waits: Mapping[str, Iterable[str]], start: str, path: list[str], done: set[str]) -> tuple[str, ...]:
    """The first circle that is met from `start` on. `path` is who led there, `done` who leads to none."""
    branches = [iter((start,))]
    while branches:
        name = next(branches[-1], None)
        if name is None:
            branches.pop()
            if path:
                done.add(path.pop())
        elif name in path:
            return tuple(path[path.index(name) :])
        elif name not in done and name in waits:
            path.append(name)
            branches.append(iter(sorted(waits[name])))
    return ()
