"""How a run starts a task whose program knows only files: what its process finds (`faces.files.work` says what that means)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linkd.app.run.own_programs import OWN_ENVIRONMENT
from linkd.app.state import write_json
from linkd.core.pipeline import FileTerms, Pipeline, TaskSpec
from linkd.faces.files.work import FAILED_DIRECTORY_VARIABLE, FILE_TASK_VARIABLE, SPILL_DIRECTORY_VARIABLE, file_task_json
from linkd.home.disk import FAILED, SPILL


def file_task_variables(
    spec: TaskSpec, terms: FileTerms, pipeline: Pipeline, state: Path, environment: Mapping[str, str], *, follows: bool
) -> dict[str, str]:
    """Writes what the process is told, and returns the variables by which it finds that; `environment` is that of the program."""
    told = state / "tasks" / f"{spec.name}.files"
    told.parent.mkdir(exist_ok=True)
    hidden = [name for name in OWN_ENVIRONMENT if name not in environment]
    write_json(told, file_task_json(spec, terms, pipeline.path, follows=follows, hidden=hidden))
    return {
        FILE_TASK_VARIABLE: str(told),
        SPILL_DIRECTORY_VARIABLE: str(state / SPILL),
        FAILED_DIRECTORY_VARIABLE: str(state / FAILED),
    }
