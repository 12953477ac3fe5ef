"""The home of a run: started by its supervisor, under the lock that this took.

    python -m linkd.app.supervised_home

It gets its settings as one JSON line on its standard input: `directory`, `pipeline` (path of the file), and perhaps `lock_fd` (the lock, passed
on as this descriptor), `epoch` (that of the run which goes on in it, where an earlier home of the run died; else it begins the next one),
`params` (by name, as the command line said them), `http_port`, `memory_bytes`, `disk_budget_bytes`, `stall_timeout_s`, `drain_timeout_s`, and
`log` (the file that its standard error is, which it rotates). What it does then, and prints, is said in `serve`; it drains when its standard
input closes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from linkd.app.arrow_alone import keep_arrow_alone
from linkd.app.serve import ServeOptions, serve
from linkd.errors import Error, InvalidArgument
from linkd.limits import DRAIN_TIMEOUT_S, STALL_AFTER_S


def parse(line: bytes) -> ServeOptions:
    """Raises InvalidArgument for a line that is not what the module says."""
    try:
        told = json.loads(line)
        return ServeOptions(
            directory=Path(told["directory"]),
            socket=None,
            pipeline=Path(told["pipeline"]),
            supervised=True,
            epoch=told.get("epoch"),
            lock_fd=told.get("lock_fd"),
            params=dict(told.get("params", {})),
            http_port=told.get("http_port"),
            memory_bytes=told.get("memory_bytes"),
            disk_budget_bytes=told.get("disk_budget_bytes"),
            stall_timeout_s=float(told.get("stall_timeout_s", STALL_AFTER_S)),
            drain_timeout_s=float(told.get("drain_timeout_s", DRAIN_TIMEOUT_S)),
            log=Path(told["log"]) if "log" in told else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InvalidArgument(
            "this home is a part of `linkd run`: it needs one JSON line on its standard input, with directory and pipeline; "
            "to serve links by yourself, use `linkd serve`"
        ) from None


def main() -> int:
    """The exit code of the process."""
    if "pyarrow" in sys.modules:  # else it is imported when there is something to convert
        keep_arrow_alone()
    try:
        return serve(parse(sys.stdin.buffer.readline()))
    except Error as error:
        print(error, file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
