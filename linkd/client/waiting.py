"""What a thread waits for in the loop beyond one call: the items of an iteration, and what a notebook shows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, Generic, TypeVar

from linkd.client import html
from linkd.client.loop_thread import LOOP_THREAD
from linkd.errors import Error
from linkd.limits import ITERATED_AHEAD_BYTES, ITERATED_AHEAD_VALUES, NOTEBOOK_WAIT_S

T = TypeVar("T")
_NEVER = -1


def iterated(stream: AsyncGenerator[T, None]) -> Iterator[T]:
    """The items of an asynchronous iteration, which ends with this one."""
    try:
        while True:
            try:
                yield LOOP_THREAD.run(_next_of, stream)
            except StopAsyncIteration:
                return
    finally:
        if LOOP_THREAD.can_wait:  # else the interpreter is ending, and the call has ended with its client
            LOOP_THREAD.run(stream.aclose)


def iterated_ahead(stream: AsyncGenerator[T, None], size_bytes: Callable[[T], int]) -> Iterator[T]:
    """As `iterated`; while the thread works on one item the next ones are received, some of them and not many bytes."""
    ahead = _Ahead(stream, size_bytes)
    try:
        while True:
            try:
                item = ahead.take()
            except StopAsyncIteration:
                return
            yield item
            del item
    finally:
        if LOOP_THREAD.can_wait:  # as above
            LOOP_THREAD.run(ahead.close)


class _Ahead(Generic[T]):
    """Items that the loop receives while a thread works on those before them: it waits for the loop only where it has none left."""

    def __init__(self, stream: AsyncGenerator[T, None], size_bytes: Callable[[T], int]) -> None:
        self._stream = stream
        self._size_bytes = size_bytes
        self._items: deque[T] = deque()
        self._come_bytes = 0
        self._taken_bytes = 0
        self._has_come = asyncio.Event()
        self._has_left = asyncio.Event()
        self._told_at = _NEVER
        """Of so many items that are left the loop is told, which waits for that."""
        self._end: BaseException | None = None
        self._receiving: asyncio.Task[None] | None = None

    def take(self) -> T:
        """The next one. In the thread. Raises what the iteration ended with, StopAsyncIteration in order."""
        try:
            item = self._items.popleft()
        except IndexError:
            return LOOP_THREAD.run(self._next)
        self._taken_bytes += self._size_bytes(item)
        if len(self._items) <= self._told_at:
            self._told_at = _NEVER
            LOOP_THREAD.soon(self._has_left.set)
        return item

    async def close(self) -> None:
        """Ends the iteration; what came and nobody wants is let go of."""
        if self._receiving is not None:
            self._receiving.cancel()
            await asyncio.wait([self._receiving])
        self._items.clear()
        await self._stream.aclose()

    async def _next(self) -> T:
        if self._receiving is None:
            self._receiving = asyncio.create_task(self._receive(), name="linkd read ahead")
        while not self._items:
            if self._end is not None:
                raise self._end
            self._has_come.clear()
            await self._has_come.wait()
        item = self._items.popleft()
        self._taken_bytes += self._size_bytes(item)
        if len(self._items) <= self._told_at:
            self._has_left.set()
        return item

    async def _receive(self) -> None:
        try:
            async for item in self._stream:
                self._items.append(item)
                self._come_bytes += self._size_bytes(item)
                del item
                self._has_come.set()
                await self._room()
            self._end = StopAsyncIteration()
        except BaseException as error:  # the thread is told, behind what came before it
            self._end = error
            if not isinstance(error, Exception):
                raise
        finally:
            self._has_come.set()

    async def _room(self) -> None:
        """Returns when half of what there was at most is left, or there was not so much."""
        held = len(self._items)
        if held < ITERATED_AHEAD_VALUES and self._come_bytes - self._taken_bytes < ITERATED_AHEAD_BYTES:
            return
        most = self._told_at = held // 2
        while len(self._items) > most:
            self._has_left.clear()
            await self._has_left.wait()
        self._told_at = _NEVER


async def _next_of(stream: AsyncGenerator[T, None]) -> T:
    return await anext(stream)


def shown(title: str, make: Callable[[], Coroutine[Any, Any, str]]) -> str:
    """What `make` gives within the time that a notebook waits; else why there is nothing to show."""
    try:
        return LOOP_THREAD.run(_in_time, make)
    except TimeoutError:
        return html.message(title, f"no answer within {NOTEBOOK_WAIT_S:g} s: ask for what you need, and it waits")
    except (Error, ValueError, OverflowError) as error:
        return html.message(title, str(error))


async def _in_time(make: Callable[[], Coroutine[Any, Any, str]]) -> str:
    async with asyncio.timeout(NOTEBOOK_WAIT_S):
        return await make()
