"""What the adapter worker tells its supervisor: JSON lines on its standard output, one object each, `event` first.

{"event": "survey", "link", "rows": n or null, "notes": [sentence, ...], "digest", "stat": {"size_bytes", "mtime_ns", "inode"}}
{"event": "source_done", "link", "rows_read", "rows_rejected"}
{"event": "sink_done", "link", "path", "rows", "size_bytes"}
{"event": "failed", "task": "from:flights", "code", "message", "exit_code"}     `task` is "adapters" for the worker itself

and of a run that follows

{"event": "waiting", "link", "what": sentence}      a source is not there yet
{"event": "note", "link", "what": sentence}         something happened to a source that a person may want to know: it was cut short
{"event": "changed", "link", "what": sentence}      a source that is read as a whole holds something else now: a new run is called for
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from linkd.errors import Error
from linkd.limits import SURVEY_NOTES_TOLD_MAX
from linkd.plugin.contract import SinkResult, Survey

WORKER = "adapters"
"""The name of the worker itself, for what is no fault of one source or sink."""


class AdapterEvents:
    """Writes each event as one line with `write`, which takes it whole and does not keep it."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def surveyed(self, link: str, survey: Survey) -> None:
        notes = list(survey.notes[:SURVEY_NOTES_TOLD_MAX])
        if len(survey.notes) > len(notes):
            notes.append(f"and {len(survey.notes) - len(notes):,} more of the kind")
        self._say("survey", link=link, rows=survey.rows, notes=notes, digest=survey.digest, stat=asdict(survey.stat))

    def source_done(self, link: str, rows_read: int, rows_rejected: int) -> None:
        self._say("source_done", link=link, rows_read=rows_read, rows_rejected=rows_rejected)

    def sink_done(self, link: str, made: SinkResult) -> None:
        self._say("sink_done", link=link, path=made.path, rows=made.rows, size_bytes=made.size_bytes)

    def waiting(self, link: str, what: str) -> None:
        self._say("waiting", link=link, what=what)

    def noted(self, link: str, what: str) -> None:
        self._say("note", link=link, what=what)

    def changed(self, link: str, what: str) -> None:
        self._say("changed", link=link, what=what)

    def failed(self, task: str, error: Error) -> None:
        self._say("failed", task=task, code=error.code, message=error.message, exit_code=error.exit_code)

    def _say(self, event: str, **fields: Any) -> None:
        self._write(json.dumps({"event": event, **fields}) + "\n")
