"""Logs of bounded size: `NAME` is the newest file, `NAME.1` the one before; LOG_FILES_KEPT files of about LOG_FILE_MAX_BYTES each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from linkd.limits import LOG_FILE_MAX_BYTES, LOG_FILES_KEPT


def rotate(path: Path) -> None:
    """Makes way for a new newest file; the oldest goes."""
    for number in range(LOG_FILES_KEPT - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        newer = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
        if newer.exists():
            newer.replace(older)


class RotatedOutput:
    """What a process writes to `stream`, which is the file at `path`, opened for appending.

    When the file is full, a new one takes its place at the same descriptor: what others write there, such as a traceback, goes to it too.
    """

    def __init__(self, path: Path, stream: BinaryIO) -> None:
        self._path = path
        self._stream = stream

    def write(self, data: bytes) -> int:
        size_bytes = os.fstat(self._stream.fileno()).st_size
        if size_bytes and size_bytes + len(data) > LOG_FILE_MAX_BYTES:
            self._begin_anew()
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()

    def _begin_anew(self) -> None:
        self._stream.flush()
        rotate(self._path)
        with self._path.open("ab") as fresh:
            os.dup2(fresh.fileno(), self._stream.fileno())
