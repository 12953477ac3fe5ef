"""The process that runs queries: `python -m linkd.query.child`, started by the home for a caller, with that caller's rights and no others.

What goes in and out is said at the head of `pipe`. It ends when its input does; what it has on disk goes with it, or with the next one.

Somebody waits for its first answer, and most of that time goes into imports: what is not needed for it is imported when it is, nothing that is
imported is looked through for garbage, and DuckDB opens meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from linkd.errors import EXIT_DONE
from linkd.limits import QUERY_DATA_MAX_BYTES, QUERY_NICENESS
from linkd.query.lean import without_data_frames
from linkd.query.pipe import first_said
from linkd.query.scratch import scratch_directory


def main() -> int:
    """Serves until standard input ends. Does not return: DuckDB may still be at work in its thread, and nothing is left to clean up."""
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is not for the pipe
    told = first_said(sys.stdin.fileno())
    if told is None:
        return EXIT_DONE
    without_data_frames()
    gc.disable()
    _go_first_when_memory_is_short()
    from linkd.query.engine import Database

    def opened(directory: Path) -> Database:
        _step_back()
        return Database.of_process(directory, told["spill_bytes"])

    with scratch_directory(Path(told["spill_directory"])) as scratch, ThreadPoolExecutor(1, "linkd query: open") as pool:
        opening = pool.submit(opened, scratch)
        from linkd.query.child_serving import serve

        gc.freeze()
        gc.enable()
        _step_back()
        asyncio.run(serve(told, scratch, opening.result(), output))
    os._exit(EXIT_DONE)


def _go_first_when_memory_is_short() -> None:
    """Before the home and the tasks do."""
    resource.setrlimit(resource.RLIMIT_DATA, (QUERY_DATA_MAX_BYTES, QUERY_DATA_MAX_BYTES))
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")


def _step_back() -> None:
    """Where cores are short the data path comes first: this thread, and those that it starts, wait for it."""
    os.nice(QUERY_NICENESS)
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            # It wakes up behind others that do, and is let work for longer at a time.
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


if __name__ == "__main__":
    sys.exit(main())
