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


def test_bytes_and_files_are_values_as_they_are(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    text = "pipeline: blobs\nwiring: |\n  (blobs*, files*)  t  (out)\ntasks: {t: {sql: SELECT 1 AS n}}\n"
    large = bytes(range(256)) * (33 * 4096) + b"end"
    (tmp_path / "large.bin").write_bytes(large)
    (tmp_path / "folder").mkdir()
    with make_pipeline(tmp_path_factory.mktemp("blobs"), text) as blobs:
        for file, more in (("-", b"small, "), (str(tmp_path / "large.bin"), None)):
            assert linkd(blobs, "append", "blobs", file, "--format", "raw", stdin=more).exit_code == 0
        told = linkd(blobs, "cat", "blobs", "--format", "raw", "-o", str(tmp_path / "all"))
        assert (told.exit_code, told.stderr) == (0, f"blobs, generation 1: 35 MB in {tmp_path}/all\n")
        assert (tmp_path / "all").read_bytes() == b"small, " + large
        assert linkd(blobs, "cat", "blobs@1", "--format", "raw").stdout == "small, "
        for name in ("large.bin", "folder"):
            assert linkd(blobs, "append", "files", str(tmp_path / name), "--format", "file").exit_code == 0
        assert linkd(blobs, "ls").stderr == "blobs: has not run yet; 35 MB in artifacts\n"
        assert linkd(blobs, "cat", "files@1", "--format", "raw", "-o", str(tmp_path / "got")).exit_code == 0
        assert (tmp_path / "got").read_bytes() == large
        for words, message in (
            (
                ("append", "blobs", str(tmp_path / "folder"), "--format", "raw"),
                "is a directory, which has no bytes: append it with --format",
            ),
            (("append", "files", "--format", "file"), "which file? linkd append files FILE --format file, or --format raw"),
            (("cat", "files@2", "--format", "raw"), "files@2 is a directory, folder, which has no bytes: name the one to make with -o"),
        ):
            refused = linkd(blobs, *words, stdin=b"")
            assert refused.exit_code != 0
            assert message in refused.stderr


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
