"""A directory that is followed: each file that comes into it is taken once, when it is complete (`completeness`), whatever is killed when.

What came since the last look is taken in the order of the names. A file that was taken may be moved away, and is forgotten then; one that is
changed is not read again (the next run that does not follow sees that the directory is another one, and reads it anew). Hidden files, and those of
other formats, are no part of it: a writer that cannot rename writes `.name` first.

The position is that of any source of files (`position`), with

    taken       the files that were read and are still there, [[name, BLAKE3], ...]
    name        of a file that is read in part, "" for none; `earlier` are the rows before it, `size_bytes` is its size
    digest      of the files taken, as a survey of them would have it (`listing`)
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

import pyarrow as pa

from linkd.errors import InvalidArgument, SchemaMismatch, SourceChanged
from linkd.limits import FOLLOWED_FILES_MAX
from linkd.plugin.contract import STOP, LinkOptions, SourceBatch, SourcePart, SourceStat
from linkd_adapters.file.completeness import is_complete
from linkd_adapters.file.conversion import empty_batch
from linkd_adapters.file.listing import combined_digest, entries_of
from linkd_adapters.file.location import FileLocation
from linkd_adapters.file.position import FilePosition, decoded_position
from linkd_adapters.file.reader import FileBatch, FormatReader
from linkd_adapters.file.rejects import bad_row, reject_batch
from linkd_adapters.file.stored import StoredFile, changed_while_read


class FollowingDirectory:
    """See the module: the blocking side, for one follower. `batches` gives what is there, and may be called again for what came since."""

    def __init__(
        self, options: LinkOptions, location: FileLocation, reader: FormatReader, schema: pa.Schema, position: bytes | None
    ) -> None:
        self._options = options
        self._location = location
        self._reader = reader
        self._schema = schema
        self._at = decoded_position(location.shown, position) if position is not None else FilePosition("")
        self._taken = dict(self._at.taken)
        self.is_waiting = False
        """Whether there was a file that was not complete when they were looked at: nothing tells when it is."""

    def close(self) -> None:
        """Nothing is open between two calls of `batches`."""

    def batches(self) -> Generator[SourceBatch, None, None]:
        """Raises `BadRow` under `on_bad_row: stop`, `SchemaMismatch` for a file with another column, `SourceChanged` for one that is changed
        while it is read, `DataFault`."""
        while (file := self._next()) is not None:
            yield from self._rows(file)

    def ended(self) -> SourceBatch:
        """Behind all that was there: what a run that ends says last."""
        return self._batch(empty_batch(self._schema), self._at, final=True)

    def _next(self) -> FileLocation | None:
        """The file to read: the one that was begun, or else the first that is complete and was not taken."""
        there = {file.shown: file for file in entries_of(self._location)}
        if self._at.name:
            if self._at.name not in there:
                raise SourceChanged(f"{self._at.name} is gone, and was read in part: put it back, or run again to read the directory anew")
            return there[self._at.name]
        self._taken = {name: digest for name, digest in self._taken.items() if name in there}
        if len(there) > FOLLOWED_FILES_MAX:
            raise InvalidArgument(
                f"{self._location.shown} holds {len(there):,} files, and a directory that is followed at most {FOLLOWED_FILES_MAX:,}: "
                "move away what was read"
            )
        new = [file for name, file in sorted(there.items()) if name not in self._taken]
        ready = next((file for file in new if is_complete(file.path)), None)
        self.is_waiting = ready is None and bool(new)
        return ready

    def _rows(self, file: FileLocation) -> Iterator[SourceBatch]:
        if not self._at.name:
            self._at = replace(self._at, name=file.shown, earlier=self._at.row, offset=0, line=0, size_bytes=0)
        with StoredFile.open(file) as stored:
            if self._at.size_bytes not in (0, stored.size_bytes):
                raise changed_while_read(file.shown)
            self._at = replace(self._at, size_bytes=stored.size_bytes)
            self._require_columns(stored)
            for batch in self._reader.batches(stored, self._schema, self._at.place):
                if batch.rejects and self._options.on_bad_row == STOP:
                    raise bad_row(file.shown, self._options.link, batch.rejects[0])
                yield self._behind(file, stored, batch)

    def _behind(self, file: FileLocation, stored: StoredFile, batch: FileBatch) -> SourceBatch:
        """The batch, with the position behind it; behind the last one the file is taken."""
        row, rejected = self._at.row + batch.rows, self._at.rejected + len(batch.rejects)
        if batch.is_last:
            self._taken[file.shown] = stored.unchanged_digest()
            taken = tuple(sorted(self._taken.items()))
            self._at = FilePosition(_digest_of(taken), row, rejected, taken=taken)
        else:
            self._at = replace(self._at, row=row, rejected=rejected, offset=batch.after.offset, line=batch.after.line)
        rejects = reject_batch(batch.rejects, file.shown) if batch.rejects else None
        made = self._batch(batch.data, self._at)
        return replace(made, rejects=rejects, attributes={"file": file.shown, **batch.attributes})

    def _batch(self, data: pa.RecordBatch, at: FilePosition, *, final: bool = False) -> SourceBatch:
        return SourceBatch(data, None, at.encode(), at.row, at.rejected, final, digest=_digest_of(at.taken))

    def _require_columns(self, stored: StoredFile) -> None:
        """Raises `SchemaMismatch` for a column that the link has not."""
        surveyor = self._reader.surveyor()
        for _ in surveyor.look(stored):
            pass
        extra = [name for name in surveyor.found().schema.names if name not in self._schema.names]
        if extra:
            raise SchemaMismatch(
                f"{stored.location.shown} has {', '.join(extra)}, which the files before it had not (they have "
                f"{', '.join(self._schema.names)}): move it away, or run again without --follow to read all of them anew"
            )


def is_continued_directory(location: FileLocation, position: bytes) -> bool:
    """Whether what was taken is what is there under its name, as far as it is: whether to go on behind the position."""
    at = decoded_position(location.shown, position)
    taken = dict(at.taken)
    if not (taken or at.name) or not location.path.is_dir():
        return False
    for file in entries_of(location):
        if file.shown in taken:
            with StoredFile.open(file) as stored:
                if stored.digest() != taken[file.shown]:
                    return False
    return True


def has_complete_file(location: FileLocation) -> bool:
    """Whether there is anything to begin with."""
    return any(is_complete(file.path) for file in entries_of(location))


def _digest_of(taken: tuple[tuple[str, str], ...]) -> str:
    return combined_digest([SourcePart(name, digest, SourceStat()) for name, digest in taken], True)
