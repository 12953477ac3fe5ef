"""A file as a sink that grows: the rows of each value behind those of the one before, in the order of the link (`mode: append`).

A file is a log of what was delivered. The rows of a new generation stand behind those of the old ones; whoever wants one of them alone takes
`mode: replace` or `mode: parts`. CSV has its header once, and rows with other columns are refused; under gzip each value is a member of its
own, which every reader takes for one file. Formats with an end of their own (Parquet, Arrow files) cannot be appended to.

Exactly once: before anything is written, an `Intent` beside the file says which bytes the value will take; the rows are synced before the
home records the commit, and with it where the file ended then and what its last bytes were. So a worker that comes after a kill finds

    the file as recorded                        goes on behind it
    a tail behind it that the intent named      its own, torn or not committed: cuts it off, and writes the value again
    no file, or an empty one                    it was moved away: begins it anew
    anything else                               somebody's work: stops; under `overwrite: true` goes on behind it, whatever it is

and so does one that finds a file of which nothing is recorded. The record has, beyond what every sink's has (`digest` is that of the last
`SINK_TAIL_BYTES` of the file), `mode`, `generation`, `sequence` and `columns`, a digest of what rows must have in common.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
from blake3 import blake3

from linkd.durability import sync_data, sync_directory
from linkd.errors import Conflict, InvalidArgument, SchemaMismatch
from linkd.limits import ROWS_PER_VALUE, SINK_TAIL_BYTES
from linkd.plugin.contract import LinkOptions, SinkResult, SinkValue, ValueSink
from linkd_adapters.file.encodings import columns_there, common_columns, encoding_of, packed
from linkd_adapters.file.intent import Intent, remove_intent
from linkd_adapters.file.location import FileFormat, FileLocation, writing_problem
from linkd_adapters.file.modes import APPEND
from linkd_adapters.file.ownership import Place, changed_by_somebody
from linkd_adapters.file.sink import translated
from linkd_adapters.file.writers import require_writable
from linkd_adapters.steps import in_thread


class AppendSink(ValueSink):
    """See the module."""

    def __init__(self, options: LinkOptions, location: FileLocation) -> None:
        self._options = options
        self._location = location

    async def check(self, last: Mapping[str, str]) -> None:
        await in_thread(lambda: self._check(last))

    async def write(self, value: SinkValue, last: Mapping[str, str]) -> SinkResult:
        return await in_thread(lambda: self._write(value, last))

    async def caught_up(self, generation: int) -> None:
        return

    async def close(self) -> None:
        with translated(self._location):
            await in_thread(lambda: remove_intent(self._target()))

    def _check(self, last: Mapping[str, str]) -> None:
        target = self._target()
        with translated(self._location):
            if target.is_file():
                with target.open("rb") as file:
                    self._end(target, file, last)

    def _write(self, value: SinkValue, last: Mapping[str, str]) -> SinkResult:
        require_writable(self._location, value.data.schema)
        problem = writing_problem(self._location)
        if problem is not None:
            raise InvalidArgument(problem)
        target = self._target()
        with translated(self._location):
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(target, os.O_RDWR | os.O_CREAT, 0o666)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                start = self._end(target, file, last)
                text = self._text(value.data, file, start, last)
                size_bytes = self._append(value, target, file, start, text)
                return self._result(value, target, file, size_bytes)

    def _target(self) -> Path:
        return Path(os.path.realpath(self._location.path))

    def _end(self, target: Path, file: BinaryIO, last: Mapping[str, str]) -> int:
        """Up to which byte the file is to be kept. Raises `Conflict` if that cannot be told, for somebody else wrote to it."""
        size = os.fstat(file.fileno()).st_size
        intent = Intent.read(target)
        recorded = last if (last.get("mode"), last.get("path")) == (APPEND, str(target)) else None
        ended = 0 if recorded is None else int(recorded["size_bytes"])
        if size == 0 or (size == ended and _tail_digest(file, ended) == last["digest"]):
            return size
        if intent is not None and recorded is not None and _place(recorded) == (intent.generation, intent.sequence):
            intent = None  # what it named is recorded
        if intent is not None and intent.start <= size <= intent.end and self._was_end(file, intent.start, ended, recorded):
            return intent.start
        if self._options.overwrite:
            return size
        place = Place(self._options.link, self._location.shown, target, False)
        outcome = "to have rows appended behind what it holds"
        if recorded is None:
            raise Conflict(
                f"{place.shown} is there already, and this pipeline did not write it: "
                f"move it away, or give links.{place.link} `overwrite: true` {outcome}"
            )
        raise changed_by_somebody(place, "appended to it", recorded["size_bytes"], size, outcome)

    def _was_end(self, file: BinaryIO, start: int, ended: int, recorded: Mapping[str, str] | None) -> bool:
        """Whether a value that was not recorded may have been begun at `start`: at the recorded end, or in a new file, or anywhere."""
        if start == ended and recorded is not None:
            return _tail_digest(file, ended) == recorded["digest"]
        return start == 0 or self._options.overwrite

    def _text(self, batch: pa.RecordBatch, file: BinaryIO, start: int, last: Mapping[str, str]) -> bytes:
        """The bytes of the rows as they go behind the first `start` bytes of the file."""
        encoding = encoding_of(self._options, self._location)
        rows = b"".join(encoding.rows(batch.slice(at, ROWS_PER_VALUE)) for at in range(0, batch.num_rows, ROWS_PER_VALUE))
        if start == 0:
            text = encoding.head(batch.schema) + rows
        else:
            columns = common_columns(self._options, self._location, batch.schema)
            if columns and last.get("columns") != _digest_of(columns):
                self._require_same_columns(columns)
            text = rows
        if self._location.packing:
            return packed(text) if text else b""
        if start and text and self._location.format is not FileFormat.ARROW and os.pread(file.fileno(), 1, start - 1) != b"\n":
            return b"\n" + text  # somebody's last line, without its end
        return text

    def _require_same_columns(self, coming: list[str]) -> None:
        """Raise `SchemaMismatch` if the rows that are there have other columns."""
        there = columns_there(self._options, self._location)
        if there != coming:
            raise SchemaMismatch(
                f"{self._location.shown} has the columns {', '.join(there)}, and the rows that come have {', '.join(coming)}: "
                "move it away to have a new one begun"
            )

    def _append(self, value: SinkValue, target: Path, file: BinaryIO, start: int, text: bytes) -> int:
        """Put `text` behind the first `start` bytes, durably; the size of the file then."""
        is_new = os.fstat(file.fileno()).st_size == 0
        Intent(value.generation, value.sequence, start, start + len(text), blake3(text).hexdigest()).write(target)
        file.truncate(start)
        rest = memoryview(text)
        place = start
        while rest:
            count = os.pwrite(file.fileno(), rest, place)
            rest, place = rest[count:], place + count
        sync_data(file.fileno())
        if is_new:
            sync_directory(target.parent)
        return place

    def _result(self, value: SinkValue, target: Path, file: BinaryIO, size_bytes: int) -> SinkResult:
        own = {
            "mode": APPEND,
            "generation": str(value.generation),
            "sequence": str(value.sequence),
            "columns": _digest_of(common_columns(self._options, self._location, value.data.schema)),
        }
        mtime_ns = os.fstat(file.fileno()).st_mtime_ns
        return SinkResult(str(target), value.data.num_rows, size_bytes, _tail_digest(file, size_bytes), mtime_ns, own)


def _place(recorded: Mapping[str, str]) -> tuple[int, int]:
    return int(recorded["generation"]), int(recorded["sequence"])


def _tail_digest(file: BinaryIO, end: int) -> str:
    """BLAKE3 of the last `SINK_TAIL_BYTES` bytes before `end`."""
    start = max(0, end - SINK_TAIL_BYTES)
    return str(blake3(os.pread(file.fileno(), end - start, start)).hexdigest())


def _digest_of(columns: list[str]) -> str:
    return str(blake3(json.dumps(columns).encode()).hexdigest(16))
