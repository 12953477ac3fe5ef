"""What goes wrong with files, programs and places: the whole command, its exact words and its exit code."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from linkd.errors import EXIT_BAD_DATA, EXIT_DONE, EXIT_INTERRUPTED, EXIT_STATE, EXIT_TASK_FAILED, EXIT_USAGE
from linkd.limits import HOME_START_TIMEOUT_S, LOG_FILE_MAX_BYTES, LOG_FILES_KEPT, MIB
from linkd.store.directory import open_directory
from linkd.store.files import LocalFiles

if TYPE_CHECKING:
    from conftest import MakePipeline

    from linkd.testing.pipelines import PipelineDirectory

pytestmark = pytest.mark.slow

PIPELINE = """pipeline: trial
wiring: |
  (numbers) copy (copied)
links:
  numbers: {{from: numbers.csv{source}}}
  copied:  {{to: {sink}}}
tasks:
  copy: {{{task}}}
"""
COPY = 'sql: "SELECT * FROM numbers"'
OUT = "out/copied.csv"
FIX = "\n  fix it, then: linkd run trial.yaml\n"
ENCODE = "name the encoding of the file, for example encoding: cp1252"
REJECT = "(on_bad_row: reject sends such rows to numbers.rejects)"


def trial(make: MakePipeline, content: str | bytes | None, *, source: str = "", sink: str = OUT, task: str = COPY) -> PipelineDirectory:
    """A pipeline that copies numbers.csv (`None`: there is none) to out/copied.csv."""
    return make(PIPELINE.format(source=source, sink=sink, task=task), {} if content is None else {"numbers.csv": content})


def long_column(wrong_line: int) -> str:
    """A file of 200,010 rows of `7`, with `abc` in one line of it."""
    lines = ["n", *["7"] * 200_010]
    lines[wrong_line - 1] = "abc"
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Refused:
    """A file that stops the run, and the words for it."""

    content: str | bytes
    message: str
    source: str = ""


REFUSED = {
    "empty": Refused("", "numbers.csv has no header; its first line must name the columns"),
    "ragged": Refused("n,name\n1,x\n2\n", f"numbers.csv:3: 1 field where the header has 2 {REJECT}"),
    "NUL": Refused("n,name\n1,x\n2,\0y\n", f"numbers.csv:3: byte 3 of the row is NUL, which no text has; remove it, or {ENCODE} {REJECT}"),
    "not UTF-8": Refused(b"n,name\n1,caf\xe9\n", f"numbers.csv:2: byte 6 of the row, 0xe9, is not UTF-8; {ENCODE} {REJECT}"),
    "wrong type in row 200,000 of a declared column": Refused(
        long_column(200_001), f"numbers.csv:200001: column n: 'abc' is not int64 {REJECT}", ", schema: {n: int64}"
    ),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_a_bad_file_stops_the_run_with_exit_code_3_and_leaves_no_output(make: MakePipeline, case: Refused) -> None:
    pipeline = trial(make, case.content, source=case.source)
    done = pipeline.run()
    assert done.stderr == case.message + FIX
    assert done.exit_code == EXIT_BAD_DATA
    assert not (pipeline.path / OUT).exists()


def test_a_file_that_is_not_there_is_told_before_anything_starts(make: MakePipeline) -> None:
    pipeline = trial(make, None)
    done = pipeline.run()
    assert done.stderr == f"{pipeline.file}: numbers.csv does not exist in {pipeline.path}\n"
    assert (done.exit_code, done.stdout) == (EXIT_USAGE, "")


def test_a_file_that_was_mended_is_read_anew(make: MakePipeline) -> None:
    pipeline = trial(make, "n,name\n1,x\n2\n")
    assert pipeline.run().exit_code == EXIT_BAD_DATA
    pipeline.write("numbers.csv", "n,name\n1,x\n2,y\n")
    done = pipeline.run()
    assert (done.exit_code, done.stderr) == (EXIT_DONE, "")
    assert (pipeline.path / OUT).read_text() == "n,name\n1,x\n2,y\n"


TAKEN = {
    "header only": ("n,name\n", "n,name\n"),
    "byte order mark": (b"\xef\xbb\xbfn,name\n1,x\n", "n,name\n1,x\n"),
    "a field of 10 MB": (f"n,name\n1,{'y' * 10_000_000}\n", f"n,name\n1,{'y' * 10_000_000}\n"),
}


@pytest.mark.parametrize(("content", "expected"), TAKEN.values(), ids=TAKEN.keys())
def test_an_unusual_file_is_read_as_it_is_meant(make: MakePipeline, content: str | bytes, expected: str) -> None:
    pipeline = trial(make, content)
    done = pipeline.run()
    assert (done.exit_code, done.stderr) == (EXIT_DONE, "")
    assert (pipeline.path / OUT).read_text(encoding="utf-8") == expected


def test_without_a_schema_a_wrong_value_in_row_200000_makes_the_column_text_and_the_summary_names_it(make: MakePipeline) -> None:
    pipeline = trial(make, long_column(200_001))
    done = pipeline.run()
    assert (done.exit_code, done.stderr) == (EXIT_DONE, "")
    assert "note: numbers: column n is string because of line 200,001: 'abc' is not a number\n" in done.stdout
    assert pipeline.links()["copied"]["columns"] == [{"name": "n", "type": "string"}]
    assert Counter(row["n"] for row in pipeline.rows(OUT)) == {"7": 200_009, "abc": 1}


def test_rejected_rows_are_counted_in_the_summary_and_kept_in_a_link(make: MakePipeline) -> None:
    content = "n,name\n1,x\nno,y\n3\n4,z\n"
    pipeline = trial(make, content, source=", schema: {n: int64, name: string}, on_bad_row: reject")
    done = pipeline.run()
    assert (done.exit_code, done.stderr) == (EXIT_DONE, "")
    assert "numbers: 4 rows read = 2 published + 2 rejected (linkd tail numbers.rejects)\n" in done.stdout
    assert pipeline.rows(OUT) == [{"n": "1", "name": "x"}, {"n": "4", "name": "z"}]
    kept = pipeline.linkd("tail", "numbers.rejects", "-p", pipeline.file.name, "--json")
    assert kept.stdout == (
        '{"file":"numbers.csv","line":3,"column":"n","reason":"\'no\' is not int64","text":"no,y"}\n'
        '{"file":"numbers.csv","line":4,"column":null,"reason":"1 field where the header has 2","text":"3"}\n'
    )


@dataclass(frozen=True, slots=True)
class Failing:
    """A task that cannot do its work, and what is said of it."""

    task: str
    message: str
    shown: str = ""


LOG = "\n  log: .linkd/trial/logs/copy.log"
FAILING = {
    "exits with 1": Failing(
        'run: "echo before; echo oops >&2; exit 1"',
        "task copy exited with code 1\n  command: echo before; echo oops >&2; exit 1\n  its last 2 lines:\n    before\n    oops" + LOG,
        "copy | before\ncopy | oops\n",
    ),
    "is not there": Failing(
        'run: "exec no-such-program --flag 2>/dev/null"',
        "task copy exited with code 127 (there is no such program)\n  command: exec no-such-program --flag 2>/dev/null" + LOG,
    ),
    "is not there, without a shell": Failing(
        "run: [no-such-program, --flag]",
        "task copy could not be started: No such file or directory: no-such-program\n  command: no-such-program --flag",
    ),
}


@pytest.mark.parametrize("case", FAILING.values(), ids=FAILING.keys())
def test_a_program_that_fails_is_told_with_its_last_words_and_exit_code_1(make: MakePipeline, case: Failing) -> None:
    done = trial(make, "n\n1\n", task=case.task).run()
    assert done.stderr == case.message + FIX
    assert done.exit_code == EXIT_TASK_FAILED
    assert case.shown in done.stdout


def test_a_program_that_prints_200_megabytes_drowns_neither_screen_nor_disk(make: MakePipeline) -> None:
    command = """run: "yes 'a line of a hundred bytes, again and again: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' | head -c 200000000" """
    pipeline = trial(make, "n\n1\n", task=command, sink=f"{OUT}, schema: {{n: int64}}")
    done = pipeline.run()
    assert (done.exit_code, done.stderr) == (EXIT_DONE, "")
    assert len(done.stdout) < MIB
    assert " lines more, in " in done.stdout
    sizes = [log.stat().st_size for log in (pipeline.state / "logs").glob("copy.log*")]
    assert len(sizes) <= LOG_FILES_KEPT
    assert max(sizes) <= LOG_FILE_MAX_BYTES


def test_an_output_below_a_file_is_refused_before_anything_starts(make: MakePipeline) -> None:
    pipeline = trial(make, "n\n1\n", sink="notes/copied.csv")
    pipeline.write("notes", "in the way")
    done = pipeline.run()
    assert done.stderr == (
        f"{pipeline.file}: notes/copied.csv cannot be written: {pipeline.path}/notes is a file, not a directory; "
        "move it away or choose another place\n"
    )
    assert (done.exit_code, done.stdout) == (EXIT_USAGE, "")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc, where even root cannot make files")
def test_an_output_directory_that_takes_no_files_is_told_with_the_system_s_reason(make: MakePipeline) -> None:
    done = trial(make, "n\n1\n", sink="/proc/copied.csv").run()
    assert done.stderr == "/proc/copied.csv cannot be written: No such file or directory; choose another place" + FIX
    assert done.exit_code == EXIT_USAGE


def test_state_that_cannot_be_kept_is_told_before_anything_starts(make: MakePipeline) -> None:
    pipeline = trial(make, "n\n1\n")
    pipeline.write(".linkd", "in the way")
    done = pipeline.run()
    assert done.stderr.startswith(f"cannot keep state in {pipeline.state}: Not a directory; make the directory writable")
    assert (done.exit_code, done.stdout) == (EXIT_STATE, "")


def test_state_that_is_damaged_is_told_at_once_by_a_run_and_by_whoever_looks(make: MakePipeline) -> None:
    pipeline = trial(make, "n\n1\n")
    pipeline.state.parent.mkdir()
    open_directory(LocalFiles(), pipeline.state, "id")
    for number in (1, 2):
        (pipeline.state / "journal" / f"{number:016d}.journal").write_bytes(b"what a journal does not begin with")
    for verb in (["run", pipeline.file.name], ["ls"]):
        done = pipeline.linkd(*verb, timeout_s=HOME_START_TIMEOUT_S / 2)
        assert f"{1:016d}.journal, offset 0: the file header is damaged" in done.stderr
        assert (done.exit_code, done.stdout) == (EXIT_STATE, "")


def test_a_second_run_is_refused_by_the_pid_of_the_first(make: MakePipeline) -> None:
    pipeline = trial(make, "n\n1\n", task='run: "echo waiting; sleep 60"', sink=f"{OUT}, schema: {{n: int64}}")
    with pipeline.start("run", pipeline.file.name) as first:
        assert first.stdout is not None
        while "waiting" not in (line := first.stdout.readline()):
            assert line, "the first run ended early"
        second = pipeline.run()
        first.send_signal(signal.SIGINT)
        _, complaint = first.communicate(timeout=30)
    assert second.stderr == f"this pipeline is being run already, by linkd run (pid {first.pid}): wait for it, or end it\n"
    assert (second.exit_code, second.stdout) == (EXIT_STATE, "")
    assert complaint == "interrupted: run again to go on where it stopped\n"
    assert first.returncode == EXIT_INTERRUPTED
