"""How far rows have come on their way in or out, where a person looks: how many, how much, how fast."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from linkd.app.wording import counted, size_text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Moving:
    """Is told of each batch. Without a bar nobody looks."""

    def __init__(self, progress: Progress | None = None, task: TaskID | None = None) -> None:
        self._progress = progress
        self._task = task
        self._rows = self._size_bytes = 0

    def begin(self, what: str, total: int | None) -> None:
        """Begins anew, with this to be seen; `total` is what `moved` will have come to at the end, if that is known."""
        self._rows = self._size_bytes = 0
        if self._progress is not None and self._task is not None:
            self._progress.reset(self._task, total=total, description=what, rows="", size="", rate="")

    def moved(self, steps: int, rows: int, size_bytes: int) -> None:
        """So much came through since the last call: `steps` of the total."""
        self._rows += rows
        self._size_bytes += size_bytes
        if self._progress is None or self._task is None:
            return
        elapsed_s = self._progress.tasks[0].elapsed
        rate = f"{size_text(round(self._size_bytes / elapsed_s))}/s" if elapsed_s else ""
        self._progress.update(self._task, advance=steps, rows=counted(self._rows, "row"), size=size_text(self._size_bytes), rate=rate)


@contextmanager
def moving(*, quiet: bool, shares_terminal: bool = False) -> Iterator[Moving]:
    """A bar on standard error, if a person looks there; not where the rows themselves go to that terminal."""
    if quiet or shares_terminal or not sys.stderr.isatty():
        yield Moving()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]}"),
        TextColumn("{task.fields[size]}"),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Moving(progress, progress.add_task("", total=None, rows="", size="", rate=""))
