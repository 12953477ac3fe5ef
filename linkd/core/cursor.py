"""How far a consumer has come in one link: everything up to a sequence, and ranges beyond it that were settled out of order."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Cursor:
    """`done_sequence` and all before it is done, and so are the ranges `ahead` (first, last; sorted, apart from each other, all greater).

    What it holds is bounded by what may be on lease at once: between two ranges there is a value that somebody has not settled.
    """

    done_sequence: int
    ahead: list[tuple[int, int]] = field(default_factory=list)

    def settle(self, first_sequence: int, last_sequence: int) -> None:
        """Marks first..last (both included) as done; what is done already stays so."""
        if last_sequence < first_sequence:
            return
        if first_sequence > self.done_sequence + 1:
            self._settle_ahead(first_sequence, last_sequence)
            return
        self.done_sequence = max(self.done_sequence, last_sequence)
        reached = 0
        while reached < len(self.ahead) and self.ahead[reached][0] <= self.done_sequence + 1:
            self.done_sequence = max(self.done_sequence, self.ahead[reached][1])
            reached += 1
        del self.ahead[:reached]

    def is_done(self, sequence: int) -> bool:
        if sequence <= self.done_sequence:
            return True
        index = bisect_left(self.ahead, sequence, key=_last)
        return index < len(self.ahead) and self.ahead[index][0] <= sequence

    def end_of_done(self, sequence: int) -> int:
        """The last of the sequences that are done without a gap from `sequence` on, which is."""
        if sequence <= self.done_sequence:
            return self.done_sequence
        return self.ahead[bisect_left(self.ahead, sequence, key=_last)][1]

    def next_after(self, taken: Container[int], last_sequence: int) -> int | None:
        """The first sequence up to `last_sequence` that is neither done nor in `taken`, or None."""
        sequence = self.done_sequence + 1
        for first, last in (*self.ahead, (last_sequence + 1, last_sequence)):
            while sequence < first and sequence <= last_sequence:
                if sequence not in taken:
                    return sequence
                sequence += 1
            sequence = max(sequence, last + 1)
        return None

    def all_done(self, last_sequence: int) -> bool:
        return self.done_sequence >= last_sequence

    @property
    def last_done(self) -> int:
        """The greatest sequence that is done."""
        return self.ahead[-1][1] if self.ahead else self.done_sequence

    def left(self, last_sequence: int) -> int:
        """How many up to `last_sequence` are not done."""
        done_ahead = sum(max(min(last, last_sequence) - first + 1, 0) for first, last in self.ahead)
        return max(last_sequence - self.done_sequence - done_ahead, 0)

    def newly_done(self, before: Cursor) -> Iterator[int]:
        """The sequences that are done here and were not `before`, in order."""
        for first, last in ((before.done_sequence + 1, self.done_sequence), *self.ahead):
            sequence = max(first, before.done_sequence + 1)
            index = bisect_left(before.ahead, sequence, key=_last)
            while sequence <= last:
                if index < len(before.ahead) and before.ahead[index][0] <= sequence:
                    sequence = before.ahead[index][1] + 1
                    index += 1
                else:
                    yield sequence
                    sequence += 1

    def ranges_ahead(self) -> tuple[tuple[int, int], ...]:
        """`ahead` as records have it."""
        return tuple(self.ahead)

    def copy(self) -> Cursor:
        return Cursor(self.done_sequence, list(self.ahead))

    @staticmethod
    def of(done_sequence: int, ahead: Iterable[tuple[int, int]]) -> Cursor:
        cursor = Cursor(done_sequence)
        for first, last in ahead:
            cursor.settle(first, last)
        return cursor

    def _settle_ahead(self, first_sequence: int, last_sequence: int) -> None:
        """Puts a range that does not touch `done_sequence` among the others, made one with those it touches."""
        begin = bisect_left(self.ahead, first_sequence - 1, key=_last)
        end = begin
        while end < len(self.ahead) and self.ahead[end][0] <= last_sequence + 1:
            first_sequence = min(first_sequence, self.ahead[end][0])
            last_sequence = max(last_sequence, self.ahead[end][1])
            end += 1
        self.ahead[begin:end] = [(first_sequence, last_sequence)]


def _last(settled: tuple[int, int]) -> int:
    return settled[1]
