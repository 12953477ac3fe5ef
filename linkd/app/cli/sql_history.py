"""What was asked at the prompt of `linkd sql`, kept for the next time.

The file is `linkd/sql_history` in the user's state directory (`$XDG_STATE_HOME`, else `~/.local/state`), readable by the user only: a JSON
string a line, the oldest first. Prompts that are open at once append to it; one that starts cuts it to its bounds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from linkd import limits
from linkd.errors import StorageFailed


def history_path(environ: Mapping[str, str], home: Path) -> Path:
    """Where the history of the user is, whose directory is `home`. A relative `XDG_STATE_HOME` counts for nothing, as its standard has it."""
    named = Path(environ.get("XDG_STATE_HOME", ""))
    return (named if named.is_absolute() else home / ".local" / "state") / "linkd" / "sql_history"


class SqlHistory:
    """The statements in a file. What cannot be read in it is left away."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> list[str]:
        """The newest `SQL_HISTORY_MAX_ENTRIES` statements, oldest first; the file is cut to them. Raises StorageFailed."""
        try:
            with self.path.open("rb") as file:
                size_bytes = file.seek(0, os.SEEK_END)
                file.seek(max(0, size_bytes - limits.SQL_HISTORY_MAX_BYTES))
                lines = file.read().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageFailed(f"{self.path} cannot be read: {error.strerror}; the history begins anew") from error
        statements = [statement for statement in map(_statement, lines) if statement]
        kept = statements[-limits.SQL_HISTORY_MAX_ENTRIES :]
        if size_bytes > limits.SQL_HISTORY_MAX_BYTES or len(kept) < len(statements):
            self._replace(kept)
        return kept

    def append(self, statement: str) -> None:
        """Keeps one more. Raises StorageFailed."""
        line = _line(statement)
        if len(line) > limits.SQL_HISTORY_ENTRY_MAX_BYTES:
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(self.path, line, os.O_APPEND)
        except OSError as error:
            raise StorageFailed(f"{self.path} cannot be written: {error.strerror}; what is asked now will not be remembered") from error

    def _replace(self, statements: list[str]) -> None:
        aside = self.path.with_name(f".{self.path.name}.tmp-{os.getpid()}")
        try:
            self._write(aside, b"".join(map(_line, statements)), os.O_TRUNC)
            aside.replace(self.path)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise StorageFailed(f"{self.path} cannot be written: {error.strerror}; it stays as long as it is") from error

    def _write(self, path: Path, content: bytes, how: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | how, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)


def _line(statement: str) -> bytes:
    return json.dumps(statement, ensure_ascii=False).encode(errors="replace") + b"\n"


def _statement(line: bytes) -> str:
    try:
        said = json.loads(line)
    except ValueError:  # the first line of a file that is read from its middle, or one that was cut short
        return ""
    return said if isinstance(said, str) else ""
