"""Delivering a link to a consumer group, over one connection of one member."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import ExitStack
from dataclasses import dataclass

from linkd.core.groups import Group, GroupOffer
from linkd.core.links import Generation, Link
from linkd.core.rights import Identity
from linkd.errors import GenerationAbandoned, LeaseLost
from linkd.home.changes import Watch, group_topic, link_topic
from linkd.home.home import Home, check_group
from linkd.home.outgoing import Out, Outgoing
from linkd.home.reading import allow_reading
from linkd.limits import CREDIT_BYTES, CREDIT_MAX_BYTES
from linkd.model.records import GroupLeased, GroupMoved, GroupOpened, Record
from linkd.model.values import Envelope, Position
from linkd.store.committer import Committed
from linkd.telemetry.events import ValueDelivered
from linkd.telemetry.trace_context import parse_traceparent


@dataclass(frozen=True, slots=True)
class Opened:
    generation: int
    schema: bytes


@dataclass(frozen=True, slots=True)
class EndOfLink:
    """The generation is sealed and all of it is done."""

    generation: int


Part = Opened | Out | EndOfLink


@dataclass(slots=True)
class Subscription:
    """One member's connection. Iterate over `parts`; `ack` and `nack` settle values; leaving the iteration gives the rest back."""

    home: Home
    who: Identity
    link_name: str
    group_name: str
    follow: bool = False
    credit_bytes: int = CREDIT_BYTES
    form: str = "arrow"
    session: int = 0
    _watch: Watch | None = None

    async def parts(self) -> AsyncGenerator[Part, None]:
        """Everything that goes out. Without `follow` it ends with the generation. Raises LinkNotFound, NotAllowed, Draining."""
        check_group(self.group_name)
        if self.home.layout.anyone:
            await self.home.ensure_link(self.link_name)
        allow_reading(self.home, self.who, "subscribe", self.link_name)
        self.credit_bytes = min(self.credit_bytes or CREDIT_BYTES, CREDIT_MAX_BYTES)
        self.session = self.home.new_session()
        topics = (link_topic(self.link_name), group_topic(self.group_name, self.link_name), "drain", "storage")
        with ExitStack() as stack:
            self._watch = stack.enter_context(self.home.changes.watch(*topics))
            group = await self._open_group()
            stack.callback(self._left, group)
            link = self.home.ledger.links[self.link_name]
            yield Opened(group.generation, link.generations[group.generation].schema)
            outgoing = Outgoing(self.home, self.form)
            while True:
                await self.home.room()
                if group.superseded(link) and not self.follow:
                    raise GenerationAbandoned(
                        f"generation {group.generation} of {group.link} was superseded before it was complete: subscribe again for the next"
                    )
                if (group.superseded(link) or (self.follow and group.finished(link))) and self._moved_on(group, link):
                    continue
                decision = None if group.superseded(link) else group.next_value(link, self.home.clock.monotonic_s())
                if isinstance(decision, GroupOffer) and self._has_room(group):
                    yield await self._hand_out(group, decision, outgoing)
                    continue
                if group.finished(link) and not self.follow:
                    yield EndOfLink(group.generation)
                    return
                delay_s = max(decision - self.home.clock.monotonic_s(), 0.0) if isinstance(decision, float) else None
                await self._pause(delay_s)

    def give_credit(self, size_bytes: int) -> None:
        self.credit_bytes = min(self.credit_bytes + size_bytes, CREDIT_MAX_BYTES)
        if self._watch is not None:
            self._watch.poke()

    async def ack(self, position: Position, token: int) -> Awaitable[None]:
        """The value is done, durably when what this returns is. LeaseLost if it was handed out again since."""
        await self.home.room()
        group = self._group()
        self._check_token(group, position, token)
        after = group.cursor.copy()
        after.settle(position.sequence, position.sequence)
        moved = GroupMoved(
            group.name, group.link, group.incarnation, group.generation, after.done_sequence, after.done_sequence + 1, after.ranges_ahead()
        )
        written = self.home.admit([moved])
        self.home.changes.announce([group_topic(group.name, group.link)])
        return self._settled(written)

    def nack(self, position: Position, token: int, delay_ms: int) -> None:
        """The value waits for `delay_ms` and goes out again, to anybody. LeaseLost if it was handed out again already."""
        group = self._group()
        self._check_token(group, position, token)
        group.give_back(position.sequence, self.home.clock.monotonic_s() + delay_ms / 1000)
        self.home.changes.announce([group_topic(group.name, group.link)])

    async def _settled(self, written: asyncio.Future[Committed]) -> None:
        await self.home.written(written)

    # -- inside ---------------------------------------------------------------------------------------------------------------------------

    async def _open_group(self) -> Group:
        """The group, made at the earliest value of what readers see if it is new; waits while the link has nothing at all."""
        key = (self.group_name, self.link_name)
        while True:
            group = self.home.ledger.groups.get(key)
            link = self.home.ledger.links.get(self.link_name)
            if group is not None and link is not None:
                await self.home.room()
                self._renew(group, link)
                if group.generation in link.generations:
                    return group
                await self._pause(None)
                continue
            generation = link.current if link is not None and self.follow else (link.readable if link is not None else None)
            if link is not None and generation is not None:
                opened = GroupOpened(
                    self.group_name, self.link_name, generation.incarnation, generation.number, generation.first_sequence - 1, self.follow
                )
                await self.home.room()
                if key not in self.home.ledger.groups:
                    await self.home.written(self.home.admit([opened]))
                continue
            await self._pause(None)

    def _renew(self, group: Group, link: Link) -> None:
        """A group whose generation is over goes on to the one that readers see now, from its first value."""
        readable = link.readable
        if group.finished(link) and readable is not None and readable.number > group.generation:
            self._move_to(group, readable)
        elif group.superseded(link):
            self._moved_on(group, link)

    def _moved_on(self, group: Group, link: Link) -> bool:
        following = link.following(group.generation)
        if following is not None:
            self._move_to(group, following)
        return following is not None

    def _move_to(self, group: Group, generation: Generation) -> None:
        done = generation.first_sequence - 1
        self.home.admit([GroupMoved(group.name, group.link, generation.incarnation, generation.number, done, done + 1)], durable=False)

    def _has_room(self, group: Group) -> bool:
        return self.credit_bytes > 0 or not any(lease.session == self.session for lease in group.leases.values())

    async def _hand_out(self, group: Group, offer: GroupOffer, outgoing: Outgoing) -> Out:
        [(envelope, place)] = self.home.store.values(group.link, offer.sequence, offer.sequence)
        token = self.home.ledger.last_token + 1
        record: Record = GroupLeased(group.name, group.link, envelope.position, token, offer.attempt)
        self.home.admit([record], durable=False)
        group.hold(offer.sequence, self.session)
        self.credit_bytes -= envelope.size_bytes
        self._tell(envelope, offer.attempt)
        return await outgoing.value(envelope, place, token=token, attempt=offer.attempt)

    async def _pause(self, timeout_s: float | None) -> None:
        assert self._watch is not None
        self.home.check_alive()
        await self._watch.wait(timeout_s)
        self.home.check_alive()

    def _left(self, group: Group) -> None:
        if group.release(self.session):
            self.home.changes.announce([group_topic(group.name, group.link)])

    def _group(self) -> Group:
        group = self.home.ledger.groups.get((self.group_name, self.link_name))
        if group is None:
            raise LeaseLost(f"the group {self.group_name} of {self.link_name} has not begun")
        return group

    def _check_token(self, group: Group, position: Position, token: int) -> None:
        if not group.holds(position.sequence, token):
            raise LeaseLost(
                f"{group.link}@{position.sequence} is not on lease to this consumer any more: it was settled, or handed to another member"
            )

    def _tell(self, envelope: Envelope, attempt: int) -> None:
        now_ns = self.home.clock.now_ns()
        begun = self.home.begin_span(parse_traceparent(envelope.traceparent))
        self.home.telemetry.emit(
            ValueDelivered(
                link=envelope.link,
                group=self.group_name,
                values=1,
                rows=envelope.rows,
                size_bytes=envelope.size_bytes,
                wait_seconds=max((now_ns - envelope.created_at_ns) / 1e9, 0.0),
                attempt=attempt,
                value_id=envelope.id.hex(),
                span=self.home.end_span(begun),
            )
        )
