"""Memory as a number of bytes that are given out and come back. Waiters are served in order, so a large one is not starved by small ones."""

from __future__ import annotations

import asyncio
from collections import deque

from linkd.errors import Overloaded


class Budget:
    """`size_bytes` of memory for payloads. Belongs to one event loop."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.used_bytes = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, size_bytes: int) -> None:
        """Waits until so much is free, and takes it. Cancelling takes nothing. Overloaded if it can never be."""
        if size_bytes > self.size_bytes:
            raise Overloaded(
                f"{size_bytes} bytes at once are more than the memory budget of {self.size_bytes} bytes: publish in smaller pieces"
            )
        if not self._waiting and self.used_bytes + size_bytes <= self.size_bytes:
            self.used_bytes += size_bytes
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size_bytes, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(size_bytes)
            elif entry in self._waiting:
                self._waiting.remove(entry)
                self._serve()
            raise

    def give(self, size_bytes: int) -> None:
        """Gives back what was taken."""
        self.used_bytes -= size_bytes
        self._serve()

    def _serve(self) -> None:
        while self._waiting and self.used_bytes + self._waiting[0][0] <= self.size_bytes:
            size_bytes, turn = self._waiting.popleft()
            if not turn.cancelled():
                self.used_bytes += size_bytes
                turn.set_result(None)
