"""What a program said of its values, acks and nacks, until linkd has answered: it outlives the connections that it was said over.

A repeat is harmless, for linkd knows an ack by its token and answers it again; so what had no answer is said first over the next connection,
before any value comes (`SubscribeOpen.unanswered`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from linkd.errors import Error, LeaseLost
from linkd.model.values import Position


@dataclass(slots=True, eq=False)
class Settlement:
    """One ack or nack: the message that says it, and its answer. Of what `is_repeated` it may have happened before."""

    position: Position
    request: Any
    answer: asyncio.Future[None]
    is_repeated: bool = False

    def answered(self, refusal: LeaseLost | None) -> None:
        if self.answer.done():
            return
        # A nack that is too late when it is repeated was taken the first time, or was as good: the value is with others.
        if refusal is None or (self.is_repeated and self.request.HasField("nack")):
            self.answer.set_result(None)
        else:
            self.answer.set_exception(refusal)


@dataclass(slots=True)
class Settlements:
    """All of one subscription that has no answer. linkd answers what is said of a value in the order in which it was said."""

    _unanswered: dict[Position, deque[Settlement]] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(map(len, self._unanswered.values()))

    def add(self, position: Position, request: Any) -> Settlement:
        settlement = Settlement(position, request, asyncio.get_running_loop().create_future())
        self._unanswered.setdefault(position, deque()).append(settlement)
        return settlement

    def repeated(self) -> Iterator[Any]:
        """What is to be said again over another connection."""
        for settlement in [settlement for waiting in self._unanswered.values() for settlement in waiting]:
            settlement.is_repeated = True
            yield settlement.request

    def answered(self, position: Position, refusal: LeaseLost | None) -> None:
        """linkd did what was said first of the value, or refused it."""
        waiting = self._unanswered.get(position)
        if waiting:
            settlement = waiting[0]
            self.forget(settlement)
            settlement.answered(refusal)

    def forget(self, settlement: Settlement) -> None:
        """Nobody waits for the answer, or it is there."""
        waiting = self._unanswered.get(settlement.position)
        if waiting is not None and settlement in waiting:
            waiting.remove(settlement)
            if not waiting:
                del self._unanswered[settlement.position]


async def answered_over(settlement: Settlement, over: asyncio.Future[Error | None], name: str) -> None:
    """Returns when the settlement is answered, raising what it was refused with; or raises what its stream ended with, when that is `over`."""
    await asyncio.wait((settlement.answer, over), return_when=asyncio.FIRST_COMPLETED)
    if settlement.answer.done():
        settlement.answer.result()
        return
    failure = over.result()
    raise failure if failure is not None else LeaseLost(f"{name}: the subscription ended before the value was settled; it will come again")
