"""Holds: values that stay, whatever retention says, for somebody who still needs them. Pure decisions over a `Ledger`.

A named hold is durable, and bounded in number and in time; it is for what outlives a connection. What is being read is held by the home in
memory (`home.retention`), as long as it is read.
"""

from __future__ import annotations

from collections.abc import Iterable

from linkd.core.ledger import Ledger
from linkd.errors import InvalidArgument, LinkNotFound, Overloaded
from linkd.limits import GROUP_NAME_MAX_CHARS, HOLD_MAX_S, HOLDS_MAX
from linkd.model.records import HoldPlaced, HoldReleased


def place(ledger: Ledger, hold: HoldPlaced, now_ns: int) -> list[HoldPlaced]:
    """The record of a hold, cut to the longest time that one may last. Raises LinkNotFound, InvalidArgument, Overloaded."""
    link = ledger.link(hold.link)
    if not hold.name or len(hold.name) > GROUP_NAME_MAX_CHARS:
        raise InvalidArgument(f"{hold.name[:60]!r} cannot be the name of a hold: 1 to {GROUP_NAME_MAX_CHARS} characters")
    generation = link.generations.get(hold.generation)
    if generation is None or not generation.kept_sequence <= hold.first_sequence <= hold.last_sequence <= generation.last_sequence:
        raise LinkNotFound(
            f"{hold.link}@{hold.first_sequence} to {hold.link}@{hold.last_sequence} cannot be held: they are not all there in "
            f"generation {hold.generation} of the link"
        )
    if hold.until_ns <= now_ns:
        raise InvalidArgument(f"the hold {hold.name} would end before it begins: give a time that is still to come")
    if hold.name not in ledger.holds and len(ledger.holds) >= HOLDS_MAX:
        raise Overloaded(f"there are {HOLDS_MAX} holds, and more are not placed: release one that is not needed any more")
    until_ns = min(hold.until_ns, now_ns + int(HOLD_MAX_S * 1e9))
    first, last = hold.first_sequence, hold.last_sequence
    return [HoldPlaced(hold.name, hold.link, hold.generation, first, last, until_ns, hold.reason)]


def over(ledger: Ledger, now_ns: int) -> list[HoldReleased]:
    """The records that release what has been held for its time."""
    return [HoldReleased(hold.name) for hold in ledger.holds.values() if hold.until_ns <= now_ns]


def next_end_ns(holds: Iterable[HoldPlaced]) -> int | None:
    """When the first of these ends."""
    return min((hold.until_ns for hold in holds), default=None)
