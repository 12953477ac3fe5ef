"""A database or object store that is away is asked for again, later and later; meanwhile its link waits, and so does whoever writes to it or
reads from it.

In a run that ends, patience does too: then the error is the run's. A run that follows waits for ever. What is waited for is told once, and when
it is back.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from linkd.app.adapter_events import AdapterEvents
from linkd.errors import PlaceAway
from linkd.limits import PLACE_AWAY_MAX_S, PLACE_RETRY_MAX_S, PLACE_RETRY_MIN_S


@dataclass(slots=True)
class Patience:
    """Of one source or sink. `endless` in a run that follows."""

    link: str
    events: AdapterEvents
    endless: bool
    away_max_s: float = PLACE_AWAY_MAX_S
    first_delay_s: float = PLACE_RETRY_MIN_S
    _delay_s: float = 0.0
    _waited_s: float = 0.0

    async def wait(self, away: PlaceAway) -> None:
        """Returns when it is time to ask again. Raises `away` if it has been away for too long."""
        if not self.endless and self._waited_s >= self.away_max_s:
            raise away
        if not self._delay_s:
            self.events.waiting(self.link, f"{away}; asking again, nothing is lost")
        self._delay_s = min(PLACE_RETRY_MAX_S, max(self.first_delay_s, 2 * self._delay_s))
        await asyncio.sleep(self._delay_s)
        self._waited_s += self._delay_s

    def answered(self) -> None:
        """It is there, and took or gave something."""
        if self._delay_s:
            self.events.noted(self.link, "the place is back, and the work goes on")
        self._delay_s = self._waited_s = 0.0
