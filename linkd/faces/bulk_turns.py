"""Bulk that comes and goes as bytes, in turn: one large message between two goings round of the event loop, equal shares for every client.

To take a megabyte from gRPC, or to give it one, takes the event loop half a millisecond. Small messages wait for no turn, and who moves bulk
alone has them all: so a small publish is answered between two pieces of bulk, however many streams others have.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from linkd.core.fair_turns import FairTurns
from linkd.limits import INLINE_PAYLOAD_MAX_BYTES


class BulkTurns:
    """Of one home. Belongs to one event loop."""

    def __init__(self) -> None:
        self._turns: FairTurns[asyncio.Future[None]] = FairTurns()
        self._is_taken = False

    async def take(self, client: Hashable, size_bytes: int) -> None:
        """Returns when it is the client's turn to move a message of this size. A small one has its turn at once."""
        if size_bytes <= INLINE_PAYLOAD_MAX_BYTES:
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.ask(client, size_bytes, turn)
        if not self._is_taken:
            self._next()
        await turn

    def _next(self) -> None:
        """Gives one turn, and when the loop has gone round the next one."""
        while (turn := self._turns.next()) is not None and turn.done():
            continue  # who waited for it has gone
        self._is_taken = turn is not None
        if turn is not None:
            turn.set_result(None)
            asyncio.get_running_loop().call_soon(self._next)
