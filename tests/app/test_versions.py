"""Versions and fingerprints: what changes them, what does not, and the line that says what changed."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from blake3 import blake3

from linkd.app.pipeline_file import load_pipeline
from linkd.app.versions import SourceStat, explain, file_digest, fingerprint, script_files, source_stat, task_version
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


def current(directory: Path) -> dict[str, str]:
    return fingerprint(load_pipeline(directory / "flights.yaml"))


def edited(directory: Path, before: str, after: str) -> str:
    """What `explain` says when the pipeline file is edited."""
    old = current(directory)
    path = directory / "flights.yaml"
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    return explain(old, current(directory))


def run(command: str | tuple[str, ...]) -> TaskSpec:
    return TaskSpec("t", TaskKind.RUN, (), (), command=command)


def test_a_fingerprint_names_all_that_a_run_depends_on(directory: Path) -> None:
    assert set(current(directory)) == {
        "wiring",
        "link flights",
        "link totals",
        "task clean",
        "command of task clean",
        "file clean.py of task clean",
        "file clean.toml of task clean",
        "task sum_up",
        "sql of task sum_up",
    }


def test_the_same_files_have_the_same_fingerprint_and_nothing_to_explain(directory: Path) -> None:
    assert current(directory) == current(directory)
    assert explain(current(directory), current(directory)) == ""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  (flights)  clean   (flown)", "  (flights) clean (flown)   # all of it"),
        ("links:", "# what comes from files\nlinks:"),
        ('{sql: "SELECT 1 AS one"}', "{sql: SELECT 1 AS one}"),
    ],
)
def test_comments_and_white_space_change_nothing(directory: Path, before: str, after: str) -> None:
    assert edited(directory, before, after) == ""


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("(flown)    sum_up", "(flown, extra*)    sum_up", "the wiring changed"),
        ("SELECT 1", "SELECT 2", "the SQL of sum_up changed"),
        ("--config=clean.toml", "--config=clean.toml -v", "the command of clean changed"),
        ("--config=clean.toml", "", "the command of clean changed, clean.toml is gone"),
        ("from: flights.csv", "from: other.csv", "link flights changed"),
        ("from: flights.csv", "from: flights.csv, nulls: [NA]", "link flights changed"),
        ("from: flights.csv", "from: flights.csv, schema: {a: int64}", "link flights changed"),
        ("from: flights.csv", "from: flights.csv, on_bad_row: reject", "link flights changed"),
        ("  totals:  {to: totals.csv}\n", "", "link totals is gone"),
        ("  totals:  {to: totals.csv}\n", "  totals:  {to: totals.csv}\n  flown: {to: flown.csv}\n", "link flown is new"),
        ("sum_up: {", 'sum_up: {version: "2", ', "the SQL of sum_up is gone, the version of sum_up is new"),
        ("sum_up", "add_up", "the wiring changed, task add_up is new, task sum_up is gone"),
    ],
)
def test_an_edit_of_the_pipeline_file_is_named(directory: Path, before: str, after: str, expected: str) -> None:
    assert sorted(edited(directory, before, after).split(", ")) == sorted(expected.split(", "))


def test_an_edited_script_is_named(directory: Path) -> None:
    before = current(directory)
    (directory / "clean.py").write_text("import linkd  # better\n")
    after = current(directory)
    assert before["task clean"] != after["task clean"]
    assert explain(before, after) == "clean.py changed"


def test_a_touched_script_is_the_same(directory: Path) -> None:
    before = current(directory)
    os.utime(directory / "clean.py", ns=(1, 1))
    assert explain(before, current(directory)) == ""


def test_what_the_caller_added_is_named_too() -> None:
    assert explain({"source flights": "a"}, {"source flights": "b"}) == "source flights changed"
    assert explain({"file flights.csv of link flights": "a"}, {"file flights.csv of link flights": "b"}) == "flights.csv changed"


def test_of_many_changes_three_are_named() -> None:
    before = {f"link l{number}": "a" for number in range(5)}
    after = dict.fromkeys(before, "b")
    assert explain(before, after) == "link l0 changed, link l1 changed, link l2 changed, and 2 more"


def test_a_version_in_the_file_stands_for_all_the_rest(directory: Path) -> None:
    pipeline = load_pipeline(directory / "flights.yaml")
    task = replace(pipeline.tasks["clean"], version="1.4")
    assert task_version(task, directory) == "1.4"
    assert len(task_version(pipeline.tasks["clean"], directory)) == 32
    old = fingerprint(replace(pipeline, tasks={"clean": task}))
    new = fingerprint(replace(pipeline, tasks={"clean": replace(task, version="1.5", command="python other.py")}))
    assert explain(old, new) == "the version of clean changed"


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
    assert task_version(run("python clean.py"), directory) != task_version(run(("python clean.py",)), directory)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_script_that_cannot_be_read_is_named(directory: Path) -> None:
    (directory / "clean.py").chmod(0)
    with pytest.raises(UsageFault, match=r"task t: .*clean\.py, which its command names, cannot be read: Permission denied"):
        task_version(run("python clean.py"), directory)


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192
    (tmp_path / "big").write_bytes(content)
    assert file_digest(tmp_path / "big") == blake3(content).hexdigest()


def test_the_stat_of_a_source_is_that_of_the_file_behind_links(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    os.utime(tmp_path / "a", ns=(5, 7))
    (tmp_path / "b").symlink_to(tmp_path / "a")
    assert source_stat(tmp_path / "b") == SourceStat(3, 7, (tmp_path / "a").stat().st_ino)
