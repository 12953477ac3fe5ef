"""A subscription: a consumer group's values, each handed to one member on lease until it is acked."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any, Self

from linkd.client.background import Background
from linkd.client.calls import Connection
from linkd.client.extras import preferred_format
from linkd.client.feeds import Flow
from linkd.client.inbox import Inbox
from linkd.client.outbox import Outbox
from linkd.client.payloads import Arrived, Assembler
from linkd.client.values import LeasedValue
from linkd.errors import ConnectionFailed, ConnectionFault, Error, LeaseLost, OutcomeUnknown
from linkd.model.values import Position
from linkd.wire.messages import position_message, position_of
from linkd.wire.methods import SUBSCRIBE
from linkd.wire.v1 import links_pb2 as pb


class SubscriptionFeed:
    """One Subscribe stream. Leases live as long as it does."""

    def __init__(self, connection: Connection, background: Background, link: str, group: str, *, follow: bool, credit_bytes: int) -> None:
        self.inbox: Inbox[Arrived] = Inbox()
        self._group = group
        self._assembler = Assembler()
        self._settling: dict[Position, asyncio.Future[None]] = {}
        self._stream = connection.stream(SUBSCRIBE)
        self._outbox = Outbox(self._stream, background, f"linkd subscription of {group}")
        opening = pb.SubscribeOpen(
            link=link,
            group=group,
            follow=follow,
            credit_bytes=credit_bytes,
            format=preferred_format(),  # type: ignore[arg-type]  # an open enum
        )
        self._outbox.post(pb.SubscribeRequest(open=opening))
        background.spawn(f"linkd subscription of {group} reader", self._receive())

    def take(self) -> Arrived:
        """The next value, which goes to the program: as much may come again."""
        value = self.inbox.take()
        if value.size_bytes:
            self._outbox.post(pb.SubscribeRequest(credit_bytes=value.size_bytes))
        return value

    async def ack(self, value: LeasedValue) -> None:
        ack = pb.Ack(position=position_message(value.envelope.position), token=value.token)
        await self._settle(value, pb.SubscribeRequest(ack=ack))

    async def nack(self, value: LeasedValue, delay_s: float, reason: str) -> None:
        nack = pb.Nack(position=position_message(value.envelope.position), token=value.token, delay_ms=round(delay_s * 1000), reason=reason)
        await self._settle(value, pb.SubscribeRequest(nack=nack))

    def close(self) -> None:
        self._stream.cancel()

    async def _settle(self, value: LeasedValue, request: Any) -> None:
        if self.inbox.closed:
            raise LeaseLost(f"{value.name}: the subscription of {self._group} ended before the value was settled; it will come again")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._settling[value.envelope.position] = done
        self._outbox.post(request)
        try:
            await done
        except ConnectionFault as error:
            raise OutcomeUnknown(f"{value.name}: linkd went away before it confirmed; the value may come again ({error})") from error

    async def _receive(self) -> None:
        failure: Error = ConnectionFailed("linkd ended the subscription without saying that it was the end")
        try:
            while (message := await self._stream.read()) is not None:
                if message.WhichOneof("message") == "end":
                    self.inbox.end()
                    break
                self._take(message)
        except Error as error:
            failure = error
        finally:
            if not self.inbox.closed:
                self.inbox.fail(failure)
            for done in self._settling.values():
                if not done.done():
                    done.set_exception(failure)
            self._outbox.close()
            self._stream.cancel()

    def _take(self, message: Any) -> None:
        kind = message.WhichOneof("message")
        if kind == "value":
            self._arrived(self._assembler.value(message.value))
        elif kind == "chunk":
            self._arrived(self._assembler.chunk(message.chunk))
        elif kind == "ack_done":
            done = self._settling.pop(position_of(message.ack_done.position), None)
            if done is not None and not done.done():
                done.set_result(None)

    def _arrived(self, value: Arrived | None) -> None:
        if value is not None:
            self.inbox.put(value)


class Subscription:
    """Values of a link for a consumer group, in order; a new group starts at the earliest value kept.

    Ends when the generation is sealed and every value was acked, so settle each one (`async with value:`): several may be in work at once,
    and one that is neither acked nor given back stays on lease, and holds back the end, until the subscription is closed. When linkd goes
    away the subscription connects again, for up to `timeout_s`; values that were on lease then come again.
    """

    def __init__(self, connection: Connection, background: Background, link: str, group: str, *, follow: bool, credit_bytes: int) -> None:
        self._link = link
        self._group = group
        self._follow = follow
        self._flow = Flow(
            connection,
            lambda: SubscriptionFeed(connection, background, link, group, follow=follow, credit_bytes=credit_bytes),
        )

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LeasedValue:
        """The next value, when there is one. Raises LinkNotFound, NotAllowed, ConnectionFailed."""
        feed = await self._flow.ready()
        if feed is None:
            raise StopAsyncIteration
        return LeasedValue(feed.take(), feed)

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
        return f"<Subscription of {self._group} to {self._link}{', following' if self._follow else ''}>"
