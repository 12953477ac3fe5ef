"""Consumer groups of outsiders: a durable cursor in one generation of a link, and portions on lease to the members. Pure.

Values go out in order; one that was given back comes again before newer ones. An ack under a token that is not the newest is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from linkd.core.cursor import Cursor
from linkd.core.links import Link


@dataclass(slots=True)
class GroupLease:
    """One value handed to a member; `session` is None while it waits to go out again, `not_before_s` delays that (monotonic clock)."""

    sequence: int
    token: int
    attempt: int
    session: int | None
    not_before_s: float = 0.0


@dataclass(frozen=True, slots=True)
class GroupOffer:
    sequence: int
    attempt: int


@dataclass(slots=True)
class Group:
    """`generation` is the one being read; with `follow` it moves on to the next when this one is sealed and done."""

    name: str
    link: str
    incarnation: int
    generation: int
    cursor: Cursor
    leases: dict[int, GroupLease] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=dict)

    def next_value(self, link: Link, now_s: float) -> GroupOffer | float | None:
        """A value to hand out; or the monotonic time at which a delayed one may go; or None: nothing now."""
        generation = link.generations[self.generation]
        soonest: float | None = None
        for sequence in sorted(self.leases):
            lease = self.leases[sequence]
            if lease.session is not None:
                continue
            if lease.not_before_s <= now_s:
                return GroupOffer(sequence, lease.attempt + 1)
            soonest = lease.not_before_s if soonest is None else min(soonest, lease.not_before_s)
        sequence_or_none = self.cursor.next_after(set(self.leases), link.durable_last(generation))
        if sequence_or_none is not None:
            return GroupOffer(sequence_or_none, 1)
        return soonest

    def finished(self, link: Link) -> bool:
        """The generation is sealed and everything in it is done."""
        generation = link.generations[self.generation]
        return generation.seal_durable and self.cursor.all_done(generation.last_sequence)

    def holds(self, sequence: int, token: int) -> bool:
        """Whether `token` is the newest given for that value."""
        lease = self.leases.get(sequence)
        return lease is not None and lease.token == token

    def release(self, session: int) -> bool:
        """The member is gone: what it held waits for the next one. True if there was anything."""
        found = False
        for lease in self.leases.values():
            if lease.session == session:
                lease.session, found = None, True
        return found
