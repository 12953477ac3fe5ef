"""What a program said of its values, acks and nacks, until linkd has answered: it outlives the connections that it was said over.

A repeat is harmless, for linkd knows an ack by its token and answers it again; so what had no answer is said first over the next connection,
before any value comes (`SubscribeOpen.unanswered`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from linkd.client.feeds import Feed, Flow
from linkd.client.values import LeasedValue
from linkd.errors import ConnectionFailed, ConnectionFault, Draining, Error, LeaseLost, OutcomeUnknown
from linkd.model.values import Position
from linkd.wire.messages import position_message
from linkd.wire.v1 import links_pb2 as pb


@dataclass(slots=True, eq=False)
class Settlement:
    """One ack or nack: the message that says it, and its answer. Of what `is_repeated` it may have happened before."""

    position: Position
    request: Any
    answer: asyncio.Future[None]
    is_repeated: bool = False

    def answered(self, refusal: LeaseLost | None) -> None:
        if self.answer.done():
            return
        # A nack that is too late when it is repeated was taken the first time, or was as good: the value is with others.
        if refusal is None or (self.is_repeated and self.request.HasField("nack")):
            self.answer.set_result(None)
        else:
            self.answer.set_exception(refusal)


@dataclass(slots=True)
class Settlements:
    """All of one subscription that has no answer. linkd answers what is said of a value in the order in which it was said."""

    _unanswered: dict[Position, deque[Settlement]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self._unanswered.values()))

    def add(self, position: Position, request: Any) -> Settlement:
        settlement = Settlement(position, request, asyncio.get_running_loop().create_future())
        self._unanswered.setdefault(position, deque()).append(settlement)
        return settlement

    def repeated(self) -> Iterator[Any]:
        """What is to be said again over another connection."""
        for settlement in [settlement for waiting in self._unanswered.values() for settlement in waiting]:
            settlement.is_repeated = True
            yield settlement.request

    def answered(self, position: Position, refusal: LeaseLost | None) -> None:
        """linkd did what was said first of the value, or refused it."""
        waiting = self._unanswered.get(position)
        if waiting:
            settlement = waiting[0]
            self.forget(settlement)
            settlement.answered(refusal)

    def forget(self, settlement: Settlement) -> None:
        """Nobody waits for the answer, or it is there."""
        waiting = self._unanswered.get(settlement.position)
        if waiting is not None and settlement in waiting:
            waiting.remove(settlement)
            if not waiting:
                del self._unanswered[settlement.position]


class SettlingFeed(Feed[Any], Protocol):
    """A stream over which values come and are settled. `over` has what it ended with, None for its end, or is not done."""

    over: asyncio.Future[Error | None]

    def settle(self, token: int, request: Any) -> None:
        """Says it over this stream."""
        ...


F = TypeVar("F", bound=SettlingFeed)


class FlowSettler(Generic[F]):
    """Settles the values of a subscription, over as many of its streams as it takes."""

    def __init__(self, flow: Flow[F], settlements: Settlements, group: str) -> None:
        self._flow = flow
        self._settlements = settlements
        self._group = group

    async def ack(self, value: LeasedValue) -> None:
        """As `value.ack()`."""
        ack = pb.Ack(position=position_message(value.envelope.position), token=value.token)
        await self._settle(value, pb.SubscribeRequest(ack=ack))

    async def nack(self, value: LeasedValue, delay_s: float, reason: str) -> None:
        """As `value.nack(...)`."""
        nack = pb.Nack(position=position_message(value.envelope.position), token=value.token, delay_ms=round(delay_s * 1000), reason=reason)
        await self._settle(value, pb.SubscribeRequest(nack=nack))

    async def _settle(self, value: LeasedValue, request: Any) -> None:
        """Says it until it is answered. Raises LeaseLost where it was refused, OutcomeUnknown where linkd stays away."""
        if self._flow.over:
            raise LeaseLost(f"{value.name}: the subscription of {self._group} was closed before the value was settled; it will come again")
        settlement = self._settlements.add(value.envelope.position, request)
        feed = self._flow.feed
        if feed is not None:  # else a new one says it first
            feed.settle(value.token, request)
        try:
            await self._answered(settlement, value.name)
        except ConnectionFault as error:
            raise OutcomeUnknown(f"{value.name}: linkd went away before it confirmed; the value may come again ({error})") from error
        finally:
            self._settlements.forget(settlement)

    async def _answered(self, settlement: Settlement, name: str) -> None:
        """Returns when it is answered, over this stream or one behind it."""
        patience = self._flow.patience
        while True:
            feed = None
            try:
                feed = self._flow.present()
                await asyncio.wait((settlement.answer, feed.over), return_when=asyncio.FIRST_COMPLETED)
                if settlement.answer.done():
                    return settlement.answer.result()
                raise feed.over.result() or LeaseLost(
                    f"{name}: the subscription of {self._group} ended before the value was settled; it will come again"
                )
            except (ConnectionFailed, Draining) as error:
                if self._flow.over:
                    raise
                await self._flow.reconnect(feed, patience, error)
