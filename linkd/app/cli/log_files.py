"""The log of a program as it lies on disk: its files in order, from a run's header on, and what is written while one looks.

`TASK.log` is the newest file, `TASK.log.1` the one before (their format is at the head of `linkd.app.run.task_log`). A reader holds on to the
file it reads, so a rotation loses nothing: it reads that one to its end, then those that were begun since, oldest first.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from linkd.app.run.task_log import AttemptHeader
from linkd.limits import LOG_FILES_KEPT, LOG_LINE_MAX_BYTES


def log_paths(path: Path) -> list[Path]:
    """The files of a log that are there, the oldest first."""
    older = (path.with_name(f"{path.name}.{number}") for number in range(LOG_FILES_KEPT - 1, 0, -1))
    return [file for file in (*older, path) if file.is_file()]


def last_lines(lines: Iterator[bytes], count: int | None) -> Iterator[bytes]:
    """The last `count` of them; all for None."""
    return lines if count is None else iter(deque(lines, maxlen=count))


class LogReader:
    """Reads a log from its oldest file on, and then, each time it is asked, what was written since. With `run` only that run's lines."""

    def __init__(self, path: Path, run: int | None = None) -> None:
        self._path = path
        self._run = run
        self._wanted = run is None
        self._file: BinaryIO | None = None
        self._rest = b""

    def lines(self) -> Iterator[bytes]:
        """Whole lines that were not given yet, with their newlines; of one that is being written, what is too long to wait for."""
        while self._file is not None or self._open_next():
            yield from self._lines_of_file()
            following = self._following()
            if following is None:
                return
            yield from self._lines_of_file()  # what came between its end and the rotation; now nothing comes any more
            self._open_next()

    def rest(self) -> Iterator[bytes]:
        """The line that is being written, as far as it is."""
        if self._rest and self._is_wanted(self._rest):
            yield self._rest
        self._rest = b""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _lines_of_file(self) -> Iterator[bytes]:
        assert self._file is not None
        while piece := self._file.readline(LOG_LINE_MAX_BYTES):
            self._rest += piece
            if self._rest.endswith(b"\n") or len(self._rest) >= LOG_LINE_MAX_BYTES:
                line, self._rest = self._rest, b""
                if self._is_wanted(line):
                    yield line

    def _is_wanted(self, line: bytes) -> bool:
        if self._run is not None and (header := AttemptHeader.parse(line.decode(errors="replace"))) is not None:
            self._wanted = header.run == self._run
        return self._wanted

    def _following(self) -> Path | None:
        """The file that was begun behind the present one, or the oldest; None if there is none (yet)."""
        paths = log_paths(self._path)
        if self._file is None:
            return paths[0] if paths else None
        held = os.fstat(self._file.fileno())
        for place, path in enumerate(paths):
            if os.path.samestat(held, path.stat()):
                return paths[place + 1] if place + 1 < len(paths) else None
        return paths[0] if paths else None

    def _open_next(self) -> bool:
        following = self._following()
        if following is not None:
            self.close()
            self._file = following.open("rb")
        return following is not None
