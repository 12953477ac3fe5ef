"""What a task says of its files: what becomes of it, and every combination that is refused."""

import pytest

from linkd.app.yaml_document import read_yaml
from linkd.core.assembly import assemble, check
from linkd.core.declaration import read_declaration
from linkd.core.declared import Knowledge
from linkd.core.diagnostics import Problem
from linkd.core.pipeline import FileTerms, TaskSpec
from linkd.core.wiring import parse_wiring

TOGETHER = (
    "write `(a whole, c whole)`: all of each, once; `(a[1], c[1])`: one value of each at a time; "
    "or `latest` behind an input that is only looked up"
)


def file(task: str, wiring: str = "(a) t (b)") -> str:
    return f"pipeline: p\nwiring: |\n  {wiring}\nlinks: {{a: {{from: a.csv}}, c: {{from: c.csv}}}}\ntasks: {{t: {{{task}}}}}\n"


def problems(text: str) -> list[Problem]:
    document = read_yaml(text)
    assert document.root is not None, document.problems
    declaration = read_declaration(document.root, Knowledge(), text.splitlines())
    wiring = declaration.wiring
    assert wiring is not None
    found = check(declaration, parse_wiring(wiring.value), directory="/work")
    return [problem for problem in found if "no wire is called `c`" not in problem.what]


def task_of(task: str, wiring: str = "(a) t (b)") -> TaskSpec:
    text = file(task, wiring)
    assert problems(text) == []
    document = read_yaml(text)
    assert document.root is not None
    declaration = read_declaration(document.root, Knowledge())
    assert declaration.wiring is not None
    return assemble(declaration, parse_wiring(declaration.wiring.value).wiring, {}, path="/work/p.yaml", directory="/work").tasks["t"]


def policies(spec: TaskSpec) -> list[str]:
    return [wire.policy for wire in spec.inputs]


@pytest.mark.parametrize(
    "task",
    [
        "run: x, files: whole",
        "run: 'sort $LINKD_IN/a.csv > $LINKD_OUT/b.csv'",
        "run: 'cp ${LINKD_IN}/a.csv .'",
        "run: [sh, -c, 'cat $LINKD_IN/a.csv']",
    ],
)
def test_a_program_that_names_its_files_or_says_so_meets_whole_ones_in_csv(task: str) -> None:
    spec = task_of(task)
    assert spec.files == FileTerms({"a": "whole", "b": "whole"}, {"a": "csv", "b": "csv"})
    assert policies(spec) == ["whole"]


@pytest.mark.parametrize("task", ["run: x", "run: 'echo $LINKD_INPUT $MY_LINKD_IN'", "sql: SELECT 1"])
def test_any_other_program_meets_none(task: str) -> None:
    assert task_of(task).files is None


def test_several_inputs_without_a_policy_are_all_whole() -> None:
    assert policies(task_of("run: x, files: whole", "(a, c, d* latest) t (b)")) == ["whole", "whole", "latest"]


def test_each_snapshot_has_files_of_its_own() -> None:
    spec = task_of("run: x, each: true, parallel: 4, format: {b: jsonl}, header: false")
    assert spec.files == FileTerms({"a": "whole", "b": "whole"}, {"a": "csv", "b": "jsonl"}, header=False, each=True, parallel=4)
    assert policies(spec) == ["each"]
    assert policies(task_of("run: x, each: true", "(a[10]) t (b)")) == ["[10]"]
    assert policies(task_of("run: x, each: true", "(a, c latest) t (b)")) == ["each", "latest"]


def test_modes_are_said_for_all_wires_or_for_some() -> None:
    assert task_of("run: x, files: stream").files == FileTerms({"a": "stream", "b": "stream"}, {"a": "csv", "b": "csv"})
    spec = task_of("run: x, files: {a: stream}, format: {b: parquet}")
    assert spec.files == FileTerms({"a": "stream", "b": "whole"}, {"a": "csv", "b": "parquet"})


def test_a_pipe_is_a_stream_of_whole_inputs_unless_it_commits_as_it_goes() -> None:
    spec = task_of("pipe: 'grep -v NA'")
    assert (spec.command, policies(spec)) == ("grep -v NA", ["whole"])
    assert spec.files == FileTerms({"a": "stream", "b": "stream"}, {"a": "csv", "b": "csv"}, is_pipe=True)
    for commit in ("line", "none"):
        spec = task_of(f"pipe: cat, format: raw, commit: {commit}")
        assert spec.files is not None
        assert (spec.files.commit, policies(spec)) == (commit, ["each"])
    assert policies(task_of("pipe: cat, each: true")) == ["each"]


@pytest.mark.parametrize(
    ("task", "wiring", "what", "remedy"),
    [
        (
            "run: x, pipe: y",
            "(a) t (b)",
            "task `t` has both `run:` and `pipe:`",
            "a task is one program: make two tasks of it",
        ),
        ("pipe: y, sql: SELECT 1", "(a) t (b)", "task `t` has both `pipe:` and `sql:`", "a task is one program: make two tasks of it"),
        ("pipe: ''", "(a) t (b)", "`tasks.t.pipe` is empty", "write `pipe: grep -v NA`, or leave it out"),
        ("sql: SELECT 1, each: true", "(a) t (b)", "`each` is for programs, and `t` is a SELECT", "take it out"),
        ("sql: SELECT 1, format: csv", "(a) t (b)", "`format` is for programs, and `t` is a SELECT", "take it out"),
        (
            "run: x, format: csv",
            "(a) t (b)",
            "`format` is for programs that meet their links as files, and `t` is none",
            "add `files: whole`, or take it out",
        ),
        (
            "run: x, parallel: 2",
            "(a) t (b)",
            "`parallel` is for programs that meet their links as files, and `t` is none",
            "add `files: whole`, or take it out",
        ),
        (
            "run: x, files: whole, parallel: 2",
            "(a) t (b)",
            "`parallel` is of runs for each snapshot, and `t` runs once",
            "add `each: true`, or take it out",
        ),
        (
            "run: x, each: true, parallel: 0",
            "(a) t (b)",
            "`tasks.t.parallel` of 0 would run nothing at all",
            "write at least 1, or leave it out",
        ),
        (
            "run: x, each: true, parallel: 65",
            "(a) t (b)",
            "`tasks.t.parallel` is no whole number from 0 to 64: `65`",
            "write `parallel: 4`",
        ),
        (
            "run: x, files: whole, commit: line",
            "(a) t (b)",
            "`commit` is for pipes: one run of `t` is one commit",
            "take it out",
        ),
        (
            "pipe: x, each: true, commit: line",
            "(a) t (b)",
            "`commit` is of a pipe that reads on, and each run of `t` is one commit",
            "take `commit` out, or `each`",
        ),
        (
            "pipe: x, commit: line",
            "(a whole) t (b)",
            "the pipe `t` reads on as values come (`commit: line`), and `a whole` does not",
            "write `(a)`, or `commit: run`",
        ),
        (
            "pipe: x, files: whole",
            "(a) t (b)",
            "`t` is a pipe: it meets its links as its standard input and output",
            "take `files` out, or make it a program of `run:`",
        ),
        (
            "pipe: x",
            "(a, c) t (b)",
            "the pipe `t` has 2 inputs: one input is its standard input",
            "give it one, or make it a program of `run:` with `files: whole` (inputs are files then)",
        ),
        (
            "pipe: x",
            "(a) t ()",
            "the pipe `t` has no output: one output is its standard output",
            "give it one, or make it a program of `run:` with `files: whole` (outputs are files then)",
        ),
        (
            "pipe: x, format: parquet",
            "(a) t (b)",
            "`t` is a pipe, and parquet is read from its end",
            "make it a program of `run:` with `files: whole`, or write `format: csv`, `jsonl` or `raw`",
        ),
        (
            "run: x, files: stream, format: {b: arrow}",
            "(a) t (b)",
            "`b` of `t` is a stream, and arrow is read from its end",
            "take it `whole`, or write `format: csv`, `jsonl` or `raw`",
        ),
        (
            "pipe: x, format: {b: file}",
            "(a) t (b)",
            "`t` is a pipe, and `file` is a file or a directory, as it is",
            "make it a program of `run:` with `files: whole`, or write `format: csv`, `jsonl` or `raw`",
        ),
        (
            "run: x, files: {a: stream}, format: {a: file}",
            "(a) t (b)",
            "`a` of `t` is a stream, and `file` is a file or a directory, as it is",
            "take it `whole`, or write `format: csv`, `jsonl` or `raw`",
        ),
        *(
            (
                f"run: x, each: true, files: {files}",
                "(a) t (b)",
                "`t` runs for each snapshot, and a stream is for a program that runs once",
                "write `files: whole`, or take `each` out",
            )
            for files in ("stream", "{b: stream}", "{a: stream, b: stream}")
        ),
        (
            "run: x, files: {flown: stream}",
            "(a) t (b)",
            "`files` of `t` names `flown`, which is no wire of it",
            "its wires are `a` and `b`",
        ),
        (
            "run: x, files: whole, format: {bb: raw}",
            "(a) t (b)",
            "`format` of `t` names `bb`, which is no wire of it; did you mean `b`?",
            "its wires are `a` and `b`",
        ),
        (
            "run: x, files: whole, format: jsonl, header: true",
            "(a) t (b)",
            "`header` is of CSV, and the files of `t` are `jsonl`",
            "take it out",
        ),
        (
            "run: x, files: whole, header: false",
            "(a) t (b)",
            "`t` writes `b` without a header: nothing names its columns",
            "declare them, `links: {b: {schema: {name: string, ...}}}`, or take `header: false` out",
        ),
        (
            "run: x, files: whole",
            "(a[10]) t (b)",
            "`t` runs once, over whole inputs, and `a` comes in parts",
            "add `each: true` to run it for each of them, or take the input `whole`",
        ),
        (
            "run: x, each: true",
            "(a, c) t (b)",
            "task `t` has 2 inputs and does not say how they are put together",
            TOGETHER,
        ),
        (
            "run: x, files: whole",
            "(a) t (../../x)",
            "`../../x` cannot be the name of a link: names are lower-case letters, digits and `_`, a letter first, at most 40 characters",
            "call it `x`",
        ),
        (
            "run: x, files: fifo",
            "(a) t (b)",
            "`tasks.t.files` cannot be `fifo`",
            "it is one of `whole` and `stream`",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_a_remedy(task: str, wiring: str, what: str, remedy: str) -> None:
    assert [(problem.what, problem.remedy) for problem in problems(file(task, wiring))] == [(what, remedy)]


def test_a_problem_points_at_what_was_written() -> None:
    text = file("run: x, files: whole, format: {b: json}")
    [problem] = problems(text)
    assert problem.what == "`tasks.t.format.b` cannot be `json`; did you mean `jsonl`?"
    assert problem.span is not None
    line = text.splitlines()[problem.span.line - 1]
    assert line[problem.span.column - 1 :][: problem.span.length] == "json"


def test_a_stream_of_a_program_that_runs_for_each_snapshot_is_refused_where_it_is_written() -> None:
    text = file("run: x, each: true, files: {b: stream}")
    [problem] = problems(text)
    assert problem.span is not None
    assert text.splitlines()[problem.span.line - 1][problem.span.column - 1 :].startswith("b: stream")


def test_two_programs_cannot_write_one_file_for_a_link() -> None:
    text = file("run: x, files: whole", "(a) t (b)\n  (a) u (b)").replace("{t: {run", "{u: {pipe: cat}, t: {run")
    assert [(problem.what, problem.remedy) for problem in problems(text)] == [
        ("`b` has two writers: tasks `t` and `u`", "a link has one writer; give this output a name of its own and let the reader take both")
    ]
