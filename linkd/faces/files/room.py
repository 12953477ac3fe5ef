"""Room for what a program wrote: its outputs go to the home while the files of the run are still there, and these count as what the home holds.

So a run may wait for room that only its own end makes. One that gets nowhere for that reason fails, and its files go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from linkd.client.calls import Connection
from linkd.client.worker import described
from linkd.core.disk import PAUSED
from linkd.errors import StorageFull
from linkd.faces.files.directories import RunDirectory
from linkd.faces.files.threads import in_thread
from linkd.faces.files.work import FileTask
from linkd.limits import MIB

T = TypeVar("T")


async def while_there_is_room(
    connection: Connection,
    task: FileTask,
    directory: RunDirectory,
    staging: Coroutine[Any, Any, T],
    done: Callable[[], int],
    timeout_s: float,
) -> T:
    """What `staging` returns. Raises what that raises; StorageFull where `done` does not grow for `timeout_s` while the home has no disk left, of
    which the run has some."""
    work = asyncio.create_task(staging, name=f"linkd outputs of {task.name}")
    seen = -1
    try:
        while not (await asyncio.wait((work,), timeout=timeout_s))[0]:
            size_bytes = await in_thread(_size_bytes, directory.path) if done() == seen else 0
            if size_bytes >= MIB and (note := await _paused(connection)):
                raise StorageFull(
                    f"{note}; {size_bytes // MIB:,} MiB of that are the files of this run, which stay until its outputs are taken: "
                    "give linkd more disk (--disk-budget), or let links retain less, and run again"
                )
            seen = done()
        return work.result()
    finally:
        work.cancel()
        await asyncio.wait((work,))


async def _paused(connection: Connection) -> str:
    notes = (await described(connection)).notes
    return next((note for note in notes if note.startswith(PAUSED)), "")


def _size_bytes(path: Path) -> int:
    return sum(found.lstat().st_size for found in path.rglob("*"))
