"""How often a part of linkd's own may die under a run before the run gives up, and what that means for those that depend on the home."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from linkd.errors import ConnectionFault
from linkd.limits import RESTARTS_MAX, RESTARTS_WITHIN_S


@dataclass(slots=True)
class Restarts:
    """Counts the deaths of one part: at most `RESTARTS_MAX` within `RESTARTS_WITHIN_S` are mended."""

    now_s: Callable[[], float]
    _at_s: deque[float] = field(default_factory=deque)

    def allowed(self) -> bool:
        """It has died now: whether it is to be started again."""
        now_s = self.now_s()
        while self._at_s and now_s - self._at_s[0] >= RESTARTS_WITHIN_S:
            self._at_s.popleft()
        self._at_s.append(now_s)
        return len(self._at_s) <= RESTARTS_MAX


@dataclass(slots=True)
class HomeLives:
    """The lives of a run's home, one behind the other, all in the run's `epoch`. `ask` returns when a home answers, this one or the next.

    A program that ends badly because its home died is to be started again, and has not failed.
    """

    epoch: int
    ask: Callable[[], Awaitable[object]]
    number: int = 1
    _serving: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._serving.set()

    def end(self) -> None:
        """The home is gone."""
        self.number += 1
        self._serving.clear()

    def begin(self) -> None:
        """The next one serves."""
        self._serving.set()

    async def has_ended(self, number: int) -> bool:
        """Whether that life is over; then returns when the next one serves. Its end may not have been noticed yet: a home is asked."""
        if self.number == number:
            with contextlib.suppress(ConnectionFault):
                await self.ask()
        if self.number == number:
            return False
        await self._serving.wait()
        return True
