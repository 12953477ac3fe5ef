"""How a process ended, in words for people, from its exit code (negative: the signal)."""

from __future__ import annotations

import signal


def ending(code: int) -> str:
    """What goes on from the name of a program: `exited with code 1`, `was killed by SIGKILL`."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    if code > 128 and code - 128 in set(signal.Signals):
        return f"exited with code {code} (killed by {signal.Signals(code - 128).name})"
    return f"exited with code {code}"


def how_it_died(code: int) -> str:
    """The same in two words: `signal 9`, `exit code 1`."""
    return f"signal {-code}" if code < 0 else f"exit code {code}"
