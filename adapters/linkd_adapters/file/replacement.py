"""A file that replaces another at once, or not at all.

Written as `.NAME.tmp-PID` beside its target, so that the rename stays within one file system; file and directory are synced before `commit`
returns. What processes that are gone have left behind is removed by the next one that writes the same target.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from linkd.durability import sync_data, sync_directory
from linkd_adapters.hashed_file import HashedFile


class Replacement(HashedFile):
    """A writable file; `open` makes its directories and the file, `commit` or `discard` ends it. Operating system errors pass through."""

    def __init__(self, target: Path, temporary: Path, file: BinaryIO) -> None:
        super().__init__(file.write)
        self.target = target
        self._temporary = temporary
        self._file = file

    @classmethod
    def open(cls, path: Path) -> Replacement:
        """A replacement for `path`; if that is a symbolic link, for what it points to."""
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(target)
        temporary = target.with_name(f".{target.name}.tmp-{os.getpid()}")
        file = open(temporary, "wb")  # noqa: SIM115, PTH123  # closed by commit or discard
        try:
            if target.exists():
                os.fchmod(file.fileno(), target.stat().st_mode & 0o777)
        except OSError:
            file.close()
            temporary.unlink()
            raise
        return cls(target, temporary, file)

    def commit(self) -> None:
        """Put the file in its target's place, durably."""
        self._file.flush()
        sync_data(self._file.fileno())
        self._file.close()
        self._temporary.replace(self.target)
        sync_directory(self.target.parent)

    def discard(self) -> None:
        """Remove the file; the target stays as it is, and what is still written goes nowhere."""
        self.end()
        try:
            self._file.close()
        finally:
            self._temporary.unlink(missing_ok=True)


def remove_abandoned(target: Path) -> None:
    """Remove temporary files of this target whose writers are gone, or are this process."""
    prefix = f".{target.name}.tmp-"
    for entry in list(target.parent.iterdir()):
        pid = entry.name.removeprefix(prefix)
        if entry.name.startswith(prefix) and pid.isdecimal() and not _is_another_running(int(pid)):
            entry.unlink(missing_ok=True)


def _is_another_running(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
