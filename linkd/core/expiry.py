"""Which values of a link go by themselves: those beyond what its terms retain, the oldest first. Pure decisions over a `Ledger`.

They go in the stretches of `core.accounts`, whole ones, so a little more stays than was asked for: a sixty-fourth at most, nothing where there
are few values. Nothing goes that is not on disk, that a reader still needs (`core.needs`; unless retention is `hard`, then it is lost to that
reader and counted) or that somebody holds, however hard. What is behind a value that stays, stays too.

The envelopes of what goes stay as long as something there is may have been made from it: each stretch knows the first value of each link that
its values were made from.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from linkd.core.accounts import Stretch
from linkd.core.ledger import Ledger
from linkd.core.links import Generation, Link
from linkd.core.needs import Need, needs
from linkd.core.retention import FORGOTTEN
from linkd.model.frozen import frozen
from linkd.model.records import Dropped
from linkd.model.terms import Retain

AGE, SIZE, VALUES = "age", "size", "values"
"""Reasons, as they are told and counted."""

ROOM = "room"
"""The reason of what went before it had to, because the disk was nearly full."""


@frozen()
class Loss:
    """Values that a reader had not settled when they were dropped."""

    link: str
    reader: str
    values: int
    reason: str


@dataclass(slots=True)
class Expiry:
    """What goes, to whom it is lost, and the credible time at which there may be more to do (None: only when something happens)."""

    records: list[Dropped] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    next_ns: int | None = None


@frozen()
class Moment:
    """`now_ns` is when this is decided; `credible_ns` the same if age may be measured by it, else None."""

    now_ns: int
    credible_ns: int | None


def expired(ledger: Ledger, name: str, retain: Retain, moment: Moment, held_sequence: float = math.inf) -> Expiry:
    """What of a link goes now. Nothing from `held_sequence` on does."""
    link = ledger.links[name]
    readers = list(needs(ledger, link))
    bound = min([held_sequence, *(need.first_sequence for need in readers if not retain.hard)])
    drops = _Drops(ledger, link, moment.now_ns)
    expiry = Expiry(drops.records)
    left = _Left(link)
    for generation, stretch in left.oldest_first():
        reason = left.reason(stretch, retain, moment.credible_ns)
        if not reason:
            break
        if stretch.last_sequence >= bound or stretch.last_sequence > link.durable_sequence:
            return _with_losses(expiry, link, readers)
        left.without(stretch)
        drops.add(generation, stretch, reason)
    oldest = left.oldest
    if retain.age_s is not None and oldest is not None:
        expiry.next_ns = oldest.created_at_ns + int(retain.age_s * 1e9) + 1
    return _with_losses(expiry, link, readers)


def for_room(ledger: Ledger, name: str, size_bytes: int, now_ns: int, held_sequence: float = math.inf) -> list[Dropped]:
    """What of a link that has terms of retention goes so that so many bytes come free: what nobody needs, the newest value never."""
    link = ledger.links[name]
    bound = min([held_sequence, link.durable_sequence + 1, *(need.first_sequence for need in needs(ledger, link))])
    drops = _Drops(ledger, link, now_ns)
    left = _Left(link)
    for generation, stretch in left.oldest_first():
        if size_bytes <= 0 or stretch.last_sequence >= bound or left.count == 1:
            break
        left.without(stretch)
        size_bytes -= stretch.size_bytes
        drops.add(generation, stretch, ROOM)
    return drops.records


def exceeds(link: Link, retain: Retain, share: float = 1.0) -> bool:
    """Whether a link has more than its terms retain, age aside, or than so many times that: asked often, without looking at its readers."""
    values = sum(one.values for one in link.generations.values())
    if retain.values is not None and values > retain.values * share:
        return True
    size_bytes = sum(one.size_bytes for one in link.generations.values())
    return retain.size_bytes is not None and values > 1 and size_bytes > retain.size_bytes * share


def forgotten(ledger: Ledger, now_ns: int) -> list[Dropped]:
    """The records that let go of envelopes of values that were dropped, because nothing that is kept was made from them any more."""
    first_needed = _first_parents(ledger)
    records: list[Dropped] = []
    for link in ledger.links.values():
        for generation in link.generations.values():
            first = max(generation.forgotten_sequence + 1, generation.first_sequence)
            last = min(generation.kept_sequence, first_needed.get(link.name, math.inf)) - 1
            if generation.past and first <= last:
                records.append(
                    Dropped(link.name, generation.incarnation, first, int(last), FORGOTTEN, forgotten=True, dropped_at_ns=now_ns)
                )
    return records


class _Left:
    """What there would be of a link behind what was decided so far."""

    def __init__(self, link: Link) -> None:
        self._stretches = [
            (generation, stretch) for _, generation in sorted(link.generations.items()) for stretch in generation.account.stretches
        ]
        self.count = len(self._stretches)
        self._values = sum(stretch.values for _, stretch in self._stretches)
        self._size_bytes = sum(stretch.size_bytes for _, stretch in self._stretches)

    def oldest_first(self) -> Iterator[tuple[Generation, Stretch]]:
        return iter(self._stretches)

    @property
    def oldest(self) -> Stretch | None:
        return self._stretches[-self.count][1] if self.count else None

    def without(self, stretch: Stretch) -> None:
        self.count -= 1
        self._values -= stretch.values
        self._size_bytes -= stretch.size_bytes

    def reason(self, oldest: Stretch, retain: Retain, now_ns: int | None) -> str:
        """Why the oldest stretch goes as a whole, "" if it does not. Of size the newest value never does."""
        if retain.age_s is not None and now_ns is not None and now_ns - oldest.created_at_ns > retain.age_s * 1e9:
            return AGE
        if retain.values is not None and self._values - oldest.values >= retain.values:
            return VALUES
        newer_bytes = self._size_bytes - oldest.size_bytes
        least = oldest.size_bytes if oldest.values == 1 else 1
        if retain.size_bytes is not None and self.count > 1 and newer_bytes + least > retain.size_bytes:
            return SIZE
        return ""


class _Drops:
    """The records that drop stretches of a link, given from the oldest on: one for each generation and reason."""

    def __init__(self, ledger: Ledger, link: Link, now_ns: int) -> None:
        self._ledger = ledger
        self._link = link
        self._now_ns = now_ns
        self._first_needed: float | None = None
        self.records: list[Dropped] = []

    def add(self, generation: Generation, stretch: Stretch, reason: str) -> None:
        """Nobody asks for the envelopes of values that nothing was made from: they go at once, unless older ones still stay."""
        if self._first_needed is None:
            self._first_needed = _first_parents(self._ledger).get(self._link.name, math.inf)
        forgotten = not generation.past and stretch.last_sequence < self._first_needed
        before = self.records[-1] if self.records else None
        first = generation.kept_sequence
        if before is not None and before.last_sequence >= generation.first_sequence:
            forgotten = forgotten and before.forgotten
            first = before.last_sequence + 1
            if (before.reason, before.forgotten) == (reason, forgotten):
                first = self.records.pop().first_sequence
        last, name = stretch.last_sequence, self._link.name
        self.records.append(Dropped(name, generation.incarnation, first, last, reason, forgotten=forgotten, dropped_at_ns=self._now_ns))


def _first_parents(ledger: Ledger) -> dict[str, int]:
    """Of each link the first value that something there is was made from."""
    found: dict[str, int] = {}
    for parents in _all_parents(ledger):
        for name, first in parents.items():
            found[name] = min(found.get(name, first), first)
    return found


def _all_parents(ledger: Ledger) -> Iterator[dict[str, int]]:
    for link in ledger.links.values():
        for generation in link.generations.values():
            for stretch in (*generation.account.stretches, *generation.past):
                if stretch.parents:
                    yield stretch.parents
        for old in link.remembered.values():
            yield {parent.link: parent.first_sequence for parent in old.inputs}


def _with_losses(expiry: Expiry, link: Link, readers: Iterable[Need]) -> Expiry:
    for record in expiry.records:
        for need in readers:
            lost = record.last_sequence - max(record.first_sequence, need.read_sequence) + 1
            if lost > 0:
                expiry.losses.append(Loss(link.name, need.reader, lost, record.reason))
    return expiry
