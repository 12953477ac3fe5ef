"""The small messages a program sends on a stream that it receives from: credits, acks, releases."""

from __future__ import annotations

import asyncio
from typing import Any

from linkd.client.background import Background
from linkd.client.calls import Stream
from linkd.errors import Error


class Outbox:
    """Posts without waiting, in order; a task of its own writes, so that a cancelled program never cuts the stream in mid-message."""

    def __init__(self, stream: Stream, background: Background, name: str) -> None:
        self._stream = stream
        self._messages: asyncio.Queue[Any] = asyncio.Queue()
        self._writer = background.spawn(f"{name} writer", self._write())

    def post(self, message: Any) -> None:
        self._messages.put_nowait(message)

    def close(self) -> None:
        """What was posted and not written is void: the stream is over."""
        self._writer.cancel()

    async def _write(self) -> None:
        try:
            while True:
                await self._stream.write(await self._messages.get())
        except Error:
            return  # the reader of the stream learns the same, and tells everybody
