"""The deadlines of a home: one timer for all leases, by the monotonic clock. They are not kept: a restart gives every lease its full time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from linkd.core.leases import Leases
from linkd.home.clock import Clock


@dataclass(slots=True)
class Deadlines:
    """What is to be done when, unless it is put off: `over` is called once, in the event loop, and neither waits nor raises. It may come when
    its key was dropped a moment ago, by another one whose time has come, too.

    `run` is the timer: a task of the home, as long as that lives.
    """

    clock: Clock
    _leases: Leases[Hashable] = field(default_factory=Leases)
    _over: dict[Hashable, Callable[[], None]] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _waits_until_s: float | None = None

    def hold(self, key: Hashable, lease_s: float, over: Callable[[], None]) -> None:
        """`over` is called in `lease_s`. Takes the place of an earlier deadline of the same key."""
        self._leases.hold(key, self.clock.monotonic_s(), lease_s)
        self._over[key] = over
        next_s = self._leases.next_s()
        if self._waits_until_s is None or (next_s is not None and next_s < self._waits_until_s):
            self._changed.set()

    def renew(self, key: Hashable) -> bool:
        """The deadline is as far away again as it was at first. False if it is past, or was dropped."""
        return self._leases.renew(key, self.clock.monotonic_s())

    def double(self, key: Hashable) -> None:
        """Twice as much time from the last renewal on, if there is such a deadline; a day at most."""
        self._leases.double(key)

    def lengthen(self, key: Hashable, lease_s: float) -> None:
        """At least so much time from the last renewal on, if there is such a deadline."""
        self._leases.lengthen(key, lease_s)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._leases

    def drop(self, key: Hashable) -> None:
        """There is no such deadline any more."""
        self._leases.drop(key)
        self._over.pop(key, None)

    def poke(self) -> None:
        """Looks at the clock now: for clocks that are set forward by hand."""
        self._changed.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            now_s = self.clock.monotonic_s()
            for over in [self._over.pop(key) for key in self._leases.due(now_s)]:
                over()
            self._waits_until_s = self._leases.next_s()
            self._changed.clear()
            try:
                async with asyncio.timeout(None if self._waits_until_s is None else max(self._waits_until_s - now_s, 0.0)):
                    await self._changed.wait()
            except TimeoutError:
                continue
