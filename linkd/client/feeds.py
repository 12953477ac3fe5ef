"""A flow that outlives its streams: when linkd goes away between two items, it connects again and goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from linkd.client.calls import Connection, Patience
from linkd.client.inbox import Inbox
from linkd.errors import ConnectionFailed, Draining

T = TypeVar("T")


class Feed(Protocol[T]):
    """One stream that is received in the background."""

    inbox: Inbox[T]

    def close(self) -> None: ...


F = TypeVar("F", bound=Feed[Any])


class Flow(Generic[F]):
    """The present feed of a subscription or of snapshots, opened when it is first needed and after each loss."""

    def __init__(self, connection: Connection, open_feed: Callable[[], F]) -> None:
        self._connection = connection
        self._open_feed = open_feed
        self._feed: F | None = None
        self._over = False

    async def ready(self) -> F | None:
        """The feed, with an item waiting in its inbox; None at the end. Raises what ended it, once trying again did not help."""
        patience = Patience(self._connection.flow_timeout_s)
        while not self._over:
            seen = self._connection.epoch
            try:
                feed = self._feed = self._feed or self._open_feed()
                return feed if await feed.inbox.ready() else None
            except (ConnectionFailed, Draining) as error:
                self._feed = None
                if not self._over:
                    await self._connection.recover(patience, seen, error)
        return None

    def close(self) -> None:
        """Ends the flow; whoever waits in `ready` gets None."""
        self._over = True
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()
