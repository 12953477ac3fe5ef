"""Delivering a link to a consumer group, over one connection of one member.

Leases that end are found by whoever waits for something to do: each member's wait ends with the first deadline of its group. So a hang costs no
timer, and is seen as soon as there is somebody to take over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from linkd.core.dead_letters import Letter, dead_link
from linkd.core.group_leases import GiveUp, GroupOffer, Look, Member
from linkd.core.groups import Group
from linkd.core.links import Link, dropped_within
from linkd.core.rights import Identity
from linkd.errors import GenerationAbandoned, LeaseLost
from linkd.home.changes import Watch, group_topic, link_topic
from linkd.home.dead_letters import put_aside
from linkd.home.groups import catch_up, check_key, lost_to, move_on, opened_at, place_in
from linkd.home.home import Home
from linkd.home.key_slots import slots_of
from linkd.home.outgoing import Out, Outgoing
from linkd.home.reading import allow_reading
from linkd.home.subscription_parts import NOT_KEPT, EndOfLink, Opened, Part, Recalled, Skipped, SubscribeCall
from linkd.limits import CREDIT_BYTES, CREDIT_MAX_BYTES, DEAD_LETTER_REASON_MAX_CHARS
from linkd.model.records import GroupFailed, GroupLeased, GroupMoved, Record
from linkd.model.values import Envelope, Parent, Place, Position
from linkd.store.committer import Committed
from linkd.telemetry.events import GroupLeaseEnded, ValueDelivered, ValueGivenUp


@dataclass(slots=True)
class Subscription:
    """One member's connection. Iterate over `parts`; `ack` and `nack` settle values; leaving the iteration gives the rest back."""

    home: Home
    who: Identity
    call: SubscribeCall
    session: int = 0
    credit_bytes: int = 0
    _watch: Watch | None = None

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Everything that goes out. Without `follow` it ends with the generation. Raises LinkNotFound, NotAllowed, InvalidArgument, Draining."""
        call = self.call
        call.check()
        if self.home.layout.anyone:
            await self.home.ensure_link(call.link)
        allow_reading(self.home, self.who, "subscribe", call.link)
        self.credit_bytes = min(call.credit_bytes or CREDIT_BYTES, CREDIT_MAX_BYTES)
        self.session = self.home.new_session()
        topics = (link_topic(call.link), group_topic(call.group, call.link), "drain", "storage")
        with ExitStack() as stack:
            self._watch = stack.enter_context(self.home.changes.watch(*topics))
            group = await self._open_group()
            link = self.home.ledger.links[call.link]
            member = group.join(self.session, says_started=call.says_started)
            stack.callback(self._left, group)
            lost = lost_to(self.home, group.name, link, call.seen)
            yield Opened(group.generation, link.generations[group.generation].schema, group.terms.lease_s, lost)
            outgoing = stack.enter_context(closing(Outgoing(self.home, call.form)))
            while True:
                await self.home.room()
                if group.superseded(link) and not call.follow:
                    raise GenerationAbandoned(
                        f"generation {group.generation} of {group.link} was superseded before it was complete: subscribe again for the next"
                    )
                if (group.superseded(link) or (call.follow and group.finished(link))) and move_on(self.home, group, link):
                    continue
                part, wait_s = await self._next(group, link, member, outgoing)
                if part is not None:
                    yield part
                elif group.finished(link) and not call.follow and not member.recalls:
                    yield EndOfLink(group.generation)
                    return
                elif wait_s != 0.0:
                    await self._pause(wait_s)

    def give_credit(self, size_bytes: int) -> None:
        was_out = self.credit_bytes <= 0
        self.credit_bytes = min(self.credit_bytes + size_bytes, CREDIT_MAX_BYTES)
        if was_out and self._watch is not None:
            self._watch.poke()

    async def ack(self, position: Position, token: int) -> asyncio.Future[Committed] | None:
        """The value is done, durably when what this returns is (None: it is). LeaseLost if it was handed out again since."""
        await self.home.room()
        group = self._group()
        if token in group.acked:  # over an earlier connection, whose answer got lost
            return self.home.unwritten()
        self._check_token(group, position, token)
        done = ((position.sequence, position.sequence),)
        written = self.home.admit(
            [GroupMoved(group.name, group.link, group.incarnation, group.generation, 0, 0, settled=done, token=token)]
        )
        self.home.changes.announce([group_topic(group.name, group.link)], but=None if self._may_go_on(group) else self._watch)
        return written

    async def nack(
        self, position: Position, token: int, delay_ms: int, reason: str = ""
    ) -> tuple[asyncio.Future[Committed], Sequence[int]]:
        """The value waits for `delay_ms` and goes out again; that it failed is counted, durably when what this returns first is. A home that starts
        meanwhile lets it wait for all of that again.

        What it returns then are the tokens that are asked back from this member, for their values come behind it. LeaseLost if it was handed out
        again already.
        """
        await self.home.room()
        group = self._group()
        self._check_token(group, position, token)
        lease = group.leases[position.sequence]
        failures = lease.failures + (not lease.failed)
        told = reason[:DEAD_LETTER_REASON_MAX_CHARS]
        failed = GroupFailed(group.name, group.link, Position(group.incarnation, position.sequence), failures, told, delay_ms)
        written = self.home.admit([failed])
        recalled = group.give_back(position.sequence, self.home.clock.monotonic_s() + delay_ms / 1000 if delay_ms else 0.0)
        self.home.changes.announce([group_topic(group.name, group.link)])
        return written, recalled

    def started(self, token: int) -> None:
        """The member's program has the value."""
        group = self.home.ledger.groups.get((self.call.group, self.call.link))
        if group is not None and self.session in group.members:
            self._heard(group)
            now_s = self.home.clock.monotonic_s()
            group.started(self.session, token, now_s)
            ends_s = group.deadlines.next_s()
            if self._watch is not None and ends_s is not None:
                self._watch.poke_within(ends_s - now_s)
            if len(group.members) > 1:
                self.home.changes.announce([group_topic(group.name, group.link)])  # the others wait for its deadline now

    def renew(self) -> None:
        """The member's process is at work on what its program has."""
        group = self.home.ledger.groups.get((self.call.group, self.call.link))
        if group is not None and self.session in group.members:
            self._heard(group)
            group.renew(self.session, self.home.clock.monotonic_s())

    def released(self, tokens: Sequence[int]) -> None:
        """The member has dropped these unseen."""
        group = self.home.ledger.groups.get((self.call.group, self.call.link))
        if group is not None and self.session in group.members:
            self._heard(group)
            group.released(self.session, tokens)
            self.home.changes.announce([group_topic(group.name, group.link)])

    # -- what goes out --------------------------------------------------------------------------------------------------------------------

    async def _next(self, group: Group, link: Link, member: Member, outgoing: Outgoing) -> tuple[Part | None, float | None]:
        """What goes to the member now; or None and how long to wait for a change: 0.0, look again at once; None, until there is one."""
        now_s = self.home.clock.monotonic_s()
        if group.expire(now_s):
            self.home.telemetry.emit(GroupLeaseEnded(link=group.link, group=group.name, seconds=group.terms.lease_s))
            self.home.changes.announce([group_topic(group.name, group.link)])
        if member.recalls:
            tokens, member.recalls = tuple(member.recalls), []
            return Recalled(tokens), 0.0
        if group.superseded(link):
            return None, None
        skipped = self._skipped(group, link)
        if skipped is not None:
            return skipped, 0.0
        decision = group.next_value(member.session, link, now_s)
        if isinstance(decision, GiveUp):
            await self._give_up(group, decision.sequence)
            return None, 0.0
        if isinstance(decision, Look):
            await self._look(group, decision.sequence)
            return None, 0.0
        if isinstance(decision, GroupOffer):
            if not self._has_room(member):
                return None, _until(group, None, now_s)
            found = next(iter(self.home.store.values(group.link, decision.sequence, decision.sequence)), None)
            if found is None:
                self._pass_over(group, decision.sequence, decision.sequence)
                return None, 0.0
            return await self._hand_out(group, decision, *found, outgoing), 0.0
        busiest = group.spare(member.session) if not member.tokens else None
        if busiest is not None:
            self.home.changes.announce([group_topic(group.name, group.link)])
        return None, _until(group, decision, now_s)

    async def _hand_out(self, group: Group, offer: GroupOffer, envelope: Envelope, place: Place, outgoing: Outgoing) -> Out:
        token = self.home.ledger.last_token + 1
        known = group.leases.get(offer.sequence)
        failures, reason = (known.failures, known.reason) if known is not None else (0, "")
        record: Record = GroupLeased(group.name, group.link, envelope.position, token, offer.attempt, failures, reason)
        self.home.admit([record], durable=False)
        group.hold(offer.sequence, self.session)
        self._tell(envelope, offer.attempt)
        out = await outgoing.value(envelope, place, token=token, attempt=offer.attempt)
        self.credit_bytes -= out.size_bytes
        return out

    def _skipped(self, group: Group, link: Link) -> Skipped | None:
        """What was dropped before the group had it: it is passed over, and the member is told."""
        fresh = group.handed_sequence + 1
        there = min(link.there_from(fresh), self._last_of(group, link) + 1)
        if there > fresh and not group.cursor.is_done(fresh):
            self._pass_over(group, fresh, there - 1)
        passed = group.passed_over()
        if passed is None:
            return None
        first, last = passed
        gone = dropped_within(link, first, last)
        return Skipped(first, last, gone[0].reason if gone else NOT_KEPT)

    def _last_of(self, group: Group, link: Link) -> int:
        generation = link.generations.get(group.generation)
        return generation.last_sequence if generation is not None else group.handed_sequence

    def _pass_over(self, group: Group, first: int, last: int) -> None:
        moved = GroupMoved(group.name, group.link, group.incarnation, group.generation, 0, 0, settled=((first, last),))
        self.home.admit([moved], durable=False)
        self.home.changes.announce([group_topic(group.name, group.link)])

    async def _give_up(self, group: Group, sequence: int) -> None:
        """Puts the value aside, and settles it in the same frame."""
        lease, run_generation = group.leases[sequence], group.run_generation
        group.hold(sequence, self.session, sent=False)
        found = next(iter(self.home.store.values(group.link, sequence, sequence)), None)
        incarnation = found[0].position.incarnation if found is not None else group.incarnation
        portion = Parent(group.link, incarnation, group.generation, sequence, sequence)
        letter = Letter(portion, group.name, lease.token, lease.failures, lease.reason, self.home.clock.now_ns())

        def settles() -> Sequence[Record] | None:
            if group.run_generation != run_generation or group.leases.get(sequence) is not lease:
                return None  # it was settled, or the group was moved, meanwhile
            done = ((sequence, sequence),)
            return [GroupMoved(group.name, group.link, group.incarnation, group.generation, 0, 0, settled=done)]

        into = dead_link(group.link)
        if await put_aside(self.home, into, [letter], settles) is not None:
            given_up = ValueGivenUp(link=group.link, group=group.name, attempts=letter.attempts, to=into, detail=letter.reason)
            self.home.telemetry.emit(given_up)
        self.home.changes.announce([group_topic(group.name, group.link)])

    async def _look(self, group: Group, sequence: int) -> None:
        """Finds out which slots the value belongs to. Another member may do so at the same time."""
        found = next(iter(self.home.store.values(group.link, sequence, sequence)), None)
        if found is None:
            self._pass_over(group, sequence, sequence)
            return
        generation, run_generation = group.generation, group.run_generation
        slots = await slots_of(self.home, *found, group.terms.key)
        if (generation, run_generation) == (group.generation, group.run_generation) and group.wants_look(sequence):
            group.looked(sequence, slots)

    def _may_go_on(self, group: Group) -> bool:
        """Whether this member may have something to do because of an ack of its own: more than to wait for fresh values."""
        generation = self.home.ledger.links[group.link].generations.get(group.generation)
        return self.credit_bytes <= 0 or len(group.members) > 1 or group.has_line or generation is None or generation.is_sealed

    def _has_room(self, member: Member) -> bool:
        return self.credit_bytes > 0 or not member.tokens

    async def _pause(self, timeout_s: float | None) -> None:
        assert self._watch is not None
        self.home.check_alive()
        if timeout_s is not None:
            self._watch.poke_within(timeout_s)
        await self._watch.wait()
        self.home.check_alive()

    # -- the group ------------------------------------------------------------------------------------------------------------------------

    async def _open_group(self) -> Group:
        """The group, made where `start` says if it is new; waits while the link has nothing at all. Raises InvalidArgument."""
        call = self.call
        key = (call.group, call.link)
        while True:
            group = self.home.ledger.groups.get(key)
            link = self.home.ledger.links.get(call.link)
            if group is not None and link is not None:
                call.asked.check_against(call.group, call.link, group.terms)
                await self.home.room()
                catch_up(self.home, group, link)
                if group.generation in link.generations:
                    return group
                await self._pause(None)
                continue
            place = place_in(self.home, link, call.start, follow=call.follow, seen=call.seen) if link is not None else None
            if place is not None:
                check_key(call.link, place.generation, call.asked)
                await self.home.room()
                if key not in self.home.ledger.groups:
                    opened = opened_at(call.group, place, call.link, call.asked, follow=call.follow)
                    await self.home.written(self.home.admit([opened]))
                continue
            await self._pause(None)

    def _left(self, group: Group) -> None:
        group.leave(self.session, counts=not self.home.draining)
        self.home.changes.announce([group_topic(group.name, group.link)])

    def _group(self) -> Group:
        group = self.home.ledger.groups.get((self.call.group, self.call.link))
        if group is None:
            raise LeaseLost(f"the group {self.call.group} of {self.call.link} has not begun")
        return group

    def _heard(self, group: Group) -> None:
        if group.heard(self.session):
            self.home.changes.announce([group_topic(group.name, group.link)])

    def _check_token(self, group: Group, position: Position, token: int) -> None:
        self._heard(group)
        if not group.holds(position.sequence, token):
            group.refuse_late(position.sequence)
            raise LeaseLost(
                f"{group.link}@{position.sequence} is not on lease to this consumer any more: it was settled, or handed to another member"
            )

    def _tell(self, envelope: Envelope, attempt: int) -> None:
        if not self.home.telemetry.wants(ValueDelivered):
            return
        now_ns = self.home.clock.now_ns()
        self.home.telemetry.emit(
            ValueDelivered(
                link=envelope.link,
                group=self.call.group,
                values=1,
                rows=envelope.rows,
                size_bytes=envelope.size_bytes,
                wait_seconds=max((now_ns - envelope.created_at_ns) / 1e9, 0.0),
                attempt=attempt,
                value_id=envelope.id.hex(),
                span=self.home.spans.at_once(envelope.traceparent),
            )
        )


def _until(group: Group, delayed_s: float | None, now_s: float) -> float | None:
    """How long to wait: until a delayed value may go, or a lease of the group ends."""
    times = [time_s for time_s in (delayed_s, group.deadlines.next_s()) if time_s is not None]
    return max(min(times) - now_s, 0.001) if times else None
