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
        self._event = asyncio.Event()

    def poke(self) -> None:
        self._event.set()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Returns when something changed since the last wait (True), or after `timeout_s` (False)."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True

    def __enter__(self) -> Watch:
        self._changes.add(self._topics, self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._changes.discard(self._topics, self)


class Changes:
    """The board on which changes are announced. Belongs to one event loop."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}

    def watch(self, *topics: str) -> Watch:
        return Watch(self, frozenset(topics))

    def announce(self, topics: Iterable[str]) -> None:
        """Wakes whoever watches one of `topics`, and whoever watches `ANY`."""
        woken: set[Watch] = set()
        for topic in (*topics, ANY):
            woken |= self._watches.get(topic, set())
        for watch in woken:
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
