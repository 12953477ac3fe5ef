"""What a program prints: kept in rotated files, and told line by line. Bounded, whatever the program does.

`logs/TASK.log` is the newest, `TASK.log.1` the one before: LOG_FILES_KEPT files of at most LOG_FILE_MAX_BYTES each. A line longer than
LOG_LINE_MAX_BYTES is folded. At most LOG_LINES_SHOWN_PER_S lines a second are told to the screen, cut at LOG_LINE_SHOWN_MAX_CHARS; how
many were not is said once they stop.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from linkd.limits import (
    FAILURE_TAIL_LINES,
    LOG_FILE_MAX_BYTES,
    LOG_FILES_KEPT,
    LOG_LINE_MAX_BYTES,
    LOG_LINE_SHOWN_MAX_CHARS,
    LOG_LINES_SHOWN_PER_S,
)

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


class TaskLog:
    """The log of one program in one run. `tail` has the last lines, for when it fails."""

    def __init__(self, path: Path, show: Callable[[str], None], now_s: Callable[[], float]) -> None:
        self.path = path
        self.tail: deque[str] = deque(maxlen=FAILURE_TAIL_LINES)
        self._show = show
        self._now_s = now_s
        self._file: BinaryIO | None = None
        self._size_bytes = 0
        self._second = 0
        self._shown = 0
        self._hidden = 0

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Reads the program's output to its end."""
        rest = b""
        try:
            while piece := await stream.read(LOG_LINE_MAX_BYTES):
                self._write(piece)
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._line(line)
                while len(rest) > LOG_LINE_MAX_BYTES:
                    self._line(rest[:LOG_LINE_MAX_BYTES])
                    rest = rest[LOG_LINE_MAX_BYTES:]
            if rest:
                self._line(rest)
        finally:
            self._tell_hidden()
            if self._file is not None:
                self._file.close()

    def _write(self, piece: bytes) -> None:
        if self._file is None or self._size_bytes + len(piece) > LOG_FILE_MAX_BYTES:
            self._rotate()
        assert self._file is not None
        self._file.write(piece)
        self._file.flush()
        self._size_bytes += len(piece)

    def _rotate(self) -> None:
        if self._file is not None:
            self._file.close()
        for number in range(LOG_FILES_KEPT - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path if number == 1 else self.path.with_name(f"{self.path.name}.{number - 1}")
            if newer.exists():
                newer.replace(older)
        self._file = self.path.open("wb")
        self._size_bytes = 0

    def _line(self, raw: bytes) -> None:
        text = _CONTROL.sub("", raw.decode("utf-8", "replace")).rstrip("\r")
        self.tail.append(text[:LOG_LINE_SHOWN_MAX_CHARS])
        second = int(self._now_s())
        if second != self._second:
            self._second, self._shown = second, 0
            self._tell_hidden()
        if self._shown < LOG_LINES_SHOWN_PER_S:
            self._shown += 1
            cut = len(text) > LOG_LINE_SHOWN_MAX_CHARS
            self._show(f"{text[:LOG_LINE_SHOWN_MAX_CHARS]} ... (the whole line is in {self.path})" if cut else text)
        else:
            self._hidden += 1

    def _tell_hidden(self) -> None:
        if self._hidden:
            hidden, self._hidden = self._hidden, 0
            self._show(f"... {hidden:,} lines more, in {self.path}")
