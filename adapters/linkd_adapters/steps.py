"""Blocking work off the event loop, in steps that are never left running behind a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from typing import TypeVar

from linkd.errors import InternalFault

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run `work` in a thread. If this call is cancelled, it ends only when `work` has: files and state are nobody else's until then."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()  # seen, so that asyncio does not report it: whoever cancelled has no use for it
        raise


async def steps(work: Generator[T, None, None]) -> AsyncGenerator[T, None]:
    """What a blocking generator yields, each step in a thread; closing this closes it."""
    end = object()
    try:
        while True:
            step = await in_thread(lambda: next(work, end))
            if step is end:
                return
            yield step  # type: ignore[misc]  # the generator's own items are all that is not the end
    finally:
        await in_thread(work.close)


async def result(work: Generator[T | None, None, None], shown: str) -> T:
    """The first thing that a blocking generator finds, after steps that find nothing yet. `shown` is what it looks at, for messages."""
    async with aclosing(steps(work)) as found:
        async for step in found:
            if step is not None:
                return step
    raise InternalFault(f"{shown}: the survey ended without a result; please report this")
