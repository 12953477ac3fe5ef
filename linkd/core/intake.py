"""What people publish, as an Arrow table: frames of any library, dicts of columns, lists of dicts.

Frames come in by the Arrow PyCapsule interface, so neither pandas nor polars is imported here. Errors name the column and never a value.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

import pyarrow as pa

from linkd.core.plain_columns import plain_column
from linkd.errors import InvalidArgument

ACCEPTED = "a data frame or Arrow table, a dict of columns, or a list of dicts"
_PANDAS_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
_PANDAS_COLUMN = re.compile(r"Conversion failed for column (.+) with type ", re.DOTALL)


def to_arrow(data: object) -> pa.Table | pa.RecordBatch:
    """Whatever a program publishes, as Arrow.

    Accepts anything with `__arrow_c_stream__` or `__arrow_c_array__` (frames of pandas, polars and DuckDB, Arrow tables, batches and
    readers), a mapping of columns, or a sequence of mappings (columns are the union of their keys in the order first seen; a missing
    key is null).
    A named pandas index becomes a column, an unnamed one is dropped. Raises `InvalidArgument` for anything else, for data without columns,
    and for column names that are empty or occur twice.
    """
    if isinstance(data, (pa.Table, pa.RecordBatch)):
        table = data
    elif hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        table = _from_capsule(data)
    elif isinstance(data, Mapping):
        table = _from_columns(data)
    elif isinstance(data, Sequence) and not isinstance(data, (str, bytes, bytearray, memoryview)):
        table = _from_rows(data)
    else:
        raise InvalidArgument(f"cannot publish {_type_name(data)}: give {ACCEPTED}{_remedy(data)}")
    table = _without_pandas_index(table)
    _check_names(table.schema.names)
    return table


def _type_name(data: object) -> str:
    kind = type(data)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _remedy(data: object) -> str:
    if hasattr(data, "collect") and "polars" in type(data).__module__:
        return " (call .collect() first)"
    return ""


def _from_capsule(data: object) -> pa.Table | pa.RecordBatch:
    try:
        return pa.table(data)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise InvalidArgument(f"cannot publish {_type_name(data)}: {_without_values(error)}") from None


def _without_values(error: Exception) -> str:
    """Why a foreign frame did not convert, without the value that Arrow quotes."""
    text = " ".join(str(part) for part in error.args)
    if found := _PANDAS_COLUMN.search(text):
        return f"column `{found[1]}` mixes types; give it one type, e.g. with .astype(str)"
    if text.startswith("Duplicate column names"):
        return "a column name occurs twice; rename one of the columns"
    return f"it does not convert to an Arrow table ({type(error).__name__}); give {ACCEPTED}"


def _from_columns(data: Mapping[Any, Any]) -> pa.Table:
    columns = {}
    for name, values in data.items():
        if not isinstance(name, str):
            raise InvalidArgument(f"column names are text, this dict has a key of type {_type_name(name)}")
        columns[name] = _column(name, values)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"`{name}` {length}" for name, length in list(lengths.items())[:5])
        raise InvalidArgument(f"the columns have different numbers of rows: {shown}")
    return pa.table(columns)


def _column(name: str, values: object) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    if isinstance(values, (str, bytes, bytearray, Mapping)) or not (
        isinstance(values, Iterable) or hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__")
    ):
        raise InvalidArgument(
            f"column `{name}` is {_type_name(values)}: a dict of columns holds a list of values for each; "
            "to publish one row, give a list with one dict"
        )
    try:
        if hasattr(values, "__arrow_c_stream__"):
            return pa.chunked_array(values)
        plain = plain_column(values) if isinstance(values, list) and "pandas" not in sys.modules else None
        return pa.array(values) if plain is None else plain
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        raise InvalidArgument(f"column `{name}` mixes types, or holds what Arrow has no type for: give it one type") from None


def _from_rows(rows: Sequence[Any]) -> pa.Table:
    if not rows:
        raise InvalidArgument("an empty list has no columns: publish an empty Arrow table or data frame, which has a schema")
    alike = _of_rows_alike(rows)
    if alike is not None:
        return _from_columns(alike)
    names: dict[str, None] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise InvalidArgument(f"row {number} is {_type_name(row)}: in a list of rows each is a dict")
        names.update(dict.fromkeys(row))
    return _from_columns({name: [row.get(name) for row in rows] for name in names})


def _of_rows_alike(rows: Sequence[Any]) -> dict[Any, list[Any]] | None:
    """The columns of dicts that all have the same keys, as rows of one program have; None if they have not. A third of the time."""
    if set(map(type, rows)) != {dict} or set(map(len, rows)) != {len(rows[0])} or not rows[0]:
        return None
    try:
        return {name: list(map(itemgetter(name), rows)) for name in rows[0]}
    except KeyError:
        return None


def from_tuples(rows: Sequence[tuple[Any, ...]], names: Sequence[str], *, link: str) -> pa.Table:
    """Rows without names, in the order of these columns. Raises `InvalidArgument` for one that has another number of values."""
    if set(map(len, rows)) != {len(names)}:
        number, row = next((number, row) for number, row in enumerate(rows, 1) if len(row) != len(names))
        shown = ", ".join(names)
        raise InvalidArgument(f"{link}: row {number} has {len(row)} values, and its columns are {len(names)} ({shown}): give one for each")
    return _from_columns({name: list(map(itemgetter(number), rows)) for number, name in enumerate(names)})


def _without_pandas_index(table: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
    """Drop unnamed index columns; make a column of a named index that pandas describes only as a range.

    pandas turns an integer index without gaps into a range, so `set_index("id")` would otherwise lose `id`.
    """
    described = (table.schema.metadata or {}).get(b"pandas")
    if described is None:
        return table
    for index in json.loads(described).get("index_columns", ()):
        if isinstance(index, str):
            if _PANDAS_UNNAMED_INDEX.fullmatch(index) and index in table.schema.names:
                table = table.drop_columns([index])
        elif index.get("kind") == "range" and index.get("name") is not None:
            numbers = pa.array(range(index["start"], index["stop"], index["step"]), pa.int64())
            table = table.append_column(str(index["name"]), numbers)
    return table


def _check_names(names: list[str]) -> None:
    if not names:
        raise InvalidArgument("there are no columns: a value has at least one")
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not name:
            raise InvalidArgument(f"column {number} has no name: give it one")
        if name in seen:
            raise InvalidArgument(f"column name `{name}` occurs twice: rename one of the columns")
        seen.add(name)
