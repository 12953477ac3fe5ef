"""A file that replaces another at once, or not at all.

Written as `.NAME.tmp-PID` beside its target, so that the rename stays within one file system; file and directory are synced before `commit`
returns. What processes that are gone have left behind is removed by the next one that writes the same target.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from blake3 import blake3

from linkd.durability import sync_data, sync_directory

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer


class Replacement(io.RawIOBase):
    """A writable file; `open` makes its directories and the file, `commit` or `discard` ends it. Operating system errors pass through."""

    def __init__(self, target: Path, temporary: Path, file: BinaryIO) -> None:
        super().__init__()
        self.target = target
        self._temporary = temporary
        self._file = file
        self._hash = blake3()
        self._is_discarded = False
        self.size_bytes = 0

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

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        view = memoryview(data).cast("B")
        if self._is_discarded:
            return len(view)  # writers of packed formats write their end when they are collected
        self._file.write(view)
        self._hash.update(view)
        self.size_bytes += len(view)
        return len(view)

    def tell(self) -> int:
        return self.size_bytes

    @property
    def digest(self) -> str:
        """BLAKE3 of what was written, in hexadecimal."""
        return str(self._hash.hexdigest())

    def commit(self) -> None:
        """Put the file in its target's place, durably."""
        self._file.flush()
        sync_data(self._file.fileno())
        self._file.close()
        self._temporary.replace(self.target)
        sync_directory(self.target.parent)

    def discard(self) -> None:
        """Remove the file; the target stays as it is, and what is still written goes nowhere."""
        self._is_discarded = True
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
