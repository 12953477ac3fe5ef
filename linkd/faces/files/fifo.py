"""A file of a program that is a stream: a FIFO, which it opens once.

Each is opened by a thread of its own, which waits until the program does the same; who waits no longer opens it himself, and so lets the thread
go. When it is open another FIFO takes its place under its name: whoever opens that one has opened the stream a second time.

    LINKD_IN/NAME         what the program opens: the stream, and then the one that takes its place
    taken/SIDE.NAME.0, .1 the two, by names of ours; SIDE.NAME is the second one on its way
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from linkd.errors import TaskFailed
from linkd.faces.files.directories import RunDirectory, translated
from linkd.faces.files.work import IN_VARIABLE, OUT_VARIABLE, FileTask

_PROCESSES = Path("/proc")
"""Where Linux shows what processes have open; elsewhere nothing is there."""


class Fifo:
    """One stream of a run. `shown` names it in messages."""

    def __init__(self, task: FileTask, wire: str, directory: RunDirectory, *, is_input: bool) -> None:
        """Raises StorageFailed where the disk refuses."""
        name = task.file_name(wire)
        self.wire = wire
        self.shown = f"${IN_VARIABLE if is_input else OUT_VARIABLE}/{name}"
        self._task = task
        self._is_input = is_input
        self._path = (directory.inputs if is_input else directory.outputs) / name
        side = "in" if is_input else "out"
        self._own = [directory.taken / f"{side}.{name}.{number}" for number in range(2)]
        self._second = directory.taken / f"{side}.{name}"
        with translated(self.shown):
            for path in self._own:
                os.mkfifo(path, 0o600)
            os.link(self._own[0], self._path)
            os.link(self._own[1], self._second)

    async def opened(self, group: int) -> int:
        """Our end, when a program of that process group has the other one. Raises TaskFailed where it has it twice already."""
        descriptor = await self._open(lambda: self._replaced(os.open(self._own[0], self._flags)), self._own[0])
        try:
            if self._is_input and await asyncio.to_thread(_has_twice, group, self._own[0]):
                raise self._again()
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    async def opened_again(self) -> None:
        """Raises TaskFailed when the program opens it a second time; else it is cancelled."""
        os.close(await self._open(lambda: os.open(self._own[1], self._flags), self._own[1]))
        raise self._again()

    def not_opened(self, how: str) -> TaskFailed:
        """The error for one that was never opened."""
        return TaskFailed(f"{self._task.name} {how} {self.shown}, which is a stream; {self._remedy('where it need not be opened')}")

    def _again(self) -> TaskFailed:
        once = "can be read once only" if self._is_input else "can be written once only"
        return TaskFailed(
            f"{self._task.name} opened {self.shown} a second time: a stream {once}; {self._remedy('which may be opened again')}"
        )

    def _remedy(self, why: str) -> str:
        return f"write `files: {{{self.wire}: whole}}` for a file, {why}"

    @property
    def _flags(self) -> int:
        return (os.O_WRONLY if self._is_input else os.O_RDONLY) | os.O_CLOEXEC

    def _replaced(self, descriptor: int) -> int:
        """The other one takes the place of the one that was opened, before the program does anything else."""
        with suppress(OSError):  # the program has made something else of its directory
            self._second.rename(self._path)
        return descriptor

    async def _open(self, work: Callable[[], int], path: Path) -> int:
        """Does the work, which waits until the program opens the FIFO, too."""
        async with _thread(f"linkd open {self.wire}") as pool:
            opening = asyncio.get_running_loop().run_in_executor(pool, work)
            try:
                return await asyncio.shield(opening)
            except asyncio.CancelledError:
                key = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
                while not opening.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait([opening])
                os.close(opening.result())
                os.close(key)
                raise


@asynccontextmanager
async def _thread(name: str) -> AsyncIterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(1, name)
    try:
        yield pool
    finally:
        pool.shutdown(wait=False)


def _has_twice(group: int, fifo: Path) -> bool:
    """Whether one process of the group has the FIFO open by two descriptors: it opened it twice before anything could take its place."""
    wanted = fifo.stat()
    for process in _PROCESSES.glob("[0-9]*"):
        found = 0
        with suppress(OSError):  # it has gone meanwhile, or is somebody else's
            if os.getpgid(int(process.name)) != group:
                continue
            for descriptor in (process / "fd").iterdir():
                with suppress(OSError):
                    there = descriptor.stat()
                    found += (there.st_dev, there.st_ino) == (wanted.st_dev, wanted.st_ino)
        if found > 1:
            return True
    return False
