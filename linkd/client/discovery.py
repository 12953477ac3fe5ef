"""Which home a program means, and who it is there.

    connect()                     LINKD_ENDPOINT and LINKD_TOKEN_FILE, as tasks have them; else the one pipeline file here or above
    connect("flights.yaml")       the pipeline's home, running or started for this
    connect("some/directory")     the one pipeline file in it; or a state directory, which has `home.json` in it
    connect("unix:/run/x.sock"), connect("host:port"), connect("tls:host:port")
    connect("flights.yaml", task="clean")     the place of a task, in the run that is going on

`home.json` in the state directory (`.linkd/<pipeline>/` beside the pipeline file) is one JSON object: {"endpoint": "unix:...", "pid": n}.
Tokens of tasks are in `tokens/<task>` there. `lock` says who holds the home: {"kind": FOR_READERS or what else it is for, "pid": n}.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import stat
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from linkd.client.calls import Dial, Endpoint
from linkd.client.launch import serve_command, start_home
from linkd.client.tls import host_port
from linkd.core.diagnostics import with_suggestion
from linkd.errors import ConnectionFailed, InvalidArgument, StateLocked
from linkd.limits import (
    HOME_FILE_MAX_BYTES,
    HOME_START_TIMEOUT_S,
    PIPELINE_FILE_MAX_BYTES,
    RECONNECT_BACKOFF_FIRST_S,
    RECONNECT_BACKOFF_MAX_S,
)
from linkd.model.frozen import frozen
from linkd.telemetry.trace_context import parse_traceparent

ENDPOINT_VARIABLE = "LINKD_ENDPOINT"
TOKEN_FILE_VARIABLE = "LINKD_TOKEN_FILE"
TASK_VARIABLE = "LINKD_TASK"
TRACE_VARIABLE = "TRACEPARENT"

FOR_READERS = "a linkd home started for a reader"
"""What `lock` says of a home that nobody runs a pipeline in."""

_ADAPTERS = "adapters"
"""Has a token beside those of the tasks, and is none."""

_UNIX = "unix:"
_HOST_PORT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}")
_PIPELINE_LINE = re.compile(rb"""^pipeline[ \t]*:[ \t]*(['"]?)([a-z][a-z0-9_]*)\1[ \t]*(?:#.*)?\r?$""", re.MULTILINE)
_PROBE_TIMEOUT_S = 1.0
"""A listening unix socket answers at once; one whose process is stopped does not."""


@frozen()
class PipelinePlace:
    """A pipeline file and the directory of its state."""

    file: Path
    state: Path


def dial_for(target: str | os.PathLike[str] | None, task: str | None, token: str | None, environ: Mapping[str, str], start: Path) -> Dial:
    """How to find the home that `target` means; called again whenever the home must be found anew. `start` is the working directory.

    Raises InvalidArgument for a target that cannot mean anything. Starts nothing: the dial does.
    """
    traceparent = environ.get(TRACE_VARIABLE, "")
    traceparent = traceparent if parse_traceparent(traceparent) else ""
    address = environ.get(ENDPOINT_VARIABLE) if target is None else _address(str(target))
    if address is not None:
        return _fixed(address, _endpoint_token(target, task, token, environ), traceparent)
    place = find_pipeline(start) if target is None else _place(Path(target))
    if isinstance(place, PipelinePlace):
        return _pipeline_dial(place, task, token, traceparent)
    return _state_dial(place, task, token, traceparent)


def find_pipeline(start: Path) -> PipelinePlace:
    """The one pipeline file in `start`, else in the nearest directory above it with one. InvalidArgument if there is none, or several."""
    for directory in (start, *start.parents):
        files = _pipeline_files(directory)
        if len(files) > 1:
            listed = ", ".join(str(file) for file in files)
            raise InvalidArgument(f"there are several pipelines in {directory}: {listed}; name the one: linkd.connect({files[0].name!r})")
        if files:
            return pipeline_place(files[0])
    raise InvalidArgument(
        f"nothing says which linkd is meant: {ENDPOINT_VARIABLE} is not set, and there is no pipeline file (*.yaml with `pipeline: NAME`) "
        f"in {start} or above; give one, such as linkd.connect('flights.yaml')"
    )


def pipeline_place(file: Path) -> PipelinePlace:
    """Where the state of a pipeline file lies. Raises InvalidArgument if the file does not say `pipeline: NAME`."""
    try:
        name = _pipeline_name(file)
    except OSError as error:
        raise InvalidArgument(f"{file} cannot be read: {error.strerror}") from None
    if name is None:
        raise InvalidArgument(f"{file} is no pipeline file: it has no line `pipeline: NAME` (lower-case letters, digits, `_`)")
    file = file.absolute()
    return PipelinePlace(file, file.parent / ".linkd" / name)


def _address(target: str) -> str | None:
    """The endpoint that `target` spells out, or None if it is a path. Raises InvalidArgument for what can be neither."""
    if target == _UNIX:
        raise InvalidArgument(f"`{_UNIX}` names no socket: write unix:PATH")
    if target.startswith(_UNIX):
        return target
    path = Path(target)
    try:
        if stat.S_ISSOCK(path.stat().st_mode):
            return _UNIX + str(path.absolute())
        return None
    except OSError:
        if "://" in target:
            raise InvalidArgument(
                f"a URL ({target.partition('://')[0]}://...) is no target: linkd is reached by `unix:PATH`, `HOST:PORT` or `tls:HOST:PORT`"
            ) from None
        return target if _HOST_PORT.fullmatch(host_port(target)) else None


def _place(path: Path) -> PipelinePlace | Path:
    """The pipeline, or the state directory, that an existing path means."""
    if path.is_file():
        return pipeline_place(path)
    if not path.is_dir():
        beside = [item.name for item in path.parent.glob("*") if item.is_dir() or item.suffix in (".yaml", ".yml")]
        raise InvalidArgument(
            with_suggestion(f"{path} is neither a file nor a directory, nor `unix:PATH`, `HOST:PORT` or `tls:HOST:PORT`", path.name, beside)
        )
    if (path / "home.json").is_file():
        return path.absolute()
    files = _pipeline_files(path)
    if len(files) != 1:
        listed = ", ".join(str(file) for file in files) or "none"
        raise InvalidArgument(f"{path} must hold one pipeline file, and there are: {listed}")
    return pipeline_place(files[0])


def _pipeline_files(directory: Path) -> list[Path]:
    with contextlib.suppress(OSError):  # what cannot be read holds no pipeline for us
        candidates = (path for path in sorted(directory.iterdir()) if path.suffix in (".yaml", ".yml"))
        return [path for path in candidates if path.is_file() and os.access(path, os.R_OK) and _pipeline_name(path) is not None]
    return []


def _pipeline_name(file: Path) -> str | None:
    """The name in the line `pipeline: NAME`, found without a YAML library, which a client does not have. Raises OSError."""
    with file.open("rb") as stream:
        text = stream.read(PIPELINE_FILE_MAX_BYTES)
    found = _PIPELINE_LINE.search(text)
    return found[2].decode("ascii") if found else None


def _endpoint_token(target: object, task: str | None, token: str | None, environ: Mapping[str, str]) -> str:
    """The token for an endpoint that was spelt out. That of the environment goes to the endpoint of the environment only."""
    if token is not None:
        return token
    token_file = environ.get(TOKEN_FILE_VARIABLE) if target is None else None
    if task is not None and (token_file is None or environ.get(TASK_VARIABLE) not in (None, task)):
        raise InvalidArgument(f"whoever is task {task} shows its token: give token=, or the pipeline file, whose state directory has it")
    return _read_token(Path(token_file)) if token_file else ""


def _task_token(state: Path, task: str | None, token: str | None) -> str:
    if token is not None or task is None:
        return token or ""
    directory = state / "tokens"
    known = sorted(path.name for path in directory.glob("[!.]*") if path.name != _ADAPTERS)
    if task not in known:
        listed = f"(tasks: {', '.join(known)})" if known else "(tokens are made when a run begins: start `linkd run`)"
        raise InvalidArgument(with_suggestion(f"there is no token of a task {task} in {directory} {listed}", task, known))
    return _read_token(directory / task)


def _read_token(file: Path) -> str:
    try:
        with file.open("r", encoding="ascii") as stream:
            return stream.read(HOME_FILE_MAX_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it holds no token"
        raise InvalidArgument(f"the token file {file} cannot be read: {reason}") from None


def _fixed(address: str, token: str, traceparent: str) -> Dial:
    async def dial() -> Endpoint:
        return Endpoint(address, token, traceparent)

    return dial


def _state_dial(state: Path, task: str | None, token: str | None, traceparent: str) -> Dial:
    async def dial() -> Endpoint:
        address = await asyncio.to_thread(live_endpoint, state)
        if address is None:
            raise ConnectionFailed(f"the linkd of {state} is not running: start it with `linkd serve --dir {state} ...`")
        return Endpoint(address, _task_token(state, task, token), traceparent)

    return dial


def _pipeline_dial(place: PipelinePlace, task: str | None, token: str | None, traceparent: str) -> Dial:
    async def dial() -> Endpoint:
        if task is not None and token is None:
            return Endpoint(await asyncio.to_thread(_place_endpoint, place, task), _task_token(place.state, task, token), traceparent)
        abandoned = threading.Event()
        try:
            address = await asyncio.to_thread(home_of, place, abandoned)
        finally:
            abandoned.set()
        return Endpoint(address, _task_token(place.state, task, token), traceparent, on_demand=True)

    return dial


def _place_endpoint(place: PipelinePlace, task: str) -> str:
    """Where the run goes on in which `task` has a place. Raises InvalidArgument for a name that no task has, ConnectionFailed without a run."""
    if (place.state / "tokens").is_dir():
        _task_token(place.state, task, None)
    address = run_endpoint(place.state)
    if address is None:
        raise ConnectionFailed(
            f"{place.file} is not being run, so there is no place of {task} to take: start `linkd run {place.file.name} --without {task}`"
        )
    return address


def run_endpoint(state: Path) -> str | None:
    """The endpoint of a home that was not only started for readers, if something accepts connections there. Blocks for at most a second."""
    try:
        with (state / "lock").open("rb") as stream:
            kind = json.loads(stream.read(HOME_FILE_MAX_BYTES))["kind"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return None if kind == FOR_READERS else live_endpoint(state)


def home_of(place: PipelinePlace, abandoned: threading.Event) -> str:
    """The endpoint of the pipeline's home, started if there is none. Blocks; ends early when `abandoned` is set.

    Of several clients that find none at once, one starts it and the others find the directory locked: those look again.
    """
    deadline = time.monotonic() + HOME_START_TIMEOUT_S
    while True:
        address = live_endpoint(place.state)
        if address is not None:
            return address
        try:
            return start_home(serve_command(place.file), max(1.0, deadline - time.monotonic()), abandoned)
        except StateLocked:
            if not _appears(place.state, deadline, abandoned):
                raise


def _appears(state: Path, deadline: float, abandoned: threading.Event) -> bool:
    """Gives the home that has just begun a moment to answer. False when there is no time left to look again."""
    moment = min(deadline, time.monotonic() + RECONNECT_BACKOFF_MAX_S)
    while time.monotonic() < moment:
        if live_endpoint(state) is not None:
            return True
        if abandoned.wait(RECONNECT_BACKOFF_FIRST_S):
            return False
    return time.monotonic() < deadline


def live_endpoint(state: Path) -> str | None:
    """The endpoint in `home.json` if something accepts connections there. Blocks for at most a second."""
    try:
        with (state / "home.json").open("rb") as stream:
            said = json.loads(stream.read(HOME_FILE_MAX_BYTES))
        endpoint = str(said["endpoint"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # none, or one that is being written: not ready
    return endpoint if not endpoint.startswith(_UNIX) or _failure(endpoint) is None else None


def unreachable(target: str) -> str | None:
    """The unix socket that `target` means and why nobody listens there, in words; None where somebody may, or for another target.

    Blocks for at most a second. Raises InvalidArgument for what can be no target.
    """
    address = _address(target)
    failure = _failure(address) if address is not None and address.startswith(_UNIX) else None
    if failure is None or isinstance(failure, (TimeoutError, BlockingIOError)):  # somebody does, and is slow to answer
        return None
    return f"{address} ({failure.strerror or failure})"


def _failure(address: str) -> OSError | None:
    """Why a unix socket accepts no connection; None if it does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(address.removeprefix(_UNIX))
        except OSError as error:
            return error
    return None
