"""How the values of a task's inputs are put together into snapshots. Pure: what is there now goes in, the next composition comes out.

The inputs of one task that make it run are all of one family; inputs of `latest` stand beside any of them. A value is *there* when it is
durable, and an input is *complete* when its seal is, too.

batch    Every input gives its next batch as soon as each of them has one, and at least one has something that no snapshot had:
             `w`         the next value
             `w[N]`      the next N values
             `w[A-B]`    the next B values; in a run that follows as many as there are, from A up to B
             `w[N/S]`    N values, beginning S behind the beginning of the window before
             `w[N rows]` the next N rows: the first and the last value may belong to it in part
         A complete input that holds less than its window gives what is left, once, and nothing from then on; the snapshot is then *partial*
         (of `[A-B]`: if that is fewer than A). What is left of `[N/S]` is given only if a value of it was in no window.
swap     The newest value of each input, whenever one of them has a newer one than the snapshot before had, and each has one or is complete.
         Values passed over are done with it. One snapshot at a time.
whole    All values, once, when every input is complete; or up to the extents that the execution began with.
latest   The newest value, read and never a trigger; nothing of an input that is complete and empty. In a run that ends it is waited for until
         it is complete, so a repeated run gives the same; in a run that follows until there is a value.

A batch depends on the content of its inputs alone, so its composition can be found again from what is on disk; what depends on when values
arrived (`swap`, and under `--follow` `[A-B]` and `latest`) is `recorded`: it has to be durable before anything of it is handed out.

Where the next composition begins is kept in one `Mark` for each input. Marks follow from the records of the snapshots that were put together
(`Mark.pass_over`), never from what was committed: snapshots are committed and given back in any order, and windows do not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from linkd.core.links import Generation, Link
from linkd.core.policies import FAMILIES, PolicyFamily, WirePolicy, WirePolicyKind
from linkd.limits import WINDOW_TALLY_VALUES
from linkd.model.frozen import frozen
from linkd.model.values import Parent


class RowCounts(Protocol):
    """Answers how many rows values have."""

    def rows(self, link: str, first_sequence: int, last_sequence: int) -> Iterable[tuple[int, int]]:
        """(sequence, rows) of each of these durable values, in order."""
        ...


@frozen()
class Composed:
    """The next snapshot. `settles` is what no later one will hold, empty where that is what it holds itself."""

    portions: tuple[Parent, ...]
    settles: tuple[Parent, ...] = ()
    partial: bool = False


@frozen()
class Wait:
    """Nothing now; ask again when a link or a lease of the task has changed."""


@frozen()
class Again:
    """Many values had to be looked at, and more are to be: let others have their turn, then ask again."""


@frozen()
class End:
    """No further snapshot can come."""

    reason: str


@dataclass(slots=True)
class Mark:
    """Where the next composition begins in an input: at a row of a value. `seen_sequence` is the last value that any composition held."""

    next_sequence: int
    next_row: int
    seen_sequence: int

    def hold(self, portion: Parent) -> None:
        """A composition holds this."""
        self.seen_sequence = max(self.seen_sequence, portion.last_sequence)

    def pass_over(self, settled: Parent) -> None:
        """No later composition holds this."""
        if settled.end_row and settled.first_sequence <= settled.last_sequence:
            self.next_sequence, self.next_row = settled.last_sequence, settled.end_row
        else:
            self.next_sequence, self.next_row = settled.last_sequence + 1, 0


@dataclass(slots=True)
class Tally:
    """The rows counted so far of the window that begins at a mark, so that no value is counted twice while it fills."""

    next_sequence: int
    next_row: int
    counted_sequence: int
    rows: int


@dataclass(slots=True)
class Composer:
    """One look at the inputs of a task.

    `inputs` are its links with policies, in the order of the wiring; `generations`, `marks` and `tallies` are by link. `extents` are those of
    its execution, `follow` says that the run does.
    """

    inputs: Mapping[str, WirePolicy]
    links: Mapping[str, Link]
    generations: Mapping[str, int]
    marks: Mapping[str, Mark]
    tallies: dict[str, Tally] = field(default_factory=dict)
    extents: Mapping[str, int] = field(default_factory=dict)
    follow: bool = False
    rows: RowCounts | None = None

    def whole(self) -> Composed | Wait:
        """The one snapshot of an execution."""
        portions = []
        for name, policy in self.inputs.items():
            portion = self._latest(name) if policy.kind is WirePolicyKind.LATEST else self._all(name)
            if portion is None:
                return Wait()
            portions.append(portion)
        return Composed(tuple(portions))

    def swap(self) -> Composed | Wait | End:
        """The newest of each; the caller has none on lease."""
        changed, complete = False, True
        portions, settles = [], []
        for name, policy in self.inputs.items():
            if policy.kind is WirePolicyKind.LATEST:
                continue
            generation, last = self._reach(name)
            if last < generation.kept_sequence and not generation.seal_durable:
                return Wait()
            changed = changed or last > self.marks[name].seen_sequence
            complete = complete and generation.seal_durable
            settles.append(_portion(name, generation, self.marks[name].next_sequence, last))
        if not changed:
            return End("every input is sealed, and the newest of each is done") if complete else Wait()
        for name in self.inputs:
            newest = self._latest(name) if self.inputs[name].kind is WirePolicyKind.LATEST else self._newest(name)
            if newest is None:
                return Wait()
            portions.append(newest)
        return Composed(tuple(portions), tuple(settles))

    def batch(self) -> Composed | Wait | Again | End:
        """The next batch of each. The end is told as soon as nothing more can be composed, whatever is on lease."""
        drawn: dict[str, _Drawn] = {}
        for name, policy in self.inputs.items():
            if policy.kind is WirePolicyKind.LATEST:
                continue
            found = self._draw_rows(name, policy.first) if policy.kind is WirePolicyKind.ROWS else self._draw_values(name, policy)
            if not isinstance(found, _Drawn):
                return found
            drawn[name] = found
        if not any(one.is_new for one in drawn.values()):
            complete = all(self._generation(name).seal_durable for name in drawn)
            return End(f"{_names(drawn)} sealed, and all of it is done") if complete else Wait()
        portions = []
        for name in self.inputs:
            portion = drawn[name].portion if name in drawn else self._latest(name)
            if portion is None:
                return Wait()
            portions.append(portion)
        settles = tuple(one.settles or one.portion for one in drawn.values())
        overlaps = any(one.settles is not None for one in drawn.values())
        return Composed(tuple(portions), settles if overlaps else (), any(one.partial for one in drawn.values()))

    # -- one input ------------------------------------------------------------------------------------------------------------------------

    def _generation(self, name: str) -> Generation:
        return self.links[name].generations[self.generations[name]]

    def _reach(self, name: str) -> tuple[Generation, int]:
        """The generation the task reads, and the last value of it that is there."""
        generation = self._generation(name)
        return generation, self.links[name].readable_last(generation)

    def _all(self, name: str) -> Parent | None:
        """All of an input, if that is there."""
        generation = self._generation(name)
        extent = self.extents.get(name)
        if extent is None:
            return generation.extent(name) if generation.seal_durable else None
        if self.links[name].durable_last(generation) < extent:
            return None
        first = generation.kept_sequence
        return _portion(name, generation, first, max(extent, first - 1))

    def _latest(self, name: str) -> Parent | None:
        """The newest value, as soon as it may be read; an empty portion if it is known that there is none.

        In a run that follows a link gets new generations while its readers go on: it is what everybody else reads, too, the newest complete one.
        """
        link, generation = self.links[name], self._generation(name)
        if self.follow:
            generation = link.readable or generation
        last = link.readable_last(generation)
        if not generation.seal_durable and (not self.follow or last < generation.kept_sequence):
            return None
        return _portion(name, generation, max(last, generation.kept_sequence), last)

    def _newest(self, name: str) -> Parent:
        generation, last = self._reach(name)
        return _portion(name, generation, max(last, generation.kept_sequence), last)

    def _draw_values(self, name: str, policy: WirePolicy) -> _Drawn | Wait:
        generation, last = self._reach(name)
        mark = self.marks[name]
        least, most = _window(policy, self.follow)
        begin = self.links[name].there_from(mark.next_sequence)
        there = last - begin + 1
        if there >= least:
            portion = _portion(name, generation, begin, begin + min(there, most) - 1)
            settles = None
            if policy.kind is WirePolicyKind.SLIDE:
                settles = _portion(name, generation, begin, begin + policy.second - 1)
            return _Drawn(portion, portion.last_sequence > mark.seen_sequence, False, settles)
        if not generation.seal_durable:
            return Wait()
        if last <= mark.seen_sequence:  # also what is left of a window that slid, if all of it was in one
            last = begin - 1
        portion = _portion(name, generation, begin, max(last, begin - 1))
        enough = policy.first if policy.kind is WirePolicyKind.RANGE else least
        return _Drawn(portion, last >= begin, last - begin + 1 < enough)

    def _draw_rows(self, name: str, wanted: int) -> _Drawn | Wait | Again:
        generation, last = self._reach(name)
        mark = self.marks[name]
        tally = self.tallies.get(name)
        if tally is None or (tally.next_sequence, tally.next_row) != (mark.next_sequence, mark.next_row):
            tally = self.tallies[name] = Tally(mark.next_sequence, mark.next_row, mark.next_sequence - 1, 0)
        stop = min(last, tally.counted_sequence + WINDOW_TALLY_VALUES)
        assert self.rows is not None, "windows of rows need somebody who counts them"
        for sequence, rows in self.rows.rows(name, tally.counted_sequence + 1, stop) if stop > tally.counted_sequence else ():
            before = mark.next_row if sequence == mark.next_sequence else 0
            if tally.rows + rows - before >= wanted:
                end_row = before + wanted - tally.rows
                portion = _portion(name, generation, mark.next_sequence, sequence, mark.next_row, end_row if end_row < rows else 0)
                return _Drawn(portion, True, False)
            tally.rows += rows - before
            tally.counted_sequence = sequence
        tally.counted_sequence = max(stop, tally.counted_sequence)
        if stop < last:
            return Again()
        if not generation.seal_durable:
            return Wait()
        return _Drawn(_portion(name, generation, mark.next_sequence, last, mark.next_row), last >= mark.next_sequence, True)


@frozen()
class _Drawn:
    """What an input of a batch gives. `settles` is what no later batch holds, where that is not the portion."""

    portion: Parent
    is_new: bool
    partial: bool
    settles: Parent | None = None


def depends_on_arrival(inputs: Mapping[str, WirePolicy], *, follow: bool) -> bool:
    """Whether a composition of these inputs depends on when their values arrived."""
    kinds = {policy.kind for policy in inputs.values()}
    return WirePolicyKind.SWAP in kinds or (follow and bool(kinds & {WirePolicyKind.RANGE, WirePolicyKind.LATEST}))


def rows_within(portion: Parent, sequence: int, rows: int) -> tuple[int, int]:
    """Which rows of a value that has so many belong to the portion it lies in: the first, and the one behind the last."""
    first = portion.first_row if sequence == portion.first_sequence else 0
    end = portion.end_row if sequence == portion.last_sequence and portion.end_row else rows
    return first, end


def family_of(inputs: Mapping[str, WirePolicy]) -> PolicyFamily:
    """The family of the inputs that make a task run; a task that has none runs once, as if all of nothing were `whole`."""
    families = {FAMILIES[policy.kind] for policy in inputs.values()} - {PolicyFamily.LATEST}
    return families.pop() if families else PolicyFamily.WHOLE


def _window(policy: WirePolicy, follow: bool) -> tuple[int, int]:
    """How many values there must be, and how many are taken at most."""
    if policy.kind is WirePolicyKind.RANGE:
        return (policy.first if follow else policy.second), policy.second
    size = policy.first if policy.kind in (WirePolicyKind.COUNT, WirePolicyKind.SLIDE) else 1
    return size, size


def _portion(link: str, generation: Generation, first: int, last: int, first_row: int = 0, end_row: int = 0) -> Parent:
    return Parent(link, generation.incarnation, generation.number, first, last, first_row, end_row)


def _names(drawn: Mapping[str, _Drawn]) -> str:
    names = list(drawn)
    return f"{names[0]} is" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} are"
