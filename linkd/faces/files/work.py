"""What a run tells the process of a file task, and where that finds it.

    LINKD_FILE_TASK    a file with one JSON object:
                       {"command": TEXT or [TEXT, ...], "inputs": [LINK, ...], "outputs": [LINK, ...], "follows": whether the run does,
                        "terms": the fields of `core.pipeline.FileTerms`, "pipeline_file": PATH, "in_order": whether results keep the order
                       of the inputs, "gives_up": whether a snapshot is tried a bounded number of times, "hidden": [NAME, ...]}
    LINKD_SPILL_DIR    below it the files of each run of the program lie while it runs
    LINKD_FAILED_DIR   below it the files of its last runs that failed are kept

The program has the environment of its process, without these variables, the way to the home, and `hidden`: what only linkd's own processes
are given.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from linkd.client.discovery import ENDPOINT_VARIABLE, TASK_VARIABLE, TOKEN_FILE_VARIABLE
from linkd.core.pipeline import FileTerms, TaskSpec
from linkd.errors import InvalidArgument
from linkd.model.frozen import frozen
from linkd.model.terms import Order

FILE_TASK_VARIABLE = "LINKD_FILE_TASK"
SPILL_DIRECTORY_VARIABLE = "LINKD_SPILL_DIR"
FAILED_DIRECTORY_VARIABLE = "LINKD_FAILED_DIR"
IN_VARIABLE = "LINKD_IN"
OUT_VARIABLE = "LINKD_OUT"
RAW = "raw"
FILE_FORMAT = "file"
"""Of a wire whose values are files: what a value is, under the name of the link."""
_OURS = (FILE_TASK_VARIABLE, SPILL_DIRECTORY_VARIABLE, FAILED_DIRECTORY_VARIABLE, ENDPOINT_VARIABLE, TOKEN_FILE_VARIABLE)

Command = str | tuple[str, ...]


@frozen()
class FileTask:
    """One task whose program knows only files. `environment` is that of the program; `directory`, where it runs, is the pipeline file's."""

    name: str
    command: Command
    directory: Path
    terms: FileTerms
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    spill_directory: Path
    failed_directory: Path
    environment: Mapping[str, str]
    pipeline_file: Path
    follows: bool = False
    in_order: bool = True
    gives_up: bool = False

    def file_name(self, wire: str) -> str:
        """Of a link's file, in the directory of inputs or outputs."""
        kind = self.terms.formats[wire]
        return wire if kind == FILE_FORMAT else f"{wire}.{kind}"

    def by_hand(self, run: str) -> str:
        """The line of shell that runs the program on the files of a run that was kept."""
        command = shlex.join(("sh", "-c", self.command) if isinstance(self.command, str) else self.command)
        given = shlex.join(("linkd", "env", self.name, "--run", run, "-p", str(self.pipeline_file)))
        return f'(cd {shlex.quote(str(self.directory))} && given="$({given})" && eval "$given" && {command})'

    @staticmethod
    def of(environ: Mapping[str, str], directory: Path) -> FileTask:
        """The task that the environment of this process names. Raises InvalidArgument naming what is missing."""
        missing = [name for name in (TASK_VARIABLE, *_OURS[:3]) if not environ.get(name)]
        if missing:
            raise InvalidArgument(f"a task that meets files is started by `linkd run`, which sets {', '.join(missing)}")
        path = Path(environ[FILE_TASK_VARIABLE])
        try:
            told = json.loads(path.read_bytes())
            hidden = {*_OURS, *told["hidden"]}
            return FileTask(
                name=environ[TASK_VARIABLE],
                command=told["command"] if isinstance(told["command"], str) else tuple(told["command"]),
                directory=directory,
                terms=FileTerms(**told["terms"]),
                inputs=tuple(told["inputs"]),
                outputs=tuple(told["outputs"]),
                spill_directory=Path(environ[SPILL_DIRECTORY_VARIABLE]),
                failed_directory=Path(environ[FAILED_DIRECTORY_VARIABLE]),
                environment={name: value for name, value in environ.items() if name not in hidden},
                pipeline_file=Path(told["pipeline_file"]),
                follows=told["follows"],
                in_order=told["in_order"],
                gives_up=told["gives_up"],
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InvalidArgument(f"{path} does not say what task {environ[TASK_VARIABLE]} is: {error}; run again") from error


def file_task_json(spec: TaskSpec, terms: FileTerms, pipeline_file: str, *, follows: bool, hidden: Sequence[str]) -> dict[str, Any]:
    """What the file behind LINKD_FILE_TASK holds."""
    command = spec.command or ""
    return {
        "command": command if isinstance(command, str) else list(command),
        "inputs": [wire.link for wire in spec.inputs],
        "outputs": list(spec.outputs),
        "follows": follows,
        "terms": asdict(terms),
        "pipeline_file": pipeline_file,
        "in_order": spec.terms.order is not Order.NONE,
        "gives_up": spec.terms.max_attempts is not None,
        "hidden": list(hidden),
    }
