"""`linkd init`: the example is complete, that of the repository, and overwrites nothing."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from typer.testing import CliRunner, Result

from linkd.app.cli.init import EXAMPLE, make_example
from linkd.app.main import command_line
from linkd.errors import UsageFault

ROOT = Path(__file__).resolve().parents[2]
PACKED = Path(str(files("linkd.app"))) / "example"


def linkd(*words: str) -> Result:
    return CliRunner().invoke(command_line(), list(words))


@pytest.mark.parametrize("name", ["flights.yaml", "clean.py"])
def test_the_example_is_that_of_the_repository(name: str) -> None:
    assert (PACKED / name).read_bytes() == (ROOT / "examples" / "flights" / name).read_bytes()


def test_its_flights_are_those_of_january_2013() -> None:
    with zipfile.ZipFile(PACKED / "data" / "flights.csv.zip") as archive, archive.open(archive.namelist()[0]) as raw:
        rows = list(csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline="")))
    assert len(rows) == 27_004
    assert {(row["year"], row["month"]) for row in rows} == {("2013", "1")}
    carriers = {row["carrier"] for row in csv.DictReader((PACKED / "data" / "airlines.csv").read_text().splitlines())}
    assert {row["carrier"] for row in rows} <= carriers


def test_the_wheel_holds_all_of_it() -> None:
    packed = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {path for path in packed if path.startswith("linkd/app/example/")} == {f"linkd/app/example/{name}" for name in EXAMPLE}


def test_a_directory_is_made_and_what_comes_next_is_said(tmp_path: Path) -> None:
    result = linkd("init", str(tmp_path / "a demo"))
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == f"next: cd '{tmp_path}/a demo' && linkd run"
    assert sorted(str(path.relative_to(tmp_path / "a demo")) for path in (tmp_path / "a demo").rglob("*.*")) == sorted(EXAMPLE)
    assert linkd("check", str(tmp_path / "a demo")).exit_code == 0


def test_the_directory_one_is_in_will_do(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        assert json.loads(linkd("init", ".", "--json").stdout) == {"directory": ".", "files": list(EXAMPLE), "next": "linkd run"}
        assert linkd("init", "-q").stdout == ""
    assert (tmp_path / "flights" / "flights.yaml").is_file()


@pytest.mark.parametrize("name", EXAMPLE)
def test_nothing_is_overwritten_and_then_nothing_is_written(tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    place.parent.mkdir(exist_ok=True)
    place.write_text("mine")
    with pytest.raises(UsageFault, match="nothing is overwritten"):
        make_example(tmp_path)
    assert place.read_text() == "mine"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [place]


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "flights").write_text("")
    result = linkd("init", str(tmp_path / "flights"))
    assert result.exit_code == 2
    assert "is a file" in result.stderr
