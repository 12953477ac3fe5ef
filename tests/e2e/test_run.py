"""`linkd run`, as people use it: run, change, run again."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import linkd
from linkd.testing.pipelines import PipelineDirectory, make_pipeline
from linkd.testing.plain_arrow import rows_in_segments

COPY = """\
pipeline: copy
wiring: |
  (numbers) double (doubled)
links:
  numbers: {from: numbers.csv}
  doubled: {to: out/doubled.csv}
tasks:
  double: {run: "python double.py"}
"""
DOUBLE = """\
import linkd
for snap in linkd.connect().snapshots():
    with snap:
        snap.publish("doubled", [{"n": row["n"], "twice": 2 * row["n"]} for row in snap["numbers"].rows()])
"""


def _copy(directory: Path) -> PipelineDirectory:
    return make_pipeline(directory, COPY, {"double.py": DOUBLE, "numbers.csv": "n\n1\n2\n3\n"})


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the pipeline has been run once."""
    directory = tmp_path_factory.mktemp("ran")
    with _copy(directory) as pipeline:
        first = pipeline.run()
        assert first.exit_code == 0, first.stderr
        assert first.stdout.splitlines()[0] == "copy: first run"
    return directory


@pytest.fixture
def moved(ran: Path, tmp_path: Path) -> Iterator[PipelineDirectory]:
    """The same at another place: state moves with its project."""
    with PipelineDirectory(Path(shutil.copytree(ran, tmp_path / "moved")), "copy") as pipeline:
        yield pipeline


def test_a_first_run_makes_every_output_and_a_second_has_nothing_to_do(moved: PipelineDirectory) -> None:
    assert (moved.path / "out/doubled.csv").read_text() == "n,twice\n1,2\n2,4\n3,6\n"
    kept = moved.path / ".linkd" / "copy"
    assert rows_in_segments(kept, "numbers") == [{"n": 1}, {"n": 2}, {"n": 3}], "what is kept is there for any Arrow program"
    assert rows_in_segments(kept, "doubled") == [{"n": n, "twice": 2 * n} for n in (1, 2, 3)]
    second = moved.run()
    assert second.exit_code == 0
    assert second.stdout.startswith("Nothing to do (")


def test_a_changed_program_runs_again_and_the_first_line_says_so(moved: PipelineDirectory) -> None:
    moved.write("double.py", DOUBLE.replace("2 * row", "20 * row"))
    again = moved.run()
    assert again.exit_code == 0, again.stderr
    assert again.stdout.splitlines()[0] == "double: double.py changed -> run again; numbers: unchanged"
    assert [row["twice"] for row in moved.rows("out/doubled.csv")] == ["20", "40", "60"]
    assert moved.links()["doubled"]["read"]["generation"] == 2


def test_a_changed_source_starts_again_and_a_touched_one_does_not(moved: PipelineDirectory) -> None:
    moved.write("numbers.csv", "n\n1\n2\n3\n")
    assert moved.run().stdout.startswith("Nothing to do")
    moved.write("numbers.csv", "n\n7\n")
    again = moved.run()
    assert again.stdout.splitlines()[0] == "numbers: numbers.csv changed -> read again; double: its input numbers changes"
    assert moved.rows("out/doubled.csv") == [{"n": "7", "twice": "14"}]


def test_a_task_with_other_wires_runs_again(moved: PipelineDirectory) -> None:
    moved.write("copy.yaml", COPY.replace("double (doubled)", "double (doubled, spare)"))
    again = moved.run()
    assert again.exit_code == 0, again.stderr
    assert again.stdout.splitlines()[0] == "double: its wiring changed -> run again; numbers: unchanged"


def test_an_output_file_that_is_gone_is_written_again_and_nothing_else_runs(moved: PipelineDirectory) -> None:
    (moved.path / "out/doubled.csv").unlink()
    again = moved.run()
    assert again.exit_code == 0, again.stderr
    assert (
        again.stdout.splitlines()[0]
        == "doubled: out/doubled.csv is not there any more -> written again; numbers: unchanged; double: unchanged"
    )
    assert len(moved.rows("out/doubled.csv")) == 3
    assert moved.links()["doubled"]["read"]["generation"] == 1


def test_a_notebook_that_reads_makes_way_for_a_run_and_reads_on(moved: PipelineDirectory) -> None:
    with linkd.connect(str(moved.file)) as client:
        assert len(client.read("doubled").rows()) == 3
        moved.write("numbers.csv", "n\n7\n")
        finished = moved.run()
        assert finished.exit_code == 0, finished.stderr
        assert client.read("doubled").rows() == [{"n": 7, "twice": 14}]


def test_a_failed_task_says_what_happened_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with _copy(tmp_path) as pipeline:
        broken = "import sys\nprint('about to fail')\nsys.exit(3)\n"
        pipeline.write("double.py", broken)
        failed = pipeline.run()
        assert failed.exit_code == 1
        for part in (
            "task double exited with code 3",
            "command: python double.py",
            "its last line:\n    about to fail",
            "log: .linkd/copy/logs/double.log",
            "fix it, then: linkd run copy.yaml",
        ):
            assert part in failed.stderr, failed.stderr
        pipeline.write("double.py", DOUBLE)
        mended = pipeline.run()
        assert mended.exit_code == 0, mended.stderr
        assert len(pipeline.rows("out/doubled.csv")) == 3


def test_a_run_that_failed_without_a_change_goes_on_where_it_stopped(tmp_path: Path) -> None:
    give_up = "    if not os.path.exists('mended'):\n        sys.exit(1)\n"  # with a value in hand, and so behind the end of the source
    program = "import os, sys\n" + DOUBLE.replace("    with snap:\n", f"{give_up}    with snap:\n")
    with _copy(tmp_path) as pipeline:
        pipeline.write("double.py", program)
        assert pipeline.run().exit_code == 1
        pipeline.write("mended", "")
        again = pipeline.run()
        assert again.exit_code == 0, again.stderr
        assert "double: not complete -> goes on" in again.stdout.splitlines()[0]
        assert pipeline.links()["numbers"]["read"]["generation"] == 1


def test_ctrl_c_ends_politely_and_the_next_run_goes_on(tmp_path: Path) -> None:
    waiting = """\
import os, threading
print("started", flush=True)
if not os.path.exists("go"):
    threading.Event().wait()
"""
    with _copy(tmp_path) as pipeline:
        pipeline.write("double.py", waiting + DOUBLE)
        with pipeline.start("run", "copy.yaml") as command:
            assert command.stdout is not None
            while "started" not in command.stdout.readline():
                assert command.poll() is None
            command.send_signal(signal.SIGINT)
            _, stderr = command.communicate(timeout=30)
        assert command.returncode == 130
        assert "interrupted: run again to go on where it stopped" in stderr
        pipeline.write("go", "")
        again = pipeline.run()
        assert again.exit_code == 0, again.stderr


def test_a_whole_task_in_python_sees_everything_at_once(tmp_path: Path) -> None:
    text = COPY.replace("(numbers) double", "(numbers whole) double")
    program = """\
import linkd
for snap in linkd.connect().snapshots():
    with snap:
        rows = snap["numbers"].rows()
        snap.publish("doubled", [{"n": len(rows), "twice": sum(row["n"] for row in rows)}])
"""
    with make_pipeline(tmp_path, text, {"double.py": program, "numbers.csv": "n\n1\n2\n3\n"}) as pipeline:
        finished = pipeline.run()
        assert finished.exit_code == 0, finished.stderr
        assert pipeline.rows("out/doubled.csv") == [{"n": "3", "twice": "6"}]


def test_a_task_without_inputs_gets_one_empty_snapshot(tmp_path: Path) -> None:
    text = 'pipeline: made\nwiring: |\n  () make (numbers)\nlinks:\n  numbers: {to: n.csv}\ntasks:\n  make: {run: "python make.py"}\n'
    program = "import linkd\nfor snap in linkd.connect().snapshots():\n    with snap:\n        snap.publish('numbers', {'n': [1, 2]})\n"
    with make_pipeline(tmp_path, text, {"make.py": program}) as pipeline:
        finished = pipeline.run()
        assert finished.exit_code == 0, finished.stderr
        assert (tmp_path / "n.csv").read_text() == "n\n1\n2\n"


def test_publishing_past_the_snapshot_is_not_allowed_and_names_the_remedy(tmp_path: Path) -> None:
    with _copy(tmp_path) as pipeline:
        pipeline.write("double.py", "import linkd\nlinkd.connect().publish('doubled', [{'n': 1}])\n")
        failed = pipeline.run()
        assert failed.exit_code == 1
        assert "NotAllowed" in failed.stderr
        assert "with snap" in failed.stderr


def test_a_sql_task_over_an_input_that_got_nothing_says_what_to_give(tmp_path: Path) -> None:
    text = """\
pipeline: nothing
wiring: |
  (numbers) drop (flown)
  (flown)   count (counted)
links:
  numbers: {from: numbers.csv}
tasks:
  drop:  {run: "python drop.py"}
  count: {sql: "SELECT count(*) AS n FROM flown"}
"""
    program = "import linkd\nfor snap in linkd.connect().snapshots():\n    with snap:\n        pass\n"
    with make_pipeline(tmp_path, text, {"drop.py": program, "numbers.csv": "n\n1\n"}) as pipeline:
        failed = pipeline.run()
        assert failed.exit_code == 1
        assert "flown has no columns: nothing was published to it; give links.flown.schema" in failed.stderr
        pipeline.write("nothing.yaml", text.replace("tasks:", "  flown: {schema: {n: int64}}\ntasks:", 1))
        mended = pipeline.run()
        assert mended.exit_code == 0, mended.stderr
        told = pipeline.linkd("sql", "SELECT n FROM counted", "--json")
        assert json.loads(told.stdout) == {"n": 0}


def test_values_appended_by_outsiders_are_read_and_more_of_them_start_it_again(tmp_path: Path) -> None:
    text = """\
pipeline: appended
wiring: |
  (events*) count (counted)
links:
  counted: {to: counted.csv}
tasks:
  count: {sql: "SELECT count(*) AS n FROM events"}
"""
    with make_pipeline(tmp_path, text) as pipeline:
        with linkd.connect(str(pipeline.file)) as client:
            client.publish("events", [{"at": 1}, {"at": 2}])
        finished = pipeline.run()
        assert finished.exit_code == 0, finished.stderr
        assert (tmp_path / "counted.csv").read_text() == "n\n2\n"
        assert pipeline.run().stdout.startswith("Nothing to do")
        with linkd.connect(str(pipeline.file)) as client:
            client.publish("events", [{"at": 3}])
        again = pipeline.run()
        assert again.stdout.splitlines()[0] == "count: its input events grew"
        assert (tmp_path / "counted.csv").read_text() == "n\n3\n"


def test_a_second_run_is_refused_naming_the_first(tmp_path: Path) -> None:
    with _copy(tmp_path) as pipeline:
        pipeline.write("double.py", "import threading\nprint('started', flush=True)\nthreading.Event().wait()\n")
        with pipeline.start("run", "copy.yaml") as command:
            assert command.stdout is not None
            while "started" not in command.stdout.readline():
                assert command.poll() is None
            second = pipeline.run()
            command.send_signal(signal.SIGTERM)
            command.communicate(timeout=30)
        assert second.exit_code == 4
        assert f"this pipeline is being run already, by linkd run (pid {command.pid})" in second.stderr


def test_what_a_commit_publishes_may_be_of_any_size_and_any_frame(tmp_path: Path) -> None:
    text = COPY.replace("(doubled)", "(doubled, large)")
    program = """\
import linkd
import pandas as pd
import pyarrow as pa
frame = pd.DataFrame({"n": [1.0, float("nan")], "twice": [2, 4]}, index=pd.Index([7, 8], name="key"))
for snap in linkd.connect().snapshots():
    with snap:
        snap.publish("large", {"x": pa.repeat(1, 9_000_000)})
        snap.publish("doubled", frame)
        snap.publish("doubled", frame.iloc[:0])
"""
    with make_pipeline(tmp_path, text, {"double.py": program, "numbers.csv": "n\n1\n"}) as pipeline:
        finished = pipeline.run()
        assert finished.exit_code == 0, finished.stderr
        large = pipeline.links()["large"]["read"]
        assert (large["rows"], large["values"]) == (9_000_000, 2), "72 MB are more than one value may have"
        assert (tmp_path / "out/doubled.csv").read_text() == "n,twice,key\n1,2,7\n,4,8\n"
