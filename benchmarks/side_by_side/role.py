"""What a role does beside its work: it is told what to do, says that it is ready, begins at a word, says what it measured, and waits to go."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any


def ready() -> int:
    """Everything is prepared: waits for `go`, and gives the time in nanoseconds (of the clock that all processes of a machine share)."""
    _say({"ready": True})
    _wait_for("go")
    return time.monotonic_ns()


def done(**measured: Any) -> None:
    """Says what was measured, and stays until nobody needs this process any more."""
    _say(measured)
    sys.stdin.read()


def until_told(word: str) -> threading.Event:
    """Set when `word` comes, or nobody is there any more."""
    told = threading.Event()

    def wait() -> None:
        _wait_for(word)
        told.set()

    threading.Thread(target=wait, name="until told", daemon=True).start()
    return told


def missing(what: str) -> None:
    """This cannot be measured here. Ends the process."""
    _say({"missing": what})
    sys.exit(0)


def play(roles: Mapping[str, Callable[..., None]]) -> None:
    """Runs the role that the command line names, with the arguments that it has as JSON."""
    _, role, arguments = sys.argv
    roles[role](**json.loads(arguments))


def _say(told: Mapping[str, Any]) -> None:
    print(json.dumps(told), flush=True)


def _wait_for(word: str) -> None:
    line = sys.stdin.readline()
    if line and line.strip() != word:
        raise SystemExit(f"told {line.strip()!r} instead of {word!r}")
