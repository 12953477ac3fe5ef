"""One JSON value of a file, read for a column: as `linkd.core.json_values` has it, but kinder where people's files are not linkd's own.

Text of a string column may be anything: what is no text is its JSON. Floats take every finite number, and `NaN` and `Infinity` as Python
writes them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from linkd.plugin.json_rows import Unfit, reader

_SPECIALS = frozenset({"NaN", "Infinity", "-Infinity"})

ValueReader = Callable[[Any], Any]


def value_reader(kind: pa.DataType) -> ValueReader:
    """How to read values for a column of this type. The reader raises `Unfit`."""
    types = pa.types
    if types.is_list(kind):
        return _list_reader(kind)
    if types.is_struct(kind):
        return _struct_reader(kind)
    if types.is_string(kind):
        return _text
    return _float if types.is_float64(kind) else reader(kind)


def _list_reader(kind: pa.DataType) -> ValueReader:
    read_item = value_reader(kind.value_type)

    def read(value: Any) -> list[Any] | None:
        if value is None:
            return None
        if not isinstance(value, list):
            raise Unfit("an array")
        return [_inside(read_item, item, f"[{number}]") for number, item in enumerate(value)]

    return read


def _struct_reader(kind: pa.DataType) -> ValueReader:
    readers = {field.name: value_reader(field.type) for field in kind}

    def read(value: Any) -> dict[str, Any] | None:
        if value is None:
            return None
        if not isinstance(value, dict) or not readers.keys() >= value.keys():
            raise Unfit(f"an object with no other fields than {', '.join(readers)}")
        return {name: _inside(read_field, value.get(name), f".{name}") for name, read_field in readers.items()}

    return read


def _inside(read: ValueReader, value: Any, path: str) -> Any:
    try:
        return read(value)
    except Unfit as error:
        raise Unfit(error.expected, path + error.path) from None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=float)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unfit("text without half of a surrogate pair") from None
    return text


def _float(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, str) and value in _SPECIALS:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise Unfit("a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isinf(number) and not isinstance(value, float):
        raise Unfit("a number within float64")
    return number
