"""The rows of a block of text: those that fit, as values, and those that do not, as rejects."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pyarrow as pa

from linkd_adapters.file.blocks import Block
from linkd_adapters.file.conversion import fitting_rows, reject_text
from linkd_adapters.file.records import line_count
from linkd_adapters.file.rejects import Reject


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
        text = self.block.text
        behind = line_count(text[len(text.rstrip(b"\r\n")) :])
        return self.block.end_line - behind


def is_text(text: bytes) -> bool:
    """Whether these bytes are UTF-8."""
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def fitted(rows: Rows, schema: pa.Schema, decimal: str = ".") -> Rows:
    """The rows with their values as those of `schema`; those with one that does not fit join the rejects, by their leftmost one."""
    data, reasons = fitting_rows(rows.data, schema, decimal)
    rejects = _with_misfits(rows, reasons) if reasons else rows.rejects
    return Rows(rows.block, data, rejects, rows.count)


def _with_misfits(rows: Rows, reasons: dict[int, tuple[str, str]]) -> tuple[Reject, ...]:
    """The rejects with the rows of `data` that `reasons` names by their index there."""
    rejected = {reject.row: reject for reject in rows.rejects}
    all_records = list(rows.block.grammar.records(rows.block.text))
    fitting = [row for row in range(rows.count) if row not in rejected]
    for index, (column, reason) in reasons.items():
        record = all_records[fitting[index]]
        raw = rows.block.text[record.start : record.end]
        line = rows.block.line + record.lines_before
        rejected[fitting[index]] = Reject(fitting[index], line, column, reason, reject_text(raw))
    return tuple(rejected[row] for row in sorted(rejected))


def arranged(batch: pa.RecordBatch, names: list[str]) -> pa.RecordBatch:
    """The columns of these names, in this order; one that the batch has not is null throughout."""
    if batch.schema.names == names:
        return batch
    held = dict(zip(batch.schema.names, batch.columns, strict=True))
    return pa.RecordBatch.from_arrays([held[name] if name in held else pa.nulls(batch.num_rows) for name in names], names=names)
