"""Taking a home's directory over from one that makes way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from pathlib import Path

from linkd.app.state import ON_DEMAND, SUPERVISED, Lock, holder
from linkd.errors import StateLocked
from linkd.limits import DRAIN_TIMEOUT_S, MAKE_WAY_MARGIN_S


async def take_lock(directory: Path, kind: str = SUPERVISED) -> Lock:
    """The lock of the home's directory. A home that was started for a reader is asked to go, and finishes the calls in hand first; so is
    one whose run is over (the caller holds the run's lock), which has only not noticed yet.

    Raises StateLocked if somebody else has it, or that home does not go.
    """
    path = directory / "lock"
    try:
        return Lock.take(path, kind)
    except StateLocked:
        held_by = holder(path)
        makes_way = held_by.kind == ON_DEMAND or (kind == SUPERVISED and held_by.kind == SUPERVISED)
        if not makes_way or not held_by.pid:
            raise StateLocked(f"{directory} is in use by {held_by}: end it first, or give it another directory") from None
    with contextlib.suppress(ProcessLookupError):
        os.kill(held_by.pid, signal.SIGTERM)
    return await _wait_for_lock(path, kind, str(held_by))


async def _wait_for_lock(path: Path, kind: str, held_by: str) -> Lock:
    """Waits in the kernel. If that takes too long the thread is left to it; it ends with the process."""
    loop = asyncio.get_running_loop()
    taken: asyncio.Future[Lock] = loop.create_future()

    def took(lock: Lock) -> None:
        if not taken.done():
            taken.set_result(lock)

    def wait() -> None:
        loop.call_soon_threadsafe(took, Lock.wait(path, kind))

    threading.Thread(target=wait, name="linkd lock", daemon=True).start()
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT_S + MAKE_WAY_MARGIN_S):
            return await taken
    except TimeoutError:
        raise StateLocked(f"{path.parent} is in use by {held_by}, which does not go: end it, and run again") from None
