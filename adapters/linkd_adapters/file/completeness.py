"""Whether a file in a directory that is followed is complete: nobody has it open for writing any more.

Linux tells by a lease (fcntl(2), F_SETLEASE): one for reading is refused with EAGAIN while anybody has the file open for writing. Where it does not
tell (another system, a file of another user, a file system without leases, WATCHFILES_FORCE_POLLING), a file is complete when it was not changed for
`FOLLOW_SETTLED_S`. One that is renamed into the directory is complete at once, if it was before.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import time
from pathlib import Path

from linkd.limits import FOLLOW_SETTLED_S

_POLLING = "WATCHFILES_FORCE_POLLING"


def is_complete(path: Path, *, told: bool | None = None) -> bool:
    """False for one that is gone, too. `told` is whether the system is asked; if nothing is said, as the environment has it."""
    try:
        written = is_being_written(path) if (told if told is not None else not os.environ.get(_POLLING)) else None
        if written is not None:
            return not written
        age_s = time.time() - path.stat().st_mtime
    except OSError:
        return False
    return not 0 <= age_s < FOLLOW_SETTLED_S


def is_being_written(path: Path) -> bool | None:
    """Whether anybody has the file open for writing; `None` where the system does not tell. Operating system errors pass through."""
    if not hasattr(fcntl, "F_SETLEASE"):
        return None
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        # Who opens it right now breaks the lease, of which a signal tells: one that nobody minds.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return True if error.errno == errno.EAGAIN else None
    finally:
        os.close(descriptor)
    return False
