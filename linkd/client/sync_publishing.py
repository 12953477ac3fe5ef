"""The synchronous face of publishing: flows of rows, and producers with a name."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from functools import partial
from types import TracebackType
from typing import Self

from linkd.client import publisher, publishing
from linkd.client.gathering import row_item
from linkd.client.loop_thread import LOOP_THREAD
from linkd.client.process import FORK_GUARD
from linkd.client.publishing import Ack


class Publisher:
    """A flow of rows into one link, gathered into values; leaving its block means that all of it is durable, or it raises.

    A row is a dict, a tuple or list in the order of the columns (the link's, or those that were named), or bytes; do not change it afterwards.
    While linkd is away it waits; what has no ack is sent again, and happens once. What linkd refuses is raised by the next call, by `flush`,
    or at the end of the block; nothing is sent after that. Threads may share it.
    """

    def __init__(self, inner: publisher.Publisher) -> None:
        self._inner = inner
        self._put = inner.gathering.put
        inner.gathering.wake = partial(LOOP_THREAD.soon, inner.gathering.wake)

    def send(self, data: object) -> None:
        """Takes a row, or many at once (a list of dicts or tuples, a frame, an Arrow table). Waits for room, not for durability."""
        FORK_GUARD.check()
        self.send_nowait(data)

    def send_nowait(self, row: object) -> None:
        """As `send`, the cheapest way. It waits, too, where so much is gathered that there is no room for more."""
        while not self._put(row):
            LOOP_THREAD.run(self._inner.room)

    def submit(self, row: object) -> Future[Ack]:
        """Takes a row. The future is done when it is durable, with the ack of the value that it went into; many may be under way.

        Cancelling it takes nothing back. Waits for room.
        """
        future: Future[Ack] = Future()
        item = row_item(row, future)
        while not self._inner.gathering.put_item(item):
            LOOP_THREAD.run(self._inner.room)
        return future

    def flush(self) -> None:
        """Returns when everything sent so far is durable. Raises what an earlier call met."""
        LOOP_THREAD.run(self._inner.flush)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        LOOP_THREAD.run(self._inner.__aexit__, kind, error, trace)

    def __repr__(self) -> str:
        return repr(self._inner)


class Producer:
    """A producer with a name, whose publishes linkd counts: each happens once, and a program that begins again knows where it stands.

    Opening it fences whoever opened it before: the next publish of that one raises ProducerFenced. Threads may share it.
    """

    def __init__(self, inner: publishing.Producer) -> None:
        self._inner = inner

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def epoch(self) -> int:
        """How often the name has been opened, this time included."""
        return self._inner.epoch

    @property
    def last_sequence(self) -> int:
        """How many publishes of this name linkd has acked, over all links and all programs that opened it."""
        return self._inner.last_sequence

    def publish(self, link: str, data: object, *, attributes: Mapping[str, str] | None = None) -> Ack:
        """As `Client.publish`. Raises ProducerFenced where another program has opened the name."""
        return LOOP_THREAD.run(self._inner.publish, link, data, attributes=attributes)

    def __repr__(self) -> str:
        return repr(self._inner)
