"""Blocking work on the files of a run, off the event loop unless they are small: never left running behind a cancellation, for the files are used
again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

from linkd.limits import FILES_ON_LOOP_MAX_BYTES

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Runs `work` in a thread. If this call is cancelled, it ends only when `work` has."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **named))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait((running,))
        if not running.cancelled():
            running.exception()  # seen: whoever cancelled has no use for it
        raise


async def in_thread_if_large(size_bytes: float, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """As `in_thread`, of work on so many bytes: with few of them it is done before a thread would have begun."""
    return work(*arguments, **named) if size_bytes <= FILES_ON_LOOP_MAX_BYTES else await in_thread(work, *arguments, **named)
