"""What a program is going to need is imported while it waits for its first snapshot, and not when that has come.

That is pyarrow, without which no value can be looked at, and the data frames that the program's own text names. It changes when something is
imported and nothing else; what cannot be imported is missed by the program where it asks for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
from pathlib import Path

from linkd.client.extras import is_installed
from linkd.limits import SCRIPT_FILE_MAX_BYTES

_FRAMES = ("pandas", "polars")


async def warm_up() -> None:
    """Imports them, in a thread. Cancelling leaves that to its end, which the interpreter waits for."""
    await asyncio.to_thread(_import_all)


def _import_all() -> None:
    if not is_installed("pyarrow"):
        return
    text = _program_text()
    for package in ("pyarrow", "linkd.core.schema", *(frame for frame in _FRAMES if frame.encode() in text)):
        with contextlib.suppress(ImportError):
            importlib.import_module(package)


def _program_text() -> bytes:
    """The script that this process runs; empty if there is none, or none that is of a script's size."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    if path is None:
        return b""
    try:
        with Path(path).open("rb") as file:
            return file.read(SCRIPT_FILE_MAX_BYTES)
    except OSError:
        return b""
