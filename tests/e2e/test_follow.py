"""`linkd run --follow`: sources grow, windows fill, totals are made anew when nothing came for a while; Ctrl-C drains; a kill loses nothing."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import watchfiles

import linkd
from linkd.testing.forked_commands import Command
from linkd.testing.pipelines import PipelineDirectory, make_pipeline

DEADLINE_S = 40.0

PIPELINE = """\
pipeline: live
wiring: |
  (readings)       clean   (cleaned)
  (cleaned[2])     pair    (pairs)
  (cleaned, names) count   (counts)
  (events*, counts latest) judge (verdicts)
links:
  readings: {from: readings.csv, schema: {n: int64}}
  names:    {from: names.parquet}
  counts:   {to: out/counts.csv, every: 200ms}
  pairs:    {to: out/pairs.csv, mode: append}
tasks:
  clean: {run: "python clean.py"}
  pair:  {run: "python pair.py"}
  count: {sql: "SELECT count(*) AS n, sum(cleaned.n) AS total FROM cleaned, names", every: 200ms}
  judge: {run: "python judge.py"}
"""
CLEAN = """\
import linkd
for snap in linkd.connect().snapshots():
    with snap:
        rows = [row for row in snap["readings"].rows() if row["n"] >= 0]
        if rows:
            for row in rows:
                snap.publish("cleaned", [row])
"""
PAIR = """\
import linkd
for snap in linkd.connect().snapshots():
    with snap:
        rows = [row["n"] for row in snap["cleaned"].rows()]
        snap.publish("pairs", [{"low": rows[0], "high": rows[-1], "partial": snap.partial}])
"""
JUDGE = """\
import linkd
for snap in linkd.connect().snapshots():
    with snap:
        totals = [row["total"] for row in snap["counts"].rows()]
        snap.publish("verdicts", [{"at": row["at"], "total": totals[-1]} for row in snap["events"].rows()])
"""


def _files() -> dict[str, str | bytes]:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    names = io.BytesIO()
    pq.write_table(pa.table({"name": ["all"]}), names)
    return {
        "clean.py": CLEAN,
        "pair.py": PAIR,
        "judge.py": JUDGE,
        "readings.csv": "n\n1\n-5\n2\n",
        "names.parquet": names.getvalue(),
    }


@contextmanager
def following(pipeline: PipelineDirectory) -> Iterator[Command]:
    """The run; killed at the end if the test did not end it."""
    with pipeline.start("run", "--follow", pipeline.file.name) as command:
        try:
            yield command
        finally:
            command.kill()


def until(pipeline: PipelineDirectory, command: Command, what: str, holds: Callable[[], bool]) -> None:
    """Waits for a state of the files that the run writes."""
    deadline_s = time.monotonic() + DEADLINE_S
    out = pipeline.path / "out"
    out.mkdir(exist_ok=True)
    for _ in watchfiles.watch(out, debounce=50, step=10, rust_timeout=500, yield_on_timeout=True):
        if holds():
            return
        assert command.poll() is None, f"the run ended while the test waited for {what}: {command.communicate()}"
        assert time.monotonic() < deadline_s, f"{what} did not come about"


def counts_are(pipeline: PipelineDirectory, n: int, total: int) -> Callable[[], bool]:
    def holds() -> bool:
        path = pipeline.path / "out/counts.csv"
        return path.exists() and path.read_text() == f"n,total\n{n},{total}\n"

    return holds


def pairs(pipeline: PipelineDirectory) -> list[list[str]]:
    path = pipeline.path / "out/pairs.csv"
    return [line.split(",") for line in path.read_text().splitlines()[1:]] if path.exists() else []


def add(pipeline: PipelineDirectory, text: str) -> None:
    with (pipeline.path / "readings.csv").open("a") as file:
        file.write(text)


def test_growing_rotated_and_replaced_sources_are_followed_until_ctrl_c_and_a_finite_run_completes_them(tmp_path: Path) -> None:
    with make_pipeline(tmp_path, PIPELINE, _files()) as pipeline:
        readings = tmp_path / "readings.csv"
        with following(pipeline) as command:
            until(pipeline, command, "the first totals", counts_are(pipeline, 2, 3))
            add(pipeline, "3\n4")
            until(pipeline, command, "the whole line, not the half one", counts_are(pipeline, 3, 6))
            add(pipeline, "0\n")
            until(pipeline, command, "the rest of the line", counts_are(pipeline, 4, 46))
            until(pipeline, command, "two pairs", lambda: len(pairs(pipeline)) == 2)
            with linkd.connect(str(pipeline.file)) as client:
                client.publish("events", [{"at": 1}])
                verdict = next(iter(client.read("verdicts", follow=True)))
                assert verdict.rows() == [{"at": 1, "total": 46}], "the newest complete totals"
            readings.replace(tmp_path / "readings.csv.1")
            readings.write_text("n\n50\n")
            until(pipeline, command, "the rotated file", counts_are(pipeline, 5, 96))
            readings.write_text("")
            add(pipeline, "n\n60\n")
            until(pipeline, command, "the file that was cut to nothing", counts_are(pipeline, 6, 156))
            command.send_signal(signal.SIGINT)
            _, stderr = command.communicate(timeout=DEADLINE_S)
        assert command.returncode == 130, stderr
        assert [pair[:2] for pair in pairs(pipeline)] == [["1", "2"], ["3", "40"], ["50", "60"]]
        finished = pipeline.run()
        assert finished.exit_code == 0, finished.stderr
        assert (tmp_path / "out/counts.csv").read_text() == "n,total\n6,156\n"
        with linkd.connect(str(pipeline.file)) as client:
            assert [value.rows() for value in client.read("readings")][-1] == [{"n": 60}], "the end of a source is no value"
        assert pipeline.run().stdout.startswith("Nothing to do")


def test_a_killed_run_that_follows_goes_on_without_a_row_lost_or_twice(tmp_path: Path) -> None:
    with make_pipeline(tmp_path, PIPELINE, _files()) as pipeline:
        with following(pipeline) as command:
            until(pipeline, command, "the first totals", counts_are(pipeline, 2, 3))
            add(pipeline, "3\n")
            until(pipeline, command, "the third row", counts_are(pipeline, 3, 6))
            command.kill()
            command.communicate(timeout=DEADLINE_S)
        add(pipeline, "4\n5\n")
        with following(pipeline) as command:
            until(pipeline, command, "what came while nobody looked", counts_are(pipeline, 5, 15))
            until(pipeline, command, "the window that was half full", lambda: len(pairs(pipeline)) == 2)
            command.send_signal(signal.SIGTERM)
            command.communicate(timeout=DEADLINE_S)
        assert [pair[:2] for pair in pairs(pipeline)] == [["1", "2"], ["3", "4"]]


def test_a_source_without_rows_that_was_followed_in_between_is_completed_by_a_run_that_ends(tmp_path: Path) -> None:
    text = "pipeline: notes\nlinks:\n  notes: {from: notes.csv, to: out/notes.csv}\n  marks: {from: marks.csv, to: out/marks.csv, every: 100ms}\n"
    with make_pipeline(tmp_path, text, {"notes.csv": "note\n", "marks.csv": "n\n1\n"}) as pipeline:
        assert pipeline.run().exit_code == 0
        with following(pipeline) as command:
            with (tmp_path / "marks.csv").open("a") as file:
                file.write("2\n")
            until(pipeline, command, "the second mark", lambda: (tmp_path / "out/marks.csv").read_text() == "n\n1\n2\n")
            command.send_signal(signal.SIGINT)
            command.communicate(timeout=DEADLINE_S)
        finished = pipeline.run()
        assert finished.exit_code == 0, finished.stderr
        assert (tmp_path / "out/notes.csv").read_text() == "note\n"
        assert pipeline.run().stdout.startswith("Nothing to do")
