"""What a thread waits for in the loop beyond one call: the items of an iteration, and what a notebook shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from linkd.client import html
from linkd.client.loop_thread import LOOP_THREAD, Call
from linkd.errors import Error
from linkd.limits import NOTEBOOK_WAIT_S

T = TypeVar("T")


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


def iterated_ahead(stream: AsyncGenerator[T, None]) -> Iterator[T]:
    """As `iterated`; while the thread works on one item the next one is received."""
    following = LOOP_THREAD.call(_next_of, stream)
    try:
        LOOP_THREAD.begin(following)
        while True:
            try:
                item = LOOP_THREAD.wait(following)
            except StopAsyncIteration:
                return
            following = LOOP_THREAD.call(_next_of, stream)
            LOOP_THREAD.begin(following)
            yield item
            del item
    finally:
        if LOOP_THREAD.can_wait:  # as above
            LOOP_THREAD.run(_closed, stream, following)


async def _closed(stream: AsyncGenerator[T, None], following: Call[T]) -> None:
    """Closes the iteration, behind the call for an item that nobody wants any more."""
    await following.end()
    await stream.aclose()


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
