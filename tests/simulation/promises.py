"""What linkd promises (DESIGN 3), as a judge of simulations: written from the promises, it knows nothing of how they are kept.

It hears what everybody in a simulation was told, and what there is when somebody looks. A promise that is broken raises `Broken`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from group_promises import Broken, GroupPromises, Known, check

from linkd.testing.simulation.witness import Span, Stop, Told
from linkd.testing.simulation.world import BOUND_BYTES

BOUNDED, KEEPING = ("waits", "sheds", "spurns"), "waits"
"""Links with a bound, and the one of them that sheds nothing."""


@dataclass(slots=True)
class Commit:
    """A commit that a program tried: what it takes and what it makes; of its inputs no other snapshot has what is `taken`."""

    task: str
    execution: int
    snapshot: bytes
    token: int
    spans: tuple[Span, ...]
    taken: tuple[Span, ...]
    numbers: tuple[int, ...]
    acked: bool = False
    durable: bool = False


@dataclass(slots=True)
class Promises(GroupPromises):
    """See the head of the file. The methods are those of `witness.Witness`; those about consumer groups are in `group_promises`."""

    _positions: dict[tuple[str, int, int], int] = field(default_factory=dict)
    _link_of: dict[int, str] = field(default_factory=dict)
    _sizes: dict[int, int] = field(default_factory=dict)
    _failed: set[int] = field(default_factory=set)
    _commits: dict[tuple[str, int, bytes], list[Commit]] = field(default_factory=dict)
    _commit_of: dict[int, Commit] = field(default_factory=dict)
    _by_execution: dict[tuple[str, int], list[Commit]] = field(default_factory=dict)
    _outstanding: dict[str, dict[int, list[Span]]] = field(default_factory=dict)
    _execution_of: dict[int, int] = field(default_factory=dict)
    _gone: set[tuple[str, int]] = field(default_factory=set)
    _newest: dict[tuple[str, int, bytes], int] = field(default_factory=dict)
    _epochs: dict[str, int] = field(default_factory=dict)
    _holds: dict[str, tuple[str, int, int]] = field(default_factory=dict)
    _answers: dict[tuple[str, int], tuple[list[Told], bool]] = field(default_factory=dict)

    # -- values ---------------------------------------------------------------------------------------------------------------------------

    def submitted(self, link: str, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._link_of[number] = link
        self._failed.difference_update(numbers)

    def admitted(self, link: str, values: Sequence[tuple[int, int]]) -> None:
        self._sizes.update((number, size_bytes) for size_bytes, number in values)
        if link in BOUNDED:
            self.check_bound(link, sum(size_bytes for size_bytes, _ in values), self._sizes, BOUND_BYTES)

    def failed(self, numbers: Sequence[int]) -> None:
        self._failed.update(numbers)

    def told(self, values: Sequence[Told], *, durable: bool) -> None:
        for value in values:
            self._check_value(value)
            if (value.link, value.sequence) in self._gone:  # an answer that was repeated may tell of what is not kept any more
                continue
            known = self._known.setdefault(value.link, {})
            before = known.get(value.sequence)
            if before is not None and not before.maybe:
                check(before.value == value, "a position means one value", (before.value, value))
            known[value.sequence] = Known(value, durable or (before is not None and before.durable))

    def folded(self, link: str, files: Sequence[Sequence[int]]) -> None:
        """The data outlives the software: every value that is kept is there, once, for whoever knows no linkd."""
        kept = {one.value.number: sequence for sequence, one in self._known.get(link, {}).items() if (link, sequence) not in self._going}
        there = [[number for number in file if number in kept] for file in files]
        found = sorted(number for file in there for number in file)
        check(found == sorted(kept), "after a clean stop all of it is in segments", (link, sorted(kept), found))
        for file in there:
            check(file == sorted(file, key=kept.__getitem__), "a segment is in order", (link, file))

    def found(self, link: str, values: Sequence[Told], *, durable: bool) -> None:
        there = {value.sequence: value for value in values}
        numbers = {value.number for value in values}
        check(len(numbers) == len(values) == len(there), "every value once", link)
        self._check_order(link, values)
        for value in values:
            check((link, value.sequence) not in self._gone or value.incarnation > 1, "what was dropped stays away", value)
        known = self._known.setdefault(link, {})
        for sequence, one in list(known.items()):
            value = there.get(sequence)
            if value == one.value or (link, sequence) in self._going:
                continue
            check(one.maybe, "acked means kept", (one.value, value))
            del known[sequence]
        self.dead_letters_found(numbers)
        self._check_atomic(numbers, {value.generation for value in values})
        self.told(values, durable=durable)

    def _check_value(self, value: Told) -> None:
        check(self._link_of.get(value.number) == value.link, "a value is what was published", value)
        check(value.number not in self._failed, "what surely failed is not there", value)
        position = (value.link, value.incarnation, value.sequence)
        check(self._positions.setdefault(position, value.number) == value.number, "a position is given once", value)

    def _check_order(self, link: str, values: Sequence[Told]) -> None:
        before: Told | None = None
        for value in values:
            if before is not None:
                check(before.sequence < value.sequence, "order", (before, value))
                check(before.generation <= value.generation, "generations follow one another", (before, value))
                check(before.incarnation <= value.incarnation, "incarnations follow one another", (before, value))
                missing = [n for n in range(before.sequence + 1, value.sequence) if (link, n) not in self._going]
                check(not missing, "no gap", (link, missing))
            before = value

    def _check_atomic(self, numbers: set[int], generations: set[int]) -> None:
        seen: dict[tuple[str, int, bytes], tuple[int, ...]] = {}
        settled: set[tuple[str, int, str, int]] = set()
        for number in numbers:
            commit = self._commit_of.get(number)
            if commit is None:
                continue
            key = (commit.task, commit.execution, commit.snapshot)
            check(all(other in numbers for other in commit.numbers), "a commit is atomic", commit)
            if seen.setdefault(key, commit.numbers) != commit.numbers:
                raise Broken(f"a snapshot has one effect: {seen[key]} and {commit}")
        for key, made in seen.items():
            for one in cells(self._commit_of[made[0]].taken):
                cell = (key[0], key[1], *one)
                check(cell not in settled, "an input is taken once", (cell, made))
                settled.add(cell)

    # -- commits --------------------------------------------------------------------------------------------------------------------------

    def tried(
        self, task: str, execution: int, snapshot: bytes, token: int, spans: Sequence[Span], taken: Sequence[Span], numbers: Sequence[int]
    ) -> None:
        check(self._newest.get((task, execution, snapshot)) == token, "the newest token alone is good", (task, snapshot, token))
        commit = Commit(task, execution, snapshot, token, tuple(spans), tuple(taken), tuple(numbers))
        self._commits.setdefault((task, execution, snapshot), []).append(commit)
        self._by_execution.setdefault((task, execution), []).append(commit)
        for number in numbers:
            self._commit_of[number] = commit

    def committed(self, task: str, execution: int, snapshot: bytes, *, durable: bool) -> None:
        commit = self._commits[task, execution, snapshot][-1]
        check(not (set(commit.numbers) & self._failed), "what surely failed is not acked", commit)
        commit.acked, commit.durable = True, commit.durable or durable

    def refused(self, task: str, execution: int, snapshot: bytes, token: int) -> None:
        commits = self._commits.get((task, execution, snapshot))
        again = commits is not None and commits[-1].acked and commits[-1].token == token
        check(not again, "a commit that is repeated is answered as it was", (task, execution, snapshot))

    def handed_snapshot(self, task: str, execution: int, snapshot: bytes, token: int, spans: Sequence[Span]) -> None:
        self._take_token(token)
        self._newest[task, execution, snapshot] = token
        done = {cell for one in self._by_execution.get((task, execution), ()) if one.acked for cell in cells(one.spans)}
        fresh = [cell for cell in cells(spans) if cell not in done]
        check(fresh or not any(span.first <= span.last for span in spans), "what is done is done", (task, execution, spans))
        for span in spans:
            for sequence in range(span.first, span.last + 1):
                known = self._known.get(span.link, {}).get(sequence)
                if known is not None:
                    check(known.value.generation == span.generation, "generations are never mixed", (span, known))
        self._outstanding.setdefault(task, {})[token] = list(spans)
        self._execution_of[token] = execution

    def exhausted(self, task: str, execution: int, inputs: Sequence[Span]) -> None:
        """Every value of its inputs is in one of its commits; nothing was left out."""
        done = {cell for one in self._by_execution.get((task, execution), ()) for cell in cells(one.spans)}
        for span in inputs:
            known = self._known.get(span.link, {})
            left = [
                n
                for n in range(span.first, span.last + 1)
                if (span.link, n) not in done and n in known and (span.link, n) not in self._going
            ]
            check(not left or not done, "nothing is left out", (task, execution, span, left))

    def run_began(self) -> None:
        self._outstanding.clear()

    # -- producers --------------------------------------------------------------------------------------------------------------------------

    def opened(self, producer: str, epoch: int) -> None:
        check(epoch > self._epochs.get(producer, 0), "epochs only grow", (producer, epoch))
        self._epochs[producer] = epoch

    def numbered(self, producer: str, epoch: int, sequence: int, values: Sequence[Told], *, durable: bool) -> None:
        before = self._answers.get((producer, sequence))
        if before is not None and before[1]:
            check(before[0] == list(values), "a publish that is repeated is answered as it was", (producer, sequence, before, values))
        self._answers[producer, sequence] = (list(values), durable)

    # -- drops ------------------------------------------------------------------------------------------------------------------------------

    def dropping(self, link: str, generation: int, first: int, last: int) -> None:
        """Nothing goes that somebody has in hand or has still to get."""
        for spans in self._outstanding.values():
            for span in (span for of_one in spans.values() for span in of_one if span.link == link):
                check(
                    last < span.first or span.last < first or self._is_done(span), "nothing goes that is needed", (span, link, first, last)
                )
        check(generation or link != KEEPING, "a link that makes its publishers wait sheds nothing", (link, first, last))
        for name, (of_link, held_first, held_last) in self._holds.items():
            check(of_link != link or last < held_first or held_last < first, "what is held stays", (name, link, first, last))
        # That a group had moved on to a generation may have gone with the power: then that generation goes as others do that nobody reads.
        self.groups_dropping(link, first, last, known_only=link in BOUNDED or bool(generation))
        self._going.update((link, sequence) for sequence in range(first, last + 1))

    def held(self, name: str, link: str, first: int, last: int) -> None:
        self._holds[name] = (link, first, last)

    def let_go(self, name: str) -> None:
        self._holds.pop(name, None)

    def dropped(self, link: str, generation: int, first: int, last: int) -> None:
        known = self._known.get(link, {})
        for sequence in range(first, last + 1):
            self._gone.add((link, sequence))
            known.pop(sequence, None)

    def _is_done(self, span: Span) -> bool:
        done = {cell for commits in self._commits.values() for one in commits for cell in cells(one.spans)}
        return all((span.link, n) in done for n in range(span.first, span.last + 1))

    # -- the home ---------------------------------------------------------------------------------------------------------------------------

    def executing(self, task: str, execution: int) -> None:
        outstanding = self._outstanding.get(task, {})
        for token in [token for token in outstanding if self._execution_of[token] > execution]:
            del outstanding[token]

    def stopped(self, how: Stop) -> None:
        for known in self._known.values():
            for one in known.values():
                one.durable = one.durable or how is Stop.CLEAN
                one.maybe = one.maybe or (how is Stop.POWER and not one.durable)
        for commits in self._by_execution.values():
            for commit in commits:
                commit.durable = commit.durable or (commit.acked and how is Stop.CLEAN)
                commit.acked = commit.acked and (commit.durable or how is not Stop.POWER)
        self.groups_stopped(how)


def cells(spans: Iterable[Span]) -> list[tuple[str, int]]:
    return [(span.link, sequence) for span in spans for sequence in range(span.first, span.last + 1)]
