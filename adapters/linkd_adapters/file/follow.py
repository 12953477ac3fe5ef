"""A text file that is followed as it grows, and through what becomes of it.

Rows are read when their lines are whole. Everything that is there is read at once, in batches as of any file; then whoever follows waits for
more. The file may

    be rotated        its name means another file now: when that one has a row, the rest of the old one is read (it need not end its last
                      line any more), then what came between the two (`app.csv.2`, `app.csv-20240131`: named after it with digits, changed
                      since), then the new one from its start
    be cut            it is shorter than what was read of it, or what was read last does not stand there any more: a copy that was made
                      of it before (`copytruncate`) is read to its end, then the file from its start
    be missing        it is waited for

None of these loses a line that is still on the disk, and none gives one twice, for the position (`follow_position`) names the file by its
inode and by the digest of what was read, which finds it again after a kill at any moment. Compressed leftovers of a rotation are not read. A
new file must have the columns of the old one; its header is no row.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from blake3 import blake3

from linkd.errors import SchemaMismatch, SourceChanged
from linkd.limits import CSV_BLOCK_BYTES, FOLLOW_TAIL_BYTES
from linkd.plugin.contract import STOP, LinkOptions, SourceBatch
from linkd_adapters.file.blocks import blocks
from linkd_adapters.file.follow_position import FollowPosition, Mark, hash_range, mark_of, prefix_hash, rotated, where_it_is
from linkd_adapters.file.location import FileLocation, reading_failed
from linkd_adapters.file.reader import Place
from linkd_adapters.file.rejects import bad_row, reject_batch
from linkd_adapters.file.rows import Rows
from linkd_adapters.file.stored import ContentReader
from linkd_adapters.file.text_batches import cut, file_batch
from linkd_adapters.file.text_reader import Start, TextReader

_BOM = b"\xef\xbb\xbf"


class _OpenFile:
    """One file, and how far it was read. `offset` is where the next row begins, 0 before the header was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.raw: BinaryIO = path.open("rb", buffering=0)
        self.start: Start | None = None
        self.offset = 0
        self.line = 1
        self.hashed = blake3()
        self._tail = b""
        stat = os.fstat(self.raw.fileno())
        self.identity = (stat.st_dev, stat.st_ino)

    def close(self) -> None:
        self.raw.close()

    @property
    def size_bytes(self) -> int:
        return os.fstat(self.raw.fileno()).st_size

    @property
    def mtime_ns(self) -> int:
        return os.fstat(self.raw.fileno()).st_mtime_ns

    def move_to(self, offset: int, line: int, hashed: blake3) -> None:
        """All before `offset` is read; `hashed` is the BLAKE3 of it."""
        self.offset, self.line, self.hashed = offset, line, hashed
        self._tail = os.pread(self.raw.fileno(), min(offset, FOLLOW_TAIL_BYTES), max(0, offset - FOLLOW_TAIL_BYTES))

    def read_to(self, offset: int, line: int) -> None:
        """All up to `offset` is read, or to the end of the file if that comes before."""
        end = min(offset, self.size_bytes)
        hash_range(self.raw, self.hashed, self.offset, end)
        self.move_to(end, line, self.hashed)

    @property
    def is_known(self) -> bool:
        """Whether rows of it were read: another file may well begin with the same header."""
        return self.start is not None and self.offset > self.start.place.offset

    def was_cut(self) -> bool:
        """Whether what was read last does not stand there any more."""
        return os.pread(self.raw.fileno(), len(self._tail), self.offset - len(self._tail)) != self._tail

    def beginning(self) -> bytes:
        """Enough of the file to see how it begins."""
        return _beginning(self.raw)

    def mark(self, row: int, rejected: int) -> Mark:
        digest = str(self.hashed.hexdigest())
        return Mark(self.identity[1], self.offset, digest, self.offset, self.line, row, rejected)


class _From:
    """The bytes of a file from a place on."""

    def __init__(self, raw: BinaryIO, offset: int) -> None:
        self._raw = raw
        self._offset = offset

    def read(self, size: int, /) -> bytes:
        data = os.pread(self._raw.fileno(), size, self._offset)
        self._offset += len(data)
        return data


class Following:
    """See the module: the blocking side, for one follower. `batches` gives what is there, and may be called again for what came since."""

    def __init__(self, options: LinkOptions, location: FileLocation, reader: TextReader, schema: pa.Schema, position: bytes | None) -> None:
        self._options = options
        self._location = location
        self._reader = reader
        self._schema = schema
        self._mark = mark_of(location.shown, position) if position is not None else None
        self._is_cut_row = self._mark is not None and self._mark.is_cut
        self._row = self._mark.row if self._mark is not None else 0
        self._rejected = self._mark.rejected if self._mark is not None else 0
        self._file: _OpenFile | None = None
        self._notes: list[str] = []
        self.is_waiting = False
        """Whether something may come of which nothing tells; of a file that grows nothing does."""

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def batches(self) -> Generator[SourceBatch, None, None]:
        """Raises `BadRow` under `on_bad_row: stop`, `SchemaMismatch` for a new file with other columns, `StorageFailed`."""
        try:
            yield from self._batches()
        except OSError as error:
            raise reading_failed(self._location, error) from error

    def _batches(self) -> Iterator[SourceBatch]:
        file = self._file or self._opened()
        if file is not None and file.was_cut():
            file = self._copied(file) or self._opened()
        if file is None:
            return
        yield from self._rows(file, growing=True)
        while (later := self._after(file)) is not None:
            try:
                if not later.offset:
                    yield from self._rows(file, growing=False)
                file = self._turn_to(later)
            finally:
                if self._file is not later:
                    later.close()
            yield from self._rows(file, growing=True)

    def _opened(self) -> _OpenFile | None:
        """The file to begin with: that of the position if there is one, wherever it is now."""
        mark, self._mark = self._mark, None
        path = self._location.path
        if mark is not None:
            found = where_it_is(path, mark)
            if found is not None:
                return self._resumed(found, mark)
            self._notes.append(
                f"{self._location.shown} is not the file that was read to line {mark.line - 1:,}, and that one is not there any more: "
                "it is read from its start, and what it has is added"
            )
        return self._turn_to(_OpenFile(path)) if path.is_file() else None

    def _resumed(self, path: Path, mark: Mark) -> _OpenFile | None:
        file = self._turn_to(_OpenFile(path))
        hashed = prefix_hash(file.raw, mark)
        if hashed is None or not self._begins(file):  # changed since it was found
            self.close()
            self._mark = mark
            return None
        file.move_to(mark.offset, mark.line, hashed)
        return file

    def _turn_to(self, file: _OpenFile) -> _OpenFile:
        if self._file is not None and self._file is not file:
            self._file.close()
        self._file = file
        return file

    def _copied(self, file: _OpenFile) -> _OpenFile | None:
        """The copy that was made of a file before it was cut, if there is one, with what was not read of it."""
        self._notes.append(
            f"{self._location.shown} was cut, or written anew, behind line {file.line - 1:,}: "
            "it is read from its start, and what it has is added"
        )
        mark = file.mark(self._row, self._rejected)
        found = where_it_is(self._location.path, mark) if file.is_known else None
        self.close()
        return self._resumed(found, mark) if found is not None else None

    def _after(self, file: _OpenFile) -> _OpenFile | None:
        """The file that comes after this one, which may be no more than another inode of it, written anew with more behind what it had."""
        try:
            named = _OpenFile(self._location.path)
        except FileNotFoundError:
            return None
        if named.identity != file.identity:
            hashed = prefix_hash(named.raw, file.mark(self._row, self._rejected)) if file.is_known else None
            if hashed is not None:
                named.start = file.start
                named.move_to(file.offset, file.line, hashed)
                return named
            between = self._between(file, named)
            if between is not None:
                named.close()
                return _OpenFile(between)
            if self._has_row(named, file):
                return named
        named.close()
        return None

    def _has_row(self, named: _OpenFile, file: _OpenFile) -> bool:
        """Whether it is worth turning to: of one without a row nobody could tell whether it was cut before it is looked at again."""
        has_header = file.start is not None and bool(file.start.names) and self._options.dialect.header
        return self._has_records(named, 1 + has_header)

    def _between(self, file: _OpenFile, named: _OpenFile) -> Path | None:
        """The oldest of what the name meant after `file` and before `named`."""
        for path in rotated(self._location.path):
            stat = path.stat()
            is_other = (stat.st_dev, stat.st_ino) not in (file.identity, named.identity)
            if is_other and file.mtime_ns < stat.st_mtime_ns <= named.mtime_ns and not self._is_copy(path, file):
                return path
        return None

    def _is_copy(self, path: Path, file: _OpenFile) -> bool:
        with path.open("rb", buffering=0) as raw:
            return file.is_known and prefix_hash(raw, file.mark(0, 0)) is not None

    def _rows(self, file: _OpenFile, *, growing: bool) -> Iterator[SourceBatch]:
        """The rows of the file that were not read; those that have their end, or all of them if it is not `growing` any more."""
        if file.start is None and not self._begins(file):
            return
        self._require_end_of_cut_row(file)
        content = ContentReader(self._location, _From(file.raw, file.offset))
        following = blocks(content.read, self._reader.grammar, self._shown(file), file.line, file.offset, growing=growing)
        for rows, _ in cut(self._reader.rows(block, self._start(file), self._schema) for block in following):
            if rows:
                yield self._batch(file, rows)

    def _begins(self, file: _OpenFile) -> bool:
        """Reads how the file begins, if it has begun. Raises `SchemaMismatch` if its columns are not those of the link."""
        if not self._has_records(file, 1):
            return False
        content = ContentReader(self._location, _From(file.raw, 0))
        file.start, _ = self._reader.begin(content, self._shown(file))
        names = file.start.names
        if names and set(names) != set(self._schema.names):
            raise SchemaMismatch(
                f"{self._shown(file)} has the columns {', '.join(names)}, and {self._options.link} has {', '.join(self._schema.names)}: "
                "what is added to a source must have the same columns"
            )
        if file.offset == 0:
            file.read_to(file.start.place.offset, file.start.place.line)
        return True

    def _has_records(self, file: _OpenFile, count: int) -> bool:
        return has_records(self._reader, file.beginning(), count)

    def _start(self, file: _OpenFile) -> Start:
        assert file.start is not None
        return file.start

    def _require_end_of_cut_row(self, file: _OpenFile) -> None:
        """Raises `SourceChanged` if the last row, which was read while it had no end, goes on."""
        if self._is_cut_row and file.size_bytes > file.offset:
            self._is_cut_row = False
            if os.pread(file.raw.fileno(), 1, file.offset) not in (b"\n", b"\r"):
                raise SourceChanged(
                    f"{self._shown(file)}: its last line was read when it had no end, and it goes on now; run again to read it anew"
                )

    def _shown(self, file: _OpenFile) -> str:
        """The name of the file as the person would write it."""
        return self._location.shown.removesuffix(self._location.path.name) + file.path.name

    def _batch(self, file: _OpenFile, rows: list[Rows]) -> SourceBatch:
        batch = file_batch(rows, False, self._schema, Place(self._row, file.offset, file.line))
        if batch.rejects and self._options.on_bad_row == STOP:
            raise bad_row(self._shown(file), self._options.link, batch.rejects[0])
        file.read_to(batch.after.offset, batch.after.line)
        self._row += batch.rows
        self._rejected += len(batch.rejects)
        notes, self._notes = tuple(self._notes), []
        digest = str(file.hashed.hexdigest())
        position = FollowPosition(file.identity[1], file.offset, file.line, digest, self._row, self._rejected)
        return SourceBatch(
            data=batch.data,
            rejects=reject_batch(batch.rejects, self._shown(file)) if batch.rejects else None,
            position=position.encode(),
            rows_read=self._row,
            rows_rejected=self._rejected,
            final=False,
            attributes={"file": self._shown(file), **batch.attributes},
            notes=notes,
            digest=digest,
        )


def has_records(reader: TextReader, text: bytes, count: int) -> bool:
    """Whether a text begins with so many whole records, or with one that is too long to see its end."""
    skipped = reader.grammar.empty_lines_length(text)
    end = reader.grammar.whole_records_end(text[skipped:])
    found = sum(1 for _ in islice(reader.grammar.records(text[skipped : skipped + end]), count))
    return found == count or len(text) >= CSV_BLOCK_BYTES - len(_BOM)


def beginning_of(location: FileLocation) -> bytes:
    """Enough of a file to see how it begins; nothing if it is not there."""
    try:
        with location.path.open("rb", buffering=0) as raw:
            return _beginning(raw)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise reading_failed(location, error) from error


def _beginning(raw: BinaryIO) -> bytes:
    return os.pread(raw.fileno(), CSV_BLOCK_BYTES, 0).removeprefix(_BOM)
