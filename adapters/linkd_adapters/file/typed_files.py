"""What formats with types of their own have in common: one schema over all files, and batches of a number of rows.

Columns come in the plain form that links keep (no dictionaries, no large or view layouts). With a declared `schema:` they are cast to it; a
row with a value that does not fit stops the run or is rejected, named by its number from 1. Of files that differ, integers and floats take
the wider type; other differences are refused.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from linkd.errors import DataFault, SchemaMismatch
from linkd.limits import ROWS_PER_VALUE, SOURCE_BATCH_MAX_BYTES, TYPED_ROWS_AT_ONCE
from linkd.plugin.column_types import CastLoses, declared_types, plain_array, plain_schema, type_text
from linkd.plugin.contract import LinkOptions
from linkd_adapters.file.columns import FileColumns, require_column_names
from linkd_adapters.file.conversion import empty_batch, fitting_rows, reject_row_text
from linkd_adapters.file.reader import FileBatch, Found, Place
from linkd_adapters.file.rejects import Reject
from linkd_adapters.file.rows import arranged


class TypedColumns:
    """What the files of one source have in common."""

    def __init__(self, options: LinkOptions) -> None:
        self._declared = declared_types(options)
        self._columns = FileColumns()
        self._fields: dict[str, tuple[pa.Field, str]] = {}
        self._rows = 0

    def take(self, schema: pa.Schema, rows: int, shown: str) -> None:
        """The next file has this schema, and so many rows. Raises `DataFault`."""
        try:
            self._take(schema, rows, shown)
        except UnicodeDecodeError as error:
            raise DataFault(f"{shown}: the name of a column is not UTF-8 ({error.object!r}); write it anew") from error

    def _take(self, schema: pa.Schema, rows: int, shown: str) -> None:
        require_column_names(schema.names, shown)
        self._columns.take(schema.names, shown)
        self._rows += rows
        for field in schema:
            _require_held(field, shown)
        if self._declared is None:
            for field in plain_schema(schema):
                self._widen(field, shown)

    def _widen(self, field: pa.Field, shown: str) -> None:
        seen, where = self._fields.setdefault(field.name, (field, shown))
        if seen.type == field.type:
            return
        try:
            wider = pa.unify_schemas([pa.schema([seen]), pa.schema([field])], promote_options="permissive").field(0)
        except (pa.ArrowTypeError, pa.ArrowInvalid):
            both = f"column {field.name} is {type_text(field.type)} in {shown} and {type_text(seen.type)} in {where}"
            raise SchemaMismatch(f"{both}; write them with one type, or declare schema:") from None
        self._fields[field.name] = (wider, where)

    def found(self) -> Found:
        if self._declared is not None:
            return Found(self._columns.declared(self._declared), self._rows, self._columns.notes)
        schema = plain_schema(pa.schema([field for field, _ in self._fields.values()]))
        return Found(schema, self._rows, self._columns.notes)


def _require_held(field: pa.Field, shown: str) -> None:
    """Raise `SchemaMismatch` for a type that no link holds, at any depth."""
    found = _not_held(field.type)
    if found is not None:
        what = f"column {field.name} {'is' if found == field.type else 'holds'} {found}"
        raise SchemaMismatch(f"{shown}: {what}, which links cannot hold; cast it in the program that writes it")


def _not_held(kind: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if types.is_union(kind) or types.is_interval(kind) or types.is_decimal256(kind):
        return kind
    inner = [kind.value_type] if types.is_dictionary(kind) else [kind.field(index).type for index in range(kind.num_fields)]
    return next((found for found in map(_not_held, inner) if found is not None), None)


def rows_per_batch(row_bytes: int) -> int:
    """How many rows a batch has, if the widest have so many bytes."""
    return max(1, min(ROWS_PER_VALUE, SOURCE_BATCH_MAX_BYTES // max(1, row_bytes)))


def typed_batches(batches: Iterator[pa.RecordBatch], rows: int, schema: pa.Schema, before: Place, shown: str) -> Iterator[FileBatch]:
    """The rows of `batches`, which follow `before`, as `schema`, in batches of `rows`; one of none if there are none. The last one is shorter,
    and so are those that would exceed `SOURCE_BATCH_MAX_BYTES`."""
    waiting: pa.RecordBatch | None = None
    for some in _recut((_plain(some, shown) for batch in batches for some in _pieces(batch)), rows):
        if waiting is not None:
            made = _file_batch(waiting, schema, before, is_last=False)
            before = made.after
            yield made
        waiting = some
    yield _file_batch(empty_batch(schema) if waiting is None else waiting, schema, before, is_last=True)


def _pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    for start in range(0, batch.num_rows, TYPED_ROWS_AT_ONCE):
        yield batch.slice(start, TYPED_ROWS_AT_ONCE)


def _plain(batch: pa.RecordBatch, shown: str) -> pa.RecordBatch:
    try:
        return pa.RecordBatch.from_arrays([plain_array(column) for column in batch.columns], names=batch.schema.names)
    except CastLoses as error:
        raise DataFault(f"{shown}: {error}; write it in smaller batches") from error


def _recut(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of `rows`, the last one shorter, and those that have `SOURCE_BATCH_MAX_BYTES` with fewer."""
    waiting: list[pa.RecordBatch] = []
    held = held_bytes = 0
    for some in batches:
        rest = some
        while held + rest.num_rows >= rows:
            yield pa.concat_batches([*waiting, rest.slice(0, rows - held)])
            rest, waiting, held, held_bytes = rest.slice(rows - held), [], 0, 0
        if rest.num_rows:
            waiting.append(rest)
            held, held_bytes = held + rest.num_rows, held_bytes + rest.nbytes
        if held_bytes >= SOURCE_BATCH_MAX_BYTES:
            yield pa.concat_batches(waiting)
            waiting, held, held_bytes = [], 0, 0
    if waiting:
        yield pa.concat_batches(waiting)


def _file_batch(batch: pa.RecordBatch, schema: pa.Schema, before: Place, *, is_last: bool) -> FileBatch:
    data, reasons = fitting_rows(arranged(batch, schema.names), schema)
    first, last = before.row + 1, before.row + batch.num_rows
    return FileBatch(
        data=data,
        rejects=tuple(
            Reject(index, first + index, *reasons[index], reject_row_text(batch.slice(index, 1).to_pylist()[0]))
            for index in sorted(reasons)
        ),
        rows=batch.num_rows,
        after=Place(last),
        is_last=is_last,
        attributes={"first_row": str(first), "last_row": str(last)} if batch.num_rows else {},
    )
