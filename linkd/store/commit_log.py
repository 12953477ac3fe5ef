"""`_commits/`: what was committed, kept when the journal files that said so are gone. Plain Arrow, chained by hashes, written once. Blocking.

`_commits/%016d.arrow`, numbered by the journal file it is made from (a journal file without commits has none), is an Arrow IPC stream of a row
for each record of a commit and each move of a source, in the order of the journal:

    lsn uint64, kind utf8 (`commit`, `source`), committed_at timestamp[ns, UTC] (null of a source), task utf8, execution uint64,
    snapshot_id binary, attempt uint64, portions list<range>, outputs list<range>, attributes map<utf8, utf8>, record binary, chain binary
    range: struct<link utf8, incarnation uint64, generation uint64, first_sequence uint64, last_sequence uint64>

`record` is a linkd.store.v1.Frame with that one record, as it was in the journal; the other columns are out of it, for people. `chain` is BLAKE3
over the chain of the row before, the lsn (8 bytes, little-endian) and `record`; before the first row of all it is 32 zeros. The metadata of the
schema have `linkd.chain_start`, the chain before the first row, in hexadecimal, and `linkd.first_committed_at_ns`, 0 if no row has a time; with
`linkd.lost` a repair says why the file before does not lead on to this one. Behind the end mark, where no Arrow program looks, 8 bytes are the
XXH3-64 of all before them, little-endian (files of before there was such a checksum end with the mark).

A file is written aside (`.new`), synced and renamed before its journal file is deleted; the oldest files go whole, by `LINEAGE_KEPT_BYTES` and
`LINEAGE_KEPT_S`, never the newest. So the chain that is there begins with what the oldest file names. Behind a file that turns out to be damaged
the chain begins anew, with `linkd.lost`: commits do not stop for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xxhash

from linkd.errors import StateDamaged
from linkd.limits import CATALOG_BATCH_VALUES, STORE_READ_BYTES
from linkd.store.commit_rows import commit_row, commit_schema
from linkd.store.files import Bytes, File, Files
from linkd.store.journal_format import FileHeader, Frame
from linkd.store.store_limits import StoreLimits
from linkd.wire import arrow_ipc
from linkd.wire.frames import decode_frame

if TYPE_CHECKING:
    import pyarrow as pa

DIRECTORY = "_commits"
CHAIN_START = bytes(32)
"""The chain before the first row of all."""

NAME_SUFFIX = ".arrow"
_ASIDE_SUFFIX = ".new"
_START_KEY, _FIRST_AT_KEY = b"linkd.chain_start", b"linkd.first_committed_at_ns"
LOST_KEY = b"linkd.lost"
_CHECKSUM_BYTES = 8


def next_chain(chain: bytes, lsn: int, record: bytes) -> bytes:
    """The chain behind a row."""
    from blake3 import blake3

    digest: bytes = blake3(chain + lsn.to_bytes(8, "little") + record).digest()
    return digest


def check_chain(batches: Iterable[pa.RecordBatch], start: bytes) -> bytes:
    """The chain behind these batches, which lead on from `start`. Raises `StateDamaged` naming the first row that does not."""
    chain, last_lsn = start, 0
    for batch in batches:
        columns = [batch.column(name).to_pylist() for name in ("lsn", "record", "chain")]
        for lsn, record, said in zip(*columns, strict=True):
            chain = next_chain(chain, lsn, record)
            if said != chain or lsn < last_lsn:
                raise StateDamaged(f"the record of frame {lsn} in {DIRECTORY} was changed, or one before it was taken out or put in")
            last_lsn = lsn
    return chain


def file_name(journal_file: int) -> str:
    return f"{journal_file:016d}{NAME_SUFFIX}"


def file_number(name: str) -> int | None:
    """The number in the name of such a file, or `None` if it is not one's."""
    stem = name.removesuffix(NAME_SUFFIX)
    return int(stem) if stem != name and len(stem) >= 16 and stem.isdecimal() else None


def read_file(files: Files, path: Path) -> tuple[bytes, Iterator[pa.RecordBatch]]:
    """Where the chain of a file begins, and its rows. Raises `StateDamaged` if it is not what was written."""
    import pyarrow as pa

    data = content(files, path)
    if not data.endswith(arrow_ipc.EOS) and _checksum(data[:-_CHECKSUM_BYTES]) != data[-_CHECKSUM_BYTES:]:
        raise _damage(path)
    try:
        reader = pa.ipc.open_stream(pa.py_buffer(data))
        start = bytes.fromhex((reader.schema.metadata or {})[_START_KEY].decode())
    except (pa.ArrowException, KeyError, ValueError) as problem:
        raise _damage(path) from problem
    return start, _batches(reader, path)


class CommitLog:
    """Takes commits out of journal files that are about to go. For the thread that lets them go."""

    def __init__(self, files: Files, directory: Path, limits: StoreLimits) -> None:
        self._files = files
        self._directory = directory
        self._limits = limits
        self._chain: bytes | None = None

    def keep(self, number: int, frames: Iterable[tuple[FileHeader, Frame]]) -> None:
        """Writes what these frames, those of the journal file of this number, say of commits. Again is harmless."""
        there = self._numbers()
        if number in there:  # it was written before a crash
            return
        rows = _rows(frames)
        first = next(rows, None)
        if first is None:
            return
        if not there:
            self._files.make_directory(self._directory)
            self._files.sync_directory(self._directory.parent)
        self._write(self._directory / file_name(number), self._end_of(there[-1]) if there else CHAIN_START, first, rows)
        self._let_go([*there, number])

    def _write(self, path: Path, start: bytes | None, first: dict[str, Any], rows: Iterator[dict[str, Any]]) -> None:
        import pyarrow as pa

        lost = {LOST_KEY: b"damaged"} if start is None else {}
        start = start or CHAIN_START
        metadata = {_START_KEY: start.hex().encode(), _FIRST_AT_KEY: str(first["committed_at"] or 0).encode(), **lost}
        schema = commit_schema().with_metadata(metadata)
        aside = path.with_name(path.name + _ASIDE_SUFFIX)
        if aside.name in self._files.list(self._directory):
            self._files.unlink(aside)
        file = self._files.create(aside)
        try:
            chain, batch, sink = start, [first], _Sink(file)
            with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), schema) as writer:
                while batch:
                    for row in batch:
                        row["chain"] = chain = next_chain(chain, row["lsn"], row["record"])
                    writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
                    batch = [row for row, _ in zip(rows, range(CATALOG_BATCH_VALUES), strict=False)]
            sink.write(sink.state.digest()[::-1])
            file.datasync()
        finally:
            file.close()
        self._files.rename(aside, path)
        self._files.sync_directory(self._directory)
        self._chain = chain

    def _end_of(self, number: int) -> bytes | None:
        """The chain behind the newest file; None if that is damaged. `linkd verify` names it, for whoever looks."""
        if self._chain is None:
            try:
                start, batches = read_file(self._files, self._directory / file_name(number))
                self._chain = check_chain(batches, start)
            except StateDamaged:
                return None
        return self._chain

    def _let_go(self, numbers: Sequence[int]) -> None:
        """Deletes the oldest files that are too many bytes or too old. No clock is asked: what the newest two agree on is the time, so that one
        commit of a clock that had jumped takes nothing."""
        paths = [self._directory / file_name(number) for number in numbers]
        sizes = [_size_bytes(self._files, path) for path in paths]
        newest_at_ns = min(_first_at_ns(self._files, path) for path in paths[-2:])
        gone = 0
        while gone < len(paths) - 1:
            next_at_ns = _first_at_ns(self._files, paths[gone + 1])
            is_old = next_at_ns > 0 and newest_at_ns - next_at_ns > self._limits.lineage_kept_s * 1e9
            if sum(sizes[gone:]) <= self._limits.lineage_kept_bytes and not is_old:
                break
            self._files.unlink(paths[gone])
            self._files.sync_directory(self._directory)  # before the next one goes: a gap would be damage
            gone += 1

    def _numbers(self) -> list[int]:
        return sorted(number for name in self._files.list(self._directory) if (number := file_number(name)) is not None)


def _rows(frames: Iterable[tuple[FileHeader, Frame]]) -> Iterator[dict[str, Any]]:
    for header, frame in frames:
        records = decode_frame(frame.records, header.number, frame.payload_offset)
        yield from (row for record in records if (row := commit_row(frame.lsn, record, records)) is not None)


class _Sink:
    """What pyarrow writes to: the end of a file."""

    closed = False

    def __init__(self, file: File) -> None:
        self._file = file
        self._at = 0
        self.state = xxhash.xxh3_64()

    def write(self, data: Bytes) -> int:
        self._file.pwrite(memoryview(data), self._at)
        self.state.update(data)
        self._at += len(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """The file is its owner's to close."""


def _batches(reader: Any, path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    try:
        for batch in reader:
            batch.validate(full=True)
            yield batch
    except pa.ArrowException as problem:
        raise _damage(path) from problem


def _first_at_ns(files: Files, path: Path) -> int:
    """When the first commit in a file was made; 0 if it does not say."""
    import pyarrow as pa

    file = files.open(path)
    try:
        schema = pa.ipc.read_schema(pa.py_buffer(file.pread(STORE_READ_BYTES, 0)))
        return int((schema.metadata or {})[_FIRST_AT_KEY])
    except (pa.ArrowException, KeyError, ValueError):
        return 0
    finally:
        file.close()


def _checksum(data: Bytes) -> bytes:
    return xxhash.xxh3_64_digest(data)[::-1]


def written_again(content: bytes, why: str) -> bytes:
    """The same file, but for what its metadata say: that what was before it is lost."""
    import pyarrow as pa

    reader = pa.ipc.open_stream(pa.py_buffer(content))
    schema = reader.schema.with_metadata({**(reader.schema.metadata or {}), LOST_KEY: why.encode()})
    written = pa.BufferOutputStream()
    with pa.ipc.new_stream(written, schema) as writer:
        for batch in reader:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    data: bytes = written.getvalue().to_pybytes()
    return data + _checksum(data)


def says_lost(content: bytes) -> bool:
    """Whether a repair has said of a file that what was before it is lost."""
    import pyarrow as pa

    return LOST_KEY in (pa.ipc.read_schema(pa.py_buffer(content)).metadata or {})


def content(files: Files, path: Path) -> bytes:
    """All of a file."""
    file = files.open(path)
    try:
        return file.pread(file.size(), 0)
    finally:
        file.close()


def _size_bytes(files: Files, path: Path) -> int:
    file = files.open(path)
    try:
        return file.size()
    finally:
        file.close()


def _damage(path: Path) -> StateDamaged:
    return StateDamaged(
        f"{path} is not what was written: the disk or another program has changed it. It says what was committed: restore it from a backup, or "
        "delete it and lose that"
    )
