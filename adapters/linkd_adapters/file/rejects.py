"""Rows that do not fit, as errors and as batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from linkd.errors import BadRow
from linkd.plugin.rejects import REJECTS_SCHEMA


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that does not fit.

    `row` counts from 0 in the block or batch it was read with; `line` is what the person sees, a line or row of the file from 1; `column`
    is "" if it is the row as a whole; `text` is the row, safe to print.
    """

    row: int
    line: int
    column: str
    reason: str
    text: str


def bad_row(shown: str, link: str, reject: Reject) -> BadRow:
    """The error that ends a run under `on_bad_row: stop`."""
    column = f"column {reject.column}: " if reject.column else ""
    remedy = f"on_bad_row: reject sends such rows to {link}.rejects"
    return BadRow(f"{shown}:{reject.line}: {column}{reject.reason} ({remedy})")


def reject_batch(rejects: Sequence[Reject], shown: str) -> pa.RecordBatch:
    """Rejected rows in `REJECTS_SCHEMA`."""
    columns = [
        [shown] * len(rejects),
        [reject.line for reject in rejects],
        [reject.column or None for reject in rejects],
        [reject.reason for reject in rejects],
        [reject.text for reject in rejects],
    ]
    arrays = [pa.array(values, field.type) for values, field in zip(columns, REJECTS_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=REJECTS_SCHEMA)
