"""An edit of one input file of a hundred runs one `each` of a hundred; `--check-cache` runs all of it and names what is not the same twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from linkd.core.memo import REMEMBERED
from linkd.errors import EXIT_BAD_DATA, EXIT_DONE

if TYPE_CHECKING:
    from conftest import MakePipeline

pytestmark = pytest.mark.slow

FILES = 100
STATIONS = """\
pipeline: stations
wiring: |
  (readings) clean  (cleaned)
  (cleaned)  sum_up (totals)
  (people)   salt   (salted)
links:
  readings: {from: "data/*.csv"}
  people: {from: people.csv}
  totals: {to: totals.csv}
tasks:
  clean: {run: "echo ran >> ran.txt; grep -v ,0 $LINKD_IN/readings.csv > $LINKD_OUT/cleaned.csv", each: true, parallel: 4}
  sum_up: {sql: "SELECT station, sum(value) AS total FROM cleaned GROUP BY station"}
  salt: {pipe: "sed s/^/$(date +%N)-/"}
"""


def test_one_edited_file_of_a_hundred_is_worked_at_and_a_check_names_what_differs(make: MakePipeline) -> None:
    files = {f"data/{n:03}.csv": f"station,value\ns{n:03},{n}\ns{n:03},0\n" for n in range(1, FILES + 1)}
    pipeline = make(STATIONS, {**files, "people.csv": "name\nann\n"})
    first = pipeline.run()
    assert first.exit_code == EXIT_DONE, first.stderr
    assert "remembered" not in first.stdout
    assert runs_of(pipeline.path) == FILES

    pipeline.write("data/042.csv", "station,value\ns042,42\nnone,0\n")
    second = pipeline.run("--json")
    assert second.exit_code == EXIT_DONE, second.stderr
    told = json.loads(second.stdout.splitlines()[-1])
    assert (told["remembered"], runs_of(pipeline.path)) == ({"clean": FILES - 1, "sum_up": 1}, FILES + 1)
    assert pipeline.rows("totals.csv") == [{"station": f"s{n:03}", "total": str(n)} for n in range(1, FILES + 1)]
    trace = pipeline.linkd("trace", f"cleaned@{FILES + 41}", "--json").stdout
    [value] = [one for one in json.loads(trace)["ancestors"] if one["depth"] == 0]
    assert value["attributes"][REMEMBERED] == "cleaned@41"
    assert [parent["first_sequence"] for parent in value["parents"]] == [FILES + 41]

    pipeline.write("data/042.csv", "station,value\ns042,1042\n")
    checked = pipeline.run("--check-cache")
    assert checked.exit_code == EXIT_BAD_DATA, checked.stderr
    assert "sum_up: its cache is checked -> run again" in checked.stdout
    assert runs_of(pipeline.path) == 2 * FILES + 1
    assert checked.stderr.splitlines()[0] == "task salt made something else of the same input: salted (1 of 1 remembered outcome)"
    assert pipeline.rows("totals.csv")[41] == {"station": "s042", "total": "1042"}


def runs_of(path: Path) -> int:
    """How often the program ran."""
    return len((path / "ran.txt").read_text(encoding="utf-8").splitlines())
