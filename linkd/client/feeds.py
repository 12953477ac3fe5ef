"""A flow that outlives its streams: when linkd goes away between two items, it connects again and goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from linkd.client.calls import Connection, Patience
from linkd.client.inbox import Inbox
from linkd.errors import ConnectionFailed, Draining, Error

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
        self.feed: F | None = None
        self._epoch = 0
        self.over = False

    @property
    def patience(self) -> Patience:
        """How long linkd may be away."""
        return Patience(self._connection.flow_timeout_s)

    async def ready(self) -> F | None:
        """The feed, with an item waiting in its inbox; None at the end. Raises what ended it, once trying again did not help."""
        patience = self.patience
        while not self.over:
            feed = None
            try:
                feed = self.present()
                return feed if await feed.inbox.ready() else None
            except (ConnectionFailed, Draining) as error:
                if not self.over:
                    await self.reconnect(feed, patience, error)
        return None

    def present(self) -> F:
        """The feed, opened if there is none. Raises ConnectionFailed where linkd is away."""
        if self.feed is None:
            self._epoch = self._connection.epoch
            self.feed = self._open_feed()
        return self.feed

    async def reconnect(self, feed: F | None, patience: Patience, error: Error) -> None:
        """That feed ended with this error, or could not be opened: returns when there is a connection for another one. Raises what `recover` does."""
        if self.feed is feed:
            epoch, self.feed = self._epoch, None
        else:  # somebody else who waited for it has seen to that
            epoch = self._epoch - 1
        await self._connection.recover(patience, epoch, error)

    def close(self) -> None:
        """Ends the flow; whoever waits in `ready` gets None."""
        self.over = True
        feed, self.feed = self.feed, None
        if feed is not None:
            feed.close()
