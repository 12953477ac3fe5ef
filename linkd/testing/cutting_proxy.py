"""A proxy between clients and a home that cuts a connection at a chosen HTTP/2 frame, to lose an answer, or a request, at each place it can be."""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_HEADER_BYTES = 9
"""Of a frame (RFC 9113, section 4.1): three bytes of length, type, flags, four bytes of stream."""


class Way(enum.Enum):
    """The direction of a frame."""

    TO_HOME = "to the home"
    TO_CLIENT = "to the client"


@dataclass(slots=True)
class CuttingProxy:
    """Listens on `socket` and passes everything on to `target`, both paths of unix sockets, until `cut_at` was asked for.

    `cuts` counts the connections that were cut.
    """

    socket: Path
    target: Path
    cuts: int = 0
    _left: dict[Way, int] = field(default_factory=dict)

    @property
    def endpoint(self) -> str:
        return f"unix:{self.socket}"

    def cut_at(self, way: Way, frame: int) -> None:
        """The `frame`-th frame from now on, from 1, that goes this way is not passed on: its connection ends instead, once."""
        self._left = {way: frame}

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[CuttingProxy]:
        """Serves for the length of the block."""
        server = await asyncio.start_unix_server(self._serve, self.socket)
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        home_reader, home_writer = await asyncio.open_unix_connection(self.target)
        ways = [
            asyncio.create_task(self._pass_on(Way.TO_HOME, reader, home_writer), name="proxy to the home"),
            asyncio.create_task(self._pass_on(Way.TO_CLIENT, home_reader, writer), name="proxy to the client"),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for end in (writer, home_writer):
                end.close()

    async def _pass_on(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            if way is Way.TO_HOME:
                writer.write(await reader.readexactly(len(_PREFACE)))
            while True:
                header = await reader.readexactly(_HEADER_BYTES)
                payload = await reader.readexactly(int.from_bytes(header[:3], "big"))
                if self._is_cut(way):
                    self.cuts += 1
                    return
                writer.write(header + payload)
                await writer.drain()

    def _is_cut(self, way: Way) -> bool:
        if way not in self._left:
            return False
        self._left[way] -= 1
        if self._left[way]:
            return False
        del self._left[way]
        return True
