"""`linkd cat` against a real home: whole values, in every format, to standard output and to files."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

import linkd as client_face
from linkd.app.main import command_line
from linkd.testing.pipelines import clean_environment, open_home


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A home with a link `trips` of three values and 300 rows, in the first of which a column is not decided; and `odd`."""
    with open_home() as address, client_face.connect(address) as client:
        for part in range(3):
            numbers = range(part * 100, (part + 1) * 100)
            client.publish("trips", [{"number": number, "city": None if part == 0 else f"city {number % 7}"} for number in numbers])
        client.publish("odd", [{"text": 'a "b", c', "at": None}, {"text": "", "at": "\x1b[31m"}])
        client.publish("nested", [{"items": [1, 2]}])
        yield address


def linkd(*words: str) -> Result:
    return CliRunner().invoke(command_line(), list(words))


def numbers(result: Result) -> list[int]:
    assert (result.exit_code, result.stderr) == (0, "")
    return [json.loads(line)["number"] for line in result.stdout.splitlines()]


def test_a_link_is_written_as_csv(endpoint: str) -> None:
    result = linkd("cat", "trips", "-p", endpoint)
    lines = result.stdout.splitlines()
    assert (result.exit_code, result.stderr) == (0, "")
    assert (len(lines), lines[:2], lines[-1]) == (301, ["number,city", "0,"], "299,city 5")
    assert linkd("cat", "odd", "-p", endpoint).stdout.splitlines()[:2] == ["text,at", '"a ""b"", c",']


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("trips@2", 100, 199),
        ("trips@last", 200, 299),
        ("trips@2..", 100, 299),
        ("trips@..2", 0, 199),
        ("trips@1..2", 0, 199),
        ("trips@2..2999-01-01", 100, 299),
    ],
)
def test_values_and_ranges_are_named(endpoint: str, name: str, first: int, last: int) -> None:
    assert numbers(linkd("cat", name, "--json", "-p", endpoint)) == list(range(first, last + 1))


def test_a_value_is_found_by_its_id(endpoint: str) -> None:
    with client_face.connect(endpoint) as client:
        identity = client.trace("trips@2").value.id.hex()
    assert numbers(linkd("cat", identity, "--json", "-p", endpoint))[0] == 100


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trips@9",), "there is no value trips@9 (its last is trips@3)"),
        (("trisp",), "did you mean `trips`?"),
        (("trips@3..1",), "trips@3 comes behind trips@1: name the earlier one first"),
        (("trips@x",), "names no value: write LINK@42"),
        (("trips", "--generation", "7"), "trips has no generation 7"),
        (("trips@1", "--generation", "7"), "trips@1 is of generation 1, not 7"),
        (("trips", "--format", "parket"), "did you mean `parquet`?"),
        (("trips", "--format", "csv", "--json"), "--json is --format jsonl"),
        (("0000000000aa",), "no value has an id that begins with"),
    ],
)
def test_what_cannot_be_meant_is_refused(endpoint: str, words: tuple[str, ...], said: str) -> None:
    result = linkd("cat", *words, "-p", endpoint)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_what_csv_cannot_hold_is_refused_by_name(endpoint: str) -> None:
    result = linkd("cat", "nested", "-p", endpoint)
    assert result.exit_code == 3
    assert "nested: column items is list<int64>, which CSV cannot hold" in result.stderr


def test_arrow_and_parquet_go_through_a_pipe(endpoint: str) -> None:
    def piped(kind: str) -> bytes:
        command = [sys.executable, "-m", "linkd", "cat", "trips", "--format", kind, "-p", endpoint]
        return subprocess.run(command, env=clean_environment(), capture_output=True, check=True).stdout

    tables = [pa.ipc.open_stream(piped("arrow")).read_all(), pq.read_table(io.BytesIO(piped("parquet")))]
    for table in tables:
        assert table.column("number").to_pylist() == list(range(300))
        assert table.schema.types == [pa.int64(), pa.string()]


def test_a_file_gets_the_format_of_its_name(endpoint: str, tmp_path: Path) -> None:
    result = linkd("cat", "trips@2..3", "-o", str(tmp_path / "trips.parquet"), "-p", endpoint)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith(f"trips@2..3: 200 rows in {tmp_path}/trips.parquet (")
    assert pq.read_table(tmp_path / "trips.parquet").num_rows == 200
    assert linkd("cat", "trips", "-q", "-o", str(tmp_path / "trips.csv.gz"), "-p", endpoint).stderr == ""
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["trips.csv.gz", "trips.parquet"]


def test_a_file_that_cannot_be_made_leaves_what_was_there(endpoint: str, tmp_path: Path) -> None:
    (tmp_path / "nested.csv").write_text("mine")
    assert linkd("cat", "nested", "-o", str(tmp_path / "nested.csv"), "-p", endpoint).exit_code == 3
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_reader_that_goes_away_is_no_failure(endpoint: str, kind: str) -> None:
    command = f"'{sys.executable}' -m linkd cat trips -p {endpoint} --format {kind} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=clean_environment(), capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_a_value_that_is_a_file_is_written_as_it_is(endpoint: str, tmp_path: Path) -> None:
    source = tmp_path / "photo.jpg"
    source.write_bytes(bytes(range(256)) * 5_000)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.txt").write_text("hello")
    with client_face.connect(endpoint) as client:
        for published in (client_face.File(source), client_face.File(tmp_path / "folder")):
            client.publish("photos", published)
    assert linkd("cat", "photos@1", "-p", endpoint).stdout_bytes == source.read_bytes()
    target = tmp_path / "target.jpg"
    result = linkd("cat", "photos@1", "-o", str(target), "-p", endpoint)
    assert (result.exit_code, result.stderr) == (0, f"photos@1: 1.3 MB in {target}\n")
    assert target.read_bytes() == source.read_bytes()
    assert linkd("cat", "photos@2", "-o", str(tmp_path / "got"), "-p", endpoint).exit_code == 0
    assert (tmp_path / "got/a.txt").read_text() == "hello"
    refused = linkd("cat", "photos@2", "-p", endpoint)
    assert (refused.exit_code, refused.stderr.strip()) == (2, "photos@2 is a directory, folder: name the one to make with -o")
    named = linkd("cat", "photos@1", "--format", "jsonl", "-p", endpoint)
    assert json.loads(named.stdout)["name"] == "photo.jpg"
