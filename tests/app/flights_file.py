"""The pipeline file of the flights, and what a person reads about one with something wrong in it."""

from pathlib import Path
from textwrap import dedent

import pytest

from linkd.app.pipeline_file import load_pipeline
from linkd.errors import EXIT_USAGE, PipelineFileInvalid

GOOD = """\
pipeline: flights
wiring: |
  (flights)          clean   (flown, cancelled)
  (flown, airlines)  sum_up  (totals)
links:
  flights:  {from: data/flights.csv.zip, nulls: [NA]}
  airlines: {from: data/airlines.csv}
  totals:   {to: out/totals.csv}
tasks:
  clean:  {run: "python clean.py"}
  sum_up: {sql: "SELECT 1 AS one"}
"""


def message(directory: Path, content: str | bytes) -> str:
    """What a person reads about a file, with the directory taken out of it."""
    path = directory / "flights.yaml"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(PipelineFileInvalid) as caught:
        load_pipeline(path)
    assert caught.value.exit_code == EXIT_USAGE
    return str(caught.value).replace(f"{directory}/", "")


def shown(text: str) -> str:
    return dedent(text).strip("\n")
