"""How far a source that is read by its key has come: the key of the last row, as the texts of a cursor.

Format of the position: compact JSON, UTF-8, one object with
    key     the names of the key's columns, in their order
    at      the key of the last row that was read, as texts that the database casts back; absent before the first row
    row     rows read before it
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from linkd.errors import DataFault, SchemaMismatch, StateDamaged
from linkd_adapters.sql.database import Column
from linkd_adapters.sql.location import quoted


@dataclass(frozen=True, slots=True)
class Cursor:
    """Behind the row with the key `at`; at the start if that is empty."""

    key: tuple[str, ...]
    at: tuple[str, ...] = ()
    row: int = 0

    def encode(self) -> bytes:
        said: dict[str, object] = {"key": self.key, "row": self.row}
        return json.dumps(said | ({"at": self.at} if self.at else {}), separators=(",", ":")).encode()

    def behind(self, batch: pa.RecordBatch) -> Cursor:
        """Behind these rows, which are in the order of the key."""
        if not batch.num_rows:
            return self
        return Cursor(self.key, key_texts(batch, batch.num_rows - 1, self.key), self.row + batch.num_rows)


def decoded(encoded: bytes, shown: str) -> Cursor:
    """Raises `StateDamaged` if it is no cursor, such as the position of a table that was read as a whole."""
    try:
        told = json.loads(encoded)
        return Cursor(tuple(map(str, told["key"])), tuple(map(str, told.get("at", ()))), int(told["row"]))
    except (ValueError, KeyError, TypeError) as error:
        remedy = "remove the directory of this pipeline under .linkd to start over"
        raise StateDamaged(f"{shown}: the position kept for this source cannot be read; {remedy}") from error


def require_key(columns: Sequence[Column], key: Sequence[str], shown: str) -> None:
    """Raises `SchemaMismatch` if rows cannot be told and ordered by these columns."""
    there = {column.name: column for column in columns}
    for name in key:
        column = there.get(name)
        if column is None:
            raise SchemaMismatch(f"{shown}: key: names {name}, and it has the columns {', '.join(there)}")
        if column.carrier is None or not _is_exact(column.carrier) or (column.as_text and column.declared not in ("uuid", "UUID")):
            raise SchemaMismatch(
                f"{shown}: key: names {name}, which is {column.declared}; a key is a whole number, a text, a date or a time"
            )


def window(cursor: Cursor, bound: Sequence[str], constants: Callable[[str, str], str]) -> str:
    """WHERE and ORDER BY for the rows behind the cursor, up to the row with the key `bound` (empty: all there are).

    `constants` writes the value of a column, by its name and text, for SQL.
    """
    parts = []
    for beyond, within, texts in ((">", ">=", cursor.at), ("<", "<=", bound)):
        if texts:
            places = [(quoted(name), constants(name, text)) for name, text in zip(cursor.key, texts, strict=True)]
            parts.append(_compared(places, beyond, with_equal=within == "<="))
            if len(places) > 1:
                parts.append(f"{places[0][0]} {within} {places[0][1]}")  # what an index helps with
    where = f"WHERE {' AND '.join(parts)} " if parts else ""
    return f"{where}ORDER BY {', '.join(quoted(name) for name in cursor.key)}"


def _compared(places: Sequence[tuple[str, str]], beyond: str, *, with_equal: bool) -> str:
    """The order of several columns, spelt out: not every database has it for rows."""
    (name, value), *rest = places
    if not rest:
        return f"{name} {beyond}{'=' if with_equal else ''} {value}"
    return f"({name} {beyond} {value} OR ({name} = {value} AND {_compared(rest, beyond, with_equal=with_equal)}))"


def require_unique(batch: pa.RecordBatch, key: Sequence[str], before: tuple[str, ...], first_row: int, shown: str) -> None:
    """Raises `DataFault` if two rows that follow one another have one key: of such rows nobody can tell which were read."""
    if not batch.num_rows:
        return
    same = pa.array([True] * (batch.num_rows - 1), pa.bool_())
    for name in key:
        column = batch.column(name)
        same = pc.and_(same, pc.equal(column.slice(1), column.slice(0, batch.num_rows - 1)))
    row = pc.index(same, True).as_py()
    if row >= 0 or key_texts(batch, 0, key) == before:
        number = first_row + max(row, 0) + 1
        raise DataFault(
            f"{shown}: the key {', '.join(key)} is not unique (rows {number:,} and {number + 1:,} of what is new have the same): rows cannot be "
            f"told apart by it; name columns that are, such as `key: [{key[0]}, id]`"
        )


def key_texts(batch: pa.RecordBatch, row: int, key: Sequence[str]) -> tuple[str, ...]:
    """The key of a row, as texts."""
    return tuple(_text(batch.column(name)[row].as_py()) for name in key)


def _text(value: Any) -> str:
    return str(value.isoformat(" ")) if hasattr(value, "hour") and hasattr(value, "year") else str(value)


def _is_exact(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_integer(kind) or types.is_decimal(kind) or types.is_string(kind) or types.is_date(kind) or types.is_timestamp(kind)
    )
