"""What becomes an object, gathered on this machine first: its size and digest are known before the first byte goes out, and it can be sent again.

The file has no name, so nothing is left of it, however this process ends. It lies where TMPDIR says, else in /var/tmp, which is on a disk.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from linkd.errors import StorageFailed
from linkd_adapters.hashed_file import HashedFile

_USUAL = Path("/var/tmp")


class Spool(HashedFile):
    """A writable file. `shown` is the object in messages. Raises `StorageFailed` where it cannot be written."""

    def __init__(self, shown: str, environ: Mapping[str, str]) -> None:
        super().__init__(self._gather)
        self._shown = shown
        self._directory = _directory(environ)
        with self._translated():
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=self._directory)  # noqa: SIM115  # closed by discard

    def content(self) -> BinaryIO:
        """What was written, from its start."""
        with self._translated():
            self._file.flush()
            self._file.seek(0)
        return cast(BinaryIO, self._file)

    def discard(self) -> None:
        """Forget it."""
        self.end()
        self._file.close()

    def _gather(self, view: memoryview) -> None:
        with self._translated():
            self._file.write(view)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageFailed(
                f"{self._shown} cannot be written: it is gathered in {self._directory} first, and there {error.strerror or error}; make room "
                "there, or name another directory in TMPDIR, then run again"
            ) from error


def _directory(environ: Mapping[str, str]) -> str:
    told = environ.get("TMPDIR", "")
    if told:
        return told
    return str(_USUAL) if os.access(_USUAL, os.W_OK | os.X_OK) else tempfile.gettempdir()
