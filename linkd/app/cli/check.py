"""`linkd check [FILE]`: everything that is wrong with a pipeline and can be told without running it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linkd.app.cli.options import JsonOption, QuietOption, VerboseOption
from linkd.app.wording import counted
from linkd.errors import EXIT_DONE, EXIT_USAGE, InvalidArgument, MissingExtra, PipelineFileInvalid, QueryInvalid

if TYPE_CHECKING:
    from linkd.core.pipeline import Pipeline


def check(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="The pipeline file; else the one here or in a parent directory.", show_default=False),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> int:
    """Check a pipeline file, running nothing.

    Prints every problem of grammar, wiring, files, SQL and programs that it finds.
    """
    from linkd.app.pipeline_file import find_pipeline, load_pipeline

    path = find_pipeline(Path()) if file is None else find_pipeline(file) if file.is_dir() else file
    try:
        pipeline = load_pipeline(path)
    except PipelineFileInvalid as error:
        return _report(path, [str(error)], None, as_json=json, quiet=quiet)
    return _report(path, list(problems_of(pipeline, path)), pipeline, as_json=json, quiet=quiet)


def problems_of(pipeline: Pipeline, path: Path) -> Iterator[str]:
    """What is wrong with a pipeline whose file is well formed: with its places, its SQL and its programs."""
    yield from _place_problems(pipeline)
    yield from (f"{path}: {problem}" for problem in _statement_problems(pipeline))
    yield from (f"{path}: {problem}" for problem in _program_problems(pipeline))


def _place_problems(pipeline: Pipeline) -> Iterator[str]:
    from linkd.app.run.plan import check_places

    try:
        check_places(pipeline)
    except (InvalidArgument, MissingExtra) as error:
        yield str(error)


def _statement_problems(pipeline: Pipeline) -> Iterator[str]:
    """A SQL task reads its own inputs, and its rows go to its own outputs."""
    tasks = [task for task in pipeline.tasks.values() if task.sql is not None]
    if not tasks:
        return
    from linkd.client.extras import is_installed, missing

    if not is_installed("duckdb"):
        yield str(missing("duckdb", "SQL"))
        return
    from linkd.query.task_statements import task_statements

    for task in tasks:
        try:
            task_statements(task.sql or "", [each.link for each in task.inputs], task.outputs, pipeline.params)
        except QueryInvalid as error:
            place = f"tasks.{task.name}.sql" + (f" ({task.sql_path})" if task.sql_path else "")
            yield f"{place}: {_indented(str(error))}"


def _program_problems(pipeline: Pipeline) -> Iterator[str]:
    from linkd.app.cli.programs import program_problem

    # A run puts linkd's own interpreter on PATH too, so that `python` is there.
    search_path = os.pathsep.join([os.environ.get("PATH", os.defpath), str(Path(sys.executable).parent)])
    for task in pipeline.tasks.values():
        if task.command is None:
            continue
        problem = program_problem(task.command, Path(pipeline.directory), search_path)
        if problem is not None:
            yield f"tasks.{task.name}.run: {problem}"


def _report(path: Path, problems: list[str], pipeline: Pipeline | None, *, as_json: bool, quiet: bool) -> int:
    """Prints the outcome, and gives the exit code. Raises PipelineFileInvalid with all problems."""
    links = list(pipeline.links) if pipeline is not None else []
    tasks = list(pipeline.tasks) if pipeline is not None else []
    if as_json:
        from linkd.app.cli.terminal import print_json

        print_json({"file": str(path), "ok": not problems, "problems": problems, "links": links, "tasks": tasks})
        return EXIT_USAGE if problems else EXIT_DONE
    if problems:
        raise PipelineFileInvalid("\n".join(problems))
    if not quiet:
        print(f"{path}: ok ({counted(len(links), 'link')}, {counted(len(tasks), 'task')})")
    return EXIT_DONE


def _indented(message: str) -> str:
    return message.replace("\n", "\n  ")
