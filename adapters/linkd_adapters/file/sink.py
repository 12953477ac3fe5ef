"""A file as a sink that is replaced: written aside, and put in the place of what was there when all is written (`mode: replace`).

What may be overwritten, and what is somebody's work, says `ownership`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from linkd.errors import InternalFault, InvalidArgument, SchemaMismatch
from linkd.plugin.contract import NO_RECORD, LinkOptions, RowWriter, Sink, SinkResult
from linkd_adapters.file.encodings import columns_text
from linkd_adapters.file.intent import Intent, remove_intent
from linkd_adapters.file.location import FileLocation, writing_failed, writing_problem
from linkd_adapters.file.ownership import Place, require_unchanged
from linkd_adapters.file.replacement import Replacement
from linkd_adapters.file.writers import require_writable, row_writer
from linkd_adapters.steps import in_thread


class FileSink(Sink):
    """See the module. One writer at a time."""

    def __init__(self, options: LinkOptions, location: FileLocation) -> None:
        self._location = location
        self._options = options
        self._open: OpenSink | None = None
        self._said: Path | None = None

    async def check(self, last: Mapping[str, str]) -> None:
        await in_thread(lambda: self._tidy(self._check(last), last))

    async def begin(self, schema: pa.Schema) -> None:
        await self.abort()
        self._open = await in_thread(lambda: OpenSink.begin(self._options, self._location, schema))

    async def write(self, batch: pa.RecordBatch) -> None:
        begun = self._begun()
        await in_thread(lambda: begun.write(batch))

    async def finish(self, last: Mapping[str, str] = NO_RECORD) -> SinkResult:
        begun = self._begun()
        result = await in_thread(lambda: self._finish(begun, last))
        self._open = None
        return result

    async def abort(self) -> None:
        begun, self._open = self._open, None
        if begun is not None:
            await in_thread(begun.abort)

    async def committed(self) -> None:
        said, self._said = self._said, None
        if said is not None:
            await in_thread(lambda: remove_intent(said))

    def _begun(self) -> OpenSink:
        if self._open is None:
            raise InternalFault(f"{self._location.shown}: a sink must begin before it is written to")
        return self._open

    def _check(self, last: Mapping[str, str]) -> Path:
        target = Path(os.path.realpath(self._location.path))
        with translated(self._location):
            require_unchanged(Place(self._options.link, self._location.shown, target, self._options.overwrite), last)
        return target

    def _tidy(self, target: Path, last: Mapping[str, str]) -> None:
        """A worker that was killed behind its commit could not remove what it had said before."""
        intent = Intent.read(target)
        if intent is not None and intent.digest == last.get("digest"):
            with translated(self._location):
                remove_intent(target)

    def _finish(self, begun: OpenSink, last: Mapping[str, str]) -> SinkResult:
        begun.end()
        target = self._check(last)
        with translated(self._location):
            if last.get("path") == str(target):
                # Of a file that nothing is recorded of, the next worker asks nothing.
                Intent(0, 0, 0, begun.size_bytes, begun.digest).write(target)
                self._said = target
        return begun.commit()


class OpenSink:
    """A file between begin and end: the blocking side."""

    def __init__(self, location: FileLocation, schema: pa.Schema, file: Replacement, writer: RowWriter) -> None:
        self._location = location
        self._schema = schema
        self._file = file
        self._writer = writer
        self._rows = 0

    @classmethod
    def begin(cls, options: LinkOptions, location: FileLocation, schema: pa.Schema) -> OpenSink:
        require_writable(location, schema)
        problem = writing_problem(location)
        if problem is not None:
            raise InvalidArgument(problem)
        with translated(location):
            file = Replacement.open(location.path)
            try:
                writer = row_writer(options, location, schema, file)
            except BaseException:
                file.discard()
                raise
        return cls(location, schema, file, writer)

    @property
    def size_bytes(self) -> int:
        return self._file.size_bytes

    @property
    def digest(self) -> str:
        return self._file.digest

    def write(self, batch: pa.RecordBatch) -> None:
        if not batch.schema.equals(self._schema):
            raise SchemaMismatch(f"{self._location.shown}: rows have {columns_text(batch.schema)}, the file {columns_text(self._schema)}")
        with translated(self._location):
            self._writer.write(batch)
        self._rows += batch.num_rows

    def end(self) -> None:
        """Nothing more is written."""
        with translated(self._location):
            self._writer.end()

    def commit(self) -> SinkResult:
        """Put it in its place, after `end`."""
        with translated(self._location):
            self._file.commit()
            mtime_ns = self._file.target.stat().st_mtime_ns
        return SinkResult(str(self._file.target), self._rows, self._file.size_bytes, self._file.digest, mtime_ns)

    def abort(self) -> None:
        with translated(self._location):
            self._file.discard()


@contextmanager
def translated(location: FileLocation) -> Iterator[None]:
    """What the operating system refuses while a sink is written, as an error of ours."""
    try:
        yield
    except OSError as error:
        raise writing_failed(location, error) from error
