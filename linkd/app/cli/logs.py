"""`linkd logs TASK [-f]`: what a task printed, from the files of its log. Needs no home, and starts none."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linkd.app.cli.options import JsonOption, PipelineOption, QuietOption, VerboseOption
from linkd.app.cli.target import Target, find_target
from linkd.errors import PipelineFileInvalid, UsageFault

if TYPE_CHECKING:
    from linkd.app.cli.log_files import LogReader

_SUFFIX = ".log"
_OWN = ("adapters", "home")
_DRAWS = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")
"""What a terminal would obey. A log is read, not replayed; a pipe gets it byte for byte."""


def logs(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task; or `home` or `adapters`, linkd's own programs.", show_default=False)],
    lines: Annotated[int | None, typer.Option("-n", "--lines", min=0, help="Only the last so many lines.", show_default=False)] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    run: Annotated[int | None, typer.Option("--run", min=1, help="Only what was printed in that run.", show_default=False)] = None,
    pipeline: PipelineOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Print what a task printed.

    Standard output and standard error of its program in all runs that the log still holds, oldest first. With --json one object a line.
    """
    path = _log_of(task, find_target(pipeline, os.environ))
    from linkd.app.cli.log_files import LogReader, last_lines

    reader = LogReader(path, run)
    try:
        if not follow and not path.is_file():
            _say_nothing(task, quiet=quiet)
        if not follow:
            _print(last_lines(chain(reader.lines(), reader.rest()), lines), task, as_json=json)
            return
        import asyncio

        from linkd.app.cli.onlooking import while_read

        _print(last_lines(reader.lines(), lines), task, as_json=json)
        asyncio.run(while_read(_follow(reader, path, task, as_json=json)))
    finally:
        reader.close()


def _log_of(task: str, target: Target) -> Path:
    """The newest file of the log of a task that there is. Raises UsageFault naming those there are."""
    state = target.state or (Path(target.address) if target.address is not None and Path(target.address).is_dir() else None)
    if state is None:
        raise UsageFault("logs are files beside the pipeline, which an endpoint does not show: name the pipeline with -p FILE")
    if target.was_never_opened:
        raise UsageFault(target.not_run())
    directory = state / "logs"
    known = {file.name.removesuffix(_SUFFIX) for file in directory.glob(f"*{_SUFFIX}")} | set(_tasks(target)) | set(_OWN)
    if task not in known:
        from linkd.core.diagnostics import with_suggestion

        raise UsageFault(with_suggestion(f"there is no task `{task}` (logs: {', '.join(sorted(known))})", task, known))
    return directory / f"{task}{_SUFFIX}"


def _tasks(target: Target) -> list[str]:
    """The programs of the pipeline file; none if it cannot be read: its logs can."""
    if target.file is None:
        return []
    from linkd.app.pipeline_file import load_pipeline

    try:
        return list(load_pipeline(target.file).tasks)
    except PipelineFileInvalid:
        return []


def _say_nothing(task: str, *, quiet: bool) -> None:
    from linkd.app.cli.terminal import remark

    remark(f"{task} has printed nothing yet", quiet=quiet)


async def _follow(reader: LogReader, path: Path, task: str, *, as_json: bool) -> None:
    """Prints what is written from now on. The system tells of it: nothing polls."""
    import asyncio

    import watchfiles

    path.parent.mkdir(parents=True, exist_ok=True)
    changes = watchfiles.awatch(path.parent, watch_filter=None, recursive=False, step=20, debounce=200)
    change = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)  # the watch is set up in this step: what was written before it is read now, what comes later it tells
    try:
        while True:
            _print(reader.lines(), task, as_json=as_json)
            await change
            change = asyncio.ensure_future(anext(changes))
    finally:
        change.cancel()
        await asyncio.wait([change])
        await changes.aclose()


def _print(lines: Iterable[bytes], task: str, *, as_json: bool) -> None:
    from linkd.app.cli.terminal import print_bytes

    if as_json:
        from json import dumps

        objects = ({"task": task, "line": line.decode(errors="replace").rstrip("\r\n")} for line in lines)
        print_bytes(dumps(told, ensure_ascii=False).encode() + b"\n" for told in objects)
    elif sys.stdout.isatty():
        print_bytes(_DRAWS.sub(b"", line).rstrip(b"\n") + b"\n" for line in lines)
    else:
        print_bytes(lines)
