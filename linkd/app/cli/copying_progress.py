"""How far a copy is, where a person looks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def copying(*, quiet: bool) -> Iterator[Callable[[str, int], None]]:
    """Takes the name of a file and bytes of it that were copied; a line on standard error, if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda name, size_bytes: None
        return
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda name, size_bytes: progress.update(task, advance=size_bytes, description=name)
