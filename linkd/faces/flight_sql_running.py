"""Queries whose rows are being fetched over Flight SQL, so that they can be cancelled by somebody else than the one who fetches them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from linkd.core.rights import Identity
from linkd.errors import QueryCancelled


@dataclass(slots=True)
class _Fetched:
    """One query that is being fetched. `step` is the wait for its next message, while there is one."""

    messages: AsyncGenerator[bytes, None]
    step: asyncio.Task[bytes | None] | None = None
    is_cancelled: bool = False
    _closing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def cancel(self) -> None:
        """Ends the query before it returns, whether somebody waits for rows or rows wait for somebody."""
        is_first, self.is_cancelled = not self.is_cancelled, True
        if self.step is not None:
            if is_first:
                self.step.cancel()
            await asyncio.wait([self.step])
        await self.close()

    async def close(self) -> None:
        """Ends it if it has not ended. Who fetches and who cancels may both come to it."""
        async with self._closing:
            await self.messages.aclose()


@dataclass(slots=True)
class RunningQueries:
    """Those of one home, by who runs them and what they are called."""

    _fetched: dict[tuple[Identity, bytes], list[_Fetched]] = field(default_factory=dict)

    async def fetched(self, who: Identity, query_id: bytes, messages: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """The messages as they come. Raises QueryCancelled when `cancel` was asked to end it; leaving it early ends the query."""
        fetched = _Fetched(messages)
        same = self._fetched.setdefault((who, query_id), [])
        same.append(fetched)
        try:
            while (message := await self._next(fetched)) is not None:
                yield message
        finally:
            same.remove(fetched)
            if not same:
                self._fetched.pop((who, query_id), None)
            await fetched.close()

    async def cancel(self, who: Identity, query_id: bytes) -> bool:
        """Ends the query of this caller; False if none is being fetched."""
        found = list(self._fetched.get((who, query_id), ()))
        for fetched in found:
            await fetched.cancel()
        return bool(found)

    async def _next(self, fetched: _Fetched) -> bytes | None:
        if not fetched.is_cancelled:
            fetched.step = asyncio.create_task(_message(fetched.messages), name="linkd query: next message")
            try:
                return await fetched.step
            except asyncio.CancelledError:
                if not fetched.is_cancelled:
                    raise
            finally:
                fetched.step = None
        raise QueryCancelled("the query was cancelled")


async def _message(messages: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(messages, None)
