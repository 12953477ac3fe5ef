"""`linkd logs`: the files of a task's log, in order, through rotations, and while they are written."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from linkd.app.cli.log_files import LogReader, last_lines, log_paths
from linkd.app.main import command_line
from linkd.app.run.task_log import AttemptHeader
from linkd.limits import LOG_FILES_KEPT, LOG_LINE_MAX_BYTES
from linkd.testing.forked_commands import start_command
from linkd.testing.pipelines import clean_environment

DEADLINE_S = 30.0
FIRST, SECOND = AttemptHeader(1, "2026-11-23T10:00:00Z"), AttemptHeader(2, "2026-11-23T11:00:00Z")


def rotate(path: Path) -> None:
    """As a task's log is rotated: the oldest file is overwritten."""
    for number in range(LOG_FILES_KEPT - 1, 0, -1):
        newer = path if number == 1 else path.with_name(f"{path.name}.{number - 1}")
        if newer.exists():
            newer.replace(path.with_name(f"{path.name}.{number}"))


def write(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def read(reader: LogReader) -> str:
    return b"".join(reader.lines()).decode()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "clean.log"


def test_files_are_read_from_the_oldest_on(log: Path) -> None:
    write(log, "one\n")
    rotate(log)
    write(log, "two\n")
    rotate(log)
    write(log, "three\n")
    assert [path.name for path in log_paths(log)] == ["clean.log.2", "clean.log.1", "clean.log"]
    with contextlib.closing(LogReader(log)) as reader:
        assert read(reader) == "one\ntwo\nthree\n"
        assert read(reader) == ""


def test_what_is_written_around_a_rotation_is_all_there(log: Path) -> None:
    with contextlib.closing(LogReader(log)) as reader:
        assert read(reader) == ""
        write(log, "one\n")
        assert read(reader) == "one\n"
        write(log, "two\n")
        rotate(log)
        write(log, "three\n")
        rotate(log)
        write(log, "four\n")
        assert read(reader) == "two\nthree\nfour\n"


@given(steps=st.lists(st.sampled_from(["write", "rotate", "read"]), max_size=30))
def test_a_reader_that_keeps_up_misses_nothing(steps: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.mktemp("logs") / "clean.log"
    written, seen, rotations = "", "", 0
    with contextlib.closing(LogReader(log)) as reader:
        for number, step in enumerate(steps):
            if step == "write":
                write(log, f"{number}\n")
                written += f"{number}\n"
            elif step == "rotate" and rotations < LOG_FILES_KEPT - 1 and log.exists():
                rotate(log)
                rotations += 1
            elif step == "read":
                seen += read(reader)
                rotations = 0
        assert seen + read(reader) == written


def test_a_line_is_given_when_it_is_whole_or_too_long_to_wait_for(log: Path) -> None:
    with contextlib.closing(LogReader(log)) as reader:
        write(log, "ha")
        assert read(reader) == ""
        write(log, "lf\nrest")
        assert read(reader) == "half\n"
        assert list(reader.rest()) == [b"rest"]
        write(log, "x" * (LOG_LINE_MAX_BYTES + 3))
        assert len(read(reader)) == LOG_LINE_MAX_BYTES


def test_one_run_is_what_stands_below_its_headers(log: Path) -> None:
    write(log, f"before\n{FIRST}\na\n{SECOND}\nb\n")
    rotate(log)
    write(log, f"{AttemptHeader(2, SECOND.began, continued=True)}\nc\n{AttemptHeader(2, SECOND.began, 2)}\nd\n{AttemptHeader(3, 'x')}\n")
    with contextlib.closing(LogReader(log, 2)) as reader:
        assert [line for line in read(reader).splitlines() if not line.startswith("---")] == ["b", "c", "d"]


def test_the_last_lines_are_the_last() -> None:
    lines = [b"1\n", b"2\n", b"3\n"]
    assert list(last_lines(iter(lines), 2)) == lines[1:]
    assert list(last_lines(iter(lines), None)) == lines
    assert list(last_lines(iter(lines), 0)) == []


# -- the verb ------------------------------------------------------------------------------------------------------------------------------


def linkd(*words: str) -> Result:
    return CliRunner().invoke(command_line(), list(words))


@pytest.fixture
def pipeline(tmp_path: Path) -> Callable[[str, str], str]:
    """Writes a pipeline that has run, with this text in the log of one of its programs; gives its path."""
    file = tmp_path / "flights.yaml"
    file.write_text('pipeline: flights\nwiring: |\n  (flights*) clean (flown)\ntasks:\n  clean: {run: "sh clean.sh"}\n')
    logs = tmp_path / ".linkd" / "flights" / "logs"
    logs.mkdir(parents=True)

    def wrote(task: str, text: str) -> str:
        write(logs / f"{task}.log", text)
        return str(file)

    return wrote


def test_logs_prints_what_a_task_printed_and_starts_nothing(pipeline: Callable[[str, str], str], tmp_path: Path) -> None:
    path = pipeline("clean", f"{FIRST}\none\ntwo\n{SECOND}\nthree")
    assert linkd("logs", "clean", "-p", path).stdout == f"{FIRST}\none\ntwo\n{SECOND}\nthree"
    assert linkd("logs", "clean", "-n", "1", "-p", path).stdout == "three"
    assert linkd("logs", "clean", "--run", "1", "-p", path).stdout == f"{FIRST}\none\ntwo\n"
    told = linkd("logs", "clean", "--run", "2", "--json", "-p", path).stdout.splitlines()
    assert [json.loads(line) for line in told] == [{"task": "clean", "line": str(SECOND)}, {"task": "clean", "line": "three"}]
    assert sorted(each.name for each in (tmp_path / ".linkd" / "flights").iterdir()) == ["logs"]


def test_a_task_that_printed_nothing_is_no_mistake_and_a_mistyped_one_is(pipeline: Callable[[str, str], str]) -> None:
    path = pipeline("home", "up\n")
    nothing = linkd("logs", "clean", "-p", path)
    assert (nothing.exit_code, nothing.stdout, nothing.stderr) == (0, "", "clean has printed nothing yet\n")
    mistyped = linkd("logs", "claen", "-p", path)
    assert mistyped.exit_code == 2
    assert mistyped.stderr == "there is no task `claen` (logs: adapters, clean, home); did you mean `clean`?\n"
    assert linkd("logs", "clean", "-p", "127.0.0.1:1").exit_code == 2


def test_logs_go_on_while_the_log_is_written_and_rotated(pipeline: Callable[[str, str], str], tmp_path: Path) -> None:
    path = pipeline("clean", "one\ntwo\n")
    log = tmp_path / ".linkd" / "flights" / "logs" / "clean.log"
    with start_command(["logs", "clean", "-f", "-n", "1", "-p", path], clean_environment(), tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "two\n"
        write(log, "three\n")
        assert process.stdout.readline() == "three\n"
        rotate(log)
        write(log, "four\n")
        assert process.stdout.readline() == "four\n"
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=DEADLINE_S)
        assert (process.returncode, complaint) == (130, "")
