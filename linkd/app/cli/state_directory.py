"""Which state directory an operator's verb means, and having it to oneself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from linkd.app.cli.target import find_target
from linkd.errors import InvalidArgument, StateForeign, UsageFault

DirectoryArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        help="A state directory (.linkd/PIPELINE, or what `linkd serve --dir` has), or a directory with a pipeline file; else what -p says.",
        show_default=False,
    ),
]
_MARKS = ("format.json", "journal", "lock")
"""Any of these makes a directory one of state, however damaged."""


def state_of(directory: Path | None, pipeline: str | None) -> Path:
    """The state directory that is meant; it is there. Raises UsageFault, StateForeign."""
    if directory is not None and pipeline is not None:
        raise UsageFault(f"give either {directory} or -p {pipeline}, not both")
    if directory is not None and _is_state(directory):
        return directory
    found = _of_pipeline(directory) if directory is not None else _of_target(pipeline)
    if not found.is_dir():
        raise UsageFault(f"{found} is not there: the pipeline has not run yet")
    return found


def place_of(directory: Path | None, pipeline: str | None) -> Path:
    """The state directory that is meant, there or not. Raises UsageFault."""
    if directory is not None and pipeline is not None:
        raise UsageFault(f"give either {directory} or -p {pipeline}, not both")
    if directory is None:
        return _of_target(pipeline)
    if _is_state(directory) or not directory.is_dir():
        return directory
    try:
        return _of_pipeline(directory)
    except StateForeign:
        return directory


def _of_pipeline(directory: Path) -> Path:
    from linkd.app.pipeline_file import find_pipeline
    from linkd.client.discovery import pipeline_place

    if not directory.exists():
        raise UsageFault(f"{directory} is not there")
    try:
        return _shown(pipeline_place(find_pipeline(directory) if directory.is_dir() else directory).state)
    except (InvalidArgument, UsageFault):
        raise StateForeign(
            f"{directory} is no directory of linkd's: it has neither format.json nor a journal, and no pipeline file is there. Nothing was touched"
        ) from None


def _of_target(pipeline: str | None) -> Path:
    if pipeline is not None and _is_state(Path(pipeline)):
        return Path(pipeline)
    target = find_target(pipeline, os.environ)
    if target.state is None:
        raise UsageFault("this works on a directory, not over a connection: name the directory, or the pipeline file with -p")
    return _shown(target.state)


@contextmanager
def held(directory: Path, kind: str) -> Iterator[None]:
    """The directory for oneself, as long as the block runs; a home that was only started for a reader makes way. Raises StateLocked."""
    import asyncio

    from linkd.app.take_over import take_lock

    lock = asyncio.run(take_lock(directory, kind))
    try:
        yield
    finally:
        lock.release()


def _is_state(directory: Path) -> bool:
    return any((directory / mark).exists() for mark in _MARKS)


def _shown(path: Path) -> Path:
    """As a person in this directory would write it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
