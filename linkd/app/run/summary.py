"""What a run says at its end: a table of what there is now, what is worth knowing, or what went wrong and how to go on."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linkd.app.run.programs import Programs, Stopped, shown_path
from linkd.app.run.screen import Screen
from linkd.app.wording import counted
from linkd.core.pipeline import Pipeline
from linkd.limits import RUN_NOTES_SHOWN_MAX


def print_summary(screen: Screen, pipeline: Pipeline, description: Any, started: Programs, seconds: float) -> None:
    """Everything is current."""
    if screen.as_json:
        screen.say("", **_as_json(description, started, seconds))
        return
    if screen.quiet or description is None:
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("link")
    for name in ("rows", "values"):
        table.add_column(name, justify="right")
    table.add_column("from")
    table.add_column("to")
    for link in description.links:
        writer = link.source or link.writer or ("outside" if link.open else "")
        table.add_row(link.name, f"{link.current.rows:,}", f"{link.current.values:,}", writer, link.sink)
    screen.console.print(table)
    for line in _notes(description, started):
        screen.say(line)
    screen.say(f"done ({seconds:.1f} s)")


def _notes(description: Any, started: Programs) -> list[str]:
    lines = [f"note: {note}" for note in started.notes[:RUN_NOTES_SHOWN_MAX]]
    if len(started.notes) > RUN_NOTES_SHOWN_MAX:
        lines.append(f"note: {len(started.notes) - RUN_NOTES_SHOWN_MAX} more")
    for link in description.links:
        source = link.source_state
        if link.source and source.rows_rejected:
            published = source.rows_read - source.rows_rejected
            lines.append(
                f"{link.name}: {source.rows_read:,} rows read = {published:,} published + {source.rows_rejected:,} rejected"
                f" (linkd tail {link.name}.rejects)"
            )
    return lines + _remembered(description) + _unread(started.unread) + [f"note: {line}" for line in given_up(description)]


def given_up(description: Any) -> list[str]:
    """What went to dead-letter links, and how to look at it."""
    return [
        f"{task.name} gave up {counted(task.given_up, 'snapshot')}, which lie in {task.name}.dead (linkd tail {task.name}.dead)"
        for task in description.tasks
        if task.given_up
    ]


def _remembered(description: Any) -> list[str]:
    """For what nothing ran, and what ran to be compared."""
    lines = [
        f"{task.name}: {task.memo.recalled:,} of {counted(task.commits, 'commit')} remembered, and not run again"
        for task in description.tasks
        if task.memo.recalled
    ]
    return lines + [
        f"{task.name}: {counted(task.memo.checked, 'remembered outcome')} made again, all the same"
        for task in description.tasks
        if task.memo.checked and not task.memo.differing
    ]


def _unread(unread: Mapping[str, Mapping[str, int]]) -> list[str]:
    return [
        f"note: {task} exited with code 0 and left {counted(left, 'value')} of {link} unread"
        for task, inputs in unread.items()
        for link, left in inputs.items()
    ]


def _as_json(description: Any, started: Programs, seconds: float) -> dict[str, Any]:
    links = {
        link.name: {
            "rows": link.current.rows,
            "values": link.current.values,
            "rows_read": link.source_state.rows_read if link.source else None,
            "rows_rejected": link.source_state.rows_rejected if link.source else None,
        }
        for link in (description.links if description is not None else ())
    }
    dead = {task.name: task.given_up for task in (description.tasks if description is not None else ()) if task.given_up}
    memo = {task.name: task.memo.recalled for task in (description.tasks if description is not None else ()) if task.memo.recalled}
    return {
        "outcome": "done",
        "seconds": round(seconds, 3),
        "links": links,
        "notes": started.notes,
        "unread": started.unread,
        "given_up": dead,
        "remembered": memo,
    }


def print_failure(screen: Screen, pipeline: Pipeline, stopped: Stopped, unread: Mapping[str, Mapping[str, int]]) -> None:
    """It is not complete: what happened, what may have led to it, where it is written, how to go on. To standard error."""
    if screen.as_json:
        screen.say("", outcome=stopped.kind, task=stopped.task, message=stopped.message, exit_code=stopped.exit_code)
        return
    lines = [stopped.message]
    if stopped.command:
        lines.append(f"  command: {stopped.command}")
    if stopped.tail:
        lines.append(f"  its last {len(stopped.tail)} lines:" if len(stopped.tail) > 1 else "  its last line:")
        lines += [f"    {line}" for line in stopped.tail]
    lines += [f"  {note}" for note in _unread(unread)]
    if stopped.log is not None:
        lines.append(f"  log: {shown_path(stopped.log)}")
    if stopped.kind == "failed":
        lines.append(f"  fix it, then: linkd run {shlex.quote(shown_path(Path(pipeline.path)))}")
    screen.error("\n".join(lines))
