"""Bounds and budgets as people give them, in the file and on the command line, and how they see them again; and what was committed."""

from __future__ import annotations

import json
from pathlib import Path

from linkd.testing.pipelines import make_pipeline

PIPELINE = """\
pipeline: bounded
wiring: |
  (a[1], b[1], c[1], d[1]) take (taken)
links:
  a: {from: rows.csv, bound: 1KiB}
  b: {from: rows.csv, bound: 2KiB, on_full: drop_oldest}
  c: {from: rows.csv, bound: 3KiB, on_full: drop_newest}
  d: {from: rows.csv, bound: 4KiB, on_full: refuse, retain: {age: 1d, values: 1000}}
tasks:
  take: {run: "python take.py"}
"""
TAKE = """\
import linkd
for snap in linkd.connect().snapshots():
    with snap:
        snap.publish("taken", [{"rows": sum(len(snap[link].rows()) for link in "abcd")}])
"""
BUDGETS = ("--memory", "32MiB", "--disk-budget", "1GiB", "--stall-timeout", "5")


def test_bounds_are_kept_and_shown_and_what_was_committed_is_read_of_a_pipeline_that_stands(tmp_path: Path) -> None:
    with make_pipeline(tmp_path, PIPELINE, {"take.py": TAKE, "rows.csv": "n\n1\n2\n"}) as pipeline:
        ran = pipeline.run(*BUDGETS)
        assert ran.exit_code == 0, ran.stderr
        links = pipeline.links()
        assert {name: (link["bound_bytes"], link["on_full"], link["waiting_bytes"]) for name, link in links.items() if name != "taken"} == {
            "a": (1_024, "block", 0),
            "b": (2_048, "drop_oldest", 0),
            "c": (3_072, "drop_newest", 0),
            "d": (4_096, "refuse", 0),
        }
        assert links["d"]["retain"] == "1d, 1,000 values"
        shown = pipeline.linkd("ls", "-v", "-p", pipeline.file.name).stdout
        assert "drop_oldest (0 B of 2.0 kB)" in shown
        assert "1d, 1,000 values" in shown
        rows = [json.loads(line) for line in pipeline.linkd("cat", "_commits").stdout.splitlines()]
        assert sorted((row["task"], row["kind"]) for row in rows) == [*((link, "source") for link in "abcd"), ("take", "commit")]
        [commit] = [row for row in rows if row["kind"] == "commit"]
        assert [portion["link"] for portion in commit["portions"]] == list("abcd")
        counted = pipeline.linkd("sql", "SELECT count(*) AS commits FROM _commits WHERE kind = 'commit'", "--json")
        assert json.loads(counted.stdout) == {"commits": 1}
        refused = pipeline.run("--memory", "1MiB")
        assert (refused.exit_code, "--memory 1MiB: give at least 16MiB" in refused.stderr) == (2, True)
