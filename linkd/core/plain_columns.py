"""Columns of plain Python values as Arrow arrays, made of their bytes.

`pa.array` makes them, too, but looks first whether it was given something of pandas, and imports that for it where it is installed: half a second
and fifty megabytes for a program that publishes a few rows and may never have heard of pandas.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from operator import countOf
from typing import Any

import pyarrow as pa

_INT32_MAX = 2**31 - 1
_NONE = type(None)


def plain_column(values: Sequence[Any]) -> pa.Array | None:
    """What `pa.array(values)` is, of values of which each is of the same plain type, or None; None for all others."""
    first = type(values[0]) if values else _NONE
    if has_nulls := first is _NONE or countOf(map(type, values), first) < len(values):  # half the time of a set of all types
        kinds = set(map(type, values)) - {_NONE}
        if len(kinds) != 1:
            return None
        first = kinds.pop()
    kind, instead, buffers_of = _KINDS.get(first, _NO_KIND)
    buffers = buffers_of([instead if value is None else value for value in values] if has_nulls else values)
    if buffers is None:
        return None
    validity = _bits(value is not None for value in values) if has_nulls else None
    return pa.Array.from_buffers(kind, len(values), [validity, *buffers])


_Buffers = Sequence[pa.Buffer] | None
"""Of an array, without the one that says what is null; None where it cannot be made like this."""


def _bits(values: Iterable[bool]) -> pa.Buffer:
    octets = pa.py_buffer(bytes(values))
    return pa.Array.from_buffers(pa.uint8(), octets.size, [None, octets]).cast(pa.bool_()).buffers()[1]


def _of_truths(values: Sequence[bool]) -> _Buffers:
    return (_bits(values),)


def _of_integers(values: Sequence[int]) -> _Buffers:
    try:
        return (pa.py_buffer(struct.pack(f"{len(values)}q", *values)),)
    except struct.error:
        return None


def _of_floats(values: Sequence[float]) -> _Buffers:
    return (pa.py_buffer(struct.pack(f"{len(values)}d", *values)),)


def _of_texts(values: Sequence[str]) -> _Buffers:
    text = "".join(values)
    try:
        return _of_pieces(text.encode(), values if text.isascii() else list(map(str.encode, values)))
    except UnicodeEncodeError:
        return None


def _of_contents(values: Sequence[bytes]) -> _Buffers:
    return _of_pieces(b"".join(values), values)


def _of_pieces(content: bytes, pieces: Sequence[str] | Sequence[bytes]) -> _Buffers:
    """Pieces of content, one behind the other, each of so many bytes."""
    if len(content) > _INT32_MAX:
        return None
    import pyarrow.compute as pc  # loaded by now, but for who only reads

    count = len(pieces) + 1
    lengths = pa.py_buffer(struct.pack(f"{count}i", 0, *map(len, pieces)))  # in half the time that an `array` of them takes
    ends = pc.cumulative_sum(pa.Array.from_buffers(pa.int32(), count, [None, lengths]))
    return ends.buffers()[1], pa.py_buffer(content)


def _of_others(values: Sequence[Any]) -> _Buffers:
    return None


_Kind = tuple[pa.DataType, Any, Callable[[Any], _Buffers]]
"""The type, what stands in the place of a null, and what makes the buffers."""
_KINDS: dict[type, _Kind] = {
    bool: (pa.bool_(), False, _of_truths),
    int: (pa.int64(), 0, _of_integers),
    float: (pa.float64(), 0.0, _of_floats),
    str: (pa.string(), "", _of_texts),
    bytes: (pa.binary(), b"", _of_contents),
}
_NO_KIND: _Kind = (pa.null(), None, _of_others)
