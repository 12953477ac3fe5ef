"""What ends the programs of a task when the process that started them is gone, however it went.

Each program has a process group of its own, so a signal to our group does not reach it, and one that was killed tells nobody anything. So a
shell in a session of its own is told every group, and kills those that it still knows when its standard input ends: by our end, at the latest.

On its standard input, lines: `+ GROUP` a group began, `- GROUP` it is gone.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_SCRIPT = """
trap '' HUP INT TERM
groups=
while read -r what group; do
  case $what in
    +) groups="$groups $group" ;;
    -) kept=
       for one in $groups; do [ "$one" = "$group" ] || kept="$kept $one"; done
       groups=$kept ;;
  esac
done
for one in $groups; do kill -s KILL -- "-$one"; done 2>/dev/null
exit 0
"""


class Guard:
    """The shell, as long as the block of `guarding` lasts."""

    def __init__(self, told: asyncio.StreamWriter) -> None:
        self._told = told

    def watch(self, group: int) -> None:
        """A program began."""
        self._told.write(b"+ %d\n" % group)

    def forget(self, group: int) -> None:
        """All of it is gone."""
        self._told.write(b"- %d\n" % group)


@asynccontextmanager
async def guarding() -> AsyncIterator[Guard]:
    """A guard for the length of the block. Groups that were not forgotten by its end are killed."""
    process = await asyncio.create_subprocess_exec(
        "/bin/sh",
        "-c",
        _SCRIPT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath},
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        yield Guard(process.stdin)
    finally:
        process.stdin.close()
        with suppress(BrokenPipeError, ConnectionResetError):
            await process.stdin.wait_closed()
        await process.wait()
