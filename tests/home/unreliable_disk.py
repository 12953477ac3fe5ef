"""A disk below a home, of which syncs fail or take as long as a test wants."""

from __future__ import annotations

import threading
from pathlib import Path

from linkd.errors import StorageFailed
from linkd.store.files import File, LocalFiles
from linkd.testing.home import InProcessHome

DEADLINE_S = 60


class UnreliableFiles(LocalFiles):
    """So many of the next syncs of files fail; and none returns while the `gate` is closed."""

    def __init__(self) -> None:
        self.failing_syncs = 0
        self.gate = threading.Event()
        self.gate.set()

    @staticmethod
    def under(home: InProcessHome) -> UnreliableFiles:
        """What a home writes to from now on, in its present life; of what it has open that is its journal, if it writes nothing now."""
        files = UnreliableFiles()
        home.home.disk.files._files = files
        journal = home.home.store._committer._journal
        if journal._file is not None:
            journal._file = _UnreliableFile(journal._file, Path("the journal"), files)
        return files

    def create(self, path: Path) -> File:
        return _UnreliableFile(super().create(path), path, self)

    def open(self, path: Path, *, writable: bool = False) -> File:
        return _UnreliableFile(super().open(path, writable=writable), path, self)


class _UnreliableFile:
    def __init__(self, file: File, path: Path, files: UnreliableFiles) -> None:
        self._file = file
        self._path = path
        self._files = files
        self.pread, self.pwrite, self.pwritev = file.pread, file.pwrite, file.pwritev
        self.reserve, self.truncate, self.size, self.close = file.reserve, file.truncate, file.size, file.close
        self.begin_sync = file.begin_sync

    def datasync(self) -> None:
        assert self._files.gate.wait(DEADLINE_S), "the gate stays closed"
        if self._files.failing_syncs:
            self._files.failing_syncs -= 1
            raise StorageFailed(f"cannot sync {self._path}: Input/output error. The device reports an error")
        self._file.datasync()
