"""The synchronous face of publishing: flows of rows, and producers with a name."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from linkd.client import publishing
from linkd.client.loop_thread import LOOP_THREAD
from linkd.client.publishing import Ack


class Publisher:
    """A flow of rows into one link, gathered into values; leaving its block means that all of it is durable, or it raises.

    While linkd is away it waits; what has no ack is sent again, and happens once. What linkd refuses is raised by the next `send`, by
    `flush`, or at the end of the block. Threads may share it.
    """

    def __init__(self, inner: publishing.Publisher) -> None:
        self._inner = inner

    def send(self, data: object) -> None:
        """Takes a row (a dict), rows (a list of dicts, a frame, an Arrow table), or bytes. Waits while too much is unacknowledged."""
        if self._inner.put(data):
            LOOP_THREAD.soon(self._inner.wake)
        if self._inner.full:
            LOOP_THREAD.run(self._inner.room)

    def flush(self) -> None:
        """Returns when everything sent so far is durable. Raises what an earlier send met."""
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
