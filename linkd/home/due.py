"""Answers that are due when a frame is written: durably, or as durably as its links promise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from linkd.store.committer import Committed

T = TypeVar("T")


@dataclass(slots=True)
class Due(Generic[T]):
    """An answer that is due when the frame is `written` (None: it is). `take` it then, or await it; once."""

    written: asyncio.Future[Committed] | None
    make: Callable[[], T]

    @property
    def is_due(self) -> bool:
        return self.written is None or self.written.done()

    @property
    def is_kept(self) -> bool:
        """Whether it is due, and `take` gives it."""
        written = self.written
        return written is None or (written.done() and not written.cancelled() and written.exception() is None)

    def take(self) -> T:
        """The answer, which is due. Raises StorageFailed."""
        if self.written is not None:
            self.written.result()
        return self.make()

    def __await__(self) -> Generator[Any, None, T]:
        """Waits for it without letting the waiter's cancellation reach the frame."""
        if self.written is not None and not self.written.done():
            yield from asyncio.shield(self.written).__await__()
        return self.take()
