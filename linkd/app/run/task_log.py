"""What a program prints: kept in rotated files, and told line by line. Bounded, whatever the program does, and without the secrets in it.

`logs/TASK.log` is the newest, `TASK.log.1` the one before: LOG_FILES_KEPT files of at most LOG_FILE_MAX_BYTES each (a line end and a header
more), over all attempts and runs. Each attempt begins with a header line, and so does a file that begins within one:

    --- run 3 (2026-11-23T10:00:00Z), attempt 1 ---
    --- run 3 (2026-11-23T10:00:00Z), attempt 1, continued ---

`run` is the epoch of the run, the time is when the attempt began. Below it stands what the program wrote, byte for byte, but for secrets.

A line longer than LOG_LINE_MAX_BYTES is folded for the screen. At most LOG_LINES_SHOWN_PER_S lines a second are told to it, cut at
LOG_LINE_SHOWN_MAX_CHARS; how many were not is said once they stop.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from linkd.app.log_rotation import rotate
from linkd.core.masking import Mask, MaskedStream
from linkd.errors import StorageFailed
from linkd.limits import (
    FAILURE_TAIL_LINES,
    LOG_FILE_MAX_BYTES,
    LOG_LINE_MAX_BYTES,
    LOG_LINE_SHOWN_MAX_CHARS,
    LOG_LINES_SHOWN_PER_S,
)
from linkd.model.frozen import frozen

if TYPE_CHECKING:
    import asyncio

_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
_HEADER = re.compile(r"--- run (\d{1,19}) \(([0-9TZ:.-]{1,40})\), attempt (\d{1,9})(, continued)? ---")


@frozen()
class AttemptHeader:
    """The line above what one attempt printed; `began` is a time in UTC, `2026-11-23T10:00:00Z`."""

    run: int
    began: str
    attempt: int = 1
    continued: bool = False

    def __str__(self) -> str:
        return f"--- run {self.run} ({self.began}), attempt {self.attempt}{', continued' if self.continued else ''} ---"

    @staticmethod
    def parse(line: str) -> AttemptHeader | None:
        """The header that a line of a log is, or None."""
        found = _HEADER.fullmatch(line.rstrip("\r\n"))
        return AttemptHeader(int(found[1]), found[2], int(found[3]), found[4] is not None) if found else None


class TaskLog:
    """The log of one program in one run."""

    def __init__(self, path: Path, show: Callable[[str], None], now_s: Callable[[], float], mask: Mask) -> None:
        self.path = path
        self._tail: deque[bytes] = deque(maxlen=FAILURE_TAIL_LINES)
        self._show = show
        self._now_s = now_s
        self._mask = mask
        self._masked = MaskedStream(mask)
        self._rest = b""
        self._header = AttemptHeader(0, "")
        self._file: BinaryIO | None = None
        self._size_bytes = 0
        self._at_line_start = True
        self._second = 0
        self._shown = 0
        self._hidden = 0

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines of the present attempt, for when it fails."""
        return tuple(self._readable(raw)[:LOG_LINE_SHOWN_MAX_CHARS] for raw in self._tail)

    def begin(self, header: AttemptHeader) -> None:
        """An attempt begins: its header is written, and the tail is empty. Raises StorageFailed if the log cannot be written."""
        self._header = header
        self._tail.clear()
        line = f"{header}\n".encode()
        try:
            if self._file is None:
                self._open()
            if not self._fits(line):
                self._rotate()
            self._append(line if self._at_line_start else b"\n" + line)
        except OSError as error:
            raise StorageFailed(f"the log {self.path} cannot be written: {error.strerror}") from error

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Reads the program's output to its end. Being cancelled loses nothing: called again it goes on. Raises StorageFailed."""
        try:
            while piece := await stream.read(LOG_LINE_MAX_BYTES):
                self._take(self._masked.feed(piece))
            self._take(self._masked.end())
            if self._rest:
                self._tell([self._rest])
                self._rest = b""
        except OSError as error:
            raise StorageFailed(f"the log {self.path} cannot be written: {error.strerror}") from error
        finally:
            self._tell_hidden()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _take(self, piece: bytes) -> None:
        """Writes a piece and tells its lines; what is behind the last line end waits."""
        if not piece:
            return
        self._write(piece)
        *lines, rest = (self._rest + piece).split(b"\n")
        while len(rest) > LOG_LINE_MAX_BYTES:
            lines.append(rest[:LOG_LINE_MAX_BYTES])
            rest = rest[LOG_LINE_MAX_BYTES:]
        self._rest = rest
        self._tell(lines)

    def _write(self, piece: bytes) -> None:
        if not self._fits(piece):
            self._rotate()
            self._append(f"{replace(self._header, continued=True)}\n".encode())
        self._append(piece)

    def _fits(self, piece: bytes) -> bool:
        return self._size_bytes == 0 or self._size_bytes + len(piece) <= LOG_FILE_MAX_BYTES

    def _append(self, piece: bytes) -> None:
        assert self._file is not None
        self._file.write(piece)
        self._file.flush()
        self._size_bytes += len(piece)
        self._at_line_start = piece.endswith(b"\n")

    def _open(self) -> None:
        """The newest file, to be written behind what is in it."""
        self._file = self.path.open("a+b")
        self._size_bytes = self._file.seek(0, 2)
        self._at_line_start = True
        if self._size_bytes:
            self._file.seek(-1, 2)
            self._at_line_start = self._file.read(1) == b"\n"

    def _rotate(self) -> None:
        self.close()
        rotate(self.path)
        self._open()

    def _tell(self, lines: Sequence[bytes]) -> None:
        """Shows as many lines as the second has room for, and keeps the last ones. The others are not even looked at."""
        self._tail.extend(lines[-FAILURE_TAIL_LINES:])
        second = int(self._now_s())
        if second != self._second:
            self._second, self._shown = second, 0
            self._tell_hidden()
        room = LOG_LINES_SHOWN_PER_S - self._shown
        for raw in lines[:room]:
            text = self._readable(raw)
            cut = len(text) > LOG_LINE_SHOWN_MAX_CHARS
            self._show(f"{text[:LOG_LINE_SHOWN_MAX_CHARS]} ... (the whole line is in {self.path})" if cut else text)
        self._shown += min(room, len(lines))
        self._hidden += max(len(lines) - room, 0)

    def _readable(self, raw: bytes) -> str:
        """A line as a terminal may show it. Without its colours it may hold a secret that it did not hold before."""
        return self._mask.text(_CONTROL.sub("", raw.decode("utf-8", "replace")).rstrip("\r"))

    def _tell_hidden(self) -> None:
        if self._hidden:
            hidden, self._hidden = self._hidden, 0
            self._show(f"... {hidden:,} lines more, in {self.path}")
