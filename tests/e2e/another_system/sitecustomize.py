"""Makes a Python process on Linux believe that it is on macOS, as far as its own names and files say: Python imports this when it starts.

With this directory on PYTHONPATH every Python process of a run has it. It takes away the names that only Linux has, gives `fcntl` the sync of
macOS (done by fsync), hides /proc and uvloop, and writes to the file ANOTHER_SYSTEM_LOG what it was asked for, one line each:

    PID began NAME          of the module after `-m`, or of the script
    PID full sync
    PID opened NAME         below /proc, where it found nothing
"""

import errno
import os
import select
import sys
import sysconfig
import time

LOG = os.environ["ANOTHER_SYSTEM_LOG"]
F_FULLFSYNC = 51


def say(what: str) -> None:
    descriptor = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{os.getpid()} {what}\n".encode())
    os.close(descriptor)


def hide(module: object, *names: str) -> None:
    for name in names:
        if hasattr(module, name):
            delattr(module, name)


def hide_proc(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook: Python tells it of every file that is opened, and every directory that is listed, before it happens."""
    if event not in ("open", "os.listdir", "os.scandir") or not arguments or not isinstance(arguments[0], (str, os.PathLike)):
        return
    name = os.fspath(arguments[0])
    if isinstance(name, str) and name.startswith("/proc"):
        say(f"opened {name}")
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)


def main() -> None:
    # First what the names of the other system would keep Python from finding, then the names.
    sysconfig.get_config_vars()
    hide(select, "epoll")
    hide(
        os,
        *("fdatasync", "posix_fallocate", "posix_fadvise", "pidfd_open", "sched_getaffinity", "sched_setaffinity", "memfd_create", "pipe2"),
        *("copy_file_range", "splice", "eventfd", "getrandom", "O_TMPFILE", "O_DIRECT", "unshare", "setns"),
    )
    hide(time, "CLOCK_BOOTTIME")
    sys.platform = "darwin"
    sys.modules["uvloop"] = None  # type: ignore[assignment]

    import fcntl
    import signal
    import socket

    hide(socket, "SO_PEERCRED", "SOCK_CLOEXEC", "SOCK_NONBLOCK")
    hide(signal, "pidfd_send_signal", "sigwaitinfo", "sigtimedwait")
    hide(fcntl, "F_OFD_SETLK", "F_OFD_SETLKW", "F_OFD_GETLK", "F_GETPIPE_SZ", "F_SETPIPE_SZ", "F_ADD_SEALS", "F_GET_SEALS")
    real_fcntl = fcntl.fcntl

    def fcntl_with_full_sync(descriptor: int, command: int, argument: int = 0) -> int:
        if command != F_FULLFSYNC:
            return real_fcntl(descriptor, command, argument)
        say("full sync")
        os.fsync(descriptor)
        return 0

    fcntl.F_FULLFSYNC = F_FULLFSYNC  # type: ignore[attr-defined]
    fcntl.fcntl = fcntl_with_full_sync
    words = sys.orig_argv[1:] or [""]
    say(f"began {words[words.index('-m') + 1] if '-m' in words else words[0]}")
    sys.addaudithook(hide_proc)


main()
