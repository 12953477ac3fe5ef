"""The rows of a block: its fields as texts, then as values of the schema, and the rows that are neither.

pyarrow reads whole blocks at once; only a block it refuses, or one with bytes that are no text, is gone through row by row to say which
rows are to blame and why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.csv as pa_csv

from linkd.errors import InternalFault
from linkd_adapters.file.conversion import fitting_rows, reject_text
from linkd_adapters.file.csv_blocks import RECODE, Block
from linkd_adapters.file.csv_records import Record, field_count, line_count, records
from linkd_adapters.file.rejects import Reject


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a file are to be read: its columns, and the texts that stand for no value (the empty one always does)."""

    names: tuple[str, ...]
    nulls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a block: `data` has those that fit, in order, `rejects` the others, by row; `count` is that of both."""

    block: Block
    data: pa.RecordBatch
    rejects: tuple[Reject, ...]
    count: int

    def split(self, row: int) -> tuple[Rows, Rows]:
        """The rows before `row` and from it on."""
        left, right = self.block.split(row, self.count)
        before = tuple(reject for reject in self.rejects if reject.row < row)
        after = tuple(replace(reject, row=reject.row - row) for reject in self.rejects[len(before) :])
        fitting = row - len(before)
        return (
            Rows(left, self.data.slice(0, fitting), before, row),
            Rows(right, self.data.slice(fitting), after, self.count - row),
        )

    def line_of(self, fitting: int) -> int:
        """The line on which row `fitting` of `data` begins."""
        rejected = {reject.row for reject in self.rejects}
        row = [row for row in range(self.count) if row not in rejected][fitting] if rejected else fitting
        return self.block.split(row, self.count)[1].line

    @property
    def last_line(self) -> int:
        """The line on which the last row ends."""
        text = self.block.text.rstrip(b"\r\n")
        return self.block.line + line_count(text)


def text_rows(block: Block, layout: Layout) -> Rows:
    """The rows of a block with every field as text or null; rows that are no text or have too few or too many fields are rejects."""
    if b"\0" not in block.text and _is_text(block.text):
        try:
            batch = _parsed(block.text, layout)
        except pa.ArrowInvalid:
            pass  # a row with another number of fields: found below
        else:
            return Rows(block, batch, (), batch.num_rows)
    good: list[bytes] = []
    rejects: list[Reject] = []
    count = 0
    for row, record in enumerate(records(block.text)):
        count += 1
        raw = block.text[record.start : record.end]
        reason = _row_problem(raw, len(layout.names))
        if reason is None:
            good.append(raw + b"\n")
        else:
            rejects.append(Reject(row, block.line + record.lines_before, "", reason, reject_text(raw)))
    batch = _parsed(b"".join(good), layout)
    if batch.num_rows != len(good):
        raise InternalFault(f"line {block.line}: {len(good)} rows were cut and {batch.num_rows} were read; please report this")
    return Rows(block, batch, tuple(rejects), count)


def _is_text(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _row_problem(raw: bytes, columns: int) -> str | None:
    """Why a row cannot be read, whatever the types."""
    if (nul := raw.find(b"\0")) >= 0:
        return f"byte {nul + 1} of the row is NUL, which no text has; remove it, or {RECODE}"
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start + 1} of the row, 0x{raw[error.start]:02x}, is not UTF-8; {RECODE}"
    count = field_count(raw)
    if count != columns:
        return f"{count} {'field' if count == 1 else 'fields'} where the header has {columns}"
    return None


def _parsed(text: bytes, layout: Layout) -> pa.RecordBatch:
    """Whole rows, known to be UTF-8, as a batch of string columns. Raises `pa.ArrowInvalid` if one has another number of fields."""
    schema = pa.schema([pa.field(name, pa.string()) for name in layout.names])
    if not text:
        return pa.RecordBatch.from_arrays([pa.nulls(0, pa.string()) for _ in layout.names], schema=schema)
    table = pa_csv.read_csv(
        pa.BufferReader(text),
        # One block holds it all, so that nothing depends on where pyarrow would cut.
        read_options=pa_csv.ReadOptions(use_threads=False, block_size=len(text) + 1, column_names=list(layout.names)),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            check_utf8=False,
            column_types=schema,
            null_values=["", *layout.nulls],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    return table.combine_chunks().to_batches()[0]


def fitted(rows: Rows, schema: pa.Schema) -> Rows:
    """The rows with their texts as values of `schema`; those with a text that does not fit join the rejects, by their leftmost one."""
    data, reasons = fitting_rows(rows.data, schema)
    rejects = _with_misfits(rows, reasons) if reasons else rows.rejects
    return Rows(rows.block, data, rejects, rows.count)


def _with_misfits(rows: Rows, reasons: dict[int, tuple[str, str]]) -> tuple[Reject, ...]:
    """The rejects with the rows of `data` that `reasons` names by their index there."""
    rejected = {reject.row: reject for reject in rows.rejects}
    all_records: Sequence[Record] = list(records(rows.block.text))
    fitting = [row for row in range(rows.count) if row not in rejected]
    for index, (column, reason) in reasons.items():
        record = all_records[fitting[index]]
        raw = rows.block.text[record.start : record.end]
        line = rows.block.line + record.lines_before
        rejected[fitting[index]] = Reject(fitting[index], line, column, reason, reject_text(raw))
    return tuple(rejected[row] for row in sorted(rejected))
