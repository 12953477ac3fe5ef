"""The screen of `linkd top`: a table that is drawn anew with every description, in a terminal that is put back as it was.

Importing this module imports rich.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from dataclasses import replace

from rich.console import Group
from rich.live import Live
from rich.text import Text

from linkd.app.cli.listing import headline, link_columns, task_columns, waits
from linkd.app.cli.tables import table_lines
from linkd.app.cli.terminal import result_console
from linkd.client.description import Description
from linkd.client.session import Client

_LEAVE = b"qQ\x03\x04"
"""`q`, and what Ctrl-C and Ctrl-D type where they are not signals."""


def print_once(found: Description) -> None:
    """One table, for what is no terminal."""
    console = result_console()
    for line in screen_lines(found, None, None):
        console.print(line)


async def show(client: Client) -> None:
    """Until the person leaves."""
    console = result_console()
    leaving = asyncio.Event()
    latest: Description | None = None
    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live, _keys(leaving):

        def draw() -> None:
            if latest is not None:
                live.update(Group(*screen_lines(latest, console.width, console.height)), refresh=True)

        async def follow() -> None:
            nonlocal latest
            async for found in client.observe():
                latest = found
                draw()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGWINCH, draw)
        try:
            async with asyncio.TaskGroup() as group:
                following = group.create_task(follow(), name="linkd top: follow")
                await leaving.wait()
                following.cancel()
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)


def screen_lines(found: Description, width: int | None, height: int | None) -> list[Text]:
    """What is shown in so many columns and rows: where there is no room for all, what moves or waits comes first. Pure."""
    links = _first_what_moves(found) if height is not None and len(found.links) + len(found.tasks) + 6 > height else found
    link_lines, _ = table_lines(link_columns(links, steady=height is not None), width)
    task_lines, _ = table_lines(task_columns(links, steady=height is not None), width)
    waiting = [Text(line, style="dim") for line in waits(found)]
    if height is not None:
        room = max(height - len(task_lines) - len(waiting) - 4, 4)
        link_lines = _cut(link_lines, room)
    lines = [Text(headline(found), style="dim"), Text(""), *link_lines, Text(""), *task_lines, *([Text("")] if waiting else []), *waiting]
    return lines if height is None else _cut(lines, height)


def _cut(lines: list[Text], room: int) -> list[Text]:
    if len(lines) <= room:
        return lines
    return [*lines[: room - 1], Text(f"… {len(lines) - room + 1:,} more", style="dim")]


def _first_what_moves(found: Description) -> Description:
    lags = found.lags
    moving = sorted(found.links, key=lambda link: link.rate is None and not lags.get(link.name))
    working = sorted(found.tasks, key=lambda task: task.state not in ("running", "failed", "open"))
    return replace(found, links=tuple(moving), tasks=tuple(working))


@contextlib.contextmanager
def _keys(leaving: asyncio.Event) -> Iterator[None]:
    """While entered, keys come one by one and unseen, and one of `_LEAVE` sets `leaving`. Where nobody types nothing is done."""
    if not sys.stdin.isatty():
        yield
        return
    loop = asyncio.get_running_loop()
    keyboard = sys.stdin.fileno()

    def typed() -> None:
        if set(os.read(keyboard, 64) or b"q") & set(_LEAVE):
            leaving.set()

    before = termios.tcgetattr(keyboard)
    tty.setcbreak(keyboard)
    loop.add_reader(keyboard, typed)
    try:
        yield
    finally:
        loop.remove_reader(keyboard)
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
