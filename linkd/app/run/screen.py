"""What a run shows while it goes on: a live table on a terminal, plain lines elsewhere, JSON lines where asked for."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from linkd.app.run.plan import Plan
from linkd.app.wording import counted
from linkd.core.layout import Layout
from linkd.limits import SCREEN_REFRESH_PER_S

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

PIPED_WIDTH = 200
"""Columns of a table that goes to a file or a pipe: nobody's window bounds it."""


@dataclass(slots=True)
class Screen:
    """The terminal of a run. `quiet` shows errors only; `as_json` one object a line."""

    quiet: bool
    as_json: bool
    output: IO[str]
    _console: Console | None = None
    _live: Live | None = None
    _sealed: dict[str, int] = field(default_factory=dict)
    _current: frozenset[str] = frozenset()
    _rates: dict[str, _Rate] = field(default_factory=dict)
    _widest: int = 0

    @property
    def width(self) -> int:
        """Columns that a line may take."""
        return shutil.get_terminal_size().columns if self.output.isatty() else PIPED_WIDTH

    @property
    def console(self) -> Console:
        """For tables and colours. Made when it is needed: plain lines do without rich, which takes a while to import."""
        if self._console is None:
            from rich.console import Console

            terminal = self.output.isatty()
            self._console = Console(file=self.output, width=None if terminal else PIPED_WIDTH, highlight=False, soft_wrap=not terminal)
        return self._console

    def say(self, text: str, **told: Any) -> None:
        """One line; with `as_json` the object `told`."""
        if self.as_json:
            self._write(json.dumps(told or {"message": text}))
        elif not self.quiet and self._live is None:
            self._write(text)
        elif not self.quiet:
            self._live_line(("", text))

    def error(self, text: str) -> None:
        """What went wrong, to standard error, whatever was asked to be quiet."""
        from rich.console import Console
        from rich.text import Text

        Console(stderr=True, highlight=False, soft_wrap=True).print(Text(text))

    def task_line(self, task: str, line: str) -> None:
        """A line that a program printed."""
        if self.as_json:
            self.say("", task=task, line=line)
        elif not self.quiet:
            self._live_line((f"{task:>{self._widest}} | ", line))

    def _live_line(self, line: tuple[str, str]) -> None:
        """A line with something dim before it; above the live table if there is one."""
        from rich.text import Text

        self.console.print(Text.assemble((line[0], "dim"), line[1]))

    def _write(self, line: str) -> None:
        self.output.write(f"{line}\n")
        self.output.flush()

    @contextmanager
    def live(self, layout: Layout, plan: Plan) -> Iterator[None]:
        """While this is entered `show` updates a table (on a terminal), or says when a link is sealed."""
        self._widest = max((len(name) for name in layout.tasks if ":" not in name), default=0)
        self._current = frozenset(link.name for link in layout.links.values() if link.writer and link.writer not in plan.pending)
        if self.quiet or self.as_json or not self.output.isatty():
            yield
            return
        from rich.live import Live

        with Live(console=self.console, transient=True, refresh_per_second=SCREEN_REFRESH_PER_S) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def show(self, description: Any) -> None:
        """The home's newest description."""
        if self._live is not None:
            self._live.update(self._table(description))
            return
        for link in description.links:
            if link.current.state != "sealed" or self._sealed.get(link.name) == link.current.generation:
                continue
            self._sealed[link.name] = link.current.generation
            if link.name not in self._current:
                told = {"link": link.name, "values": link.current.values, "rows": link.current.rows, "sealed": True}
                self.say(f"{link.name}: {counted(link.current.rows, 'row')} in {counted(link.current.values, 'value')}, sealed", **told)

    def _table(self, description: Any) -> Table:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("link")
        for name in ("values", "rows", "rows/s", "lag"):
            table.add_column(name, justify="right")
        table.add_column("")
        waiting = _waiting(description)
        for link in description.links:
            rate = self._rates.setdefault(link.name, _Rate())
            table.add_row(
                link.name,
                f"{link.current.values:,}",
                f"{link.current.rows:,}",
                rate.text(link.current.rows, time.monotonic()),
                f"{waiting[link.name]:,}" if waiting.get(link.name) else "",
                Text("sealed", "green") if link.current.state == "sealed" else "",
            )
        return table


@dataclass(slots=True)
class _Rate:
    """Rows a second, over the time since the rows last changed and a little before."""

    rows: int = 0
    at_s: float = 0.0
    per_s: float = 0.0

    def text(self, rows: int, now_s: float) -> str:
        elapsed_s = now_s - self.at_s
        if elapsed_s >= 1 / SCREEN_REFRESH_PER_S:
            fresh = max(rows - self.rows, 0) / elapsed_s if self.at_s else 0.0
            self.per_s = fresh if not self.per_s else 0.6 * self.per_s + 0.4 * fresh
            self.rows, self.at_s = rows, now_s
        return f"{self.per_s:,.0f}" if self.per_s >= 1 else ""


def _waiting(description: Any) -> dict[str, int]:
    """Of each link, the values that its slowest reader has not done."""
    waiting: dict[str, int] = {}
    for task in description.tasks:
        for progress in task.progress:
            waiting[progress.link] = max(waiting.get(progress.link, 0), progress.waiting_values)
    return waiting
