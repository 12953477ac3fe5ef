"""An object as a sink that is replaced (`mode: replace`), and a directory of objects, one for each value (`mode: parts`).

Nothing of an object is seen before all of it is there: a store has no half of one. What may be overwritten says `writing`, how parts lie
`generations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from linkd.errors import Conflict, InternalFault, SchemaMismatch
from linkd.plugin.contract import NO_RECORD, LinkOptions, RowWriter, Sink, SinkResult, SinkValue, ValueSink
from linkd_adapters.file.encodings import columns_text
from linkd_adapters.file.location import FileLocation
from linkd_adapters.file.parts import part_extension
from linkd_adapters.file.writers import require_writable, row_writer
from linkd_adapters.objects.bucket import Bucket
from linkd_adapters.objects.generations import current_generation, generation_name, show, stranger
from linkd_adapters.objects.location import ObjectLocation
from linkd_adapters.objects.spool import Spool
from linkd_adapters.objects.writing import put, require_ours, result
from linkd_adapters.steps import in_thread

_PARTS = "parts"


class ObjectSink(Sink):
    """See the module. One writer at a time."""

    def __init__(self, options: LinkOptions, location: ObjectLocation, environ: Mapping[str, str]) -> None:
        self._options = options
        self._files = location.files
        self._key = location.key
        self._bucket = Bucket(location.address)
        self._environ = environ
        self._open: _OpenObject | None = None

    async def check(self, last: Mapping[str, str]) -> None:
        await in_thread(lambda: require_ours(self._bucket, self._key, self._options.link, self._options.overwrite, last))

    async def begin(self, schema: pa.Schema) -> None:
        await self.abort()
        self._open = await in_thread(lambda: _OpenObject(self._options, self._files, schema, self._environ))

    async def write(self, batch: pa.RecordBatch) -> None:
        begun = self._begun()
        await in_thread(lambda: begun.write(batch))

    async def finish(self, last: Mapping[str, str] = NO_RECORD) -> SinkResult:
        begun = self._begun()
        made = await in_thread(lambda: self._finish(begun, last))
        await self.abort()
        return made

    async def abort(self) -> None:
        begun, self._open = self._open, None
        if begun is not None:
            await in_thread(begun.spool.discard)

    def _begun(self) -> _OpenObject:
        if self._open is None:
            raise InternalFault(f"{self._files.shown}: a sink must begin before it is written to")
        return self._open

    def _finish(self, begun: _OpenObject, last: Mapping[str, str]) -> SinkResult:
        begun.end()
        before = require_ours(self._bucket, self._key, self._options.link, self._options.overwrite, last)
        stamp = put(self._bucket, self._key, begun.spool, before)
        return result(self._bucket, stamp, begun.spool, begun.rows, {})


class ObjectPartsSink(ValueSink):
    """A part that is written again takes the same name with the same bytes."""

    def __init__(self, options: LinkOptions, location: ObjectLocation, environ: Mapping[str, str]) -> None:
        self._options = options
        self._files = location.files
        self._directory = location.key
        self._bucket = Bucket(location.address)
        self._environ = environ
        self._extension = part_extension(location.files)

    async def check(self, last: Mapping[str, str]) -> None:
        await in_thread(lambda: self._check(last))

    async def write(self, value: SinkValue, last: Mapping[str, str]) -> SinkResult:
        return await in_thread(lambda: self._write(value, last))

    async def caught_up(self, generation: int) -> None:
        await in_thread(lambda: show(self._bucket, self._directory, generation))

    async def close(self) -> None:
        return

    def _check(self, last: Mapping[str, str]) -> None:
        found = stranger(self._bucket, self._directory) if last.get("mode") != _PARTS else None
        if found is not None:
            raise Conflict(f"{self._files.shown} holds {found}, which linkd did not make: name a directory of its own, or move that away")
        prefix = self._bucket.address.url("")
        if last.get("mode") == _PARTS and last.get("path", "").startswith(prefix):
            require_ours(self._bucket, last["path"].removeprefix(prefix), self._options.link, self._options.overwrite, last)

    def _write(self, value: SinkValue, last: Mapping[str, str]) -> SinkResult:
        self._check(last)
        directory = f"{self._directory}/{generation_name(value.generation)}"
        is_first = (last.get("mode"), last.get("generation")) != (_PARTS, str(value.generation))
        if is_first:
            # What stands there is of a state that was removed, or of a commit that never was.
            self._bucket.delete([stamp.key for stamp in self._bucket.below(directory)])
        key = f"{directory}/part-{value.generation:06}-{value.sequence:010}{self._extension}"
        part = replace(self._files, shown=self._bucket.address.url(key), is_directory=False)
        opened = _OpenObject(self._options, part, value.data.schema, self._environ)
        try:
            opened.write(value.data)
            opened.end()
            stamp = put(self._bucket, key, opened.spool, self._bucket.look(key))
        finally:
            opened.spool.discard()
        own = {"mode": _PARTS, "generation": str(value.generation), "sequence": str(value.sequence)}
        if is_first:
            self._show_first(value.generation)
        return result(self._bucket, stamp, opened.spool, opened.rows, own)

    def _show_first(self, generation: int) -> None:
        """While there is no older generation, parts are seen as they come."""
        if current_generation(self._bucket, self._directory) is None:
            show(self._bucket, self._directory, generation)


class _OpenObject:
    """An object between begin and end: the blocking side."""

    def __init__(self, options: LinkOptions, file: FileLocation, schema: pa.Schema, environ: Mapping[str, str]) -> None:
        require_writable(file, schema)
        self._file = file
        self._schema = schema
        self.spool = Spool(file.shown, environ)
        self.rows = 0
        try:
            self._writer: RowWriter = row_writer(options, file, schema, self.spool)
        except BaseException:
            self.spool.discard()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        if not batch.schema.equals(self._schema):
            raise SchemaMismatch(f"{self._file.shown}: rows have {columns_text(batch.schema)}, the object {columns_text(self._schema)}")
        self._writer.write(batch)
        self.rows += batch.num_rows

    def end(self) -> None:
        self._writer.end()
