"""TERM and INT in linkd's own programs: heard while they work, and of no account once the work is over."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

ENDING = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def ending_signals(tell: Callable[[], object]) -> Iterator[None]:
    """In the block, TERM and INT call `tell` in the event loop that runs. Behind it they are ignored: the process ends by itself.

    asyncio closes the pipe by which a loop hears of signals before it lets go of them; one that came in between, as the supervisor's does at
    the end of a run, would be complained of on standard error.
    """
    loop = asyncio.get_running_loop()
    for number in ENDING:
        loop.add_signal_handler(number, tell)
    try:
        yield
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)
