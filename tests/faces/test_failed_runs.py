"""The files of runs that failed: kept for people, a few of them, and never large ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from linkd.core.pipeline import FileTerms
from linkd.faces.files.directories import RunDirectories
from linkd.faces.files.failed_runs import keep, kept_runs
from linkd.faces.files.work import FileTask
from linkd.limits import FAILED_RUN_KEPT_MAX_BYTES, FAILED_RUNS_KEPT


@pytest.fixture
def task(tmp_path: Path) -> FileTask:
    terms = FileTerms({"a": "whole"}, {"a": "csv"})
    failed = tmp_path / "failed"
    return FileTask("score", ("sh", "score.sh"), tmp_path, terms, ("a",), (), tmp_path, failed, {}, tmp_path / "p.yaml")


def test_the_newest_are_kept_and_a_later_attempt_takes_the_place_of_an_earlier_one(task: FileTask, tmp_path: Path) -> None:
    directories = RunDirectories(tmp_path)
    for number in (1, 2, 3, 4, 5, 5):
        run = directories.take()
        (run.inputs / "a.csv").write_text(str(number))
        (run.taken / "b.csv").write_text("taken from it, and its again")
        told = keep(task, run, bytes([number]) * 16)
        directories.give_back(run)
        os.utime(tmp_path / "failed" / "score" / (f"0{number}" * 4), (number, number))
    runs = kept_runs(tmp_path / "failed", "score")
    assert list(runs) == ["05050505", "04040404", "03030303"]
    assert len(runs) == FAILED_RUNS_KEPT
    kept = tmp_path / "failed" / "score" / "05050505"
    assert runs["05050505"] == {"LINKD_IN": str(kept / "in"), "LINKD_OUT": str(kept / "out")}
    assert (kept / "out" / "b.csv").exists()
    by_hand = f'(cd {tmp_path} && given="$(linkd env score --run 05050505 -p {tmp_path}/p.yaml)" && eval "$given" && sh score.sh)'
    assert told == f"its files are in {kept}; once more, by hand: {by_hand}"


def test_what_is_large_is_not_kept(task: FileTask, tmp_path: Path) -> None:
    run = RunDirectories(tmp_path).take()
    with (run.inputs / "a.csv").open("wb") as file:
        file.truncate(FAILED_RUN_KEPT_MAX_BYTES + 1)
    assert keep(task, run, bytes(16)) == "its files are not kept: they have 1,025 MiB, and 1,024 MiB are kept at most"
    assert kept_runs(tmp_path / "failed", "score") == {}


def test_directories_are_used_again_empty(tmp_path: Path) -> None:
    directories = RunDirectories(tmp_path)
    first, second = directories.take(), directories.take()
    assert first != second
    (first.outputs / "deep" / "er").mkdir(parents=True)
    (first.inputs / "a.csv").symlink_to("/etc/passwd")
    directories.give_back(first)
    again = directories.take()
    assert again == first
    assert [path for part in again.parts for path in part.iterdir()] == []
    again.outputs.rmdir()
    again.outputs.symlink_to(tmp_path)
    directories.give_back(again)
    assert directories.take() not in (first, second)
    assert tmp_path.exists()
