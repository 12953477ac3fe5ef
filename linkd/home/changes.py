"""Who waits for what: topics on which something changed, so that nobody polls.

A topic is `link NAME`, `task NAME`, `group NAME/LINK`, `leases`, or `run`. A watch is set from the moment it is made until it is left, so a change
between looking and waiting is never missed: look, then `wait`, which returns at once if anything changed since the last `wait`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType

ANY = "*"
LEASES = "leases"
"""A snapshot was handed out. Only those who look on want to know, so it is no topic of the task, whose own sessions would wake."""


def link_topic(name: str) -> str:
    return f"link {name}"


def task_topic(name: str) -> str:
    return f"task {name}"


def group_topic(group: str, link: str) -> str:
    return f"group {group}/{link}"


class Watch:
    """One waiter. A context manager: leaving it forgets the topics."""

    def __init__(self, changes: Changes, topics: frozenset[str]) -> None:
        self._changes = changes
        self._topics = topics
        self._changed = False
        self._waiter: asyncio.Future[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def poke(self) -> None:
        self._changed = True
        _wake(self._waiter)

    def poke_within(self, seconds: float) -> None:
        """As `poke`, so many seconds from now at the latest. Nothing takes it back."""
        loop = asyncio.get_running_loop()
        if self._alarm is not None:
            if self._alarm.when() <= loop.time() + seconds:
                return
            self._alarm.cancel()
        self._alarm = loop.call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        self.poke()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Returns when something changed since the last wait (True), or after `timeout_s` (False)."""
        if not self._changed:
            loop = asyncio.get_running_loop()
            waiter = self._waiter = loop.create_future()
            timer = loop.call_later(timeout_s, _wake, waiter) if timeout_s is not None else None
            try:
                await waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
        changed, self._changed = self._changed, False
        return changed

    def __enter__(self) -> Watch:
        self._changes.add(self._topics, self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._changes.discard(self._topics, self)
        if self._alarm is not None:
            self._alarm.cancel()


class Changes:
    """The board on which changes are announced. Belongs to one event loop."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}

    def watch(self, *topics: str) -> Watch:
        return Watch(self, frozenset(topics))

    def announce(self, topics: Iterable[str], *, but: Watch | None = None) -> None:
        """Wakes whoever watches one of `topics`, and whoever watches `ANY`; but for one, who knows that it is no change for him."""
        for topic in (*topics, ANY):
            for watch in self._watches.get(topic, ()):
                if watch is not but:
                    watch.poke()

    def add(self, topics: frozenset[str], watch: Watch) -> None:
        for topic in topics:
            self._watches.setdefault(topic, set()).add(watch)

    def discard(self, topics: frozenset[str], watch: Watch) -> None:
        for topic in topics:
            waiting = self._watches.get(topic)
            if waiting is not None:
                waiting.discard(watch)
                if not waiting:
                    del self._watches[topic]


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
