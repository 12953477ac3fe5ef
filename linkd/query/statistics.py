"""The least and the greatest of a column in a batch: enough to tell that no row of it can satisfy a predicate."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from linkd.core import arrow_compute as pc
from linkd.model.frozen import frozen


@frozen()
class Bounds:
    """As Arrow scalars of the column's type; both null where every row is."""

    least: Any
    greatest: Any


def bounds_of(column: pa.Array) -> Bounds | None:
    """None for types that have no order, or one of their own in SQL."""
    kind = column.type
    types = pa.types
    if types.is_floating(kind):
        # SQL holds NaN for greater than every number; Arrow leaves it out.
        if pc.any(pc.is_nan(column)).as_py():
            return Bounds(pc.min(column), pa.scalar(float("nan"), kind))
    elif not (
        types.is_integer(kind)
        or types.is_decimal(kind)
        or types.is_date(kind)
        or types.is_timestamp(kind)
        or types.is_time(kind)
        or types.is_string(kind)
        or types.is_boolean(kind)
    ):
        return None
    found = pc.min_max(column)
    return Bounds(found["min"], found["max"])
