"""`cache:` of a task: what is remembered by itself, what is when the file says so, and what cannot be."""

from __future__ import annotations

import pytest
from test_file_terms import file, problems, task_of

PLAIN, LATEST, TWO = "(a) t (b)", "(a whole, c latest) t (b)", "(a whole, c whole) t (b)"


@pytest.mark.parametrize(
    ("task", "wiring", "is_remembered"),
    [
        ("pipe: cat", PLAIN, True),
        ("run: x, each: true", PLAIN, True),
        ("run: x, files: whole", TWO, True),
        ('sql: "SELECT * FROM a"', PLAIN, True),
        ('sql: "SELECT * FROM a"', "(a[3]) t (b)", True),
        ('sql: "SELECT age, snow(x), now FROM a"', PLAIN, True),
        ("pipe: cat, cache: false", PLAIN, False),
        ('sql: "SELECT * FROM a", cache: false', PLAIN, False),
        ('sql: "SELECT *, NOW () FROM a"', PLAIN, False),
        ('sql: "SELECT Current_Date AS d FROM a"', PLAIN, False),
        ('sql: "SELECT x, _time FROM a"', PLAIN, False),
        ("run: x, files: whole", LATEST, False),
        ("run: x, files: whole, cache: true", LATEST, True),
        ("run: x, files: whole", "(a) t ()", False),
        ("run: x, files: stream", PLAIN, False),
        ("run: x, files: {b: stream}", PLAIN, False),
        ("pipe: cat, commit: line", PLAIN, False),
        ("run: x", PLAIN, False),
        ("run: x, cache: true", PLAIN, True),
    ],
)
def test_what_is_a_matter_of_its_snapshot_alone_is_remembered(task: str, wiring: str, is_remembered: bool) -> None:
    assert task_of(task, wiring).cache is is_remembered


@pytest.mark.parametrize(
    ("task", "wiring", "what", "remedy"),
    [
        ("run: x, cache: true", "(a) t ()", "`t` has no output: there is nothing to remember of it", "take `cache` out"),
        (
            "pipe: cat, commit: line, cache: true",
            PLAIN,
            "the pipe `t` commits before its end (`commit: line`): no part of its output is that of one snapshot",
            "take `cache` out, or write `commit: run`",
        ),
        (
            "run: x, files: {b: stream}, cache: true",
            PLAIN,
            "`t` meets links as streams, which may end anywhere: what it read is not known",
            "take `cache` out, or `files: stream`",
        ),
        (
            'sql: "SELECT random() AS r FROM a", cache: true',
            PLAIN,
            "`t` asks for `random`, which is something else the next time",
            "take `cache` out, or give it the value as a parameter: `$name`",
        ),
        ("pipe: cat, cache: maybe", PLAIN, "`tasks.t.cache` cannot be `maybe`", None),
    ],
)
def test_what_cannot_be_remembered_is_refused_where_the_file_asks_for_it(task: str, wiring: str, what: str, remedy: str | None) -> None:
    [problem] = problems(file(task, wiring))
    assert (problem.what, remedy or problem.remedy) == (what, problem.remedy)
    assert problem.span is not None
    assert problem.span.line == 5
