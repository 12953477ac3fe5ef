"""The hash slots of a value: those of what its rows have in the key column. By way of pyarrow. See `core.group_order`."""

from __future__ import annotations

import pyarrow as pa

from linkd.core.group_order import slot_of
from linkd.errors import InvalidArgument
from linkd.limits import GROUP_SLOTS, KEY_ROWS_AT_ONCE

_NULL = b"\x00"
"""No text begins with it."""


def slots_in(batch: pa.RecordBatch, key: str, *, name: str) -> frozenset[int]:
    """The slots of the rows. Keys are hashed as the text that Python shows of them, in UTF-8; nulls have one of their own.

    Raises InvalidArgument if the value, called `name`, has no such column.
    """
    if key not in batch.schema.names:
        raise InvalidArgument(f"{name} has no column {key!r}, which is the key of its order: it has {', '.join(batch.schema.names)}")
    column = batch.column(key)
    slots: set[int] = set()
    for start in range(0, len(column), KEY_ROWS_AT_ONCE):
        slots.update(slot_of(_text(value)) for value in column.slice(start, KEY_ROWS_AT_ONCE).unique().to_pylist())
        if len(slots) == GROUP_SLOTS:
            break
    return frozenset(slots)


def _text(value: object) -> bytes:
    if value is None:
        return _NULL
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
