"""Events become log lines, as text for people or as JSON for machines.

    text   2026-11-22T10:00:00.123Z WARNING refused publish of flown to task sum_up (not_allowed)
    json   {"time":"2026-11-22T10:00:00.123Z","level":"warning","event":"CallRefused","text":"refused publish ...","task":"sum_up",...}

One event is one line: control characters of what strangers named are escaped. JSON has the event's own fields beside the text, and
`trace_id` and `span_id` where it has a place in a trace.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import json
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from linkd import limits
from linkd.telemetry import log_lines
from linkd.telemetry.events import Event, LogLinesLost
from linkd.telemetry.hub import Handler
from linkd.telemetry.log_lines import LogLevel, LogLine, line_of
from linkd.telemetry.spans import span_of

_SPAN_FIELD = "span"
_CUT = "..."


class LogFormat(enum.StrEnum):
    TEXT = "text"
    JSON = "json"


class Logs:
    """The sink of log lines at or above `level`.

    `write` takes one line without its end and returns at once; `clock_ns` is the time of day.
    """

    name = "logs"

    def __init__(
        self,
        write: Callable[[str], None],
        clock_ns: Callable[[], int],
        log_format: LogFormat = LogFormat.TEXT,
        level: LogLevel = LogLevel.INFO,
    ) -> None:
        self._write = write
        self._clock_ns = clock_ns
        self._format = _format_json if log_format is LogFormat.JSON else _format_text
        self._level = level

    def handlers(self) -> Mapping[type[Event], Handler]:
        silent = frozenset[type[Event]]() if self._level <= LogLevel.DEBUG else log_lines.DEBUG_ONLY
        return dict.fromkeys(log_lines.LINES.keys() - silent, self._log)

    def _log(self, event: Event) -> None:
        line = line_of(event)
        if line is not None and line.level >= self._level:
            self._write(self._format(event, line, _time_text(self._clock_ns())))


class ByteSink(Protocol):
    """Where lines go: a file, or stderr's buffer, open for writing bytes."""

    def write(self, data: bytes, /) -> int | None: ...

    def flush(self) -> None: ...


class LineWriter:
    """Writes lines in a thread of its own, so that a full pipe or a slow disk never stops the event loop.

    `write` may be called from any thread; after `close` it does nothing. At most `queue_max_lines` wait; a line beyond them is lost, and
    `on_lost` is told of it (as `LogLinesLost`) once there is room again. An output that fails is given up: there is nobody to tell.
    """

    def __init__(
        self,
        output: ByteSink,
        on_lost: Callable[[LogLinesLost], None],
        queue_max_lines: int = limits.LOG_QUEUE_MAX_LINES,
    ) -> None:
        self._output = output
        self._on_lost = on_lost
        self._queue_max_lines = queue_max_lines
        self._waiting: collections.deque[str] = collections.deque()
        self._changed = threading.Condition()
        self._lost = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="linkd-log", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def write(self, line: str) -> None:
        """Queues one line, without its end."""
        with self._changed:
            if self._closed:
                return
            if len(self._waiting) >= self._queue_max_lines:
                self._lost += 1
                return
            self._waiting.append(line)
            self._changed.notify()

    def close(self, timeout_s: float = limits.LOG_FLUSH_TIMEOUT_S) -> bool:
        """Writes what waits, for `timeout_s` at most; True if all of it went out."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout_s)
        return not self._thread.is_alive() and not self._waiting

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                lines = list(self._waiting)
                self._waiting.clear()
                lost, self._lost = self._lost, 0
                closed = self._closed
            if lines and not self._put(lines):
                return
            if lost:
                self._on_lost(LogLinesLost(lines=lost))
            elif closed:
                return

    def _put(self, lines: list[str]) -> bool:
        try:
            self._output.write("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
            self._output.flush()
        except (OSError, ValueError):
            # The reader is gone, or the file was closed under us.
            with self._changed:
                self._closed = True
            return False
        return True


def _format_text(event: Event, line: LogLine, time_text: str) -> str:
    return f"{time_text} {line.level.name:<7} {_escaped(line.text)}"


def _format_json(event: Event, line: LogLine, time_text: str) -> str:
    fields: dict[str, Any] = {
        "time": time_text,
        "level": line.level.name.lower(),
        "event": type(event).__name__,
        "text": _cut(line.text),
    }
    for field in dataclasses.fields(event):
        if field.name != _SPAN_FIELD:
            value = getattr(event, field.name)
            fields[field.name] = _cut(value) if isinstance(value, str) else value
    span = span_of(event)
    if span is not None:
        fields["trace_id"] = span.context.trace_id_hex
        fields["span_id"] = span.context.span_id_hex
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))


def _time_text(time_ns: int) -> str:
    moment = datetime.datetime.fromtimestamp(time_ns // 1_000_000 / 1_000, tz=datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _escaped(text: str) -> str:
    """`text` on one line, and without anything that moves a terminal's cursor."""
    cut = _cut(text)
    if cut.isprintable():
        return cut
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in cut)


def _cut(text: str) -> str:
    if len(text) <= limits.LOG_FIELD_MAX_CHARS:
        return text
    return text[: limits.LOG_FIELD_MAX_CHARS - len(_CUT)] + _CUT
