"""Background tasks with an owner and a name."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from linkd.limits import CLIENT_CLOSE_TIMEOUT_S


class Background:
    """Owns tasks that run beside a program's calls. What one has to tell, errors too, it tells by its own means."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts `work`. It ends by itself or is cancelled by `close`."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Cancels what still runs and waits for it, at most `CLIENT_CLOSE_TIMEOUT_S`."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLIENT_CLOSE_TIMEOUT_S)
