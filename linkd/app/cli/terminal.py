"""Where a verb prints: results to standard output, remarks to standard error, colour only where a person looks.

Results go through one console, which colours nothing when the output is not a terminal or `NO_COLOR` is set, and never wraps a line.
Importing this module imports rich.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import IO, Any, NoReturn

from rich.console import Console
from rich.text import Text


class _PlainConsole(Console):
    """Rich, without its guesses: no markup, no emoji, no highlighting, no wrapping; and a broken pipe is an error like any other."""

    def __init__(self, file: IO[str]) -> None:
        super().__init__(file=file, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def result_console() -> Console:
    """For what was asked for."""
    return _PlainConsole(_tolerant(sys.stdout))


def remark(text: str, *, quiet: bool = False) -> None:
    """One line beside the result, on standard error, so that a pipe gets the result alone."""
    if not quiet:
        sys.stdout.flush()
        _PlainConsole(_tolerant(sys.stderr)).print(Text(text, style="dim"))


def is_terminal(console: Console) -> bool:
    """Whether a person looks at it: `FORCE_COLOR` makes rich say so of pipes, and a pipe has no width."""
    return console.file.isatty()


def room(console: Console) -> int | None:
    """The columns of the terminal; None for what is not one, where every line may be as long as it is."""
    return console.width if is_terminal(console) else None


def print_json(document: Any) -> None:
    """One JSON document: indented for people, on one line for programs."""
    indent = 2 if sys.stdout.isatty() else None
    print_bytes([json.dumps(document, ensure_ascii=False, indent=indent).encode() + b"\n"])


def print_bytes(chunks: Iterable[bytes]) -> None:
    """JSON is UTF-8 whatever the terminal's encoding is."""
    sys.stdout.flush()
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def _tolerant(stream: IO[str]) -> IO[str]:
    """The stream, which from now on writes `?` for characters its encoding lacks instead of failing."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")
    return stream
