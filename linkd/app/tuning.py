"""What a home asks of the system that it runs on: to be woken promptly, and to keep memory that it uses again at once.

    Linux from 6.12    a shorter slice of the processor (`sched_setattr`): who wants little at a time is let in sooner, and gets no more of it
    glibc              freed memory of large pieces is kept for the next ones, and is the same for all threads (`mallopt`); that of the start is not
                       (`malloc_trim`)
    elsewhere          nothing; older Linux takes the call and does nothing

It takes no privilege, and whatever refuses changes nothing but speed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import sys

from linkd.limits import FREED_KEPT_BYTES, PIECE_MALLOC_MAX_BYTES, PROCESSOR_SLICE_S

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""Numbers of the system call, which most C libraries have no function for."""
_SCHED_ATTR = struct.Struct("=IIQiIQQQ")
"""Size, policy, flags, nice, priority, runtime (for an ordinary process its slice), deadline, period; times in nanoseconds."""
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


def run_promptly() -> bool:
    """Asks for short slices, for the calling thread and those that it starts. False if that is not to be had."""
    number = _SCHED_SETATTR.get(platform.machine())
    if not sys.platform.startswith("linux") or number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    asked = _SCHED_ATTR.pack(_SCHED_ATTR.size, os.SCHED_OTHER, 0, nice, 0, round(PROCESSOR_SLICE_S * 1e9), 0, 0)
    refused: int = ctypes.CDLL(None).syscall(number, 0, asked, 0)
    return refused == 0


def keep_freed_memory() -> bool:
    """Has the pieces of large values come from memory that was freed before, in place of new pages for each. False if that is not to be had.

    By whichever thread: gRPC takes bulk in one and gives it back in another, and of the interpreter's only one runs at a time anyhow. To be
    called before there are others.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    asked = ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, PIECE_MALLOC_MAX_BYTES), (_M_TRIM_THRESHOLD, FREED_KEPT_BYTES))
    taken = [bool(mallopt(option, value)) for option, value in asked]
    return all(taken)


def give_back_memory() -> None:
    """What only the start needed goes back to the system. For once, when it is over: `keep_freed_memory` keeps what comes free later."""
    with contextlib.suppress(AttributeError):  # no glibc
        ctypes.CDLL(None).malloc_trim(0)
