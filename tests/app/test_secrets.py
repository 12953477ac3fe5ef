"""Secrets from the environment, and how the variables of a task get to whoever takes its place."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thoroughness import examples

from linkd.app.cli.env import assignment
from linkd.app.run.variables import TaskVariables, task_variables, tasks_with_variables
from linkd.app.secrets import read_secrets, reveal, secret_problem
from linkd.app.state import ON_DEMAND
from linkd.client.discovery import FOR_READERS
from linkd.core.pipeline import TaskSpec
from linkd.errors import InvalidArgument
from linkd.limits import SECRET_FILE_MAX_BYTES
from linkd.model.records import TaskKind


def test_a_secret_is_a_variable_or_the_content_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("from file\n\n")
    environ = {"A": "from variable", "B_FILE": str(file), "A_FILE": "/nowhere", "EMPTY": ""}
    assert read_secrets(("A", "B", "EMPTY"), environ) == {"A": "from variable", "B": "from file\n", "EMPTY": ""}
    assert (
        reveal("postgresql://${secret.A}:${secret.B}@db/$${secret.A}", environ) == "postgresql://from variable:from file\n@db/${secret.A}"
    )


def test_a_secret_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    (tmp_path / "long").write_bytes(b"x" * (SECRET_FILE_MAX_BYTES + 1))
    (tmp_path / "nul").write_bytes(b"a\0b")
    for file, problem in (
        ("gone", "No such file or directory"),
        ("binary", "is not UTF-8 text"),
        ("long", "is over 64 KiB"),
        ("nul", "has a NUL in it"),
    ):
        found = secret_problem("X", {"X_FILE": str(tmp_path / file)})
        assert found is not None
        assert problem in found
    assert secret_problem("X", {}) == "the secret `X` is not set"
    assert secret_problem("X", {"X": ""}) is None
    with pytest.raises(InvalidArgument, match="the secret `X` is not set; set the variable X, or name a file that holds it in X_FILE"):
        reveal("${secret.X}", {})


def test_a_program_has_parameters_one_by_one_and_sql_has_them_typed() -> None:
    params = {"year": 2013, "deep": True, "who": "Ann"}
    program = TaskSpec("clean", TaskKind.RUN, (), (), command="x", env={"KEY": "k-${secret.KEY}"})
    variables = task_variables(program, params, {"LINKD_TASK": "clean"})
    assert variables.revealed({"KEY": "s"}) == {
        "KEY": "k-s",
        "LINKD_TASK": "clean",
        "LINKD_PARAM_YEAR": "2013",
        "LINKD_PARAM_DEEP": "true",
        "LINKD_PARAM_WHO": "Ann",
    }
    query = TaskSpec("sum_up", TaskKind.SQL, (), (), sql="SELECT 1")
    assert task_variables(query, params, {}).revealed({}) == {"LINKD_PARAMS": '{"deep": true, "who": "Ann", "year": 2013}'}


def test_what_a_run_gives_to_a_task_is_kept_without_its_secrets(tmp_path: Path) -> None:
    given = TaskVariables({"LINKD_TASK": "clean"}, {"KEY": "${secret.KEY}"}, is_open=True)
    given.save(tmp_path, "clean")
    assert TaskVariables.load(tmp_path, "clean") == given
    assert tasks_with_variables(tmp_path) == ["clean"]
    assert TaskVariables.load(tmp_path, "other") is None
    (tmp_path / "tasks" / "cut.json").write_text('{"linkd"')
    assert TaskVariables.load(tmp_path, "cut") is None


def test_client_and_home_agree_on_what_a_home_for_readers_is_called() -> None:
    assert FOR_READERS == ON_DEMAND


def _evaluated(line: str, name: str, *, quoted: bool) -> str:
    script = f'eval "$({line})"' if quoted else f"eval $({line})"
    shown = subprocess.run(["sh", "-c", f'{script}; printf %s. "${name}"'], capture_output=True, check=True)
    return os.fsdecode(shown.stdout)[:-1]


@settings(max_examples=examples(25))
@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=3))
def test_the_lines_of_env_mean_what_they_say_in_a_shell(values: list[str]) -> None:
    lines = "\n".join(assignment(f"V{number}", value) for number, value in enumerate(values))
    printing = f"printf %s {shlex.quote(lines)}"
    for quoted in (True, False):
        assert [_evaluated(printing, f"V{number}", quoted=quoted) for number in range(len(values))] == values


@pytest.mark.parametrize(
    "value", ["", "plain", "it's", "two  blanks", " ", "a\nb\n", "*", "~/x", "$(id) `id` $x", "\\n", "tab\there", "*a?[b]"]
)
def test_awkward_values_survive_eval_without_quotes(value: str) -> None:
    assert _evaluated(f"printf %s {shlex.quote(assignment('V', value))}", "V", quoted=False) == value


def test_a_line_of_env_is_plain_shell_where_it_can_be() -> None:
    assert assignment("LINKD_TASK", "clean") == "export LINKD_TASK='clean';"
