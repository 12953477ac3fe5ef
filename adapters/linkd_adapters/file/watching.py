"""Waiting until something happens in a directory, without looking again and again where the system tells.

It tells by inotify or FSEvents (the `watchfiles` package), in a thread for each watch. FSEvents tells that a file has grown only when its
writer closes it, which is never for a log: on macOS the directory of a single file is scanned. So is everything where
WATCHFILES_FORCE_POLLING asks for it, because a file system does not tell (network file systems).
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

from linkd.errors import InvalidArgument, StorageFailed
from linkd.limits import FOLLOW_GATHER_MAX_S, FOLLOW_QUIET_S
from linkd_adapters.file.scanning import Scan
from linkd_adapters.steps import in_thread

_POLLING = "WATCHFILES_FORCE_POLLING"


class _Notifier(Protocol):
    """Who says that something happened."""

    def wait(self, over: threading.Event) -> bool:
        """Blocks until something happened, or `over` is set, and then returns False."""
        ...

    def close(self) -> None: ...


class Watch:
    """Of some directories, and with `recursive` of all below them. An asynchronous context manager: inside, nothing goes unseen."""

    def __init__(self, directories: Iterable[Path], *, recursive: bool = False) -> None:
        self._directories = sorted({str(directory) for directory in directories})
        self._recursive = recursive
        self._happened = asyncio.Event()
        self._over = threading.Event()
        self._failure: StorageFailed | None = None
        self._thread = threading.Thread(target=self._listen, name=f"linkd watches {self._directories[0]}", daemon=True)
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Self:
        """Raises `InvalidArgument` for a directory that is not there, `StorageFailed` if the system refuses to tell."""
        try:
            self._notifier = await in_thread(self._begun)
        except FileNotFoundError as error:
            missing = next((name for name in self._directories if not Path(name).is_dir()), self._directories[0])
            raise InvalidArgument(f"there is no directory {missing}: make it, and what comes into it will be seen") from error
        except (OSError, WatchfilesRustInternalError) as error:
            raise self._refused(error) from error
        self._thread.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        await in_thread(self._thread.join)
        self._notifier.close()

    @property
    def happened(self) -> asyncio.Event:
        """Set when something happened. Clear it before you look."""
        return self._happened

    async def settled(self, quiet_s: float) -> None:
        """Returns when nothing has happened for so long."""
        while True:
            self._happened.clear()
            try:
                async with asyncio.timeout(quiet_s):
                    await self._happened.wait()
            except TimeoutError:
                return

    def check(self) -> None:
        """Raises `StorageFailed` if the system does not tell any more."""
        if self._failure is not None:
            raise self._failure

    def _begun(self) -> _Notifier:
        if must_scan(sys.platform, os.environ.get(_POLLING, ""), recursive=self._recursive):
            return Scan(self._directories, recursive=self._recursive)
        return _Told(self._directories, recursive=self._recursive)

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                happened = self._notifier.wait(self._over)
            except WatchfilesRustInternalError as error:
                self._failure = self._refused(error)
                self._over.set()
                happened = True
            if happened:
                self._loop.call_soon_threadsafe(self._happened.set)

    def _refused(self, error: Exception) -> StorageFailed:
        remedy = f"allow more (on Linux fs.inotify.max_user_instances and max_user_watches), or set {_POLLING}=1"
        return StorageFailed(f"{', '.join(self._directories)} cannot be watched ({error}): {remedy}")


class _Told:
    """What the system tells by itself."""

    def __init__(self, directories: list[str], *, recursive: bool) -> None:
        self._notify = RustNotify(directories, False, False, 0, recursive, False)

    def wait(self, over: threading.Event) -> bool:
        return self._notify.watch(int(FOLLOW_GATHER_MAX_S * 1000), int(FOLLOW_QUIET_S * 1000), 0, over) != "stop"

    def close(self) -> None:
        self._notify.close()


def must_scan(platform: str, polling: str, *, recursive: bool) -> bool:
    """Whether to look by ourselves, on that system and with that value of WATCHFILES_FORCE_POLLING."""
    return polling.lower() not in ("", "0", "false", "disable", "disabled") or (platform == "darwin" and not recursive)


async def first_of(*events: asyncio.Event) -> None:
    """Returns when one of them is set."""
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(event.wait(), name="linkd waits for an event") for event in events]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
