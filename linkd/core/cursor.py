"""How far a consumer has come in one link: everything up to a sequence, and ranges beyond it that were settled out of order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Cursor:
    """`done_sequence` and all before it is done, and so are the sequences in `ahead`, which are all greater.

    `ahead` is bounded by what may be on lease at once.
    """

    done_sequence: int
    ahead: set[int] = field(default_factory=set)

    def settle(self, first_sequence: int, last_sequence: int) -> None:
        """Marks first..last (both included) as done; what is done already stays so."""
        if first_sequence <= self.done_sequence + 1:
            self.done_sequence = max(self.done_sequence, last_sequence)
        else:
            self.ahead.update(range(first_sequence, last_sequence + 1))
        self._close_up()

    def is_done(self, sequence: int) -> bool:
        return sequence <= self.done_sequence or sequence in self.ahead

    def next_after(self, taken: set[int], last_sequence: int) -> int | None:
        """The first sequence up to `last_sequence` that is neither done nor in `taken`, or None."""
        sequence = self.done_sequence + 1
        while sequence <= last_sequence:
            if sequence not in self.ahead and sequence not in taken:
                return sequence
            sequence += 1
        return None

    def all_done(self, last_sequence: int) -> bool:
        return self.done_sequence >= last_sequence

    def ranges_ahead(self) -> tuple[tuple[int, int], ...]:
        """`ahead` as sorted ranges (first, last), both included."""
        ranges: list[tuple[int, int]] = []
        for sequence in sorted(self.ahead):
            if ranges and ranges[-1][1] == sequence - 1:
                ranges[-1] = (ranges[-1][0], sequence)
            else:
                ranges.append((sequence, sequence))
        return tuple(ranges)

    @staticmethod
    def of(done_sequence: int, ahead: Iterable[tuple[int, int]]) -> Cursor:
        cursor = Cursor(done_sequence)
        for first, last in ahead:
            cursor.settle(first, last)
        return cursor

    def _close_up(self) -> None:
        while self.done_sequence + 1 in self.ahead:
            self.done_sequence += 1
            self.ahead.discard(self.done_sequence)
        if self.ahead:
            self.ahead = {sequence for sequence in self.ahead if sequence > self.done_sequence}
