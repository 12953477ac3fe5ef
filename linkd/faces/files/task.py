"""The process of a task whose program knows only files: `python -m linkd.faces.files.task`, started by the supervisor of a run.

It is an ordinary client of the home, in the place of the program, which it starts itself: see `work` for what the two are told. What the program
prints, and what there is to say about it, is on standard error.

Exit codes: 0 done (also if it was done already), that of the program if it failed (128 and more: by a signal), 1 if what it wrote cannot be
taken, 130 ended by TERM or INT, else that of the error.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from linkd.client.calls import Dial
from linkd.client.discovery import dial_for
from linkd.client.signals import ending_signals
from linkd.errors import EXIT_INTERRUPTED, EXIT_TASK_FAILED, DataFault, Error, UsageFault
from linkd.faces.files.work import FileTask


async def run_task(task: FileTask, dial: Dial) -> int:
    """Runs the task as its terms say: the exit code. Raises errors of the tree. Cancelling takes nothing."""
    if not task.terms.is_pipe and "stream" in task.terms.modes.values():
        from linkd.faces.files.fifo_runs import run_fifos

        return await run_fifos(task, dial)
    if task.terms.each:
        from linkd.faces.files.each import run_each

        return await run_each(task, dial)
    if task.terms.is_pipe and task.terms.commit != "run":
        from linkd.faces.files.pipe_lines import run_pipe_lines

        return await run_pipe_lines(task, dial)
    if task.terms.is_pipe:
        from linkd.faces.files.pipe import run_pipe

        return await run_pipe(task, dial)
    from linkd.faces.files.whole import run_whole

    return await run_whole(task, dial)


async def _until_told() -> int:
    directory = Path.cwd()
    task = FileTask.of(os.environ, directory)
    dial = dial_for(None, None, None, os.environ, directory)
    work = asyncio.create_task(run_task(task, dial), name=f"linkd file task {task.name}")
    with ending_signals(work.cancel):
        try:
            return await work
        except asyncio.CancelledError:
            return EXIT_INTERRUPTED


def main() -> int:
    """The exit code of the process."""
    try:
        return asyncio.run(_until_told())
    except Error as error:
        print(error.message, file=sys.stderr, flush=True)
        return EXIT_TASK_FAILED if isinstance(error, UsageFault | DataFault) else error.exit_code


if __name__ == "__main__":
    sys.exit(main())
