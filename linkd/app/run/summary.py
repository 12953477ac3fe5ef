"""What a run says at its end: a table of what there is now, what is worth knowing, or what went wrong and how to go on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from linkd.app.run.programs import Programs, Stopped, shown_path
from linkd.app.run.screen import Screen
from linkd.core.pipeline import Pipeline

NOTES_SHOWN = 20


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
    lines = [f"note: {note}" for note in started.notes[:NOTES_SHOWN]]
    if len(started.notes) > NOTES_SHOWN:
        lines.append(f"note: {len(started.notes) - NOTES_SHOWN} more")
    for link in description.links:
        source = link.source_state
        if link.source and source.rows_rejected:
            published = source.rows_read - source.rows_rejected
            lines.append(
                f"{link.name}: {source.rows_read:,} rows read = {published:,} published + {source.rows_rejected:,} rejected"
                f" (linkd tail {link.name}.rejects)"
            )
    for task, inputs in started.unread.items():
        lines.extend(f"note: {task} left {left:,} values of {link} unread" for link, left in inputs.items())
    return lines


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
    return {"outcome": "done", "seconds": round(seconds, 3), "links": links, "notes": started.notes, "unread": started.unread}


def print_failure(screen: Screen, pipeline: Pipeline, stopped: Stopped) -> None:
    """It is not complete: what happened, where it is written, how to go on. To standard error."""
    if screen.as_json:
        screen.say("", outcome=stopped.kind, task=stopped.task, message=stopped.message, exit_code=stopped.exit_code)
        return
    lines = [stopped.message]
    if stopped.command:
        lines.append(f"  command: {stopped.command}")
    if stopped.tail:
        lines.append(f"  its last {len(stopped.tail)} lines:" if len(stopped.tail) > 1 else "  its last line:")
        lines += [f"    {line}" for line in stopped.tail]
    if stopped.log is not None:
        lines.append(f"  log: {shown_path(stopped.log)}")
    if stopped.kind == "failed":
        lines.append(f"  fix it, then: linkd run {shlex.quote(shown_path(Path(pipeline.path)))}")
    screen.error("\n".join(lines))
