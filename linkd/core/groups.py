"""Consumer groups of outsiders: a durable cursor in one generation of a link, and values on lease to the members. Pure.

A value that goes out is *reserved* for its member first: it waits at the client, has no deadline while the connection lives, and may be asked
back. When the client hands it to its program it says *started*: from then on there is a lease that has to be renewed. A client that does not
speak of that (`says_started`) has everything it was sent in work, without a deadline.

An attempt has failed when the member gives the value back, lets its lease end, or goes away with the value started. What failed `max_attempts`
times is given up (`GiveUp`). Which value goes to whom next is the line's to say: `core.group_order`. An ack under a token that is not the newest
is refused; a token is made stale by handing the value out again, or by moving the group, and by nothing else.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from linkd.core.cursor import Cursor
from linkd.core.group_leases import Decision, GiveUp, GroupLease, GroupOffer, Look, Member
from linkd.core.group_order import FreeLine, KeyLine, Line, LinkLine
from linkd.core.group_terms import GroupTerms
from linkd.core.leases import Leases
from linkd.core.links import GenerationState, Link
from linkd.limits import GROUP_ACKS_KEPT, GROUP_KEY_AHEAD_VALUES, LATE_REFUSALS_DOUBLE
from linkd.model.terms import Order

WENT_AWAY = "the consumer went away while it worked on it"


@dataclass(slots=True)
class Group:
    """`generation` is the one being read; with `follow` a member moves the group on to the next when this one is over.

    Everything up to `handed_sequence` is done or in `leases`. So the next value is found without looking at what is on lease, which may be many
    thousand small values. `run_generation` counts the seeks: whatever was handed out before one is void. `lost_values` were dropped
    before they were done: hard retention, or a full link. `members` come in the order in which
    they are served where only one can be: the first is the active one.
    """

    name: str
    link: str
    incarnation: int
    generation: int
    cursor: Cursor
    terms: GroupTerms = field(default_factory=GroupTerms)
    run_generation: int = 0
    leases: dict[int, GroupLease] = field(default_factory=dict)
    acked: OrderedDict[int, None] = field(default_factory=OrderedDict)
    """The tokens of the last acks, the longest ago first: a repeat of one is known by it."""
    handed_sequence: int = -1
    lost_values: int = 0
    members: dict[int, Member] = field(default_factory=dict, compare=False)
    deadlines: Leases[int] = field(default_factory=Leases, compare=False)
    _line: Line = field(init=False, compare=False)

    def __post_init__(self) -> None:
        self._line = _line(self.terms.order)
        if self.handed_sequence < 0:
            self.handed_sequence = self.cursor.done_sequence

    # -- what goes out ----------------------------------------------------------------------------------------------------------------------

    def next_value(self, session: int, link: Link, now_s: float) -> Decision:
        """A value for that member; or the monotonic time at which a delayed one may go; or None: nothing now."""
        if self.terms.order is Order.LINK and next(iter(self.members), session) != session:
            return None
        member = self.members.get(session)
        if member is not None and member.hangs:
            return None
        if member is not None and member.yields:
            if member.reserved:
                return None
            member.yields = False
        line = self._line
        if isinstance(line, KeyLine) and (unknown := line.unknown()) is not None:
            return Look(unknown)
        found = line.next(session, now_s)
        if isinstance(found, int):
            lease = self.leases[found]
            return GiveUp(found) if self._is_given_up(lease) else GroupOffer(found, lease.attempt + 1)
        fresh = None if line.blocks_fresh() else self._fresh(link)
        if fresh is None or (isinstance(line, KeyLine) and len(line) >= GROUP_KEY_AHEAD_VALUES):
            return found
        return Look(fresh) if isinstance(line, KeyLine) else GroupOffer(fresh, 1)

    def looked(self, sequence: int, slots: Collection[int]) -> None:
        """The rows of the value hash to these slots."""
        assert isinstance(self._line, KeyLine)
        self._know(sequence)
        self._line.looked(sequence, tuple(slots))

    def wants_look(self, sequence: int) -> bool:
        """Whether the slots of the value are still to be found out."""
        assert isinstance(self._line, KeyLine)
        return not self.cursor.is_done(sequence) and sequence not in self._line.slots_of

    def passed_over(self) -> tuple[int, int] | None:
        """Values (first, last) that are done and never went out: they were dropped. They are told of once."""
        first = self.handed_sequence + 1
        if not self.cursor.is_done(first):
            return None
        self.handed_sequence = self.cursor.end_of_done(first)
        return first, self.handed_sequence

    def finished(self, link: Link) -> bool:
        """The generation is sealed and everything in it is done; so it was if it is not kept any more, for nothing else lets it go."""
        generation = link.generations.get(self.generation)
        return generation is None or (generation.is_sealed and self.cursor.all_done(generation.last_sequence))

    def superseded(self, link: Link) -> bool:
        """The generation was abandoned: it will never be complete."""
        generation = link.generations.get(self.generation)
        return generation is not None and generation.state is GenerationState.ABANDONED

    def holds(self, sequence: int, token: int) -> bool:
        """Whether `token` is the newest given for that value."""
        lease = self.leases.get(sequence)
        return lease is not None and lease.token == token

    @property
    def has_line(self) -> bool:
        """Whether one value may have to wait until another one is done."""
        return isinstance(self._line, KeyLine) or self._line.blocks_fresh()

    @property
    def waiting(self) -> set[int]:
        """What nobody has and is not done, of all that went out."""
        return {lease.sequence for lease in self.leases.values() if lease.session is None}

    # -- what records say -------------------------------------------------------------------------------------------------------------------

    def leased(
        self, sequence: int, token: int, attempt: int, failures: int = 0, reason: str = "", delay_ms: int = 0, *, failed: bool = False
    ) -> None:
        """A value goes out (again); it waits until `hold` says to whom. What was passed over on the way to it had to wait for its slot.

        `delay_ms` is of one that was given back and has not gone out since: see `delay_anew`.
        """
        for skipped in range(self.handed_sequence + 1, sequence):
            if not self.cursor.is_done(skipped):
                self._know(skipped)
                self._line.enter(skipped, 0.0)
        lease = self._know(sequence)
        lease.token, lease.attempt, lease.failures, lease.reason, lease.delay_ms = token, attempt, failures, reason, delay_ms
        lease.failed = failed
        self._line.enter(sequence, 0.0)

    def failed(self, sequence: int, failures: int, reason: str, delay_ms: int = 0) -> None:
        """An attempt at the value failed, durably counted; it is not to go out before so long."""
        lease = self.leases.get(sequence)
        if lease is not None:
            lease.failures, lease.reason, lease.delay_ms, lease.failed = failures, reason, delay_ms, True

    def delay_anew(self, now_s: float) -> None:
        """A home starts: what was given back for some time waits for all of that again, for nobody knows how long the home was away."""
        for lease in self.leases.values():
            if lease.delay_ms and lease.session is None:
                self._line.enter(lease.sequence, now_s + lease.delay_ms / 1000)

    def settle(self, ranges: Iterable[tuple[int, int]], token: int = 0) -> None:
        """These values (first, last) are done, whoever has them; with a `token` they were acked under it."""
        if token:
            self.acked[token] = None
            if len(self.acked) > GROUP_ACKS_KEPT:
                self.acked.popitem(last=False)
        for first, last in ranges:
            self.cursor.settle(first, last)
            for sequence in range(first, last + 1) if last - first < len(self.leases) else sorted(self.leases):
                if first <= sequence <= last:
                    self._done(sequence)

    def move(self, incarnation: int, generation: int, cursor: Cursor, run_generation: int = 0) -> None:
        """The durable cursor stands there; what is done is on lease no more. In another generation, or after a seek, nothing is."""
        if (generation, run_generation) != (self.generation, self.run_generation):
            self._begin_anew(cursor)
        else:
            for sequence in cursor.newly_done(self.cursor):
                self._done(sequence)
        self.incarnation, self.generation, self.cursor, self.run_generation = incarnation, generation, cursor, run_generation

    # -- members ----------------------------------------------------------------------------------------------------------------------------

    def join(self, session: int, *, says_started: bool = True) -> Member:
        """A member comes, behind those that are there."""
        member = self.members[session] = Member(session, says_started)
        return member

    def leave(self, session: int, *, counts: bool = True) -> bool:
        """The member is gone: what it held goes to others. True if there was anything. `counts`: what it worked on has failed."""
        member = self.members.pop(session, None)
        if member is None or not member.tokens:
            return False
        for sequence in sorted(member.tokens.values()):
            lease = self.leases[sequence]
            if counts and sequence in member.working:
                lease.failures, lease.reason, lease.failed = lease.failures + 1, WENT_AWAY, True
            self._take(member, lease)
        return True

    def hold(self, sequence: int, session: int, *, sent: bool = True) -> None:
        """This member has the value; or, not `sent`, its connection puts it aside, and nobody else does meanwhile."""
        lease, member = self.leases[sequence], self.members[session]
        lease.session = session
        member.tokens[lease.token] = sequence
        if member.says_started and sent:
            member.reserved.add(sequence)
        self._line.handed(sequence, session)

    def started(self, session: int, token: int, now_s: float) -> None:
        """The member's program has the value: its lease begins, and it is not asked back any more."""
        member = self.members[session]
        sequence = member.tokens.get(token)
        if sequence is None or sequence not in member.reserved:
            return
        lease = self.leases[sequence]
        member.reserved.discard(sequence)
        member.working.add(sequence)
        lease.started_s, lease.asked_back = now_s, False
        self._line.handed(sequence, session)
        doubled = lease.refused_late >= LATE_REFUSALS_DOUBLE
        self.deadlines.hold(sequence, now_s, self.terms.lease_s * (2 if doubled else 1))

    def renew(self, session: int, now_s: float) -> None:
        """The member's process is at work on what its program has; for longer than the group's timeout it may not say so."""
        for sequence in self.members[session].working:
            started_s = self.leases[sequence].started_s
            if started_s is not None and now_s - started_s < self.terms.timeout_s:
                self.deadlines.renew(sequence, now_s)

    def give_back(self, sequence: int, not_before_s: float) -> list[int]:
        """The value goes out again, not before that time. Returns the tokens that are asked back from its member, for they come behind it."""
        lease = self.leases[sequence]
        member = self.members.get(lease.session) if lease.session is not None else None
        if member is not None:
            self._unhold(member, lease)
        self._line.enter(sequence, not_before_s)
        return self._ask_back(member, self._behind(sequence, member)) if member is not None else []

    def heard(self, session: int) -> bool:
        """The member says something, so it lives. True if it was taken to hang."""
        member = self.members.get(session)
        hung = member is not None and member.hangs
        if member is not None:
            member.hangs = False
        return hung

    def released(self, session: int, tokens: Iterable[int]) -> None:
        """The member has dropped these unseen."""
        member = self.members[session]
        for token in tokens:
            sequence = member.tokens.get(token)
            if sequence in member.reserved:
                self._take(member, self.leases[sequence])

    def expire(self, now_s: float) -> bool:
        """What was not renewed in time goes to others; True if there was anything. Its member hangs: it is served last from now on.

        So what it has not begun goes as well; and, for what comes behind must not be passed on before it, where there is an order all it has.
        """
        due = [self.leases[sequence] for sequence in self.deadlines.due(now_s)]
        for lease in due:
            member = self.members.get(lease.session) if lease.session is not None else None
            if member is None:
                continue
            lease.failures, lease.reason, lease.failed = lease.failures + 1, f"its lease of {self.terms.lease_s:g} s was over", True
            self._take(member, lease)
            everything = sorted(member.reserved if self.terms.order is Order.NONE else {*member.reserved, *member.working})
            member.hangs = True
            member.recalls += [self.leases[sequence].token for sequence in everything]
            for sequence in everything:
                self._take(member, self.leases[sequence])
            self.members[member.session] = self.members.pop(member.session)
        return bool(due)

    def spare(self, session: int) -> Member | None:
        """For a member that has nothing to do: the one that was asked to give back half of what it has not begun, if there is one."""
        if self.terms.order is not Order.NONE:
            return None
        busy = [member for member in self.members.values() if member.session != session and member.working and member.reserved]
        if not busy:
            return None
        busiest = max(busy, key=lambda member: len(member.reserved))
        if any(self.leases[sequence].asked_back for sequence in busiest.reserved):
            return None
        half = sorted(busiest.reserved)[len(busiest.reserved) // 2 :]
        busiest.yields = True
        busiest.recalls += self._ask_back(busiest, half)
        return busiest

    def refuse_late(self, sequence: int) -> None:
        """An ack of the value was refused because its lease was over. Such a lease is too short when that happens again."""
        lease = self.leases.get(sequence)
        if lease is not None:
            lease.refused_late += 1
            if lease.refused_late == LATE_REFUSALS_DOUBLE:
                self.deadlines.double(sequence)

    # -- inside -----------------------------------------------------------------------------------------------------------------------------

    def _fresh(self, link: Link) -> int | None:
        generation = link.generations.get(self.generation)
        fresh = self.handed_sequence + 1
        return fresh if generation is not None and fresh <= link.durable_last(generation) and not self.cursor.is_done(fresh) else None

    def _is_given_up(self, lease: GroupLease) -> bool:
        return self.terms.max_attempts is not None and lease.failures >= self.terms.max_attempts

    def _know(self, sequence: int) -> GroupLease:
        self.handed_sequence = max(self.handed_sequence, sequence)
        return self.leases.setdefault(sequence, GroupLease(sequence, 0, 0))

    def _behind(self, sequence: int, member: Member) -> list[int]:
        """What the member has not begun and has to wait for the value, in order."""
        if self.terms.order is Order.NONE:
            return []
        behind = sorted(later for later in member.reserved if later > sequence and not self.leases[later].asked_back)
        return self._line.behind(sequence, behind) if isinstance(self._line, KeyLine) else behind

    def _ask_back(self, member: Member, sequences: Iterable[int]) -> list[int]:
        tokens = []
        for sequence in sequences:
            lease = self.leases[sequence]
            lease.asked_back = True
            self._line.recall(sequence)
            tokens.append(lease.token)
        return tokens

    def _take(self, member: Member, lease: GroupLease) -> None:
        """Takes from a member what it did not give back itself. What its program has not seen was no attempt."""
        if lease.sequence in member.reserved:
            lease.attempt -= 1
        self._unhold(member, lease)
        self._line.enter(lease.sequence, 0.0)

    def _unhold(self, member: Member, lease: GroupLease) -> None:
        member.tokens.pop(lease.token, None)
        member.reserved.discard(lease.sequence)
        member.working.discard(lease.sequence)
        lease.session, lease.started_s, lease.asked_back = None, None, False
        self.deadlines.drop(lease.sequence)

    def _done(self, sequence: int) -> None:
        lease = self.leases.pop(sequence, None)
        if lease is None:
            return
        member = self.members.get(lease.session) if lease.session is not None else None
        if member is not None:
            self._unhold(member, lease)
        self._line.settled(sequence)

    def _begin_anew(self, cursor: Cursor) -> None:
        for member in self.members.values():
            member.recalls += member.tokens
            member.tokens.clear()
            member.reserved.clear()
            member.working.clear()
        self.leases.clear()
        self.deadlines = Leases()
        self._line = _line(self.terms.order)
        self.handed_sequence = cursor.done_sequence


def _line(order: Order) -> Line:
    if order is Order.LINK:
        return LinkLine()
    return KeyLine() if order is Order.KEY else FreeLine()
