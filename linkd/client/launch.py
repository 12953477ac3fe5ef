"""Starting a home on demand: `python -m linkd serve --on-demand --pipeline FILE`, which says on stdout where it listens.

The one line it prints when it is ready is a JSON object with the key `endpoint`. It is a session of its own, so that Ctrl-C in a notebook
does not reach it, and it ends by itself after its last client.
"""

from __future__ import annotations

import contextlib
import json
import selectors
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from linkd.client.extras import is_installed
from linkd.errors import (
    EXIT_BAD_DATA,
    EXIT_STATE,
    EXIT_USAGE,
    ConnectionFailed,
    DataFault,
    Error,
    InternalFault,
    MissingExtra,
    PipelineFileInvalid,
    StateLocked,
    every_error,
)
from linkd.limits import HOME_FILE_MAX_BYTES, KIB

_NEEDED = ("pyarrow", "aiohttp", "typer", "yaml")
_POLL_S = 0.1
_SAID_MAX_BYTES = 16 * KIB
"""Of what a home that did not start has said on stderr."""

_BY_EXIT_CODE: dict[int, type[Error]] = {EXIT_USAGE: PipelineFileInvalid, EXIT_BAD_DATA: DataFault, EXIT_STATE: StateLocked}


def serve_command(pipeline_file: Path) -> list[str]:
    """The command that starts a home for this pipeline. Raises MissingExtra where linkd was installed as a client only."""
    absent = [package for package in _NEEDED if not is_installed(package)]
    if absent:
        raise MissingExtra(
            f"opening {pipeline_file} starts linkd on this machine, which needs {', '.join(absent)}: pip install 'linkd[laptop]'"
        )
    return [sys.executable, "-m", "linkd", "serve", "--on-demand", "--pipeline", str(pipeline_file)]


def start_home(command: Sequence[str], timeout_s: float, abandoned: threading.Event) -> str:
    """Starts a home by `command` and gives its endpoint. Blocks, at most `timeout_s`, or until `abandoned` is set.

    Raises PipelineFileInvalid, StateLocked (another home has just begun: look for it), ConnectionFailed, InternalFault, and what keeps a
    home from opening its directory: StateDamaged, StateForeign, StorageFailed.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, start_new_session=True, bufsize=0
        )
        # The home may outlive us or end before; either way nobody else collects its exit status.
        threading.Thread(target=process.wait, name="linkd home reaper", daemon=True).start()
        assert process.stdout is not None
        with process.stdout as stdout:
            line = _first_line(stdout, timeout_s, abandoned)
        if line is None:
            process.terminate()
            raise ConnectionFailed(f"`{shlex.join(command)}` was started and was not ready after {timeout_s:g} s")
        endpoint = _endpoint(line)
        if endpoint is None:
            raise _refusal(process, command, said, _said(line).get("refused"))
        return endpoint


def _first_line(stdout: IO[bytes], timeout_s: float, abandoned: threading.Event) -> bytes | None:
    """What comes up to the first line end or the end of the stream; None if nothing did in time."""
    deadline = time.monotonic() + timeout_s
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline and not abandoned.is_set():
            if not selector.select(_POLL_S):
                continue
            data = stdout.read(HOME_FILE_MAX_BYTES)
            line += data
            if not data or b"\n" in data or len(line) > HOME_FILE_MAX_BYTES:
                return line
    return None


def _endpoint(line: bytes) -> str | None:
    endpoint = _said(line).get("endpoint")
    return endpoint if isinstance(endpoint, str) else None


def _said(line: bytes) -> dict[str, object]:
    """The JSON line of a home; empty if it is none."""
    with contextlib.suppress(ValueError):
        said = json.loads(line)
        if isinstance(said, dict):
            return said
    return {}


def _refusal(process: subprocess.Popen[bytes], command: Sequence[str], said: IO[bytes], code: object) -> Error:
    """Why the home ended instead of saying where it listens; `code` if it said what of."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_POLL_S * 10)
    size_bytes = said.seek(0, 2)
    said.seek(max(0, size_bytes - _SAID_MAX_BYTES))
    text = said.read().decode("utf-8", "replace").strip()
    by_exit_code = _BY_EXIT_CODE.get(process.returncode if process.returncode is not None else -1, InternalFault)
    kind = every_error().get(code, by_exit_code) if isinstance(code, str) else by_exit_code
    return kind(text or f"`{shlex.join(command)}` ended with exit code {process.returncode} instead of saying where it listens")
