"""What a receiver has ready for the program: a queue that ends, or fails, once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from linkd.errors import Error

T = TypeVar("T")


class Inbox(Generic[T]):
    """Items in order, then the end or an error. Not bounded by itself: the credit given to the sender bounds what comes."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._arrived = asyncio.Event()
        self._closed = False
        self._held = 0
        self._error: Error | None = None

    def __len__(self) -> int:
        return len(self._items)

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, item: T) -> None:
        self._items.append(item)
        self._arrived.set()

    def drop(self, unwanted: Callable[[T], bool]) -> list[T]:
        """Takes out what is not wanted any more, and returns it."""
        dropped = [item for item in self._items if unwanted(item)]
        if dropped:
            self._items = deque(item for item in self._items if not unwanted(item))
        return dropped

    def hold(self) -> None:
        """Nothing is handed to the program until `let_go` was called as often."""
        self._held += 1

    def let_go(self) -> None:
        self._held = max(self._held - 1, 0)
        self._arrived.set()

    def end(self) -> None:
        """Nothing follows."""
        self._closed = True
        self._arrived.set()

    def fail(self, error: Error) -> None:
        """What is queued is void, for it came over a stream that is gone; whoever waits gets `error`."""
        self._items.clear()
        self._error = error
        self.end()

    @property
    def is_ready(self) -> bool:
        """Whether `take` has an item."""
        return bool(self._items) and (not self._held or self._closed)

    async def ready(self) -> bool:
        """Waits until `take` has an item; False behind the last. Raises what `fail` was told. Cancelling loses nothing."""
        while not self.is_ready:
            if self._error is not None:
                raise self._error
            if self._closed:
                return False
            self._arrived.clear()
            await self._arrived.wait()
        return True

    def take(self) -> T:
        """The next item, which `ready` said is there."""
        return self._items.popleft()
