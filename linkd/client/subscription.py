"""A subscription: a consumer group's values, each handed to one member on lease until it is acked."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeAlias

from linkd.client.background import Background
from linkd.client.calls import Connection
from linkd.client.extras import preferred_format
from linkd.client.feeds import Flow
from linkd.client.inbox import Inbox
from linkd.client.outbox import Outbox
from linkd.client.payloads import Arrived, Assembler
from linkd.client.settling import FlowSettler, Settlements
from linkd.client.values import LeasedValue
from linkd.errors import ConnectionFailed, Error, InvalidArgument, LeaseLost
from linkd.limits import ATTEMPTS_MAX, GROUP_NAME_MAX_CHARS, LEASE_MAX_S, LEASE_MIN_S, LEASE_RENEWED_EVERY, LEASE_S
from linkd.model.values import Position
from linkd.wire.messages import position_message, position_of
from linkd.wire.methods import SUBSCRIBE
from linkd.wire.v1 import links_pb2 as pb

log = logging.getLogger("linkd.client")

Start: TypeAlias = str | int | Position | datetime
"""Where a new group begins: `earliest`, `latest`, a sequence or position, or a time (UTC where it has no offset)."""


class Progress:
    """What a subscription knows over all its connections: the newest value that it has had, and the values that are lost to it.

    Those were dropped before the consumer group had them, or went with the power after it had: they are counted, and told by the log.
    """

    def __init__(self, link: str, group: str, seen: Position | None = None) -> None:
        self.lost_values = 0
        self.seen = seen
        self._link = link
        self._group = group

    def arrived(self, position: Position) -> None:
        if self.seen is None or (position.incarnation, position.sequence) > (self.seen.incarnation, self.seen.sequence):
            self.seen = position

    def dropped(self, first: int, last: int, reason: str) -> None:
        self.lost_values += last - first + 1
        log.warning("%s@%d..%d never came to the consumer group %s: %s", self._link, first, last, self._group, reason)

    def lost(self, values: int) -> None:
        """The link has so many of the values up to `seen` no more. That is told once."""
        if values and self.seen is not None:
            self.lost_values += values
            first, last = self.seen.sequence - values + 1, self.seen.sequence
            log.warning("%s@%d..%d, which the consumer group %s may have had, are lost", self._link, first, last, self._group)
            self.seen = None


class SubscriptionFeed:
    """One Subscribe stream. Leases live as long as it does; `over` has what it ended with, None for its end, or is not done."""

    def __init__(
        self, connection: Connection, background: Background, opening: pb.SubscribeOpen, progress: Progress, settlements: Settlements
    ) -> None:
        self.inbox: Inbox[Arrived] = Inbox()
        self._group = opening.group
        self._progress = progress
        self._assembler = Assembler()
        self._settlements = settlements
        self.over: asyncio.Future[Error | None] = asyncio.get_running_loop().create_future()
        self._working: set[int] = set()
        self._began = asyncio.Event()
        self._lease_s = 0.0  # until linkd has said how long; of one that does not know of leases
        self._stream = connection.stream(SUBSCRIBE)
        self._outbox = Outbox(self._stream, background, f"linkd subscription of {opening.group}")
        self._outbox.post(pb.SubscribeRequest(open=_again(opening, progress.seen, len(settlements))))
        for request in settlements.repeated():
            self._outbox.post(request)
        self._renewing = background.spawn(f"linkd subscription of {opening.group} renewal", self._renew())
        background.spawn(f"linkd subscription of {opening.group} reader", self._receive())

    def take(self) -> Arrived:
        """The next value, which goes to the program: its lease begins, and as much may come again."""
        value = self.inbox.take()
        self._progress.arrived(position_of(value.header.envelope.position))
        if self._lease_s:
            self._working.add(value.header.token)
            self._began.set()
            started = pb.Started(token=value.header.token, credit_bytes=value.size_bytes)
            self._outbox.post(pb.SubscribeRequest(started=started))
        elif value.size_bytes:
            self._outbox.post(pb.SubscribeRequest(credit_bytes=value.size_bytes))
        return value

    def settle(self, token: int, request: Any) -> None:
        """Says it over this stream; the value is not at work any more."""
        self._working.discard(token)
        self._outbox.post(request)

    def close(self) -> None:
        self._stream.cancel()
        self._renewing.cancel()

    async def _renew(self) -> None:
        """Says that the process is at work, as long as its program has values that it has not settled."""
        while True:
            await self._began.wait()
            await asyncio.sleep((self._lease_s or LEASE_S) * LEASE_RENEWED_EVERY)
            if self._working and self._lease_s:
                self._outbox.post(pb.SubscribeRequest(renew=pb.Renew()))
            else:
                self._began.clear()

    async def _receive(self) -> None:
        failure: Error | None = ConnectionFailed("linkd ended the subscription without saying that it was the end")
        try:
            while (message := await self._stream.read()) is not None:
                if message.WhichOneof("message") == "end":
                    self.inbox.end()
                    failure = None
                    break
                self._take(message)
        except Error as error:
            failure = error
        finally:
            if failure is not None:
                self.inbox.fail(failure)
            self.over.set_result(failure)
            self._renewing.cancel()
            self._outbox.close()
            self._stream.cancel()

    def _take(self, message: Any) -> None:
        kind = message.WhichOneof("message")
        if kind == "value" or kind == "chunk":
            self._arrived(self._assembler.take(message))
        elif kind == "ack_done":
            self._settlements.answered(position_of(message.ack_done.position), None)
        elif kind == "refused":
            self._settlements.answered(position_of(message.refused.position), LeaseLost(message.refused.message))
        elif kind == "recall":
            self._recalled(frozenset(message.recall.tokens))
        elif kind == "dropped":
            self._progress.dropped(message.dropped.first, message.dropped.last, message.dropped.reason)
        elif kind == "opened":
            self._lease_s = message.opened.lease_ms / 1000
            self._progress.lost(message.opened.lost)

    def _arrived(self, value: Arrived | None) -> None:
        if value is not None:
            self.inbox.put(value)

    def _recalled(self, tokens: frozenset[int]) -> None:
        """What the program has not seen goes back; it has room for as much."""
        dropped = self.inbox.drop(lambda value: value.header.token in tokens)
        if dropped:
            self._outbox.post(pb.SubscribeRequest(released=pb.Released(tokens=[value.header.token for value in dropped])))
            self._outbox.post(pb.SubscribeRequest(credit_bytes=sum(value.size_bytes for value in dropped)))


class Subscription:
    """Values of a link for a consumer group, in the group's order; see `Client.subscribe`.

    Ends when the generation is sealed and every value was acked, so settle each one (`async with value:`): several may be in work at once. A
    value's lease begins when it comes out of the iteration, and is renewed from the event loop while the program works on it; code that holds
    the loop or the interpreter for longer than the lease loses it, and then `ack` raises LeaseLost. When linkd goes away the subscription
    connects again; values that were on lease then come again, and what was settled and not answered is asked for again.
    """

    def __init__(self, connection: Connection, background: Background, opening: pb.SubscribeOpen) -> None:
        self._connection = connection
        self._opening = opening
        self._progress = Progress(opening.link, opening.group, position_of(opening.seen) if opening.HasField("seen") else None)
        settlements = Settlements()
        self._flow = Flow(connection, lambda: SubscriptionFeed(connection, background, opening, self._progress, settlements))
        self._settler = FlowSettler(self._flow, settlements, opening.group)

    @property
    def lost_values(self) -> int:
        """Values that were dropped before the group had them, and those of a weaker durability that went with the power after it had, as far as
        this subscription was told. Each loss is a warning in the log, too."""
        return self._progress.lost_values

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LeasedValue:
        """The next value, when there is one. Raises LinkNotFound, NotAllowed, ConnectionFailed."""
        feed = await self._flow.ready()
        if feed is None:
            raise StopAsyncIteration
        return LeasedValue(feed.take(), self._settler, self._connection.road)

    def close(self) -> None:
        """Ends the subscription; what is on lease is offered to other members."""
        self._flow.close()

    async def aclose(self) -> None:
        """`close`, for `contextlib.aclosing`."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        opening = self._opening
        return f"<Subscription of {opening.group} to {opening.link}{', following' if opening.follow else ''}>"


def subscription_opening(
    link: str,
    group: str,
    *,
    follow: bool,
    credit_bytes: int,
    start: Start | None,
    order: str | None,
    key: str | None,
    lease_s: float | None,
    timeout_s: float | None,
    max_attempts: int | None,
) -> pb.SubscribeOpen:
    """The first message of a subscription. Raises InvalidArgument for what no group could have."""
    if not group or len(group) > GROUP_NAME_MAX_CHARS:
        raise InvalidArgument(
            f"a consumer group needs a name of 1 to {GROUP_NAME_MAX_CHARS} characters; to look without one: read({link!r})"
        )
    if max_attempts is not None and not 1 <= max_attempts <= ATTEMPTS_MAX:
        raise InvalidArgument(
            f"max_attempts is {max_attempts:,}: it is between 1 and {ATTEMPTS_MAX:,}, or left out, and then it is for ever"
        )
    return pb.SubscribeOpen(
        link=link,
        group=group,
        follow=follow,
        credit_bytes=credit_bytes,
        format=preferred_format(),  # type: ignore[arg-type]  # an open enum
        says_started=True,
        start=start_text(start),
        order=order or "",
        key=key or "",
        lease_ms=_milliseconds("lease_s", lease_s),
        timeout_ms=_milliseconds("timeout_s", timeout_s),
        max_attempts=max_attempts or 0,
        seen=position_message(Position(start.incarnation, start.sequence - 1)) if isinstance(start, Position) else None,
    )


def _again(opening: pb.SubscribeOpen, seen: Position | None, unanswered: int) -> pb.SubscribeOpen:
    """The first message of a subscription that connects again."""
    again = pb.SubscribeOpen()
    again.CopyFrom(opening)
    again.unanswered = unanswered
    if seen is None:
        again.ClearField("seen")
    else:
        again.seen.CopyFrom(position_message(seen))
    return again


def start_text(start: Start | None) -> str:
    """A place in a link as it is written; "" where none is said."""
    if isinstance(start, Position):
        return str(start.sequence)
    if isinstance(start, datetime):
        return start.isoformat()
    return "" if start is None else str(start)


def _milliseconds(name: str, seconds: float | None) -> int:
    if seconds is None:
        return 0
    if not LEASE_MIN_S <= seconds <= LEASE_MAX_S:
        raise InvalidArgument(f"{name} is {seconds:g}: it is between {LEASE_MIN_S:g} and {LEASE_MAX_S:g}")
    return round(seconds * 1000)
