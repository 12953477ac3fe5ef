"""Casts that lose nothing: a column in any layout to the type of a link, or the row that stands in the way.

What counts as losing nothing is decided by the values, not by the types alone: `2.0` is a whole number and goes into an int64 column, `2.5`
does not. The only value that changes its nature is NaN, which becomes null in an integer column and nowhere else: it is how pandas writes
a missing integer.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from linkd.core import arrow_compute as pc
from linkd.core.arrow_types import is_varying_list, plain_type


class CastLoses(Exception):
    """A cast would lose something. `row` counts from 0, `None` if no single row is to blame; `reason` never holds a value."""

    def __init__(self, reason: str, row: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.row = row


def as_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """One contiguous array of a column, whatever its chunks."""
    if isinstance(column, pa.ChunkedArray):
        return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays([pa.array([], column.type), *column.chunks])
    return column


def plain_array(array: pa.Array) -> pa.Array:
    """The same values in the plain form of their type. Raises `CastLoses` if it cannot hold them (over 2 GiB of text)."""
    kind, target = array.type, plain_type(array.type)
    if kind == target:
        return array
    if isinstance(kind, pa.BaseExtensionType):
        return plain_array(array.storage)
    if pa.types.is_dictionary(kind):
        return plain_array(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return plain_array(pc.run_end_decode(array))
    if is_varying_list(kind):
        return _rebuilt_list(array, plain_array)
    if pa.types.is_struct(kind):
        return _rebuilt_struct(array, [plain_array(child) for child in array.flatten()], target)
    return _arrow_cast(array, target, "the column is too large for one value")


def lossless(array: pa.Array, target: pa.DataType) -> pa.Array:
    """The values of a plain array as `target` (a plain type), or `CastLoses` with the first row that would lose something."""
    kind, types = array.type, pa.types
    if kind == target:
        return array
    if types.is_null(kind):
        return pa.nulls(len(array), target)
    if is_varying_list(kind) and is_varying_list(target):
        return _list_items(array, target)
    if types.is_struct(kind) and types.is_struct(target):
        return _struct_fields(array, target)
    cast = _scalar_cast(kind, target)
    if cast is None:
        raise CastLoses("the types do not convert into each other")
    reason, convert = cast
    try:
        return convert(array, target)
    except (pa.ArrowInvalid, CastLoses):
        raise CastLoses(reason, _first_failing_row(array, target, convert)) from None


Convert = Callable[[pa.Array, pa.DataType], pa.Array]


def _scalar_cast(kind: pa.DataType, target: pa.DataType) -> tuple[str, Convert] | None:
    """How to cast between two scalar types, and what a row that does not fit is; `None` if these types never convert."""
    types = pa.types
    if types.is_integer(target):
        if types.is_integer(kind):
            return f"is outside the range of {target}", _safe
        if types.is_floating(kind):
            return f"is not a whole number within {target}", _floats_to_integers
    if types.is_floating(target):
        if types.is_integer(kind):
            return "has more digits than a floating point number holds", _safe
        if types.is_floating(kind):
            return "would be rounded", _floats_to_floats
    if types.is_decimal(target) and (types.is_decimal(kind) or types.is_integer(kind)):
        return "has more digits than the decimal holds", _to_decimal
    if types.is_timestamp(target) and types.is_timestamp(kind) and bool(kind.tz) == bool(target.tz):
        return "is finer, or further away, than the unit holds", _safe
    for same_family in (types.is_time, types.is_duration, types.is_date):
        if same_family(kind) and same_family(target):
            return "is finer, or further away, than the unit holds", _safe
    return None


def _safe(array: pa.Array, target: pa.DataType) -> pa.Array:
    return pc.cast(array, target, safe=True)


def _floats_to_integers(array: pa.Array, target: pa.DataType) -> pa.Array:
    missing = pc.is_nan(array)
    return pc.cast(pc.if_else(missing, pa.scalar(None, array.type), array), target, safe=True)


def _floats_to_floats(array: pa.Array, target: pa.DataType) -> pa.Array:
    result = pc.cast(array, target, safe=False)
    if target.bit_width < array.type.bit_width:
        back = pc.cast(result, array.type, safe=False)
        same = pc.or_(pc.equal(back, array), pc.and_(pc.is_nan(back), pc.is_nan(array)))
        if pc.all(same, min_count=0).as_py() is False:
            raise CastLoses("")
    return result


def _to_decimal(array: pa.Array, target: pa.DataType) -> pa.Array:
    if pa.types.is_integer(array.type):
        # Arrow asks for room for any integer of the type; what counts here is whether these integers fit.
        array = pc.cast(array, pa.decimal256(76, 0), safe=True)
    return pc.cast(array, target, safe=True)


def _list_items(array: pa.Array, target: pa.DataType) -> pa.Array:
    try:
        return _rebuilt_list(array, lambda values: lossless(values, target.value_type))
    except CastLoses as error:
        if error.row is None:
            raise
        row = pc.list_parent_indices(array)[error.row].as_py()
        raise CastLoses(f"has an element that {error.reason}", row) from None


def _struct_fields(array: pa.Array, target: pa.DataType) -> pa.Array:
    given = {field.name: child for field, child in zip(array.type, array.flatten(), strict=True)}
    wanted = [field.name for field in target]
    if len(given) != array.type.num_fields or set(given) != set(wanted):
        raise CastLoses("the fields are not the same")
    children = []
    for field in target:
        try:
            children.append(lossless(given[field.name], field.type))
        except CastLoses as error:
            raise CastLoses(f"field `{field.name}` {error.reason}", error.row) from None
    return _rebuilt_struct(array, children, target)


def _rebuilt_list(array: pa.Array, convert: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """A list array with its elements converted. Built by hand: a cast of a list view drops elements (pyarrow 26)."""
    elements = convert(array.flatten())
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    ends = pc.cumulative_sum(pc.cast(lengths, pa.int64()))
    starts = pa.concat_arrays([pa.array([0], pa.int64()), as_array(ends)])
    absent = pa.concat_arrays([pc.is_null(array), pa.array([False])])
    try:
        offsets = pc.cast(pc.if_else(absent, pa.scalar(None, pa.int64()), starts), pa.int32(), safe=True)
    except pa.ArrowInvalid:
        raise CastLoses("the column has too many elements for one value") from None
    return pa.ListArray.from_arrays(offsets, elements, type=pa.list_(elements.type))


def _rebuilt_struct(array: pa.Array, children: list[pa.Array], target: pa.DataType) -> pa.Array:
    if not children:
        return pa.array([None if absent else {} for absent in pc.is_null(array).to_pylist()], target)
    return pa.StructArray.from_arrays(children, fields=list(target), mask=pc.is_null(array))


def _arrow_cast(array: pa.Array, target: pa.DataType, reason: str) -> pa.Array:
    try:
        return pc.cast(array, target, safe=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise CastLoses(reason) from None


def _first_failing_row(array: pa.Array, target: pa.DataType, convert: Convert) -> int:
    """The first row that does not convert, by halving: a prefix converts exactly if each of its rows does."""
    low, high = 0, len(array)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            convert(array.slice(low, middle - low), target)
        except (pa.ArrowInvalid, CastLoses):
            high = middle
        else:
            low = middle
    return low
