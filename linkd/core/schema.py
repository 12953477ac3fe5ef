"""The schema of a link: how it is decided, how rows are brought to it, how a mismatch is shown.

A link's schema is what the pipeline file declares, else it is kept from the first value: plain types (`arrow_types`), where a column
that is among the task's inputs under the same name takes its type from there if nothing is lost. Rows are then brought to it by name
(`conform`) with casts that lose nothing (`casts`); anything else is a `SchemaMismatch` that shows both sides and never a value. What makes the
schema itself grow stands in `evolution`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import pyarrow as pa

from linkd.core.arrow_types import parse_type, plain_schema, plain_type, type_text
from linkd.core.casts import CastLoses, as_array, lossless, plain_array
from linkd.core.intake import from_tuples, to_arrow
from linkd.core.payload import OPAQUE_SCHEMA, from_payload, is_opaque, opaque_batch, payload, split
from linkd.errors import SchemaMismatch

__all__ = [
    "OPAQUE_SCHEMA",
    "conform",
    "from_payload",
    "from_tuples",
    "in_schema",
    "is_opaque",
    "kept_schema",
    "opaque_batch",
    "parse_type",
    "payload",
    "plain_schema",
    "plain_type",
    "split",
    "to_arrow",
    "type_text",
]

Tabular: TypeAlias = pa.Table | pa.RecordBatch


def kept_schema(data: Tabular, declared: pa.Schema | None, inputs: Sequence[pa.Schema]) -> pa.Schema:
    """The schema that a link keeps, given its first value.

    `declared` wins. Else each column has its own plain type, unless one of `inputs` (the schemas of the task's input links, in wiring
    order) has a column of that name to whose type this value's column goes without loss: so an int64 column that pandas made float64
    because a row was missing is int64 again.
    """
    if declared is not None:
        return plain_schema(declared)
    # Of thousands of columns: to find one by its name takes a look at all of them.
    types = [{field.name: plain_type(field.type) for field in schema} for schema in inputs]
    return pa.schema([_kept_field(field, data.column(number), types) for number, field in enumerate(data.schema)])


def _kept_field(field: pa.Field, column: pa.Array | pa.ChunkedArray, inputs: Sequence[Mapping[str, pa.DataType]]) -> pa.Field:
    name, own = field.name, plain_type(field.type)
    for types in inputs:
        if name not in types:
            continue
        wanted = types[name]
        if wanted == own:
            break
        if not pa.types.is_null(wanted) and _goes_into(column, wanted):
            return pa.field(name, wanted)
    return pa.field(name, own)


def _goes_into(column: pa.Array | pa.ChunkedArray, wanted: pa.DataType) -> bool:
    try:
        lossless(plain_array(as_array(column)), wanted)
    except CastLoses:
        return False
    return True


def conform(data: Tabular, schema: pa.Schema, *, link: str, shown: pa.Schema | None = None) -> pa.RecordBatch:
    """One batch of the link's schema (a plain one), with the rows of `data`, whose columns may come in another order and layout.

    Raises `SchemaMismatch` naming the first column that is missing, extra, or would lose something, with the row (from 1) and both schemas;
    `shown` is told as that of the link, where it is on its way to `schema`.
    """
    given, kept = data.schema, shown if shown is not None else schema
    if given.equals(schema):  # as most are, of thousands of columns too
        return pa.RecordBatch.from_arrays(list(map(as_array, data.columns)), schema=schema)
    places = {name: number for number, name in enumerate(given.names)}
    if len(places) < len(given.names):
        twice = next(name for name, count in Counter(given.names).items() if count > 1)
        raise _mismatch(link, kept, given, twice, f"column `{twice}` occurs twice")
    wanted = set(schema.names)
    for field in schema:
        if field.name not in places:
            raise _mismatch(link, kept, given, field.name, f"column `{field.name}` is missing")
    for name in places:
        if name not in wanted:
            raise _mismatch(link, kept, given, name, f"column `{name}` is not in the link")
    arrays = []
    for field in schema:
        try:
            arrays.append(lossless(plain_array(as_array(data.column(places[field.name]))), field.type))
        except CastLoses as error:
            raise _mismatch(link, kept, given, field.name, _complaint(field, data, error)) from None
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def in_schema(data: Tabular, schema: pa.Schema, *, link: str) -> pa.RecordBatch:
    """As `conform`, of rows that were taken before their link had this schema: a column that they lack came later, and is null."""
    there = set(data.schema.names)
    if lacking := [field for field in schema if field.name not in there]:
        columns = [*data.columns, *(pa.nulls(data.num_rows, field.type) for field in lacking)]
        data = type(data).from_arrays(columns, schema=pa.schema([*data.schema, *lacking]))
    return conform(data, schema, link=link)


def _complaint(field: pa.Field, data: Tabular, error: CastLoses) -> str:
    given = type_text(plain_type(data.schema.field(field.name).type))
    fault = f"column `{field.name}` is {given} and does not go into {type_text(field.type)}"
    if error.row is None:
        return f"{fault}: {error.reason}"
    return f"{fault} without loss: row {error.row + 1} of {data.num_rows} {error.reason}"


def _mismatch(link: str, schema: pa.Schema, given: pa.Schema, culprit: str, fault: str) -> SchemaMismatch:
    """The error with both schemas side by side, columns in the link's order, the culprit marked."""
    there = set(schema.names)
    names = [*schema.names, *(name for name in given.names if name not in there)]
    rows = [("column", link, "given")]
    rows += [(name, _type_of(schema, name), _type_of(given, name)) for name in names]
    name_width, link_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    lines = [f"{link}: {fault}"]
    for name, kept, offered in rows:
        mark = ">" if name == culprit else " "
        lines.append(f"  {mark} {name:<{name_width}}  {kept:<{link_width}}  {offered}")
    lines.append(f"  {_remedy(link, schema, given, culprit)}")
    return SchemaMismatch("\n".join(lines))


def _type_of(schema: pa.Schema, name: str) -> str:
    index = schema.get_field_index(name)
    return "-" if index < 0 else type_text(plain_type(schema.field(index).type))


def _remedy(link: str, schema: pa.Schema, given: pa.Schema, culprit: str) -> str:
    if culprit not in schema.names:
        nullable = "" if given.field(given.get_field_index(culprit)).nullable else "make it one that may be null, "
        return f"Drop the column before publishing, {nullable}or add it to links.{link}.schema and start over."
    if culprit not in given.names:
        return "Publish every column of the link; one without values may hold nulls only."
    return f"Convert the column before publishing, or declare the type you want in links.{link}.schema and start over."
