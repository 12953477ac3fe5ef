"""The process that runs queries: `python -m linkd.query.child`, started by the home for a caller, with that caller's rights and no others.

What goes in and out is said at the head of `pipe`. It ends when its input does; what it has on disk goes with it, or with the next one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
from pathlib import Path

from linkd.errors import EXIT_DONE
from linkd.limits import QUERY_DATA_MAX_BYTES, QUERY_NICENESS
from linkd.query.lean import without_data_frames


def main() -> int:
    """Serves until standard input ends. Does not return: DuckDB may still be at work in its thread, and nothing is left to clean up."""
    output = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is not for the pipe
    without_data_frames()
    from linkd.query.child_serving import Serving

    _step_back()
    asyncio.run(Serving(output).serve())
    os._exit(EXIT_DONE)


def _step_back() -> None:
    """Under pressure this process goes before the home and the tasks do."""
    resource.setrlimit(resource.RLIMIT_DATA, (QUERY_DATA_MAX_BYTES, QUERY_DATA_MAX_BYTES))
    os.nice(QUERY_NICENESS)
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        with contextlib.suppress(OSError):
            # It wakes up behind others that do, and is let work for longer at a time.
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


if __name__ == "__main__":
    sys.exit(main())
