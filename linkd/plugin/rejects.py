"""Rows of a source that did not fit: the schema of every link `<link>.rejects`."""

from __future__ import annotations

import pyarrow as pa

REJECTS_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string()),
        pa.field("line", pa.int64()),
        pa.field("column", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("text", pa.string()),
    ]
)
"""`file` as the pipeline file names it; `line` where the row begins, or the number of the row where there are no lines, from 1; `column`
the leftmost that does not fit, null if it is the row as a whole; `reason` why; `text` the row as it stands in the file, up to
`REJECT_TEXT_MAX_BYTES`, with bytes that are no text written as `\\xNN`."""
