"""`linkd env TASK`: what a program needs to take a task's place in a run, for a shell or a debugger."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption

if TYPE_CHECKING:
    from linkd.app.run.variables import TaskVariables
    from linkd.errors import UsageFault

_MANGLED = re.compile(rb"[\t\n\v\f\r*?\[\]~]|^ | (?= )| $")
"""What `eval $(...)`, without quotes around it, does not leave as it is."""
_WAY_TO_THE_HOME = frozenset({"LINKD_ENDPOINT", "LINKD_TOKEN_FILE"})
"""What a program that knows only files is not given."""
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+./:=,@%")


def env(
    task: Annotated[str, typer.Argument(metavar="TASK", help="The task whose place is to be taken.")],
    pipeline: PipelineOption = None,
    failed_run: Annotated[
        str | None, typer.Option("--run", metavar="ID", help="A run that failed and was kept: with LINKD_IN and LINKD_OUT of its files.")
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Print what a program needs to take a task's place.

    One line of shell for each variable of the task in the run that is going on: `eval $(linkd env clean)`. Start the run with
    `linkd run --without clean`, so that the place is open. A terminal is shown *** for secrets.

    With `--run`, of a task that meets its links as files: what its program needs to run by hand on the files of a run that failed, also
    when the pipeline is not being run: `eval "$(linkd env score --run 3f2a91c0)" && Rscript score.R`.
    """
    import os
    import sys

    from linkd.app.cli.terminal import print_json, remark
    from linkd.core.substitution import named_secrets

    given = _given(task, pipeline) if failed_run is None else _given_to_run(task, pipeline, failed_run)
    variables = given.revealed(os.environ)
    if failed_run is None and not given.is_open:
        remark(f"{task} has a program in this run; `linkd run --without {task}` leaves its place open", quiet=quiet)
    is_read = sys.stdout.isatty()  # by a person, and not by a shell
    if is_read and any(True for text in given.env.values() for _ in named_secrets(text)):
        variables = _masked(given.env, variables)
        remark("secrets are shown as ***: eval $(linkd env ...) gets them as they are", quiet=quiet)
    if json:
        print_json(variables)
        return
    for name, value in variables.items():
        print(f"export {name}={_quoted(value)};" if is_read else assignment(name, value))


def assignment(name: str, value: str) -> str:
    """A line of shell that exports the variable; it means the same whether it is evaluated in quotes or without."""
    content = value.encode("utf-8", "surrogateescape")
    if not _MANGLED.search(content):
        return f"export {name}={_quoted(value)};"
    escaped = "".join(chr(byte) if byte in _PLAIN else f"\\0{byte:03o}" for byte in content)
    return f"""export {name}="$(printf '%b.' '{escaped}')"; {name}="${{{name}%.}}";"""


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _given(task: str, pipeline: str | None) -> TaskVariables:
    """What the run gives to the task. Raises UsageFault if there is no run, or no such task in it or in the pipeline file."""
    from linkd.app.cli.target import find_target
    from linkd.app.pipeline_file import load_pipeline
    from linkd.app.run.variables import TaskVariables, tasks_with_variables
    from linkd.client.discovery import run_endpoint
    from linkd.errors import UsageFault

    target = find_target(pipeline or ".", {})
    if target.state is None or target.file is None:
        raise UsageFault(f"{pipeline} is no pipeline file: name the file whose run is meant, `linkd env {task} -p FILE`")
    if run_endpoint(target.state) is None:
        programs = [name for name, spec in load_pipeline(target.file).tasks.items() if spec.command is not None]
        if task not in programs:
            raise _unknown(task, str(target.file), programs)
        raise UsageFault(f"{target.file} is not being run: start it with `linkd run {target.file} --without {task}`")
    variables = TaskVariables.load(target.state, task)
    if variables is None:
        raise _unknown(task, "this run", tasks_with_variables(target.state))
    return variables


def _given_to_run(task: str, pipeline: str | None, run: str) -> TaskVariables:
    """What the program of a task had in a run that failed. Raises UsageFault if no such run was kept."""
    from linkd.app.cli.target import find_target
    from linkd.app.run.variables import TaskVariables
    from linkd.errors import UsageFault
    from linkd.faces.files.failed_runs import kept_runs
    from linkd.home.disk import FAILED

    target = find_target(pipeline or ".", {})
    if target.state is None:
        raise UsageFault(f"{pipeline} is no pipeline file: name the file whose run is meant, `linkd env {task} --run {run} -p FILE`")
    runs = kept_runs(target.state / FAILED, task)
    variables = TaskVariables.load(target.state, task)
    if run not in runs or variables is None:
        raise UsageFault(f"no run {run} of a task {task} was kept\n  kept: {', '.join(runs) or 'none'}")
    private = {name: text for name, text in variables.linkd.items() if name not in _WAY_TO_THE_HOME}
    return replace(variables, linkd={**private, **runs[run]})


def _unknown(task: str, place: str, programs: Sequence[str]) -> UsageFault:
    from linkd.core.diagnostics import with_suggestion
    from linkd.errors import UsageFault

    what = with_suggestion(f"there is no program of a task {task} in {place}", task, programs)
    return UsageFault(f"{what}\n  programs: {', '.join(programs) or 'none'}")


def _masked(written: Mapping[str, str], revealed: Mapping[str, str]) -> dict[str, str]:
    from linkd.core.masking import MASKED
    from linkd.core.substitution import named_secrets, reveal

    masked = {name: reveal(text, dict.fromkeys(named_secrets(text), MASKED)) for name, text in written.items()}
    return {**revealed, **masked}
