"""Work in a thread that is waited for to its end, whatever becomes of who waits: what it works on is not taken from under it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def off_loop(work: Callable[[], T]) -> T:
    """As `asyncio.to_thread`; when it is cancelled, it ends behind the work."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise
