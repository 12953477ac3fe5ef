"""`linkd append` to a pipeline that does not run: the rows of a file or of standard input, all of them or none."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from linkd.app.main import command_line
from linkd.testing.pipelines import PipelineDirectory, make_pipeline

PIPELINE = """\
pipeline: orders
wiring: |
  (events*, typed*)  join_up  (totals)
links:
  typed: {schema: {code: string, at: "timestamp[s, UTC]"}}
tasks:
  join_up: {sql: "SELECT count(*) AS n FROM events CROSS JOIN typed"}
"""


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PipelineDirectory]:
    with make_pipeline(tmp_path_factory.mktemp("orders"), PIPELINE) as made:
        yield made


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Two rows whose codes are names."""
    path = tmp_path / "rows.csv"
    path.write_text("code,at\n007,2026-01-01T10:00:00Z\n008,2026-01-02T10:00:00Z\n")
    return path


def linkd(orders: PipelineDirectory, *words: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(command_line(), [*words, "-p", str(orders.file)], input=stdin)


def held(orders: PipelineDirectory, link: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in linkd(orders, "cat", link, "--json").stdout.splitlines()]


def test_rows_of_a_file_and_of_standard_input_are_appended(orders: PipelineDirectory, rows: Path) -> None:
    result = linkd(orders, "append", "typed", str(rows))
    assert (result.exit_code, result.stdout, result.stderr) == (0, "2 rows appended to typed (typed@1)\n", "")
    told = linkd(orders, "append", "typed", "--json", stdin=b'{"code": "x", "at": null}\n')
    assert json.loads(told.stdout) == {"link": "typed", "rows": 1, "first": 2, "last": 2, "generation": 1, "durability": "fsync"}
    parquet = io.BytesIO()
    pq.write_table(pa.table({"at": pa.array([None], pa.timestamp("s", "UTC")), "code": ["p"]}), parquet)
    assert linkd(orders, "append", "typed", "-", "-q", stdin=parquet.getvalue()).stdout == ""
    assert [row["code"] for row in held(orders, "typed")] == ["007", "008", "x", "p"]
    assert "lines 2 to 3" in linkd(orders, "trace", "typed@1").stdout


def test_a_link_without_a_schema_gets_the_types_that_the_whole_file_suggests(orders: PipelineDirectory, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("n,m\n" + "1,2\n" * 70_000 + "1,x\n")
    assert linkd(orders, "append", "events", str(tmp_path / "events.csv")).stdout == "70,001 rows appended to events (events@1..2)\n"
    last = held(orders, "events@last")
    assert (len(last), last[0], last[-1]) == (70_001 - 65_536, {"n": 1, "m": "2"}, {"n": 1, "m": "x"})


def test_one_row_that_does_not_fit_keeps_all_of_them_away(orders: PipelineDirectory, rows: Path) -> None:
    before = held(orders, "typed")
    rows.write_text(rows.read_text() + "009,yesterday\n010,today\n")
    result = linkd(orders, "append", "typed", str(rows))
    assert (result.exit_code, result.stdout) == (3, "")
    place = f"{rows}:4: column at: 'yesterday' is not timestamp[s, UTC]"
    assert result.stderr == f"{place}; 2 of 4 rows do not fit; nothing was appended: correct the file and try again\n"
    assert "standard input:3: " in linkd(orders, "append", "typed", stdin=b"code,at\na,\nb\n").stderr
    assert held(orders, "typed") == before


def test_other_columns_are_refused(orders: PipelineDirectory, rows: Path) -> None:
    result = linkd(orders, "append", "typed", stdin=b"code\n1\n")
    assert result.exit_code == 3
    assert "standard input lacks at" in result.stderr
    assert "(as typed has them); nothing was appended" in result.stderr


def test_a_link_of_the_pipeline_itself_is_refused_with_the_remedy(orders: PipelineDirectory, rows: Path) -> None:
    result = linkd(orders, "append", "totals", str(rows))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "write `totals*` in the wiring" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("tpyed", "x.csv"), "did you mean `typed`?"),
        (("typed", "x.csv"), "x.csv does not exist"),
        (("typed", "x", "--format", "toml"), "`toml`"),
    ],
)
def test_what_is_not_there_is_refused(orders: PipelineDirectory, words: tuple[str, ...], said: str) -> None:
    result = linkd(orders, "append", *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_no_rows_append_nothing(orders: PipelineDirectory) -> None:
    assert linkd(orders, "append", "typed", stdin=b"code,at\n").stdout == "no rows: nothing was appended to typed\n"
