"""The disk budget of a home: what it holds is counted as it is written, the volume is looked at when that can matter (`core.disk`)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from linkd.core.artifacts import quota_bytes
from linkd.core.disk import PAUSED, DiskState, Volume, budget_bytes, in_words, may_be_held, next_state, shared_file_bytes, surplus_bytes
from linkd.errors import StorageFull
from linkd.home.clock import Clock
from linkd.limits import DISK_LOOK_BYTES, DISK_LOOK_INTERVAL_S
from linkd.store.artifacts.naming import FOLDER as ARTIFACTS
from linkd.store.artifacts.naming import INDEX_FILE
from linkd.store.counted_files import CountedFiles
from linkd.store.directory import CATALOG_FILE
from linkd.store.files import LocalFiles
from linkd.telemetry.events import DiskPaused, DiskResumed
from linkd.telemetry.hub import Telemetry

Look = Callable[[Path], Volume]
"""Asks the system for what a volume has."""


SPILL = "spill"
"""Where queries and SQL tasks put what they read, below the home's directory."""
FAILED = "failed"
"""Where file tasks keep what their last failed runs were given and had written."""
_LOGS = "logs"


def counted(directory: Path) -> CountedFiles:
    """The files of a home, with what is there already: but what others write, which is looked at now and then (`beside`), and artifacts, of which
    their index knows what they take."""
    files = CountedFiles(LocalFiles())
    files.count(directory, but=(_LOGS, ARTIFACTS, *(path.name for path in beside(directory))))
    return files


def beside(directory: Path) -> tuple[Path, ...]:
    """The indexes, with what SQLite keeps beside it, and what queries spill and programs on files are given."""
    indexes = directory / CATALOG_FILE, directory / ARTIFACTS / INDEX_FILE
    return (
        directory / SPILL,
        directory / FAILED,
        *(index.with_name(index.name + suffix) for index in indexes for suffix in ("", "-wal", "-shm")),
    )


def volume_of(directory: Path) -> Volume:
    """As the system has it for who is not root."""
    found = os.statvfs(directory)
    return Volume(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


@dataclass(slots=True)
class DiskBudget:
    """Belongs to one event loop. `make_room` is called while room is short, with the bytes that are missing."""

    directory: Path
    files: CountedFiles
    telemetry: Telemetry
    clock: Clock
    asked_bytes: int | None = None
    look: Look = volume_of
    make_room: Callable[[int], object] | None = None
    full: str = ""
    """Why the store finds no room at all now; "" if it does."""
    _state: DiskState = DiskState.OPEN
    _budget_bytes: int = 0
    _beside_bytes: int = 0
    _looked_s: float = field(default=float("-inf"))
    _looked_at_bytes: int = 0

    @property
    def held_bytes(self) -> int:
        return self.files.held_bytes + self._beside_bytes

    def state(self) -> DiskState:
        """What holds now."""
        now_s = self.clock.monotonic_s()
        much_written = self.files.written_bytes - self._looked_at_bytes >= DISK_LOOK_BYTES
        if much_written or now_s - self._looked_s >= DISK_LOOK_INTERVAL_S:
            self._look_again(now_s)
        before, self._state = self._state, next_state(self._state, self.held_bytes, self._budget_bytes)
        if before is DiskState.OPEN and self._state is not DiskState.OPEN:
            self.telemetry.emit(DiskPaused(held_bytes=self.held_bytes, budget_bytes=self._budget_bytes, detail=self._in_words()))
        elif before is not DiskState.OPEN and self._state is DiskState.OPEN:
            self.telemetry.emit(DiskResumed(held_bytes=self.held_bytes, budget_bytes=self._budget_bytes))
        return DiskState.RESERVED if self.full else self._state

    def check(self, most: DiskState = DiskState.OPEN) -> None:
        """Raises StorageFull if room is shorter than that."""
        if self.state() > most:
            raise StorageFull(f"{self.full or self._in_words()}: nothing is published before there is room; it goes on by itself then")

    def shared_file_bytes(self) -> int:
        """How large a segment file may be that is made ahead for one publisher; 0 while room is short."""
        return shared_file_bytes(self._budget_bytes) if self.state() is DiskState.OPEN else 0

    def may_be_held(self, by_one_bytes: int, by_all_bytes: int) -> bool:
        """Whether clients may hold so much of segment files, which stays until they release it."""
        self.state()
        return may_be_held(by_one_bytes, by_all_bytes, self._budget_bytes)

    def artifacts_bytes(self) -> int:
        """How much artifacts may take."""
        self.state()
        return quota_bytes(self._budget_bytes)

    def temporary_bytes(self) -> int:
        """How much one query may keep on disk while it runs: half of what is left."""
        self.state()
        return max(0, self._budget_bytes - self.held_bytes) // 2

    def note(self) -> str:
        """What there is to say to people; "" as long as there is room."""
        return "" if self.state() is DiskState.OPEN else f"{PAUSED}: {self.full or self._in_words()}"

    def _look_again(self, now_s: float) -> None:
        self._looked_s, self._looked_at_bytes = now_s, self.files.written_bytes
        self._beside_bytes = sum(_sizes(beside(self.directory)))
        self._budget_bytes = budget_bytes(self.asked_bytes, self.held_bytes, self.look(self.directory))
        missing_bytes = surplus_bytes(self.held_bytes, self._budget_bytes)
        if missing_bytes and self.make_room is not None and self._state is not DiskState.OPEN:
            self.make_room(missing_bytes)

    def _in_words(self) -> str:
        return in_words(self.held_bytes, self._budget_bytes)


def _sizes(paths: tuple[Path, ...]) -> Iterator[int]:
    """The sizes of files, and of what is in directories; of what goes away meanwhile, none. A program may have made links out of here."""
    for path in paths:
        with _gone():
            if path.is_dir() and not path.is_symlink():
                yield from _sizes(tuple(path.iterdir()))
            else:
                yield path.lstat().st_size


@contextmanager
def _gone() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        return
