"""Consumer groups of outsiders: a durable cursor in one generation of a link, and portions on lease to the members. Pure.

Values go out in order; one that was given back comes again before newer ones. An ack under a token that is not the newest is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from linkd.core.cursor import Cursor
from linkd.core.links import GenerationState, Link


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
    """`generation` is the one being read; with `follow` a member moves the group on to the next when this one is over.

    Everything up to `handed_sequence` is done or on lease; `waiting` are the leases without a session. So the next value is found without
    looking at what is on lease, which may be many thousand small values.
    """

    name: str
    link: str
    incarnation: int
    generation: int
    cursor: Cursor
    leases: dict[int, GroupLease] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)
    handed_sequence: int = 0

    def next_value(self, link: Link, now_s: float) -> GroupOffer | float | None:
        """A value to hand out; or the monotonic time at which a delayed one may go; or None: nothing now."""
        soonest: float | None = None
        for sequence in sorted(self.waiting):
            lease = self.leases[sequence]
            if lease.not_before_s <= now_s:
                return GroupOffer(sequence, lease.attempt + 1)
            soonest = lease.not_before_s if soonest is None else min(soonest, lease.not_before_s)
        fresh = max(self.handed_sequence, self.cursor.last_done) + 1
        generation = link.generations.get(self.generation)
        if generation is not None and fresh <= link.durable_last(generation):
            return GroupOffer(fresh, 1)
        return soonest

    def finished(self, link: Link) -> bool:
        """The generation is sealed and everything in it is done; so it was if it is not kept any more, for nothing else lets it go."""
        generation = link.generations.get(self.generation)
        return generation is None or (generation.is_sealed and self.cursor.all_done(generation.last_sequence))

    def superseded(self, link: Link) -> bool:
        """The generation was abandoned: it will never be complete."""
        generation = link.generations.get(self.generation)
        return generation is not None and generation.state is GenerationState.ABANDONED

    def leased(self, sequence: int, token: int, attempt: int) -> None:
        """A value goes out (again); it waits until `hold` says to whom."""
        self.leases[sequence] = GroupLease(sequence, token, attempt, None)
        self.waiting.add(sequence)
        self.handed_sequence = max(self.handed_sequence, sequence)

    def hold(self, sequence: int, session: int) -> None:
        """This member has the value."""
        self.leases[sequence].session = session
        self.waiting.discard(sequence)

    def give_back(self, sequence: int, not_before_s: float) -> None:
        """The member does not want the value: it waits to go out again, not before that time."""
        self.leases[sequence].session = None
        self.leases[sequence].not_before_s = not_before_s
        self.waiting.add(sequence)

    def move(self, incarnation: int, generation: int, cursor: Cursor) -> None:
        """The durable cursor moved; what is done is on lease no more. In another generation nothing is."""
        if generation != self.generation:
            self.leases.clear()
            self.waiting.clear()
            self.handed_sequence = 0
        else:
            for sequence in cursor.newly_done(self.cursor):
                self.leases.pop(sequence, None)
                self.waiting.discard(sequence)
        self.incarnation, self.generation, self.cursor = incarnation, generation, cursor

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
                self.waiting.add(lease.sequence)
        return found
