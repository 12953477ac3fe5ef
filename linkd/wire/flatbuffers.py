"""The tables of a flatbuffer, read from bytes of a stranger's: what is asked for lies inside them, or it is `InvalidArgument`.

Little-endian. A table begins with the distance back to its vtable, int32. A vtable is its own length and the table's in bytes, uint16 each,
and for each field its distance from the table's start, uint16; 0, or a vtable that ends before: the field is absent. A string, a vector
and a table in a field are a uint32 distance forward; strings and vectors begin with their count, uint32.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from linkd.errors import InvalidArgument

_Unpack = Callable[[memoryview, int], tuple[Any, ...]]

_UINT8: _Unpack = struct.Struct("<B").unpack_from
_UINT16: _Unpack = struct.Struct("<H").unpack_from
_INT16: _Unpack = struct.Struct("<h").unpack_from
_INT32: _Unpack = struct.Struct("<i").unpack_from
_UINT32: _Unpack = struct.Struct("<I").unpack_from
_INT64: _Unpack = struct.Struct("<q").unpack_from


class Flatbuffer:
    """Bytes in which every read is checked to lie inside."""

    __slots__ = ("_view",)

    def __init__(self, view: memoryview) -> None:
        self._view = view.cast("B")

    def slice(self, at: int, length: int) -> memoryview:
        if at < 0 or length < 0 or at + length > len(self._view):
            raise self._outside(at)
        return self._view[at : at + length]

    def number(self, unpack: _Unpack, at: int) -> int:
        """The number at `at`, of one of the kinds above."""
        if at < 0:  # which `struct` would count from the end
            raise self._outside(at)
        try:
            number: int = unpack(self._view, at)[0]
        except struct.error:
            raise self._outside(at) from None
        return number

    def uint32(self, at: int) -> int:
        return self.number(_UINT32, at)

    def _outside(self, at: int) -> InvalidArgument:
        return InvalidArgument(f"the metadata of an Arrow IPC message is damaged: it points to {at}, but has {len(self._view)} bytes")


class Table:
    """A flatbuffer table at `at`. Fields are asked for by index; a field that is absent has its default."""

    __slots__ = ("_data", "_vtable", "at")

    def __init__(self, data: Flatbuffer, at: int) -> None:
        self._data = data
        self.at = at
        vtable_at = at - data.number(_INT32, at)
        self._vtable = data.slice(vtable_at, data.number(_UINT16, vtable_at))

    def _field(self, index: int) -> int | None:
        slot = 4 + 2 * index
        if slot + 2 > len(self._vtable):
            return None
        distance: int = _UINT16(self._vtable, slot)[0]
        return self.at + distance if distance else None

    def _scalar(self, unpack: _Unpack, index: int, default: int) -> int:
        at = self._field(index)
        return default if at is None else self._data.number(unpack, at)

    def uint8(self, index: int, default: int) -> int:
        return self._scalar(_UINT8, index, default)

    def int16(self, index: int, default: int) -> int:
        return self._scalar(_INT16, index, default)

    def int64(self, index: int, default: int) -> int:
        return self._scalar(_INT64, index, default)

    def table(self, index: int) -> Table | None:
        at = self._field(index)
        return None if at is None else Table(self._data, at + self._data.uint32(at))

    def _vector(self, index: int, item_bytes: int) -> tuple[int, int]:
        """Where the items of a vector begin, and how many there are; all of them are inside."""
        field = self._field(index)
        if field is None:
            return 0, 0
        at = field + self._data.uint32(field)
        count = self._data.uint32(at)
        self._data.slice(at + 4, count * item_bytes)
        return at + 4, count

    def structs(self, index: int, item_bytes: int) -> memoryview:
        at, count = self._vector(index, item_bytes)
        return self._data.slice(at, count * item_bytes)

    def scalar_at(self, index: int) -> int | None:
        """Where the 8 bytes of a scalar field lie; None if it is absent."""
        at = self._field(index)
        if at is not None:
            self._data.slice(at, 8)
        return at

    def structs_at(self, index: int, item_bytes: int) -> tuple[int, int]:
        """Where the structs of a vector begin, and how many there are."""
        return self._vector(index, item_bytes)

    def tables(self, index: int) -> list[Table]:
        at, count = self._vector(index, 4)
        return [Table(self._data, slot + self._data.uint32(slot)) for slot in range(at, at + 4 * count, 4)]

    def string(self, index: int) -> bytes:
        at, length = self._vector(index, 1)
        return bytes(self._data.slice(at, length))
