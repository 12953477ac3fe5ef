"""One event, one line: at its level, escaped, without secrets, and never in the way of the data."""

from __future__ import annotations

import io
import json
import threading

import pytest

from linkd import limits
from linkd.telemetry import events as e
from linkd.telemetry.hub import Telemetry
from linkd.telemetry.log_lines import DEBUG_ONLY, LINES, LogLevel, line_of
from linkd.telemetry.logs import LineWriter, LogFormat, Logs
from linkd.telemetry.trace_context import Span, SpanContext

NOON_NS = 1_795_341_600_123_456_789
REFUSED = e.CallRefused(task="sum_up", operation="publish", link="flown", reason="not_allowed", detail="it reads flown")
PUBLISHED = e.ValuePublished(
    link="flown",
    task="clean",
    values=1,
    rows=10,
    size_bytes=300,
    seconds=0.004,
    span=Span(SpanContext(0xABC, 0xDEF), None, 0, 1),
)


def logged(*told: e.Event, log_format: LogFormat = LogFormat.TEXT, level: LogLevel = LogLevel.INFO) -> list[str]:
    lines: list[str] = []
    telemetry = Telemetry()
    telemetry.attach(Logs(lines.append, lambda: NOON_NS, log_format, level))
    for event in told:
        telemetry.emit(event)
    assert telemetry.failures("logs") == 0
    return lines


def test_a_refusal_says_what_to_whom_and_why() -> None:
    assert logged(REFUSED) == ["2026-11-22T10:00:00.123Z WARNING refused publish of flown to task sum_up (not_allowed): it reads flown"]


def test_json_has_the_fields_of_the_event_beside_the_text() -> None:
    (line,) = logged(PUBLISHED, log_format=LogFormat.JSON, level=LogLevel.DEBUG)
    told = json.loads(line)
    assert told["time"] == "2026-11-22T10:00:00.123Z"
    assert (told["level"], told["event"]) == ("debug", "ValuePublished")
    assert (told["link"], told["rows"], told["seconds"]) == ("flown", 10, 0.004)
    assert told["trace_id"] == f"{0xABC:032x}"
    assert told["span_id"] == f"{0xDEF:016x}"
    assert "span" not in told


def test_what_happens_to_every_value_is_for_debugging_only() -> None:
    assert logged(PUBLISHED) == []
    assert len(logged(PUBLISHED, level=LogLevel.DEBUG)) == 1


def test_a_quiet_log_does_not_even_ask_for_the_events_of_the_data_path() -> None:
    quiet = Logs([].append, lambda: 0)
    assert not DEBUG_ONLY & quiet.handlers().keys()
    assert Logs([].append, lambda: 0, level=LogLevel.DEBUG).handlers().keys() == LINES.keys()


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (e.Recovered(frames=3, cut_bytes=0, seconds=0.1), LogLevel.INFO),
        (e.Recovered(frames=3, cut_bytes=9, seconds=0.1), LogLevel.WARNING),
        (e.TaskExited(task="clean", code=0, seconds=1.0), LogLevel.INFO),
        (e.TaskExited(task="clean", code=1, seconds=1.0), LogLevel.WARNING),
        (e.StorageFailedEvent(operation="fdatasync", path="journal/1", error="EIO"), LogLevel.ERROR),
        (e.LoopLag(seconds=0.5), LogLevel.WARNING),
        (e.QueryRan(task="", links=(), rows=0, seconds=0.1), LogLevel.DEBUG),
        (e.QueryRan(task="", links=(), rows=0, seconds=0.1, outcome="query_invalid"), LogLevel.INFO),
    ],
)
def test_the_level_follows_what_somebody_must_do(event: e.Event, level: LogLevel) -> None:
    line = line_of(event)
    assert line is not None
    assert line.level is level


def test_a_loop_that_is_a_little_late_and_a_failure_already_told_have_no_line() -> None:
    assert (
        logged(
            e.LoopLag(seconds=0.001),
            e.SinkFailed(sink="metrics", event="LoopLag", error="KeyError", first=False),
            e.SpansLost(endpoint="collector:4317", spans=5, detail="away", first=False),
            e.GroupSynced(frames=1, size_bytes=1, sync_seconds=0.1),
            level=LogLevel.DEBUG,
        )
        == []
    )


def test_a_signal_is_named_as_one() -> None:
    (line,) = logged(e.TaskExited(task="clean", code=-9, seconds=1.0))
    assert line.endswith("task clean was killed by signal 9 after 1.000 s")


@pytest.mark.parametrize("log_format", LogFormat)
def test_names_that_strangers_chose_cannot_forge_a_line_or_move_the_cursor(log_format: LogFormat) -> None:
    evil = "x\n2026-11-22T10:00:00.123Z INFO    all is well\x1b[2J\u2028"
    (line,) = logged(e.CallRefused(task=evil, operation="read", link=evil, reason="not_allowed"), log_format=log_format)
    assert len(line.splitlines()) == 1 or log_format is LogFormat.JSON
    assert "\n" not in line
    assert "\x1b" not in line


def test_a_line_is_bounded() -> None:
    (line,) = logged(e.HomeDraining(detail="x" * 10 * limits.LOG_FIELD_MAX_CHARS))
    assert len(line) < limits.LOG_FIELD_MAX_CHARS + 64
    assert line.endswith("...")


class SlowOutput:
    """An output that takes nothing until it is let go."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.let_go = threading.Event()
        self.data = b""

    def write(self, data: bytes, /) -> int:
        self.entered.set()
        assert self.let_go.wait(10)
        self.data += data
        return len(data)

    def flush(self) -> None:
        pass


def test_lines_are_written_in_order_and_all_of_them_before_the_end() -> None:
    output = io.BytesIO()
    writer = LineWriter(output, on_lost=lambda event: None)
    writer.start()
    for number in range(100):
        writer.write(f"line {number}")
    assert writer.close()
    assert output.getvalue().decode().splitlines() == [f"line {number}" for number in range(100)]


def test_a_slow_reader_costs_lines_which_are_counted_and_never_time() -> None:
    output, told = SlowOutput(), list[e.LogLinesLost]()
    writer = LineWriter(output, told.append, queue_max_lines=2)
    writer.start()
    writer.write("first")
    assert output.entered.wait(10)
    for line in ("second", "third", "lost", "lost too"):
        writer.write(line)
    output.let_go.set()
    assert writer.close()
    assert output.data == b"first\nsecond\nthird\n"
    assert told == [e.LogLinesLost(lines=2)]


def test_an_output_that_is_gone_ends_the_writer_quietly() -> None:
    output = io.BytesIO()
    output.close()
    writer = LineWriter(output, on_lost=lambda event: None)
    writer.start()
    writer.write("for nobody")
    assert writer.close()
    writer.write("after the end")


def test_a_writer_does_not_wait_for_a_reader_that_never_comes_back() -> None:
    output = SlowOutput()
    writer = LineWriter(output, on_lost=lambda event: None)
    writer.start()
    writer.write("stuck")
    assert output.entered.wait(10)
    assert not writer.close(timeout_s=0.01)
    output.let_go.set()
