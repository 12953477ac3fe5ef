"""Rows as JSON lines: one object per row, `\\n` behind each, every column in it, null where there is no value.

Values are written as `linkd.core.json_values` has them: numbers with all digits, NaN and infinities as "NaN", "Infinity", "-Infinity",
dates and times as ISO 8601, bytes as base64, lists and structs as arrays and objects. Reading with the same `schema:` gives the same rows.
"""

from __future__ import annotations

import pyarrow as pa

from linkd.errors import InvalidArgument, SchemaMismatch
from linkd.plugin.column_types import type_text
from linkd.plugin.json_rows import batch_to_rows, has_json_form


def require_json_types(schema: pa.Schema, shown: str) -> None:
    """Raise `SchemaMismatch` naming the first column that JSON cannot hold."""
    for field in schema:
        if not has_json_form(field.type):
            raise SchemaMismatch(f"{shown}: column {field.name} is {type_text(field.type)}, which JSON cannot hold; write Arrow or Parquet")


class JsonlEncoding:
    """JSON lines: nothing stands before the first row."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def head(self, schema: pa.Schema) -> bytes:  # the shape of every encoding
        return b""

    def rows(self, batch: pa.RecordBatch) -> bytes:
        """The lines of these rows. Raises `SchemaMismatch` for a date that ISO 8601 cannot write."""
        try:
            return batch_to_rows(batch)
        except InvalidArgument as error:
            raise SchemaMismatch(f"{self._shown}: {error}") from error
