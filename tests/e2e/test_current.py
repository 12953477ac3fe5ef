"""Every output is made current and nothing else runs: one pipeline through a day of edits."""

from __future__ import annotations

import json
from pathlib import Path

from linkd.testing.pipelines import PipelineDirectory, make_pipeline

PIPELINE = """\
pipeline: day
params: {least: 2}
wiring: |
  (numbers)       double  (doubled)
  (doubled)       count   (counts)
  (counts, names) report  (reports)
links:
  numbers: {from: numbers.csv}
  names:   {from: names.csv}
  reports: {to: out/reports.csv}
tasks:
  double: {run: "python double.py --least ${params.least}"}
  count:  {sql: "SELECT count(*) AS n FROM doubled"}
  report: {sql: "SELECT name, n FROM counts, names"}
"""
DOUBLE = """\
import sys

import linkd
import rules

for snap in linkd.connect().snapshots():
    with snap:
        snap.publish("doubled", [rules.doubled(row) for row in snap["numbers"].rows() if row["n"] >= int(sys.argv[-1])])
print("double ran")
"""
RULES = "def doubled(row):\n    return {'n': 2 * row['n']}\n"


def _first_line(pipeline: PipelineDirectory, *words: str) -> str:
    finished = pipeline.run(*words)
    assert finished.exit_code == 0, finished.stderr
    return finished.stdout.splitlines()[0]


def _generations(pipeline: PipelineDirectory) -> dict[str, int]:
    return {name: link["read"]["generation"] for name, link in pipeline.links().items()}


def test_a_day_of_edits(tmp_path: Path) -> None:
    files = {"double.py": DOUBLE, "rules.py": RULES, "numbers.csv": "n\n1\n2\n3\n", "names.csv": "name\nall\n"}
    with make_pipeline(tmp_path, PIPELINE, files) as pipeline:
        _dry_run_of_a_first_run(pipeline)
        assert _first_line(pipeline, "--only", "doubled") == ("numbers: first run -> read again; double: first run -> run again"), (
            "what nobody asked for is not spoken of"
        )
        assert not (tmp_path / "out/reports.csv").exists()
        assert _first_line(pipeline) == (
            "names: new -> read again; count: new -> run again; report: new -> run again; reports: new -> written again; "
            "numbers: unchanged; double: unchanged"
        )
        assert (tmp_path / "out/reports.csv").read_text() == "name,n\nall,2\n"
        _an_imported_module(pipeline)
        _a_source_and_a_parameter(pipeline)
        _reset(pipeline)


def _dry_run_of_a_first_run(pipeline: PipelineDirectory) -> None:
    shown = pipeline.run("--dry-run")
    assert shown.exit_code == 0
    assert "double: first run -> run again (python double.py --least 2" in shown.stdout or "double: first run" in shown.stdout
    assert not (pipeline.state / "home.json").exists()
    told = json.loads(pipeline.run("--dry-run", "--json").stdout)
    assert {step["task"]: step["action"] for step in told["plan"]} == dict.fromkeys(
        ("from:numbers", "from:names", "double", "count", "report", "to:reports"), "begin"
    )


def _an_imported_module(pipeline: PipelineDirectory) -> None:
    pipeline.write("rules.py", RULES.replace("2 *", "20 *"))
    assert _first_line(pipeline).startswith(
        "double: rules.py changed -> run again; count: its input doubled changes; report: its input counts changes; "
    )
    assert _generations(pipeline) == {"numbers": 1, "names": 1, "doubled": 2, "counts": 2, "reports": 2}
    assert pipeline.run().stdout.startswith("Nothing to do (")


def _a_source_and_a_parameter(pipeline: PipelineDirectory) -> None:
    pipeline.write("names.csv", "name\nevery\n")
    assert _first_line(pipeline, "-s", "least=3") == (
        "names: names.csv changed -> read again; double: its command changed, its parameters changed -> run again; "
        "count: its input doubled changes; report: its inputs counts, names change; numbers: unchanged"
    )
    assert (pipeline.path / "out/reports.csv").read_text() == "name,n\nevery,1\n"
    for word, message in (("lest=3", "did you mean `least`?"), ("least=x", "least"), ("least", "write -s NAME=VALUE")):
        refused = pipeline.run("-s", word)
        assert refused.exit_code == 2
        assert message in refused.stderr
    assert pipeline.run("--only", "reprts").exit_code == 2


def _reset(pipeline: PipelineDirectory) -> None:
    assert _first_line(pipeline, "--reset") == "day: first run"
    assert set(_generations(pipeline).values()) == {1}
