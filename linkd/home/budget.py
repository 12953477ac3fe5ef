"""Memory as a number of bytes that are given out and come back. Waiters are served in order, so a large one is not starved by small ones.

Everything that holds payloads takes from one `Budget`: what arrives, for as long as it is looked at; what is staged and in line for the disk,
and what is kept because it may be asked for soon, each through a `Share` of its own, so that none of them can leave nothing to the others; what
is converted for a reader, while it is converted. Nothing is held over a write to a client, but what is `spare`: one that does not read must not
stop those who publish. What such a write has in hand is one message of at most a MiB for each stream.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Budget:
    """`size_bytes` of memory for payloads. Belongs to one event loop."""

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.used_bytes = 0
        self.spare: Callable[[], None] | None = None
        """Gives back what is held only because it may be asked for: called when somebody would have to wait."""
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def is_short(self) -> bool:
        """Whether somebody waits for it."""
        return bool(self._waiting)

    async def take(self, size_bytes: int) -> None:
        """Waits until so much is free, and takes it; what is more than all there is, when nothing else is taken. Cancelling takes nothing."""
        if self.spare is not None and not self._fits(size_bytes):
            self.spare()
        if not self._waiting and self._fits(size_bytes):
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

    def try_take(self, size_bytes: int) -> bool:
        """Takes so much if it is free now: for those who can do without."""
        if self.used_bytes + size_bytes > self.size_bytes:
            return False
        self.used_bytes += size_bytes
        return True

    def give(self, size_bytes: int) -> None:
        """Gives back what was taken."""
        self.used_bytes -= size_bytes
        self._serve()

    def share(self, most_bytes: int) -> Share:
        """A part of it, of at most so much and a quarter of the whole."""
        return Share(self, min(most_bytes, self.size_bytes // 4))

    def _fits(self, size_bytes: int) -> bool:
        return not self.used_bytes or self.used_bytes + size_bytes <= self.size_bytes

    def _serve(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size_bytes, turn = self._waiting.popleft()
            if not turn.cancelled():
                self.used_bytes += size_bytes
                turn.set_result(None)


class Taken:
    """What was taken of a budget for one thing, to be given back once. Without a budget it is nothing."""

    __slots__ = ("_budget", "size_bytes")

    def __init__(self, budget: Budget | None = None, size_bytes: int = 0) -> None:
        self._budget = budget
        self.size_bytes = size_bytes

    def give(self) -> None:
        """Gives it back; again is harmless."""
        if self._budget is not None and self.size_bytes:
            size_bytes, self.size_bytes = self.size_bytes, 0
            self._budget.give(size_bytes)


class Share:
    """What one use of the memory may take of a budget, without ever waiting for it."""

    def __init__(self, budget: Budget, size_bytes: int) -> None:
        self._budget = budget
        self.size_bytes = size_bytes
        self.used_bytes = 0

    @property
    def is_short(self) -> bool:
        """Whether somebody waits for memory of the budget."""
        return self._budget.is_short

    def try_take(self, size_bytes: int) -> bool:
        """Takes so much if it is free now, here and in the budget."""
        if self.used_bytes + size_bytes > self.size_bytes or not self._budget.try_take(size_bytes):
            return False
        self.used_bytes += size_bytes
        return True

    def give(self, size_bytes: int) -> None:
        """Gives back what was taken."""
        self.used_bytes -= size_bytes
        self._budget.give(size_bytes)
