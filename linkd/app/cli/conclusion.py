"""How a verb ends: what it raised becomes a message on stderr and an exit code."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec

import typer

from linkd.errors import EXIT_DONE, EXIT_INTERNAL, EXIT_INTERRUPTED, Error, StorageFailed

DEBUG_VARIABLE = "LINKD_DEBUG"
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))

_P = ParamSpec("_P")


def conclude(verb: Callable[_P, int | None]) -> Callable[_P, None]:
    """The verb as the command line runs it: raises `typer.Exit` with its exit code and nothing else.

    An error of linkd is its message and its own exit code, Ctrl-C is 130, a reader that went away (`linkd tail | head`) is no failure,
    output that finds no room is 5, and anything else is a defect of linkd, 5, whose traceback is shown with `-v` or `LINKD_DEBUG=1`.
    """

    @functools.wraps(verb)
    def concluded(*args: _P.args, **kwargs: _P.kwargs) -> None:
        raise typer.Exit(_exit_code(lambda: verb(*args, **kwargs), wants_traceback=bool(kwargs.get("verbose"))))

    return concluded


def _have_output() -> None:
    """Where the shell has closed standard output (`>&-`) nobody wants it, and it goes nowhere."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  # as long as the process lives


def _exit_code(verb: Callable[[], int | None], *, wants_traceback: bool) -> int:
    _have_output()
    try:
        code = verb()
        sys.stdout.flush()
        return code or EXIT_DONE
    except BrokenPipeError:
        _forget_output()
        return EXIT_DONE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Error as error:
        _say(str(error))
        return error.exit_code
    except Exception as error:  # the last place that can say anything of it
        if isinstance(error.__cause__, KeyboardInterrupt):
            return EXIT_INTERRUPTED  # it came while a class was being made, and Python 3.11 makes a RuntimeError of it
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            _forget_output()
            _say(f"could not write everything: {error.strerror} (the output itself, or a temporary file in {tempfile.gettempdir()})")
            return StorageFailed.exit_code
        _say_defect(error, wants_traceback=wants_traceback or bool(os.environ.get(DEBUG_VARIABLE)))
        return EXIT_INTERNAL


def _forget_output() -> None:
    """Lets what is still buffered go nowhere when nobody takes it any more: else the interpreter complains of it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _say(message: str) -> None:
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    print(message, file=sys.stderr)


def _say_defect(error: Exception, *, wants_traceback: bool) -> None:
    if wants_traceback:
        traceback.print_exception(error)
    detail = " ".join(str(error).split())
    _say(f"linkd failed ({type(error).__name__}{': ' if detail else ''}{detail}): this is a defect of linkd")
    if not wants_traceback:
        _say(f"  the same command with -v, or with {DEBUG_VARIABLE}=1, shows where; please report it with that")
