"""Versions and fingerprints: what changes them, what does not, and the line that says what changed."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from linkd.app.pipeline_file import load_pipeline
from linkd.app.script_files import script_files
from linkd.app.versions import Versions, changes, file_digest, merged, versions
from linkd.core.pipeline import TaskSpec
from linkd.errors import UsageFault
from linkd.model.records import TaskKind

FILE = """\
pipeline: flights
wiring: |
  (flights)  clean   (flown)
  (flown)    sum_up  (totals)
links:
  flights: {from: flights.csv}
  totals:  {to: totals.csv}
tasks:
  clean:  {run: "python clean.py --config=clean.toml"}
  sum_up: {sql: "SELECT 1 AS one"}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "flights.yaml").write_text(FILE)
    (tmp_path / "clean.py").write_text("import linkd\n")
    (tmp_path / "clean.toml").write_text("a = 1\n")
    return tmp_path


def current(directory: Path) -> Versions:
    return versions(load_pipeline(directory / "flights.yaml"))


def changed(before: Versions, after: Versions) -> dict[str, str]:
    return changes(before.fingerprint, after.fingerprint)


def edited(directory: Path, before: str, after: str) -> dict[str, str]:
    """What has changed, by task, when the pipeline file is edited."""
    old = current(directory)
    path = directory / "flights.yaml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    return changed(old, current(directory))


def run(command: str | tuple[str, ...]) -> TaskSpec:
    return TaskSpec("t", TaskKind.RUN, (), (), command=command)


def test_a_fingerprint_names_all_that_a_run_depends_on(directory: Path) -> None:
    assert set(current(directory).fingerprint) == {
        "setting from of from:flights",
        "setting to of to:totals",
        "command of clean",
        "file clean.py of clean",
        "file clean.toml of clean",
        "wiring of clean",
        "SQL of sum_up",
        "wiring of sum_up",
    }


def test_the_same_files_have_the_same_versions_and_nothing_changed(directory: Path) -> None:
    assert current(directory) == current(directory)
    assert changed(current(directory), current(directory)) == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  (flights)  clean   (flown)", "  (flights) clean (flown)   # all of it"),
        ("links:", "# what comes from files\nlinks:"),
        ('{sql: "SELECT 1 AS one"}', "{sql: SELECT 1 AS one}"),
        ('{sql: "SELECT 1 AS one"}', '{sql: "SELECT 1 AS one", retries: 2, timeout: 10m}'),
    ],
)
def test_comments_white_space_and_how_often_it_is_tried_change_nothing(directory: Path, before: str, after: str) -> None:
    assert edited(directory, before, after) == {}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("(flown)    sum_up", "(flown, extra*)    sum_up", {"sum_up": "its wiring changed"}),
        ("SELECT 1", "SELECT 2", {"sum_up": "its SQL changed"}),
        ("--config=clean.toml", "--config=clean.toml -v", {"clean": "its command changed"}),
        ("--config=clean.toml", "", {"clean": "clean.toml is gone, its command changed"}),
        (
            'clean.toml"}',
            'clean.toml", env: {TZ: UTC}}',
            {"clean": "its environment is new"},
        ),
        ("from: flights.csv", "from: other.csv", {"from:flights": "its `from:` changed"}),
        ("from: flights.csv", "from: flights.csv, nulls: [NA]", {"from:flights": "its `nulls:` is new"}),
        ("from: flights.csv", "from: flights.csv, schema: {a: int64}", {"from:flights": "its `schema:` is new"}),
        ("from: flights.csv", "from: flights.csv, separator: ';'", {"from:flights": "its `separator:` is new"}),
        ("from: flights.csv", "from: flights.csv, on_bad_row: reject", {"from:flights": "its `on_bad_row:` is new"}),
        ("to: totals.csv", "to: totals.csv, mode: append", {"to:totals": "its `mode:` is new"}),
        ("to: totals.csv", "to: totals.csv, schema: {one: int64}", {"sum_up": "the schema of totals is new"}),
        ("  totals:  {to: totals.csv}\n", "", {"to:totals": "its `to:` is gone"}),
        ("sum_up: {", 'sum_up: {version: "2", ', {"sum_up": "its SQL is gone, its version is new"}),
        ("pipeline: flights", "pipeline: flights\nparams: {year: 2013}", {"clean": "its parameters is new"}),
        (
            'clean.toml"}',
            'clean.toml", files: whole}',
            {"clean": "its `files:` is new, its `format:` is new, its wiring changed"},
        ),
    ],
)
def test_an_edit_of_the_pipeline_file_is_named(directory: Path, before: str, after: str, expected: dict[str, str]) -> None:
    assert edited(directory, before, after) == expected


def test_of_files_all_counts_but_how_many_are_worked_on_at_a_time(directory: Path) -> None:
    edited(directory, 'clean.toml"}', 'clean.toml", each: true}')
    assert edited(directory, "each: true", "each: true, parallel: 4") == {}
    assert edited(directory, "parallel: 4", "format: jsonl") == {"clean": "its `format:` changed"}


def test_a_select_depends_on_the_parameters_that_it_names(directory: Path) -> None:
    path = directory / "flights.yaml"
    path.write_text(
        path.read_text().replace("SELECT 1", "SELECT $year").replace("pipeline: flights", "pipeline: flights\nparams: {year: 1, a: 2}")
    )
    assert edited(directory, "year: 1", "year: 3") == {"clean": "its parameters changed", "sum_up": "its parameters changed"}
    assert edited(directory, "a: 2", "a: 4") == {"clean": "its parameters changed"}


def test_an_edited_script_is_named_and_a_touched_one_is_the_same(directory: Path) -> None:
    before = current(directory)
    os.utime(directory / "clean.py", ns=(1, 1))
    assert changed(before, current(directory)) == {}
    (directory / "clean.py").write_text("import linkd  # better\n")
    after = current(directory)
    assert before.tasks["clean"] != after.tasks["clean"]
    assert changed(before, after) == {"clean": "clean.py changed"}


def test_modules_beside_a_script_that_it_imports_are_part_of_its_version(directory: Path) -> None:
    (directory / "clean.py").write_text("import linkd\nimport rules\n\n\ndef main():\n    from parts.times import hour\n")
    (directory / "rules.py").write_text("import limits_of_rules\n")
    (directory / "limits_of_rules.py").write_text("import rules  # a circle\n")
    (directory / "unused.py").write_text("")
    (directory / "parts").mkdir()
    (directory / "parts/__init__.py").write_text("from . import more\n")
    (directory / "parts/times.py").write_text("from .more import minute\n")
    (directory / "parts/more.py").write_text("this is not Python (\n")
    found = script_files(run("python clean.py"), directory)
    assert next(iter(found)) == "clean.py"
    assert set(found) == {"clean.py", "rules.py", "limits_of_rules.py", "parts/__init__.py", "parts/times.py", "parts/more.py"}
    before = current(directory)
    (directory / "parts/more.py").write_text("minute = 60\n")
    assert changed(before, current(directory)) == {"clean": "parts/more.py changed"}


def test_a_module_behind_m_is_a_script(directory: Path) -> None:
    (directory / "job").mkdir()
    (directory / "job/__init__.py").write_text("")
    (directory / "job/__main__.py").write_text("import clean\n")
    assert set(script_files(run("python -m job"), directory)) == {"job/__main__.py"}
    assert set(script_files(run("python -m clean"), directory)) == {"clean.py"}


def test_of_many_changes_three_are_named() -> None:
    before = {f"file l{number}.py of clean": "a" for number in range(5)}
    after = dict.fromkeys(before, "b")
    assert changes(before, after) == {"clean": "l0.py changed, l1.py changed, l2.py changed, and 2 more"}


def test_what_takes_no_part_in_a_run_stays_recorded_as_it_was() -> None:
    before = {"file a.py of a": "1", "file b.py of b": "1", "file c.py of a": "1"}
    after = {"file a.py of a": "2", "file b.py of b": "2"}
    assert merged(before, after, frozenset({"a"})) == {"file a.py of a": "2", "file b.py of b": "1"}


def test_of_a_sink_whose_place_another_one_writes_to_the_place_is_not_recorded_any_more() -> None:
    before = {"setting to of to:a": "out.csv", "setting mode of to:a": "append", "setting to of to:b": "other.csv"}
    after = {"setting to of to:c": "out.csv"}
    assert merged(before, after, frozenset({"to:c"})) == {
        "setting mode of to:a": "append",
        "setting to of to:b": "other.csv",
        "setting to of to:c": "out.csv",
    }


def test_a_version_in_the_file_stands_for_all_the_rest(directory: Path) -> None:
    pipeline = load_pipeline(directory / "flights.yaml")
    task = replace(pipeline.tasks["clean"], version="1.4")
    old = versions(replace(pipeline, tasks={"clean": task}))
    new = versions(replace(pipeline, tasks={"clean": replace(task, version="1.5", command="python other.py")}))
    assert old.tasks == {"clean": "1.4"}
    assert len(versions(pipeline).tasks["clean"]) == 32
    assert changed(old, new) == {"clean": "its version changed"}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python clean.py", ["clean.py"]),
        ("python 'clean.py' --config=clean.toml", ["clean.py", "clean.toml"]),
        ("./clean.py; cat clean.toml", ["./clean.py", "clean.toml"]),
        ("python clean.py|tee clean.toml", ["clean.py", "clean.toml"]),
        ("python clean.py > clean.toml", ["clean.py"]),
        ("python clean.py>>clean.toml 2>&1", ["clean.py"]),
        ("cat < clean.toml", ["clean.toml"]),
        ("python clean.py 'never closed", ["clean.py"]),
        ("python nothing.py", []),
        ("python .", []),
        (("python", "clean.py", "--config=clean.toml"), ["clean.py", "clean.toml"]),
        (("sh", "-c", "python clean.py"), []),
        ("", []),
    ],
)
def test_script_files_are_the_words_that_are_files(directory: Path, command: str | tuple[str, ...], expected: list[str]) -> None:
    assert list(script_files(run(command), directory)) == expected


def test_a_file_too_large_for_a_program_is_no_script(directory: Path) -> None:
    with (directory / "clean.py").open("wb") as file:
        file.truncate(16 * 1024 * 1024)
    assert script_files(run("python clean.py"), directory) == {}


def test_the_same_words_with_and_without_a_shell_are_different_programs(directory: Path) -> None:
    pipeline = load_pipeline(directory / "flights.yaml")
    one = versions(replace(pipeline, tasks={"t": run("python clean.py")}))
    other = versions(replace(pipeline, tasks={"t": run(("python clean.py",))}))
    assert one.tasks != other.tasks


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_script_that_cannot_be_read_is_named(directory: Path) -> None:
    (directory / "clean.py").chmod(0)
    with pytest.raises(UsageFault, match=r"task clean: .*clean\.py, which its command names, cannot be read: Permission denied"):
        current(directory)


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192
    (tmp_path / "big").write_bytes(content)
    assert file_digest(tmp_path / "big") == blake3(content).hexdigest()
