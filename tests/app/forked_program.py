"""The program that `fork_trial` has forked, or executed: tells what it is, and ends as it was told to."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """Its exit code."""
    said = sys.stdin.readline()
    told: dict[str, Any] = {
        "pid": os.getpid(),
        "session": os.getsid(0),
        "directory": str(Path.cwd()),
        "environment": dict(os.environ),
        "words": sys.argv,
        "said": said,
        "descriptors": sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir()),
        "shown": Path("/proc/self/cmdline").read_bytes().rstrip(b"\0").decode(),
    }
    print(json.dumps(told), flush=True)
    ending = os.environ.get("ENDING", "")
    if ending == "signal":
        os.kill(os.getpid(), signal.SIGTERM)
    if ending == "wait":
        sys.stdin.read()
    if ending == "raise":
        raise ValueError("on purpose")
    if ending == "exit":
        sys.exit(7)
    return 3


if __name__ == "__main__":
    sys.exit(main())
