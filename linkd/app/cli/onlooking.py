"""Verbs that go on until somebody stops them: Ctrl-C, or the end of whoever reads their output."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def while_read(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns. BrokenPipeError as soon as the reader of standard output is gone, though nothing be written (`| head`)."""
    pipe = _output_pipe()
    if pipe is None:
        return await work
    loop = asyncio.get_running_loop()
    working = loop.create_task(work, name="linkd: what is read")
    # A pipe that is only written to turns readable when its other end closes.
    loop.add_reader(pipe, working.cancel)
    try:
        return await working
    except asyncio.CancelledError:
        if (outer := asyncio.current_task()) is not None and outer.cancelling():
            raise
        raise BrokenPipeError from None
    finally:
        loop.remove_reader(pipe)


def _output_pipe() -> int | None:
    """Standard output if it is a pipe."""
    try:
        descriptor = sys.stdout.fileno()
        return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
    except (OSError, ValueError):
        return None
