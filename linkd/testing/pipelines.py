"""Pipelines as a person has them: a directory with a pipeline file, data and programs, and the `linkd` command run in it as a process."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from linkd.app.run.processes import Processes
from linkd.app.state import read_json, socket_path, state_directory
from linkd.model.frozen import frozen
from linkd.testing.forked_commands import Command, start_command, steers_start

RUN_TIMEOUT_S = 60.0


@frozen()
class Finished:
    """How a command ended and what it said."""

    exit_code: int
    stdout: str
    stderr: str


@frozen()
class PipelineDirectory:
    """A directory with one pipeline file in it, `NAME.yaml`. Commands run there, without the caller's LINKD_ and OTEL_ variables.

    Used as a context manager (or ended by `close`) it kills, at the end, whatever processes a run has left.
    """

    path: Path
    name: str

    @property
    def file(self) -> Path:
        return self.path / f"{self.name}.yaml"

    @property
    def state(self) -> Path:
        """Where linkd keeps this pipeline's state."""
        return state_directory(self.path, self.name)

    def write(self, name: str, content: str | bytes) -> Path:
        """Writes a file of the pipeline, with the directories it needs."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def linkd(self, *words: str, timeout_s: float = RUN_TIMEOUT_S, env: Mapping[str, str] | None = None) -> Finished:
        """Runs a verb to its end. Raises `subprocess.TimeoutExpired` with what it had printed."""
        with self.start(*words, env=env) as command:
            try:
                stdout, stderr = command.communicate(timeout=timeout_s)
            except subprocess.TimeoutExpired:
                command.kill()
                raise
        return Finished(command.wait(), stdout, stderr)

    def run(self, *words: str, timeout_s: float = RUN_TIMEOUT_S, env: Mapping[str, str] | None = None) -> Finished:
        """`linkd run NAME.yaml`."""
        return self.linkd("run", self.file.name, *words, timeout_s=timeout_s, env=env)

    def start(self, *words: str, env: Mapping[str, str] | None = None) -> Command:
        """Starts a verb and leaves it running, its output in pipes."""
        return start_command(words, {**clean_environment(), **(env or {})}, self.path, cold=steers_start(env or {}))

    def groups(self) -> dict[str, int]:
        """Process ids of what the present run has started, by name: `home`, `adapters`, and the tasks."""
        return {str(group["name"]): int(group["pid"]) for group in read_json(self.state / "groups.json") or ()}

    def links(self) -> dict[str, dict[str, Any]]:
        """What `linkd ls --json` says of each link."""
        told = json.loads(self.linkd("ls", "-p", self.file.name, "--json").stdout)
        return {link["name"]: link for link in told["links"]}

    def rows(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV file of the pipeline."""
        with (self.path / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def close(self) -> None:
        """Ends what is left: groups of a run whose supervisor is gone, and a home that was started for a reader."""
        if not self.state.is_dir():
            return
        Processes(self.state).end_leftovers()
        home = read_json(self.state / "home.json") or {}
        with contextlib.suppress(ProcessLookupError, KeyError):
            os.kill(int(home["pid"]), signal.SIGKILL)
        socket_path(self.state).unlink(missing_ok=True)

    def __enter__(self) -> PipelineDirectory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make_pipeline(path: Path, text: str, files: Mapping[str, str | bytes] | None = None) -> PipelineDirectory:
    """Writes the pipeline file `text`, under the name it gives itself (`pipeline: NAME` in its first line), and `files` beside it."""
    name = text.lstrip().splitlines()[0].removeprefix("pipeline:").strip()
    made = PipelineDirectory(path, name)
    made.write(made.file.name, text)
    for file, content in (files or {}).items():
        made.write(file, content)
    return made


def clean_environment() -> dict[str, str]:
    """This process's environment without what would steer linkd or its telemetry, or an active virtual environment."""
    ours = ("LINKD_", "OTEL_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "TRACEPARENT", "PYTHONWARNINGS"):
        kept.pop(name, None)
    return {**kept, "NO_COLOR": "1"}


@contextlib.contextmanager
def open_home() -> Iterator[str]:
    """A home under `--open` as a process of its own; gives its endpoint. Ends with the block, and its state with it."""
    directory = Path(tempfile.mkdtemp(prefix="linkd-"))  # short: a socket's path is bounded
    words = ["serve", "--open", f"--dir={directory / 'state'}", f"--socket={directory / 'socket'}"]
    try:
        with start_command(words, clean_environment(), directory) as home:
            assert home.stdout is not None
            try:
                yield str(json.loads(home.stdout.readline())["endpoint"])
            finally:
                home.terminate()
                home.wait(RUN_TIMEOUT_S)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
