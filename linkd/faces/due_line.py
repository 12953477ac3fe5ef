"""Answers in the order in which they were put in line, each when it is due: between whoever takes what a client says and whoever answers it."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from linkd.errors import Draining, Error
from linkd.home.due import Due
from linkd.home.home import Home

T = TypeVar("T")


class DueLine(Generic[T]):
    """Iterate over it: each answer comes when it is due. While the iteration waits, what is due is offered to `at_once`, which says whether it
    took it: sooner by a change of tasks. At most `most` are in line."""

    def __init__(self, at_once: Callable[[Due[T]], bool] | None = None, most: float = math.inf) -> None:
        self._at_once = at_once
        self._most = most
        self._line: deque[Due[T]] = deque()
        self._end: Error | None = None
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None
        self._left = asyncio.Event()

    async def put(self, due: Due[T]) -> None:
        """Puts an answer in line; waits while there are too many."""
        while len(self._line) >= self._most:
            self._left.clear()
            await self._left.wait()
        self._line.append(due)
        if due.written is None or due.written.done():
            self._due()
        else:
            due.written.add_done_callback(self._due)

    def end(self, error: Error | None = None) -> None:
        """Nothing follows; the iteration ends behind the last answer, or raises this there. The first end counts."""
        if not self._ended:
            self._ended, self._end = True, error
            self._wake()

    async def join(self) -> None:
        """Returns when all that was put in line was taken, and whoever took the last has come back for more."""
        while self._line or self._waiter is None:
            self._left.clear()
            await self._left.wait()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """Raises what ended it, and what an answer cannot be given for: StorageFailed."""
        while not (self._line and self._line[0].is_due):
            if self._ended and not self._line:
                raise self._end or StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            self._left.set()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._left.set()
        return self._line.popleft().take()

    def _due(self, written: asyncio.Future[Any] | None = None) -> None:
        """The first in line may be due."""
        line, waiter = self._line, self._waiter
        if waiter is None or waiter.done():
            return  # the iteration is at work, and will see it
        while line and line[0].is_due:
            if self._at_once is None or not line[0].is_kept or not self._at_once(line[0]):
                self._wake()
                return
            line.popleft()
            self._left.set()
        if self._ended and not line:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def end_by_drain(home: Home, taking: asyncio.Task[None], line: DueLine[Any]) -> None:
    """A stream on which nothing comes must not hold up the home: when it drains, what was taken is answered and the stream ends."""
    with home.changes.watch("drain") as watch:
        if not home.draining:
            await watch.wait()
    if taking.cancel():
        line.end(Draining("linkd is shutting down; connect again"))
