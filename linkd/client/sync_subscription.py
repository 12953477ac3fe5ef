"""The synchronous face of subscriptions: see `client.sync`."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Self

from linkd.client import subscription, values
from linkd.client.loop_thread import LOOP_THREAD
from linkd.client.values import Value


class LeasedValue(Value):
    """A value that a subscription handed out on lease, until it is acked (done for ever) or given back.

    `with value:` acks at the end of the block, and gives the value back if an exception leaves it.
    """

    __slots__ = ("_inner", "_subscription")

    def __init__(self, subscription: Subscription, inner: values.LeasedValue) -> None:
        super().__init__(inner._part, inner.envelope, road=inner._road)
        self._subscription = subscription  # kept alive: its lease is this value's
        self._inner = inner

    @property
    def attempt(self) -> int:
        """From 1: how often this value was handed out to the group."""
        return self._inner.attempt

    @property
    def settled(self) -> bool:
        return self._inner.settled

    def ack(self) -> None:
        """This value is done. Returns when that is durable. Raises LeaseLost if it was handed to somebody else meanwhile."""
        LOOP_THREAD.run(self._inner.ack)

    def nack(self, delay_s: float = 0.0, reason: str = "") -> None:
        """Gives the value back, to be handed out again after `delay_s` seconds at the earliest."""
        LOOP_THREAD.run(self._inner.nack, delay_s, reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        LOOP_THREAD.run(self._inner.__aexit__, kind, error, trace)


class Subscription:
    """Values of a link for a consumer group, in the group's order; see `Client.subscribe`.

    Ends when the generation is sealed and every value was acked, so settle each one (`with value:`): several may be in work at once. A value's
    lease begins when it comes out of the iteration, and is renewed in the background while the program works on it; code that holds the
    interpreter for longer than the lease loses it, and then `ack` raises LeaseLost. A value that is neither acked nor given back stays on lease,
    and holds back the end, until the subscription is closed or forgotten, or the group's timeout is over.
    """

    def __init__(self, inner: subscription.Subscription) -> None:
        self._inner = inner
        _closed_when_forgotten(self, inner)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> LeasedValue:
        """The next value, when there is one."""
        try:
            return LeasedValue(self, LOOP_THREAD.run(self._inner.__anext__))
        except StopAsyncIteration:
            raise StopIteration from None

    @property
    def lost_values(self) -> int:
        """Values that were dropped before the group had them, and those of a weaker durability that went with the power after it had, as far as
        this subscription was told. Each loss is a warning in the log, too."""
        return self._inner.lost_values

    def close(self) -> None:
        """Ends the subscription; what is on lease is offered to other members."""
        LOOP_THREAD.run(self._inner.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return repr(self._inner)


def _closed_when_forgotten(face: Subscription, inner: subscription.Subscription) -> None:
    """A loop that was left by `break` gives its leases back as soon as its values are forgotten too."""
    weakref.finalize(face, LOOP_THREAD.soon, inner.close).atexit = False
