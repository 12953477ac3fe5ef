"""Room for large batches on their way to Flight's readers, who are sent each in one piece: of its own, for nothing that publishes may wait for them.

What a slow reader has in hand is a batch of up to 64 MiB where a reader of `linkd.v1` has one MiB. So all of them share what there is, and one who
does not take a batch while others wait for its room is cut off.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from linkd.errors import Overloaded
from linkd.home.budget import Budget
from linkd.limits import FLIGHT_SENDING_MAX_BYTES, FLIGHT_TAKE_TIMEOUT_S, STREAM_FRAME_MAX_BYTES
from linkd.wire.arrow_ipc import Bytes
from linkd.wire.flight import flight_data


async def framed(pieces: Sequence[Bytes]) -> bytes:
    """An encapsulated Arrow message as FlightData; a large one is put together in a thread, so that the event loop goes on."""
    if sum(map(len, pieces)) <= STREAM_FRAME_MAX_BYTES:
        return flight_data(pieces)
    return await asyncio.to_thread(flight_data, pieces)


class SendingRoom:
    """For the readers of one home, which has `memory_bytes` in all."""

    def __init__(self, memory_bytes: int, take_timeout_s: float = FLIGHT_TAKE_TIMEOUT_S) -> None:
        self._budget = Budget(min(FLIGHT_SENDING_MAX_BYTES, memory_bytes // 4))
        self._take_timeout_s = take_timeout_s
        self._held: dict[asyncio.Timeout, float] = {}
        """Since when, in that order."""

    @property
    def used_bytes(self) -> int:
        return self._budget.used_bytes

    @asynccontextmanager
    async def holding(self, size_bytes: int) -> AsyncIterator[None]:
        """Around reading and sending a batch of this size. Raises Overloaded, in the place of the sending, for one who is too slow."""
        if size_bytes <= STREAM_FRAME_MAX_BYTES:
            yield
            return
        await self._take(size_bytes)
        limit = asyncio.timeout(None)
        self._held[limit] = asyncio.get_running_loop().time()
        try:
            async with limit:
                yield
        except TimeoutError:
            if not limit.expired():
                raise
            raise Overloaded(
                f"this reader did not take a batch of {size_bytes:,} bytes within {self._take_timeout_s:g} s, and others waited for its room: "
                "take each batch as it comes, or fewer of them in one read (`since` and `until`)"
            ) from None
        finally:
            del self._held[limit]
            self._budget.give(size_bytes)

    async def _take(self, size_bytes: int) -> None:
        while True:
            try:
                async with asyncio.timeout(self._take_timeout_s):
                    await self._budget.take(size_bytes)
                    return
            except TimeoutError:
                self._cut_off_the_slow()

    def _cut_off_the_slow(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for limit, since_s in self._held.items():
            if now_s - since_s >= self._take_timeout_s and limit.when() is None:
                limit.reschedule(now_s)
