"""What a program prints: passed on to our own standard error as it comes, its last lines kept for the reason that it failed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from linkd.limits import DEAD_LETTER_REASON_MAX_CHARS, LAST_WORDS_MAX_S

_READ_BYTES = 64 * 1024
"""What a pipe holds."""


class ProgramOutput:
    """The reading end of a pipe, of which the program has the other as its standard output and error: `descriptor`. `close` it."""

    def __init__(self) -> None:
        self._reading, self.descriptor = os.pipe()
        os.set_blocking(self._reading, False)
        self._tail = b""

    def started(self) -> None:
        """The program has its end: ours of it is closed."""
        os.close(self.descriptor)
        self.descriptor = -1

    async def pass_on(self) -> None:
        """Until nobody has the other end any more. Whole lines go out at once: other programs may print beside this one."""
        begun = b""
        while content := await self._read():
            self._tail = (self._tail + content)[-4 * DEAD_LETTER_REASON_MAX_CHARS :]
            lines, end, rest = (begun + content).rpartition(b"\n")
            if len(rest) >= _READ_BYTES:
                lines, end, rest = lines + end, rest, b""
            begun = rest
            if lines or end:
                await asyncio.to_thread(_written, lines + end)
        if begun:
            await asyncio.to_thread(_written, begun + b"\n")

    async def _read(self) -> bytes:
        """What there is, at least a byte; nothing at the end."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                return os.read(self._reading, _READ_BYTES)
            except BlockingIOError:
                readable: asyncio.Future[None] = loop.create_future()
                loop.add_reader(self._reading, _done, readable)
                try:
                    await readable
                finally:
                    loop.remove_reader(self._reading)

    def close(self) -> None:
        """Nobody passes it on any more."""
        if self.descriptor >= 0:
            self.started()
        os.close(self._reading)

    async def last_words(self, reading: asyncio.Task[None]) -> None:
        """The program is gone: what it printed is in the pipe already, unless something that it started keeps that open."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_MAX_S):
                await reading

    def reason(self, ending: str) -> str:
        """How it ended, and the last whole lines that go with that into the reason of a failure."""
        room = DEAD_LETTER_REASON_MAX_CHARS - len(ending) - 2
        lines: list[str] = []
        for line in reversed(self._tail.decode("utf-8", "replace").rstrip().splitlines()):
            room -= len(line) + 1
            if room < 0:
                break
            lines.insert(0, line)
        return f"{ending}: " + "\n".join(lines) if lines else ending


@asynccontextmanager
async def program_output() -> AsyncIterator[ProgramOutput]:
    """A pipe for what one program prints, for the length of the block."""
    output = ProgramOutput()
    try:
        yield output
    finally:
        output.close()


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _written(content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(2, left) :]
