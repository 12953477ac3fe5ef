"""What is done in threads at both ends of a program: one thread for each stream, which is let go of before it is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

import pyarrow as pa

from linkd.errors import Error
from linkd.faces.files.stream_ends import PipeEnd, Receiving, Sending, Stopped
from linkd.model.frozen import frozen

T = TypeVar("T")
Into = Callable[[pa.RecordBatch], Awaitable[None]]


class _Thread:
    """A thread that works with one end of a pipe."""

    def __init__(self, end: PipeEnd, name: str) -> None:
        self._end = end
        self._pool = ThreadPoolExecutor(1, name)

    async def do(self, work: Callable[[], T]) -> T:
        """Returns what `work` does; cancelled, it ends the wait for the pipe, and returns when nothing is at work any more."""
        task = asyncio.get_running_loop().run_in_executor(self._pool, work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._end.stop()
            while not task.done():
                try:
                    await asyncio.wait([task])
                except asyncio.CancelledError:
                    continue
            if not task.cancelled():
                task.exception()  # seen: whoever cancelled has no use for it
            raise

    def close(self) -> None:
        self._pool.shutdown(wait=False)


@asynccontextmanager
async def _thread(end: PipeEnd, name: str) -> AsyncIterator[_Thread]:
    thread = _Thread(end, name)
    try:
        yield thread
    finally:
        thread.close()
        end.close()


async def in_pipe_thread(end: PipeEnd, work: Callable[[], T]) -> T:
    """What `work` does with the end, in a thread; cancelled, it ends the wait for the pipe first."""
    thread = _Thread(end, "linkd pipe")
    try:
        return await thread.do(work)
    finally:
        thread.close()


async def send(end: Sending, parts: Iterator[bytes | memoryview], name: str) -> None:
    """Writes all of it, and closes the end: also where nobody reads any more, which is no failure. Raises what making the parts raises."""

    def work() -> None:
        for part in parts:
            if not end.send((part,)):
                return

    async with _thread(end, f"linkd into {name}") as thread:
        await thread.do(work)


@frozen()
class Taken:
    """How taking an output ended: `error` is why it could not be taken; `at_end`, that there is nothing more of it."""

    error: Error | None
    at_end: bool


async def take(end: Receiving, batches: Iterator[pa.RecordBatch], into: Into, name: str) -> Taken:
    """Gives `into` the batches as they come, and closes the end. Errors of the tree are told, not raised: how the program ends matters, too."""
    async with _thread(end, f"linkd out of {name}") as thread:
        try:
            while (batch := await thread.do(lambda: next(batches, None))) is not None:
                await into(batch)
                batch = None
        except Stopped:
            return Taken(None, at_end=False)
        except Error as error:
            return Taken(error, end.at_end)
    return Taken(None, at_end=True)
