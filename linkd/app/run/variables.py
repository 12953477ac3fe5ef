"""The environment of a task's program, and how somebody else gets the same to take its place.

    LINKD_ENDPOINT, LINKD_TOKEN_FILE, LINKD_TASK, LINKD_PIPELINE
    LINKD_PARAM_YEAR     each parameter, by its name in capitals
    LINKD_PARAMS         for a SQL task: all of them, typed, as a JSON object
    ...                  what `env:` says

In the state directory `tasks/TASK.json` has what a run gives to a program, written before it is started (or its place left open), as one
JSON object: {"linkd": {NAME: TEXT}, "env": {NAME: TEXT}, "open": whether its place is}. Values of `env` are as written: secrets are put
in by who reads it, from its own environment, and are never in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from linkd.app.secrets import reveal
from linkd.app.state import read_json, write_json
from linkd.core.parameters import PARAMS_VARIABLE, parameter_text, parameters_json
from linkd.core.pipeline import ParamValue, TaskSpec
from linkd.model.frozen import frozen
from linkd.model.records import TaskKind

_PARAM_PREFIX = "LINKD_PARAM_"


@frozen()
class TaskVariables:
    """Variables of one task: `linkd` are our own, `env` are those of the file, with `${secret.X}` as written."""

    linkd: Mapping[str, str]
    env: Mapping[str, str]
    is_open: bool = False

    def revealed(self, environ: Mapping[str, str]) -> dict[str, str]:
        """All of them, with the secrets put in that `environ` has. Raises InvalidArgument for one that it has not."""
        return {**{name: reveal(text, environ) for name, text in self.env.items()}, **self.linkd}

    def save(self, state: Path, task: str) -> None:
        path = _path(state, task)
        path.parent.mkdir(exist_ok=True)
        write_json(path, {"linkd": dict(self.linkd), "env": dict(self.env), "open": self.is_open})

    @staticmethod
    def load(state: Path, task: str) -> TaskVariables | None:
        """What the last run gave to that task; None if there is nothing of it."""
        told = read_json(_path(state, task))
        try:
            return TaskVariables(dict(told["linkd"]), dict(told["env"]), bool(told["open"]))
        except (TypeError, KeyError, ValueError):
            return None


def task_variables(spec: TaskSpec, params: Mapping[str, ParamValue], known: Mapping[str, str]) -> TaskVariables:
    """The variables of a task; `known` are those that are not the file's to say (endpoint, token file, ...)."""
    linkd = dict(known)
    if spec.kind is TaskKind.SQL:
        linkd[PARAMS_VARIABLE] = parameters_json(params)
    else:
        linkd |= {f"{_PARAM_PREFIX}{name.upper()}": parameter_text(value) for name, value in params.items()}
    return TaskVariables(linkd, dict(spec.env))


def tasks_with_variables(state: Path) -> list[str]:
    """The tasks that a run has given variables to."""
    return sorted(path.stem for path in (state / "tasks").glob("*.json"))


def _path(state: Path, task: str) -> Path:
    return state / "tasks" / f"{task}.json"
