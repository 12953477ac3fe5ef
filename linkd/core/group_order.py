"""Which value of a consumer group goes out next, and to which of its members. Pure.

A *line* has the values that are to go out, fresh ones apart: what was given back, and with keys what was looked at and had to wait.

`order: link`  The lowest sequence first; while it may not go out yet, nothing does.
`order: none`  The lowest sequence that may go out.
`order: key`   Values of one *slot* go out in order, to one member at a time. A slot is the hash of what the rows have in the key column, one of
               `GROUP_SLOTS` (`slot_of`). A value whose rows hash to several slots belongs to all of them: it waits until everything before it
               in each is settled or in the hands of the member that gets it, and whatever is behind it in one of them waits for it.

What is being taken back from a member (`recall`) is in line already, so that nothing passes it, and may not go out before it is back.
"""

from __future__ import annotations

import heapq
import math
import zlib
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from linkd.limits import GROUP_SLOTS

NEVER = math.inf
"""Not before something else happens."""


def slot_of(key: bytes) -> int:
    """The slot of a key: CRC-32 of its text, so that every version and language agrees."""
    return zlib.crc32(key) % GROUP_SLOTS


class Line(Protocol):
    """The values that are to go out again, or could not go out yet."""

    def enter(self, sequence: int, not_before_s: float) -> None:
        """The value is to go out, at that time of the monotonic clock at the earliest. It is in nobody's hands."""

    def recall(self, sequence: int) -> None:
        """The value is in a member's hands and asked back: nothing passes it, and it goes out when it `enter`s again."""

    def handed(self, sequence: int, member: int) -> None:
        """The value is in the member's hands (or still is: it is not asked back any more)."""

    def settled(self, sequence: int) -> None:
        """The value is done."""

    def next(self, member: int, now_s: float) -> int | float | None:
        """The value that may go to the member, or the time at which one may, or None: none does."""

    def blocks_fresh(self) -> bool:
        """Whether what is in line comes before every value that was not handed out yet."""


@dataclass(slots=True)
class _Waiting:
    """Sequences in line, with the time before which they do not go: found by sequence and by time."""

    not_before_s: dict[int, float] = field(default_factory=dict)
    _by_sequence: list[int] = field(default_factory=list)
    _by_time: list[tuple[float, int]] = field(default_factory=list)

    def put(self, sequence: int, not_before_s: float) -> None:
        self.not_before_s[sequence] = not_before_s
        if not_before_s != NEVER:
            heapq.heappush(self._by_time, (not_before_s, sequence))
        heapq.heappush(self._by_sequence, sequence)

    def remove(self, sequence: int) -> None:
        self.not_before_s.pop(sequence, None)
        if not self.not_before_s:
            self._by_sequence.clear()
            self._by_time.clear()

    def lowest(self) -> int | None:
        while self._by_sequence and self._by_sequence[0] not in self.not_before_s:
            heapq.heappop(self._by_sequence)
        return self._by_sequence[0] if self._by_sequence else None

    def pop_due(self, now_s: float) -> int | None:
        """Takes one out that may go by now; None: there is none."""
        soonest_s = self.soonest_s()
        if soonest_s is None or soonest_s > now_s:
            return None
        sequence = heapq.heappop(self._by_time)[1]
        self.remove(sequence)
        return sequence

    def soonest_s(self) -> float | None:
        while self._by_time and self.not_before_s.get(self._by_time[0][1]) != self._by_time[0][0]:
            heapq.heappop(self._by_time)
        return self._by_time[0][0] if self._by_time else None


@dataclass(slots=True)
class LinkLine:
    """`order: link`. That one member gets everything is the group's to see to."""

    _waiting: _Waiting = field(default_factory=_Waiting)

    def enter(self, sequence: int, not_before_s: float) -> None:
        self._waiting.put(sequence, not_before_s)

    def recall(self, sequence: int) -> None:
        self._waiting.put(sequence, NEVER)

    def handed(self, sequence: int, member: int) -> None:
        self._waiting.remove(sequence)

    def settled(self, sequence: int) -> None:
        self._waiting.remove(sequence)

    def next(self, member: int, now_s: float) -> int | float | None:
        lowest = self._waiting.lowest()
        if lowest is None:
            return None
        not_before_s = self._waiting.not_before_s[lowest]
        if not_before_s <= now_s:
            return lowest
        return None if not_before_s == NEVER else not_before_s

    def blocks_fresh(self) -> bool:
        return bool(self._waiting.not_before_s)


@dataclass(slots=True)
class FreeLine:
    """`order: none`. Values that may go are in `_ready`, by sequence; the others in `_waiting`, by time."""

    _waiting: _Waiting = field(default_factory=_Waiting)
    _ready: _Waiting = field(default_factory=_Waiting)

    def enter(self, sequence: int, not_before_s: float) -> None:
        self.settled(sequence)
        (self._waiting if not_before_s > 0 else self._ready).put(sequence, not_before_s)

    def recall(self, sequence: int) -> None:
        """Nothing waits for it."""

    def handed(self, sequence: int, member: int) -> None:
        self.settled(sequence)

    def settled(self, sequence: int) -> None:
        self._waiting.remove(sequence)
        self._ready.remove(sequence)

    def next(self, member: int, now_s: float) -> int | float | None:
        while (due := self._waiting.pop_due(now_s)) is not None:
            self._ready.put(due, 0.0)
        lowest = self._ready.lowest()
        return self._waiting.soonest_s() if lowest is None else lowest

    def blocks_fresh(self) -> bool:
        return False


@dataclass(slots=True)
class _Slot:
    """One slot: what of it is in line, in order, and how much of it is in whose hands."""

    line: list[int] = field(default_factory=list)
    member: int = 0
    held: int = 0


@dataclass(slots=True)
class KeyLine:
    """`order: key`. `slots_of` has the slots of every value that is in line or in somebody's hands, once they were looked at."""

    slots_of: dict[int, tuple[int, ...]] = field(default_factory=dict)
    _slots: dict[int, _Slot] = field(default_factory=dict)
    _not_before_s: dict[int, float] = field(default_factory=dict)
    _holders: dict[int, int] = field(default_factory=dict)
    _unknown: _Waiting = field(default_factory=_Waiting)

    def __len__(self) -> int:
        """Values in line."""
        return len(self._not_before_s) + len(self._unknown.not_before_s)

    def unknown(self) -> int | None:
        """The first value in line that was not looked at: nothing goes out before it was."""
        return self._unknown.lowest()

    def looked(self, sequence: int, slots: Sequence[int]) -> None:
        """The rows of a value in line hash to these slots; a value without rows is of slot 0."""
        not_before_s = self._unknown.not_before_s.get(sequence, 0.0)
        self._unknown.remove(sequence)
        self.slots_of[sequence] = tuple(sorted(set(slots))) or (0,)
        self._into_line(sequence, not_before_s)

    def enter(self, sequence: int, not_before_s: float) -> None:
        self._from_hands(sequence)
        if sequence not in self.slots_of:
            self._unknown.put(sequence, not_before_s)
            return
        self._into_line(sequence, not_before_s)

    def recall(self, sequence: int) -> None:
        if sequence in self.slots_of:
            self._into_line(sequence, NEVER)

    def handed(self, sequence: int, member: int) -> None:
        self._from_line(sequence)
        if sequence in self._holders or sequence not in self.slots_of:
            return
        self._holders[sequence] = member
        for number in self.slots_of[sequence]:
            slot = self._slots.setdefault(number, _Slot())
            slot.member, slot.held = member, slot.held + 1

    def settled(self, sequence: int) -> None:
        self._from_line(sequence)
        self._from_hands(sequence)
        self.slots_of.pop(sequence, None)

    def behind(self, sequence: int, among: Sequence[int]) -> list[int]:
        """Those of `among` (in order, behind `sequence`) that have to wait for it: in one of its slots, or for one that has to wait itself."""
        blocked = set(self.slots_of.get(sequence, ()))
        found = []
        for later in among:
            slots = self.slots_of.get(later, ())
            if not blocked.isdisjoint(slots):
                blocked.update(slots)
                found.append(later)
        return found

    def next(self, member: int, now_s: float) -> int | float | None:
        found: int | None = None
        soonest_s = NEVER
        for sequence in {slot.line[0] for slot in self._slots.values() if slot.line}:
            if (found is None or sequence < found) and self._may_go(sequence, member):
                not_before_s = self._not_before_s[sequence]
                if not_before_s <= now_s:
                    found = sequence
                else:
                    soonest_s = min(soonest_s, not_before_s)
        if found is not None:
            return found
        return None if soonest_s == NEVER else soonest_s

    def blocks_fresh(self) -> bool:
        return False

    def _may_go(self, sequence: int, member: int) -> bool:
        for number in self.slots_of[sequence]:
            slot = self._slots[number]
            if slot.line[0] != sequence or (slot.held and slot.member != member):
                return False
        return True

    def _into_line(self, sequence: int, not_before_s: float) -> None:
        if sequence not in self._not_before_s:
            for number in self.slots_of[sequence]:
                insort(self._slots.setdefault(number, _Slot()).line, sequence)
        self._not_before_s[sequence] = not_before_s

    def _from_line(self, sequence: int) -> None:
        self._unknown.remove(sequence)
        if self._not_before_s.pop(sequence, None) is None:
            return
        for number in self.slots_of[sequence]:
            line = self._slots[number].line
            del line[bisect_left(line, sequence)]
            self._tidy(number)

    def _from_hands(self, sequence: int) -> None:
        if self._holders.pop(sequence, None) is None:
            return
        for number in self.slots_of[sequence]:
            self._slots[number].held -= 1
            self._tidy(number)

    def _tidy(self, number: int) -> None:
        slot = self._slots[number]
        if not slot.line and not slot.held:
            del self._slots[number]
